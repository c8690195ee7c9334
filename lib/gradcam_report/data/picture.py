"""A reader's own picture, turned into what the network can see."""

import math

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..config import ReportError, input_path

MAX_PIXELS = 80_000_000  # more would take a gigabyte to decode; Pillow warns a little above
SIDE = 32
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")  # Pillow's others include PostScript, which starts another program


def read(path: str) -> Tensor:
    """Read a picture file as the network would see it, uint8 (1, 3, 32, 32): its middle square, scaled down.

    PNG, JPEG, WebP, BMP or GIF (the first frame). EXIF orientation is applied; transparent parts become white. A
    relative path starts at the working directory, else at the checkout's top.

    Raises:
        ReportError: the file is missing, unreadable, or has more than `MAX_PIXELS`.
    """
    upright = _decode(path)
    side = min(upright.size)
    left, top = ((length - side) // 2 for length in upright.size)
    square = upright.crop((left, top, left + side, top + side))
    opaque = Image.alpha_composite(Image.new("RGBA", square.size, "white"), square).convert("RGB")
    small = opaque.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].contiguous()


def _decode(path: str) -> Image.Image:
    """The whole picture as RGBA, upright."""
    try:
        with Image.open(input_path(path), formats=FORMATS) as opened:
            if math.prod(opened.size) > MAX_PIXELS:
                raise Image.DecompressionBombError
            return _eight_bits(ImageOps.exif_transpose(opened)).convert("RGBA")
    except FileNotFoundError:
        raise ReportError(f"picture is {path!r}, but there is no such file; name a PNG or JPEG file.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ReportError(f"picture is {path!r}: too many pixels; make it smaller, 32 x 32 are used.") from None
    except Exception as error:  # Pillow's decoders raise all kinds of errors for a broken file
        reason = " ".join(str(error).split())[:80]
        raise ReportError(f"picture is {path!r}, which cannot be read ({reason}); save it as PNG or JPEG.") from None


def _eight_bits(image: Image.Image) -> Image.Image:
    """A 16-bit grey image scaled to 8 bits, which Pillow would otherwise clip to white; others as they are."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image, np.float64) / 257).clip(0, 255).round().astype(np.uint8))

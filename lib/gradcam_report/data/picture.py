"""A reader's own picture, made into what the network can see."""

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..config import ReportError, project_root

MOST_PIXELS = 80_000_000  # more would take a gigabyte to decode; Pillow warns a little above
SIDE = 32


def read(path: str) -> Tensor:
    """A picture file as the network would see it, uint8 (1, 3, 32, 32): its middle square, made small.

    PNG, JPEG, WebP, BMP or GIF (the first frame), relative to the project's top; turned as its camera was, transparent
    parts on white. Raises `ReportError` for a file that is missing, unreadable, or of more than `MOST_PIXELS`.
    """
    file = project_root() / path
    try:
        with Image.open(file, formats=["PNG", "JPEG", "WEBP", "BMP", "GIF"]) as opened:
            width, height = opened.size
            small_enough = width * height <= MOST_PIXELS
            if small_enough:
                upright = eight_bits(ImageOps.exif_transpose(opened)).convert("RGBA")
    except FileNotFoundError:
        raise ReportError(f"picture is {path!r}, but there is no such file; name a PNG or JPEG file.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ReportError(
            f"picture is {path!r}, which has too many pixels; make it smaller, 32 x 32 are used."
        ) from None
    except Exception as error:  # Pillow's decoders raise whatever a broken file makes them stumble over
        reason = " ".join(str(error).split())[:80]
        raise ReportError(f"picture is {path!r}, which cannot be read ({reason}); save it as PNG or JPEG.") from None
    if not small_enough:
        raise ReportError(f"picture is {path!r} with {width} x {height} pixels; make it smaller, 32 x 32 are used.")
    side = min(upright.size)
    left, top = ((length - side) // 2 for length in upright.size)
    square = upright.crop((left, top, left + side, top + side))
    flat = Image.alpha_composite(Image.new("RGBA", square.size, "white"), square).convert("RGB")
    small = flat.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)[None].contiguous()


def eight_bits(image: Image.Image) -> Image.Image:
    """A grey image of 16 bits as one of 8, which Pillow would otherwise clip to white; others as they are."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image, np.float64) / 257).clip(0, 255).round().astype(np.uint8))

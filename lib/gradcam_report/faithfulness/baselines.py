"""Baselines: maps that know nothing of the network."""

import torch
import torch.nn.functional as F
from torch import Tensor

BASELINES = ("edges", "centre", "random cells", "random pixels")


def baseline_maps(images: Tensor) -> dict[str, Tensor]:
    """Return the maps of each of `BASELINES`, float32 (N, h, w), 0-1, for images uint8 (N, 3, H, W).

    The random cells are as coarse as the maps of layer4, 4 by 4.
    """
    count, size = len(images), images.shape[-1]
    random = [random_maps(count, cells) for cells in (4, size)]
    return dict(zip(BASELINES, (edge_maps(images), centre_maps(count, size), *random), strict=True))


def random_maps(count: int, cells: int) -> Tensor:
    """Random maps, float32 (count, cells, cells), 0-1, the same at every call."""
    return torch.rand((count, cells, cells), generator=torch.Generator().manual_seed(cells))


def centre_maps(count: int, size: int = 32) -> Tensor:
    """A Gaussian in the centre, float32 (count, size, size), 0-1: most photographs show their subject there."""
    offset = (torch.arange(size) - (size - 1) / 2) / (size / 4)  # standard deviation: a quarter of the side
    blob = torch.exp(-0.5 * (offset[:, None] ** 2 + offset[None, :] ** 2))
    return blob.expand(count, size, size).clone()


def edge_maps(images: Tensor) -> Tensor:
    """Edges of the grey image by Sobel's filter, float32 (N, H, W), 0-1, of images uint8 (N, 3, H, W).

    Adebayo et al. 2018 (https://arxiv.org/abs/1810.03292) found methods whose maps show little more than edges.
    """
    grey = images.float().sum(dim=1, keepdim=True)  # whole numbers: a plain image has exactly no edges
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=images.device)
    padded = F.pad(grey, (1, 1, 1, 1), mode="reflect")
    dx, dy = (F.conv2d(padded, kernel[None, None]) for kernel in (across, across.T))
    magnitude = (dx.square() + dy.square()).sqrt()[:, 0]
    return magnitude / magnitude.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)

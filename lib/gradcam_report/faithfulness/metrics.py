"""Whether a map can be believed: measurements of heat maps that need no eye.

Maps here are float (N, h, w), not negative, at any size; `enlarge` brings them to the size of the image. Pixels are
ranked by their value in the map; equal ones, as in a map that is zero throughout, in one random order for all images.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.stats import rankdata
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur

from ..model import ResNet18

Probability = Callable[[Tensor], Tensor]  # normalised images (N, 3, H, W) -> one probability each, float (N,)


def enlarge(maps: Tensor, size: int = 32) -> Tensor:
    """(N, h, w) -> float32 (N, size, size) on the CPU, bilinear between the middles of cells."""
    return F.interpolate(maps[:, None].float().cpu(), (size, size), mode="bilinear", align_corners=False)[:, 0]


# What to compare with


def random_maps(count: int, cells: int) -> Tensor:
    """Maps that know nothing, float32 (N, cells, cells), 0-1, the same at every call."""
    return torch.rand((count, cells, cells), generator=torch.Generator().manual_seed(cells))


def centre_maps(count: int, size: int = 32) -> Tensor:
    """A blob in the middle, float32 (N, size, size), 0-1: most photographs show their subject there."""
    offset = (torch.arange(size) - (size - 1) / 2) / (size / 4)  # standard deviation: a quarter of the side
    blob = torch.exp(-0.5 * (offset[:, None] ** 2 + offset[None, :] ** 2))
    return blob.expand(count, size, size).clone()


def edge_maps(images: Tensor) -> Tensor:
    """Edges of the grey image, float32 (N, H, W), 0-1: Sobel's gradient magnitude, which knows nothing of the network.

    `images` is uint8 (N, 3, H, W). Adebayo et al. 2018 (https://arxiv.org/abs/1810.03292) found maps that were no more.
    """
    grey = images.float().sum(dim=1, keepdim=True)  # whole numbers: a plain image has exactly no edges
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=images.device)
    padded = F.pad(grey, (1, 1, 1, 1), mode="reflect")
    dx, dy = (F.conv2d(padded, kernel[None, None]) for kernel in (across, across.T))
    magnitude = (dx.square() + dy.square()).sqrt()[:, 0]
    return magnitude / magnitude.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)


# Where the decisive pixels are known


@dataclass(frozen=True, eq=False)
class Localisation:
    """Per image, float32 (N,), 0-1: how well a map finds the pixels of a mask."""

    pointing: Tensor
    """1 if the map's highest pixel lies in the mask, else 0 (the pointing game)."""
    energy: Tensor
    """The share of the map's sum that lies in the mask."""
    overlap: Tensor
    """Intersection over union of the mask with as many of the map's highest pixels as it has itself."""


def localise(maps: Tensor, masks: Tensor) -> Localisation:
    """Compare maps float (N, h, w) with bool masks (N, H, W), none of them empty, of the pixels that decide.

    Pointing game: Zhang et al. 2016 (https://arxiv.org/abs/1608.00507); energy: Wang et al. 2020
    (https://arxiv.org/abs/1910.01279). An empty map has no energy anywhere: 0.
    """
    heat, inside = enlarge(maps, masks.shape[-1]).flatten(1), masks.flatten(1).cpu()
    order = ranked(heat)
    hit = inside.gather(1, order[:, :1])[:, 0].float()
    energy = (heat * inside).sum(1) / heat.sum(1).clamp(min=1e-12)
    chosen = places(order) < inside.sum(1, keepdim=True)
    return Localisation(hit, energy, (chosen & inside).sum(1) / (chosen | inside).sum(1))


def ranked(heat: Tensor) -> Tensor:
    """Positions from the highest to the lowest of float (N, K): int64 (N, K), ties in one random order for all."""
    mixed = torch.randperm(heat.shape[1], generator=torch.Generator().manual_seed(0))
    return mixed[heat[:, mixed].argsort(dim=1, descending=True, stable=True)]


def places(order: Tensor) -> Tensor:
    """The place of each position in the ranking int64 (N, K) that `ranked` returns: 0 for the highest."""
    return torch.empty_like(order).scatter_(1, order, torch.arange(order.shape[1]).expand_as(order))


# What hiding pixels does to the answer


@torch.no_grad()
def perturbation_curves(
    probability: Probability,
    images: Tensor,
    fill: Tensor,
    maps: Tensor,
    steps: int,
    ends: tuple[Tensor, Tensor],
) -> Tensor:
    """The probability as pixels give way to those of `fill`, the map's highest first: float32 (N, steps + 1).

    `images` and `fill` are float (N, 3, H, W). Column k has k / steps of the pixels replaced. Deletion fills with a
    plain colour; insertion starts from a blurred image and fills with the real one (Petsiuk et al. 2018,
    https://arxiv.org/abs/1806.07421). `ends`, float (N,) each, are the first and the last column: the probability of
    `images` and of `fill`, the same for any map.
    """
    first, last = ends
    size = images.shape[-1]
    place = places(ranked(enlarge(maps, size).flatten(1))).to(images.device)
    columns = [first]
    for k in range(1, steps):
        replaced = (place < round(k / steps * size * size)).view(len(images), 1, size, size)
        columns.append(probability(torch.where(replaced, fill, images)))
    return torch.stack([column.float().cpu() for column in (*columns, last)], dim=1)


def area(curves: Tensor) -> Tensor:
    """Area under curves float (N, K) over an axis from 0 to 1, by trapezia: float (N,)."""
    return torch.trapezoid(curves, dim=1) / (curves.shape[1] - 1)


def blurred(images: Tensor, sigma: float = 5.0) -> Tensor:
    """Images float (N, 3, H, W) through a Gaussian of `sigma` pixels: colours stay, things go."""
    reach = 2 * int(3 * sigma) + 1
    return gaussian_blur(images, [min(reach, 2 * (side // 2) - 1) for side in images.shape[-2:]], [sigma, sigma])


@torch.no_grad()
def under_the_map(probability: Probability, images: Tensor, maps: Tensor) -> Tensor:
    """The probability, float32 (N,), of normalised images (N, 3, H, W) dimmed to the data's mean where the map is low.

    The map is 0-1; where it is 1 the image stays as it is.
    """
    return probability(images * enlarge(maps, images.shape[-1])[:, None].to(images.device)).float().cpu()


def drop(before: Tensor, after: Tensor) -> Tensor:
    """By how much of itself a probability float (N,) fell: max(0, before - after) / before, float (N,), 0-1.

    Averaged this is the average drop of Chattopadhay et al. 2018 (https://arxiv.org/abs/1710.11063), whose average
    increase is the share of images with after > before.
    """
    return (before - after).clamp(min=0) / before.clamp(min=1e-12)


# Whether a map depends on what the network learned


def rank_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Spearman's correlation over the cells of each pair of maps, float (N, h, w) -> float64 (N,); nan if constant."""
    a, b = (torch.from_numpy(rankdata(m.flatten(1).cpu().numpy(), axis=1)) for m in (first, second))
    a, b = (ranks - ranks.mean(dim=1, keepdim=True) for ranks in (a, b))
    lengths = a.norm(dim=1) * b.norm(dim=1)
    return (a * b).sum(1) / lengths.where(lengths > 0, torch.nan)


# From the last part to the first; bn1 goes with conv1.
PARTS = ("linear", "layer4", "layer3", "layer2", "layer1", "conv1")


def randomised(net: ResNet18, parts: Sequence[str], seed: int = 0) -> ResNet18:
    """A copy of `net` whose `parts` have forgotten what they learned: each is initialised anew, as before training.

    The beginnings of `PARTS` make the cascade of Adebayo et al. 2018 (https://arxiv.org/abs/1810.03292); parts that two
    of them share get the same random weights. Raises `KeyError` for another name.
    """
    device = next(net.parameters()).device
    spoiled = copy.deepcopy(net).cpu()  # whose random numbers are the same on every machine
    children = dict(spoiled.named_children())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name in parts:
            for part in (children[name], *([children["bn1"]] if name == "conv1" else [])):
                for module in part.modules():
                    if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
                        module.reset_parameters()
    return spoiled.to(device)

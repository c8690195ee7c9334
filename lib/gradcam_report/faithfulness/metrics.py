"""Metrics of maps that need no eye: how well a map finds known pixels, and what its pixels do to the answer.

Maps here are float (N, h, w), not negative, at any size; `enlarge` brings them to the size of the image. Pixels are
ranked by their value in the map. Equal pixels, as in an empty map, come in one random order for all images.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from scipy.stats import rankdata
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

Probability = Callable[[Tensor], Tensor]  # normalised images (N, 3, H, W) -> one probability each, float (N,)
TINY = 1e-12  # keeps denominators from 0


def enlarge(maps: Tensor, size: int = 32) -> Tensor:
    """Enlarge (N, h, w) to float32 (N, size, size) on the CPU, bilinear between the centres of the cells."""
    return F.interpolate(maps[:, None].float().cpu(), (size, size), mode="bilinear", align_corners=False)[:, 0]


def rank_pixels(heat: Tensor) -> Tensor:
    """Return the positions from the highest to the lowest of float (N, K): int64 (N, K)."""
    mixed = torch.randperm(heat.shape[1], generator=torch.Generator().manual_seed(0))
    return mixed[heat[:, mixed].argsort(dim=1, descending=True, stable=True)]


def ranks(order: Tensor) -> Tensor:
    """Return the rank of each position in `order`, int64 (N, K), of `rank_pixels`: 0 for the highest."""
    return torch.empty_like(order).scatter_(1, order, torch.arange(order.shape[1]).expand_as(order))


# Where the decisive pixels are known: `masks` are bool (N, H, W), none of them empty.


def pointing_game(maps: Tensor, masks: Tensor) -> Tensor:
    """Return 1 where a map's highest pixel lies in the mask, else 0: float32 (N,).

    argmax_p L_p in mask: the pointing game of Zhang et al. 2016, https://arxiv.org/abs/1608.00507, without tolerance.
    """
    heat, inside = _flat(maps, masks)
    return inside.gather(1, rank_pixels(heat)[:, :1])[:, 0].float()


def energy_in_mask(maps: Tensor, masks: Tensor) -> Tensor:
    """Return the share of a map's sum that lies in the mask: float32 (N,), 0-1; 0 for an empty map.

    sum_{p in mask} L_p / sum_p L_p: the energy-based pointing game of Wang et al. 2020,
    https://arxiv.org/abs/1910.01279.
    """
    heat, inside = _flat(maps, masks)
    return (heat * inside).sum(1) / heat.sum(1).clamp(min=TINY)


def mask_overlap(maps: Tensor, masks: Tensor) -> Tensor:
    """Return the intersection over union of the mask with the map's highest pixels, as many as the mask has.

    |T and mask| / |T or mask|, with the |mask| highest pixels T (the Jaccard index): float32 (N,), 0-1.
    """
    heat, inside = _flat(maps, masks)
    top = ranks(rank_pixels(heat)) < inside.sum(1, keepdim=True)
    return (top & inside).sum(1) / (top | inside).sum(1)


def _flat(maps: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
    return enlarge(maps, masks.shape[-1]).flatten(1), masks.flatten(1).cpu()


# What replacing pixels does to the answer


@torch.no_grad()
def perturbation_curves(
    probability: Probability,
    images: Tensor,
    fill: Tensor,
    maps: Tensor,
    steps: int,
    ends: tuple[Tensor, Tensor],
) -> Tensor:
    """Return the probability while the pixels of `fill` replace those of `images`, the map's highest first.

    `images` and `fill` are float (N, 3, H, W). Returns float32 (N, steps + 1); column k has k / steps of the pixels
    replaced. `ends`, float (N,) each, are the first and the last column, the probability of `images` and of `fill`,
    which no map changes.

    Deletion and insertion of Petsiuk et al. 2018 (https://arxiv.org/abs/1806.07421, algorithm 1): deletion fills with a
    plain colour; insertion starts from a blurred image and fills with the real one.
    """
    first, last = ends
    size = images.shape[-1]
    rank = ranks(rank_pixels(enlarge(maps, size).flatten(1))).to(images.device)
    columns = [first]
    for k in range(1, steps):
        replaced = (rank < round(k / steps * size * size)).view(len(images), 1, size, size)
        columns.append(probability(torch.where(replaced, fill, images)))
    return torch.stack([column.float().cpu() for column in (*columns, last)], dim=1)


def area(curves: Tensor) -> Tensor:
    """Return the area under curves float (N, K) over an axis from 0 to 1, by the trapezoidal rule: float (N,)."""
    return torch.trapezoid(curves, dim=1) / (curves.shape[1] - 1)


def blur(images: Tensor, sigma: float = 5.0) -> Tensor:
    """Blur images float (N, 3, H, W) by a Gaussian of `sigma` pixels."""
    reach = 2 * int(3 * sigma) + 1
    return gaussian_blur(images, [min(reach, 2 * (side // 2) - 1) for side in images.shape[-2:]], [sigma, sigma])


@torch.no_grad()
def masked_probability(probability: Probability, images: Tensor, maps: Tensor) -> Tensor:
    """Return the probability, float32 (N,), of normalised images (N, 3, H, W) multiplied by their maps, 0-1.

    Where the map is 1 the image stays as it is; where it is 0 it becomes the data's mean colour.
    """
    return probability(images * enlarge(maps, images.shape[-1])[:, None].to(images.device)).float().cpu()


def drop(before: Tensor, after: Tensor) -> Tensor:
    """Return by which share of itself a probability float (N,) fell: float (N,), 0-1.

    max(0, before - after) / before. Its mean is the average drop of Chattopadhay et al. 2018
    (https://arxiv.org/abs/1710.11063); their average increase is the share of images with after > before.
    """
    return (before - after).clamp(min=0) / before.clamp(min=TINY)


def rank_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Correlate (Spearman) the cells of each pair of maps: float (N, h, w) twice -> float64 (N,); nan if constant.

    The similarity of maps in Adebayo et al. 2018, https://arxiv.org/abs/1810.03292.
    """
    a, b = (torch.from_numpy(rankdata(m.flatten(1).cpu().numpy(), axis=1)) for m in (first, second))
    a, b = (r - r.mean(dim=1, keepdim=True) for r in (a, b))
    lengths = a.norm(dim=1) * b.norm(dim=1)
    return (a * b).sum(1) / lengths.where(lengths > 0, torch.nan)

"""The four trials: each gives every contender a score per image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from ..explain import cam
from ..model import ResNet18
from ..training.device import keep_memory
from . import metrics
from .explainers import Maps, contenders

Scores = dict[str, NDArray[np.float64]]


def probability_of(net: nn.Module, classes: Tensor, batch: int = 500) -> metrics.Probability:
    """What `net` gives to one class of each image: a function of normalised images (N, 3, H, W) to float32 (N,)."""
    device = next(net.parameters()).device

    def probability(images: Tensor) -> Tensor:
        with cam.float32_eval(net), torch.no_grad():
            logits = torch.cat([net(part.to(device)) for part in images.split(batch)])
        return F.softmax(logits, dim=1).gather(1, classes.to(device)[:, None])[:, 0].cpu()

    return probability


def ground_truth(maps: Mapping[str, Tensor], masks: Tensor) -> dict[str, Scores]:
    """Scores of `faithfulness.localise` for each contender: measure -> contender -> float64 (N,)."""
    found = {name: metrics.localise(m, masks) for name, m in maps.items()}
    return {
        measure: {name: getattr(scores, measure).double().numpy() for name, scores in found.items()}
        for measure in ("pointing", "energy", "overlap")
    }


@dataclass(frozen=True, eq=False)
class Hiding:
    """What hiding pixels in the order of each contender's map does to the probability of the class, per image.

    `curves`: "deletion" and "insertion" -> contender -> float32 (N, steps + 1). `scores`: "deletion" and "insertion"
    (areas under those curves), "drop" and "increase" -> contender -> float64 (N,).
    """

    curves: dict[str, Maps]
    scores: dict[str, Scores]


@keep_memory()
def hiding(probability: metrics.Probability, images: Tensor, maps: Mapping[str, Tensor], steps: int) -> Hiding:
    """Delete, insert and dim the pixels of normalised images (N, 3, H, W) by each map; see `Hiding`."""
    plain, soft = torch.zeros_like(images), metrics.blurred(images)
    before = probability(images)
    ways = {
        "deletion": (images, plain, (before, probability(plain))),
        "insertion": (soft, images, (probability(soft), before)),
    }
    curves: dict[str, Maps] = {"deletion": {}, "insertion": {}}
    scores: dict[str, Scores] = {"deletion": {}, "insertion": {}, "drop": {}, "increase": {}}
    for name, m in tqdm(maps.items(), unit="kind of map"):
        for trial, (start, fill, ends) in ways.items():
            found = metrics.perturbation_curves(probability, start, fill, m, steps, ends)
            curves[trial][name] = found
            scores[trial][name] = metrics.area(found).double().numpy()
        after = metrics.under_the_map(probability, images, m)
        scores["drop"][name] = metrics.drop(before, after).double().numpy()
        scores["increase"][name] = (after > before).double().numpy()
    return Hiding(curves, scores)


def randomisation(
    net: ResNet18, images: Tensor, classes: Tensor, layers: Sequence[str], methods: Sequence[str]
) -> dict[str, Scores]:
    """Rank correlation of each map before and after parts forgot: part forgotten last -> contender -> float64 (N,).

    The parts forget one after another, the last one first, see `faithfulness.randomised`.
    """
    before = contenders(net, images, classes, layers, methods)
    found: dict[str, Scores] = {}
    for count in tqdm(range(1, len(metrics.PARTS) + 1), unit="part"):
        spoiled = metrics.randomised(net, metrics.PARTS[:count])
        after = contenders(spoiled, images, classes, layers, methods)
        found[metrics.PARTS[count - 1]] = {
            name: metrics.rank_correlation(m, after[name]).numpy() for name, m in before.items()
        }
    return found


def stability(
    net: nn.Module, images: Tensor, classes: Tensor, layers: Sequence[str], methods: Sequence[str]
) -> dict[str, Scores]:
    """Rank correlation of each map with that of the mirrored or moved image, put back: change -> contender -> (N,).

    Moved images go down and right by one or two pixels; the border that this loses is not compared.
    """
    size = images.shape[-1]

    def large(changed: Tensor) -> Maps:
        maps = contenders(net, changed, classes, layers, methods)
        return {name: metrics.enlarge(m, size) for name, m in maps.items()}

    before, mirrored = large(images), large(images.flip(-1))
    correlation = metrics.rank_correlation
    found = {"mirrored": {n: correlation(m, mirrored[n].flip(-1)).numpy() for n, m in before.items()}}
    for pixels in (1, 2):
        padded = F.pad(images, [pixels] * 4, mode="reflect")
        moved = large(padded[..., :size, :size])
        found[f"moved by {pixels}"] = {
            n: correlation(m[:, :-pixels, :-pixels], moved[n][:, pixels:, pixels:]).numpy() for n, m in before.items()
        }
    return found

"""The four experiments; each gives every explainer and baseline a score per image.

An explainer is a method at a layer, named like "Grad-CAM layer4".
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..explain import cam
from ..formatting import progress
from ..model import ResNet18
from ..training.device import keep_memory
from . import metrics

Maps = dict[str, Tensor]  # explainer or baseline -> float32 (N, h, w), 0-1
Scores = dict[str, NDArray[np.float64]]  # explainer or baseline -> float64 (N,)
GRADIENT_METHODS = tuple(name for name, method in cam.METHODS.items() if method.uses_gradients)
SLOW_METHODS = tuple(name for name in cam.METHODS if name not in GRADIENT_METHODS)
# The order in which the network is randomised, from the last part to the first; bn1 goes with conv1.
PARTS = ("linear", "layer4", "layer3", "layer2", "layer1", "conv1")


def explainer_maps(
    net: nn.Module, images: Tensor, classes: Tensor, layers: Sequence[str], methods: Sequence[str]
) -> Maps:
    """Make the maps of each method at each layer for one class of each image.

    `images` are normalised float (N, 3, H, W), `classes` int64 (N,). `SLOW_METHODS`, those without gradients, are
    made of the last layer only. A method is left out at the layers where its maps are those of Grad-CAM.
    """
    maps: Maps = {}
    for name in methods:
        method = cam.METHODS[name]
        chosen = [layer for layer in layers if layer not in method.same_as_gradcam]
        chosen = chosen if method.uses_gradients else chosen[-1:]
        if chosen:
            by_layer = cam.explain(net, images, {"class": classes}, chosen, name)["class"]
            maps |= {f"{method.title} {layer}": m for layer, m in by_layer.items()}
    return maps


def class_probability(net: nn.Module, classes: Tensor) -> metrics.Probability:
    """Return the function from normalised images (N, 3, H, W) to their classes' probabilities, float32 (N,)."""
    device = next(net.parameters()).device

    def probability(images: Tensor) -> Tensor:
        with cam.float32_eval(net), torch.no_grad():
            logits = torch.cat([net(part.to(device)) for part in images.split(500)])
        return F.softmax(logits, dim=1).gather(1, classes.to(device)[:, None])[:, 0].cpu()

    return probability


def localisation(maps: Mapping[str, Tensor], masks: Tensor) -> dict[str, Scores]:
    """Score how well each map finds the pixels of masks, bool (N, H, W): "pointing", "energy", "overlap" -> scores."""
    measures = {"pointing": metrics.pointing_game, "energy": metrics.energy_in_mask, "overlap": metrics.mask_overlap}
    return {
        measure: {name: score(m, masks).double().numpy() for name, m in maps.items()}
        for measure, score in measures.items()
    }


@dataclass(frozen=True, eq=False)
class DeletionInsertion:
    """What replacing pixels in the order of each map does to the probability of the class."""

    curves: dict[str, Maps]
    """"deletion" and "insertion" -> explainer or baseline -> float32 (N, steps + 1)."""
    scores: dict[str, Scores]
    """"deletion" and "insertion" (areas under the curves), "drop" and "increase" -> scores."""


@keep_memory()
def deletion_insertion(
    probability: metrics.Probability, images: Tensor, maps: Mapping[str, Tensor], steps: int
) -> DeletionInsertion:
    """Delete, insert and mask the pixels of normalised images (N, 3, H, W) by each map."""
    plain, blurred = torch.zeros_like(images), metrics.blur(images)
    before = probability(images)
    ways = {
        "deletion": (images, plain, (before, probability(plain))),
        "insertion": (blurred, images, (probability(blurred), before)),
    }
    curves: dict[str, Maps] = {"deletion": {}, "insertion": {}}
    scores: dict[str, Scores] = {"deletion": {}, "insertion": {}, "drop": {}, "increase": {}}
    for name, m in progress(maps.items(), unit="explainer"):
        for way, (start, fill, ends) in ways.items():
            curves[way][name] = metrics.perturbation_curves(probability, start, fill, m, steps, ends)
            scores[way][name] = metrics.area(curves[way][name]).double().numpy()
        after = metrics.masked_probability(probability, images, m)
        scores["drop"][name] = metrics.drop(before, after).double().numpy()
        scores["increase"][name] = (after > before).double().numpy()
    return DeletionInsertion(curves, scores)


def randomised_network(net: ResNet18, parts: Sequence[str], seed: int = 0) -> ResNet18:
    """Return a copy of `net` whose `parts` are initialised anew, as before training.

    Parts that two such copies share get the same random weights. Raises `KeyError` for another name.
    """
    device = next(net.parameters()).device
    randomised = copy.deepcopy(net).cpu()  # the CPU's random numbers are the same on every machine
    children = dict(randomised.named_children())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name in parts:
            for part in (children[name], *([children["bn1"]] if name == "conv1" else [])):
                for module in part.modules():
                    if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
                        module.reset_parameters()
    return randomised.to(device)


def model_randomization(
    net: ResNet18, images: Tensor, classes: Tensor, layers: Sequence[str], methods: Sequence[str]
) -> dict[str, Scores]:
    """Correlate each map with that of the network randomised part by part: part randomised last -> scores.

    The cascading randomization of Adebayo et al. 2018 (https://arxiv.org/abs/1810.03292, section 3.1), from the last
    of `PARTS` to the first; the arguments are those of `explainer_maps`.
    """
    before = explainer_maps(net, images, classes, layers, methods)
    similarity: dict[str, Scores] = {}
    for count, part in enumerate(progress(PARTS, unit="part"), 1):
        after = explainer_maps(randomised_network(net, PARTS[:count]), images, classes, layers, methods)
        similarity[part] = {name: metrics.rank_correlation(m, after[name]).numpy() for name, m in before.items()}
    return similarity


def stability(
    net: nn.Module, images: Tensor, classes: Tensor, layers: Sequence[str], methods: Sequence[str]
) -> dict[str, Scores]:
    """Correlate each map with that of the flipped or shifted image, moved back in place: change -> scores.

    Images are shifted down and right by one or two pixels; the border that this loses is not compared. "..., not moved
    back" is the control: where it is as high, the score does not tell a map that follows from one that stays. The
    arguments are those of `explainer_maps`.
    """
    size = images.shape[-1]

    def full_size(changed: Tensor) -> Maps:
        maps = explainer_maps(net, changed, classes, layers, methods)
        return {name: metrics.enlarge(m, size) for name, m in maps.items()}

    before, flipped = full_size(images), full_size(images.flip(-1))
    correlation = metrics.rank_correlation
    similarity = {
        "horizontal flip": {n: correlation(m, flipped[n].flip(-1)).numpy() for n, m in before.items()},
        "horizontal flip, not moved back": {n: correlation(m, flipped[n]).numpy() for n, m in before.items()},
    }
    for pixels in (1, 2):
        padded = F.pad(images, [pixels] * 4, mode="reflect")
        shifted = full_size(padded[..., :size, :size])
        similarity[f"shift by {pixels}"] = {
            n: correlation(m[:, :-pixels, :-pixels], shifted[n][:, pixels:, pixels:]).numpy() for n, m in before.items()
        }
        similarity[f"shift by {pixels}, not moved back"] = {
            n: correlation(m[:, pixels:, pixels:], shifted[n][:, pixels:, pixels:]).numpy() for n, m in before.items()
        }
    return similarity

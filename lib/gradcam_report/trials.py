"""Trials of heat maps: many kinds of maps through one measurement, and what can be said of the outcome.

A *contender* is a kind of map, named like "Grad-CAM layer4"; the *baselines* know nothing of the network. Each trial
gives every contender a score per image, so that they are compared image by image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from . import cam, data, faithfulness, run, train
from .compute import resolve
from .config import CacheConfig, ReportError, parse_params
from .model import ResNet18

BASELINES = ("edges", "centre", "random cells", "random pixels")
LOWER_IS_BETTER = ("deletion", "drop")
GRADIENT_METHODS = ("gradcam", "layercam", "xgradcam")
PROBE_WIDTH = 16  # channels of the probe's layer1: a sixteenth of the arithmetic, and 99 % of the drawings still right
Maps = dict[str, Tensor]
Scores = dict[str, NDArray[np.float64]]
Rating = tuple[float, float, float]  # a mean and its 95 % interval


def contenders(net: nn.Module, images: Tensor, classes: Tensor, layers: Sequence[str], methods: Sequence[str]) -> Maps:
    """Maps of each method at each layer for one class of each image: "Grad-CAM layer4" -> float32 (N, h, w), 0-1.

    `images` are normalised float (N, 3, H, W), `classes` int64 (N,). Score-CAM is made of the last layer only, for its
    cost. XGrad-CAM is left out at layer4, where it equals Grad-CAM: behind that layer comes a mean, so the gradient
    is the same in every cell, and with it the two methods' weights.
    """
    found: Maps = {}
    for method in methods:
        chosen = [layer for layer in layers if (method, layer) != ("xgradcam", "layer4")]
        chosen = chosen[-1:] if method == "scorecam" else chosen
        if chosen:
            maps = cam.explain(net, images, {"class": classes}, chosen, method)["class"]
            found |= {f"{cam.NAMES[method]} {layer}": m for layer, m in maps.items()}
    return found


def baselines(images: Tensor) -> Maps:
    """The maps of `BASELINES` for images uint8 (N, 3, H, W): random as coarse as layer4's and as pixels."""
    count, size = len(images), images.shape[-1]
    random = [faithfulness.random_maps(count, cells) for cells in (4, size)]
    return dict(
        zip(BASELINES, (faithfulness.edge_maps(images), faithfulness.centre_maps(count, size), *random), strict=True)
    )


def probe(params: Mapping[str, Any]) -> tuple[ResNet18, float]:
    """(a narrow ResNet-18 that tells shapes apart, its test accuracy 0-1), trained if its folder does not hold it.

    `params` are the chapter's. A probe of other settings is replaced; raises `ReportError` for a folder that holds any
    other run.
    """
    wanted, device, folder = params["faithfulness"], params["device"].device, run.RunFolder(params["run"].run_dir)
    where = wanted.probe_dir or ("runs/shapes-probe" if folder.published else f"{folder.name}/probe")
    # Small batches for few epochs; no cutout, which would hide much of a drawn object.
    fixed = {"dataset": "shapes", "epochs": wanted.probe_epochs, "batch_size": 100, "cutout": 0, "precision": "fp32"}
    recipe = parse_params("training", {**fixed, "run_dir": where, "device": device})
    kept = run.RunFolder(where)
    stored = kept.record("run")
    if kept.published or (stored and stored["parameters"].get("width") != PROBE_WIDTH):
        raise ReportError(f"probe_dir is {where!r}, which holds another run; choose another folder, as runs/probe.")
    # A probe takes a minute: one of other settings, interrupted or damaged, is simply made anew.
    complete = all((kept / name).exists() for name in ("model.safetensors", "metrics.json"))
    same = stored is not None and all(stored["parameters"].get(k) == v for k, v in fixed.items())
    if not (same and complete):
        recipe["cache"] = CacheConfig(force=True)
    kept, _ = train.in_run(recipe, PROBE_WIDTH)
    accuracy = run.read_json(kept / "metrics.json")["test_accuracy"]
    return train.load_model(kept, resolve(device, "fp32").device), accuracy


def drawings(net: nn.Module, count: int) -> tuple[data.Split, Tensor]:
    """Those of the first `count` test drawings of shapes that `net` gets right, and the same normalised.

    Of an image that is taken for something else, the object's pixels need not be what decided.
    """
    drawn = data.draw_shapes(count, seed=data.SHAPES_TEST_SEED)
    normalised = data.NORMALIZERS["shapes"](drawn.images)
    with cam.explaining(net), torch.no_grad():
        right = net(normalised.to(next(net.parameters()).device)).argmax(1).cpu() == drawn.labels
    if not right.any():
        raise ReportError(f"The probe gets none of {count} drawings right; raise probe_epochs.")
    return drawn.at(right), normalised[right]


def probability_of(net: nn.Module, classes: Tensor, batch: int = 500) -> faithfulness.Probability:
    """What `net` gives to one class of each image: a function of normalised images (N, 3, H, W) to float32 (N,)."""
    device = next(net.parameters()).device

    def probability(images: Tensor) -> Tensor:
        with cam.explaining(net), torch.no_grad():
            logits = torch.cat([net(part.to(device)) for part in images.split(batch)])
        return F.softmax(logits, dim=1).gather(1, classes.to(device)[:, None])[:, 0].cpu()

    return probability


def ground_truth(maps: Mapping[str, Tensor], masks: Tensor) -> dict[str, Scores]:
    """Scores of `faithfulness.localise` for each contender: measure -> contender -> float64 (N,)."""
    found = {name: faithfulness.localise(m, masks) for name, m in maps.items()}
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


def hiding(probability: faithfulness.Probability, images: Tensor, maps: Mapping[str, Tensor], steps: int) -> Hiding:
    """Delete, insert and dim the pixels of normalised images (N, 3, H, W) by each map; see `Hiding`."""
    plain, soft = torch.zeros_like(images), faithfulness.blurred(images)
    before = probability(images)
    curves: dict[str, Maps] = {"deletion": {}, "insertion": {}}
    scores: dict[str, Scores] = {"deletion": {}, "insertion": {}, "drop": {}, "increase": {}}
    for name, m in tqdm(maps.items(), unit="kind of map"):
        for trial, (start, fill) in {"deletion": (images, plain), "insertion": (soft, images)}.items():
            found = faithfulness.perturbation_curves(probability, start, fill, m, steps)
            curves[trial][name] = found
            scores[trial][name] = faithfulness.area(found).double().numpy()
        after = faithfulness.under_the_map(probability, images, m)
        scores["drop"][name] = faithfulness.drop(before, after).double().numpy()
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
    for count in tqdm(range(1, len(faithfulness.PARTS) + 1), unit="part"):
        spoiled = faithfulness.randomised(net, faithfulness.PARTS[:count])
        after = contenders(spoiled, images, classes, layers, methods)
        found[faithfulness.PARTS[count - 1]] = {
            name: faithfulness.rank_correlation(m, after[name]).numpy() for name, m in before.items()
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
        return {name: faithfulness.enlarge(m, size) for name, m in maps.items()}

    before, mirrored = large(images), large(images.flip(-1))
    correlation = faithfulness.rank_correlation
    found = {"mirrored": {n: correlation(m, mirrored[n].flip(-1)).numpy() for n, m in before.items()}}
    for pixels in (1, 2):
        padded = F.pad(images, [pixels] * 4, mode="reflect")
        moved = large(padded[..., :size, :size])
        found[f"moved by {pixels}"] = {
            n: correlation(m[:, :-pixels, :-pixels], moved[n][:, pixels:, pixels:]).numpy() for n, m in before.items()
        }
    return found


def rating(values: NDArray[np.float64], draws: int = 2000) -> Rating:
    """(mean, low, high): the mean of float (N,) and its 95 % interval over images drawn anew with replacement.

    The percentile bootstrap (Efron & Tibshirani 1993). Images without a value (nan) are left out; all nan where none
    is left.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return np.nan, np.nan, np.nan
    random = np.random.default_rng(0)
    means = [values[random.integers(len(values), size=len(values))].mean() for _ in range(draws)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def ratings(scores: Mapping[str, NDArray[np.float64]], draws: int = 2000) -> dict[str, Rating]:
    """`rating` of each contender."""
    return {name: rating(values, draws) for name, values in scores.items()}


def against_baselines(
    scores: Mapping[str, NDArray[np.float64]], lower_is_better: bool = False, draws: int = 2000
) -> tuple[str, dict[str, Rating]]:
    """(the best baseline, by how much each other contender beats it: mean difference with its 95 % interval).

    Differences are taken image by image; above 0 is better, whichever way the score goes.
    """
    sign = -1 if lower_is_better else 1
    best = max(BASELINES, key=lambda name: float(np.mean(sign * scores[name])))
    others = (name for name in scores if name not in BASELINES)
    return best, {name: rating(sign * (scores[name] - scores[best]), draws) for name in others}


def word(difference: Rating) -> str:
    """ "better", "worse" or, where the interval holds 0, "no different"."""
    _, low, high = difference
    return "better" if low > 0 else "worse" if high < 0 else "no different"


def verdicts(results: Mapping[str, Scores], draws: int = 2000) -> dict[str, dict[str, str]]:
    """Contender -> trial -> `word` against the trial's best baseline; "" where the contender was not in the trial."""
    found = {
        trial: {n: word(d) for n, d in against_baselines(scores, trial in LOWER_IS_BETTER, draws)[1].items()}
        for trial, scores in results.items()
    }
    names = dict.fromkeys(name for words in found.values() for name in words)
    return {name: {trial: words.get(name, "") for trial, words in found.items()} for name in names}


def winner(scores: Scores, lower_is_better: bool = False) -> str:
    """The contender with the best mean that is no baseline."""
    sign = -1 if lower_is_better else 1
    return max((n for n in scores if n not in BASELINES), key=lambda name: float(np.mean(sign * scores[name])))


def in_words(results: Mapping[str, Scores], draws: int = 2000) -> list[str]:
    """For each trial a sentence: which kind of map did best, how it compares with the best baseline."""
    said = {"better": "better", "worse": "worse", "no different": "not to be told apart"}
    sentences = []
    for trial, scores in results.items():
        lower = trial in LOWER_IS_BETTER
        first = winner(scores, lower)
        base, differences = against_baselines(scores, lower, draws)
        sentences.append(
            f"**{trial}**: {first} does best with {np.mean(scores[first]):.3f}; the best baseline, {base}, reaches "
            f"{np.mean(scores[base]):.3f} (the map is {said[word(differences[first])]})."
        )
    return sentences


def better(table: Mapping[str, Mapping[str, str]], scores: Sequence[str]) -> list[str]:
    """Contenders of a table of `verdicts` that are better than the best baseline in every one of `scores`."""
    return [name for name, words in table.items() if all(words[score] == "better" for score in scores)]


def never_worse(table: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Contenders of a table of `verdicts` that were in every trial and worse than the best baseline in none."""
    return [name for name, words in table.items() if all(words.values()) and "worse" not in words.values()]

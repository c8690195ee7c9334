"""What short trainings that differ in one thing told: the results of benchmarks/study.py, as the chapters show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import DATASET_NAMES, ReportError, project_root
from ..formatting import signed
from ..runs import forms, plain

RATES_DEPEND_ON = ("dataset", "optimizer", "batch_size", "muon_momentum", "sgd_lr_factor")


@dataclass(frozen=True)
class Point:
    """One point of a study: accuracies, 0-1, on the validation images, one per seed; 0.1 if it diverged."""

    name: str
    changes: dict[str, Any]
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.accuracies))


@dataclass(frozen=True)
class Study:
    """The points of a study, how long its trainings were (`train_size` images, 0 being all, `epochs`, `val_size`), and
    the `recipe` that the points change; `compute` names all that its points were trained on."""

    points: list[Point]
    protocol: dict[str, Any]
    recipe: dict[str, Any]
    compute: str

    @property
    def in_words(self) -> str:
        """Data set, recipe and length: "CIFAR-10, Muon, batches of 500; 10,000 training images, 5 epochs, ..."."""
        images = f"{self.protocol['train_size']:,}" if self.protocol["train_size"] else "all other"
        seeds = max(len(point.accuracies) for point in self.points)
        name = DATASET_NAMES.get(self.protocol["dataset"], self.protocol["dataset"])
        length = f"{images} training images, {self.protocol['epochs']} epochs"
        held = f"judged on {self.protocol['val_size']:,} images held out of the training set"
        luck = "one seed" if seeds == 1 else f"up to {seeds} seeds"
        optimizer = {"muon": "Muon", "sgd": "SGD"}.get(self.recipe["optimizer"], self.recipe["optimizer"])
        return f"{name}, {optimizer}, batches of {self.recipe['batch_size']}; {length}, {held}, {luck}"

    def fits(self, parameters: Mapping[str, Any]) -> bool:
        """Whether the rates of a run with these `parameters` mean the same as those of the study."""
        own = self.recipe | self.protocol
        return all(parameters.get(name) == own.get(name) for name in RATES_DEPEND_ON)

    @property
    def standard_error(self) -> float:
        """Of the difference between two accuracies (0-1), for the choice of validation images alone.

        sqrt(2 p (1 - p) / n) with the best accuracy p, for networks judged on different images; on the same ones, as
        here, it is rather smaller.
        """
        best = max(point.mean for point in self.points)
        return float(np.sqrt(2 * best * (1 - best) / self.protocol["val_size"]))


def load(name: str) -> Study | None:
    """The study `name` of the project's benchmarks/, at full length if that is there; None where neither is.

    Raises `ReportError` for a file that is no study.
    """
    folder = project_root() / "benchmarks"
    path = next((p for p in (folder / f"{name}-full.json", folder / f"{name}.json") if p.is_file()), None)
    if path is None:
        return None
    found = plain.json_object(path)
    rows = found.get("points", [])
    fault = plain.misfit(found, forms.STUDY)
    if not fault and name == "max_lr" and not all("max_lr" in row["changes"] for row in rows):
        fault = "a point names no max_lr"
    if fault:
        raise ReportError(f"{path} holds no study ({fault}); delete it or run python benchmarks/study.py {name}.")
    accuracies: dict[str, list[float]] = {}
    for row in rows:
        value = row["val_accuracy"]
        accuracies.setdefault(row["name"], []).append(0.1 if value is None else float(value))
    changes = {row["name"]: dict(row["changes"]) for row in rows}
    points = [Point(key, changes[key], tuple(values)) for key, values in accuracies.items()]
    compute = " and ".join(dict.fromkeys(row["compute"] for row in rows))
    return Study(points, found["protocol"], found["recipe"], compute) if points else None


def by_peak(study: Study) -> tuple[np.ndarray, np.ndarray]:
    """(max_lr float64 (P,), increasing, mean accuracy float64 (P,), 0-1) of a study of the peak rate."""
    pairs = sorted((float(point.changes["max_lr"]), point.mean) for point in study.points)
    rates, accuracies = (np.array(column) for column in zip(*pairs, strict=True))
    return rates, accuracies


def at(study: Study, rate: float) -> float | None:
    """The accuracy, 0-1, that a peak `rate` would have given: between two points on a straight line over log(rate).

    None for a rate below or above all points.
    """
    rates, accuracies = by_peak(study)
    if not rates[0] <= rate <= rates[-1]:
        return None
    return float(np.interp(np.log(rate), np.log(rates), accuracies))


def peaks_in_words(study: Study | None, suggestions: Mapping[str, float | None]) -> dict[str, str]:
    """What the study of the peak told, for prose: protocol, best peak, and what each rule would have reached."""
    if study is None:
        return dict.fromkeys(
            (
                "peak_protocol",
                "peak_best",
                "peak_best_accuracy",
                "peak_error",
                "peak_rivals",
                "peak_at_onset",
                "peak_others",
            ),
            "unknown",
        )
    rates, accuracies = by_peak(study)
    best = int(accuracies.argmax())
    near = accuracies >= accuracies[best] - 2 * study.standard_error
    rivals = [
        f"{rate:g} ({100 * accuracy:.1f} %)"
        for rate, accuracy in zip(rates[near], accuracies[near], strict=True)
        if rate != rates[best]
    ]
    reached = {}
    for rule, rate in suggestions.items():
        value = at(study, rate) if rate else None
        side = "below" if rate and rate < rates[0] else "above"
        reached[rule] = f"{100 * value:.1f} %" if value else f"{side} the peaks tried" if rate else "no rate"
    onset = reached.pop("divergence onset", "not to be told for this test")
    return {
        "peak_protocol": study.in_words,
        "peak_best": f"{rates[best]:g}",
        "peak_best_accuracy": f"{100 * accuracies[best]:.1f} %",
        "peak_error": f"{200 * study.standard_error:.1f}",
        "peak_rivals": " and ".join(rivals) or "none",
        "peak_at_onset": onset,
        "peak_others": "; ".join(f"{rule}: {words}" for rule, words in reached.items()) or "neither",
    }


def ablation_rows(study: Study, base: str = "the recipe") -> list[list[str]]:
    """Rows of a table: training, accuracy in percent, difference to `base` in points."""
    means = {point.name: point.mean for point in study.points}
    gains = differences(study, base)
    rows = [[base, f"{100 * means[base]:.1f} %", ""]] if base in means else []
    return rows + [
        [name, f"{100 * means[name]:.1f} %", signed(100 * gain) if base in means else ""]
        for name, gain in gains.items()
    ]


def better_than(study: Study, base: str = "the recipe") -> str:
    """The points better than `base` by more than two standard errors, in words: "no cutout (+1.84)"; "none"."""
    found = {name: gain for name, gain in differences(study, base).items() if gain > 2 * study.standard_error}
    return ", ".join(f"{name} ({signed(100 * gain)})" for name, gain in found.items()) or "none"


def caution(study: Study, epochs: int) -> str:
    """What to mind when a published training of `epochs` epochs is judged by this study, in sentences."""
    few = "With one seed each, more than that is needed: seeds alone move short trainings, as the sweep chapter shows. "
    alone = few if max(len(point.accuracies) for point in study.points) == 1 else ""
    if study.protocol["epochs"] >= epochs and not study.protocol["train_size"]:
        return alone + "These trainings are as long as the published one."
    return alone + (
        "And a short training is another race than a long one: what keeps a network from learning its images by heart "
        "(cutout, cropping, smoothing) may cost accuracy in a few epochs and pay in many, and what makes it learn "
        "faster may win nothing in the end."
    )


def differences(study: Study, base: str = "the recipe") -> Mapping[str, float]:
    """By how much each other point is better than `base`, in accuracy (0-1), the best first; worse below 0.

    nan for all where the study does not hold `base`.
    """
    means = {point.name: point.mean for point in sorted(study.points, key=lambda point: -point.mean)}
    means.setdefault(base, np.nan)
    return {name: mean - means[base] for name, mean in means.items() if name != base}

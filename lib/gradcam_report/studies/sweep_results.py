"""What the trainings of a sweep came to: the points side by side, means over seeds, and what they say in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t

from ..config import ReportError, SweepConfig, TrainingParams
from ..execution.sweep import plan
from ..execution.sweep.axes import Values
from ..formatting import duration
from ..runs import folder as run_folder
from ..runs import io
from ..training.seeds import mean_and_deviation

SEED = "seed"
WORDS = {
    "val_accuracy": "validation accuracy",
    "val_loss": "validation loss",
    "test_accuracy": "test accuracy",
    "test_loss": "test loss",
    "train_loss": "training loss",
}


@dataclass(frozen=True)
class Training:
    """One finished point: its values on the axes, metrics.json, history.csv as columns float64 (E,), and run.json."""

    values: Values
    metrics: dict[str, Any]
    history: dict[str, np.ndarray]
    record: run_folder.Record


@dataclass(frozen=True)
class Setting:
    """The points that differ in nothing but the seed; `mean` and `deviation` (None for one seed) of the metric."""

    values: Values
    trainings: list[Training]
    mean: float
    deviation: float | None

    @property
    def name(self) -> str:
        """As it is typed: "max_lr=0.1 cutout=8"."""
        return plan.in_words(self.values)


@dataclass(frozen=True)
class Comparison:
    """A sweep over trainings, ranked by a metric: `settings`, the best first, over `axes` (all but the seed)."""

    sweep: plan.Sweep
    metric: str
    axes: list[str]
    settings: list[Setting]
    unfinished: int

    @property
    def rising(self) -> bool:
        """Whether more of the metric is better."""
        return self.metric.endswith("accuracy")

    @property
    def words(self) -> str:
        """The metric with its unit: "validation accuracy (%)"."""
        return WORDS[self.metric] + (" (%)" if self.rising else "")

    @property
    def scale(self) -> float:
        """What the metric is multiplied by to be shown: accuracies are percentages."""
        return 100.0 if self.rising else 1.0

    @property
    def trainings(self) -> list[Training]:
        """Every finished point, those of the best setting first."""
        return [training for setting in self.settings for training in setting.trainings]

    @property
    def shown(self) -> list[tuple[Values, float, float | None]]:
        """(values, mean, deviation) of each setting, the best first, as they are drawn: accuracies in percent."""
        k = self.scale
        return [(s.values, k * s.mean, None if s.deviation is None else k * s.deviation) for s in self.settings]


def load(config: SweepConfig) -> Comparison:
    """The trainings in a sweep's folder; raises `ReportError` where there are none, or their metric is missing."""
    folder = run_folder.RunFolder(config.sweep_dir)
    sweep = plan.read(folder)
    if sweep.chapter != "training":
        raise ReportError(
            f"{folder.name} is a sweep of the chapter {sweep.chapter}; name one of training by sweep_dir."
        )
    found = [training for slug in sweep.points if (training := _training(sweep, slug))]
    if not found:
        raise ReportError(f"{folder.name} holds no finished training; give the command of the sweep again.")
    if any(config.metric not in training.metrics for training in found):
        raise ReportError(
            f"metric is {config.metric!r}, which the trainings in {folder.name} do not have, for no images "
            "were held out; sweep anew with -p val_size=2000 (less than the images there are) and another --out."
        )
    axes = [name for name in sweep.axes if name != SEED] or [SEED]
    groups: dict[str, list[Training]] = {}
    for training in found:
        groups.setdefault(str([training.values[name] for name in axes]), []).append(training)
    settings = [_setting(group, axes, config.metric) for group in groups.values()]
    best_first = sorted(settings, key=lambda s: s.mean, reverse=config.metric.endswith("accuracy"))
    return Comparison(sweep, config.metric, axes, best_first, len(sweep.points) - len(found))


def _training(sweep: plan.Sweep, slug: str) -> Training | None:
    """A point's training, None where it is not finished; raises `ReportError` for one of another recipe."""
    folder = run_folder.RunFolder(f"{sweep.folder.name}/{slug}")
    record = folder.record("run")
    if record is None:
        return None
    asked, made = sweep.parameters(slug), record["parameters"]
    asked = {name: value for name, value in asked.items() if name in made and (name, value) != ("max_lr", 0.0)}
    if difference := run_folder.difference({name: made[name] for name in asked}, asked):
        raise ReportError(
            f"{folder.name} holds a training of another recipe ({difference}); delete it and sweep again."
        )
    metrics, history = (folder.need(name, "training") for name in ("metrics.json", "history.csv"))
    return Training(sweep.points[slug], io.read_json(metrics), io.read_table(history), record)


def _setting(trainings: list[Training], axes: Sequence[str], metric: str) -> Setting:
    values = {name: trainings[0].values[name] for name in axes}
    return Setting(values, trainings, *mean_and_deviation([training.metrics[metric] for training in trainings]))


def by_epoch(comparison: Comparison, column: str) -> list[tuple[Values, int, float]]:
    """(values, epoch counted from 1, value) of every row of every history; accuracies in percent."""
    scale = 100.0 if column.endswith("accuracy") else 1.0
    return [
        (setting.values, epoch, scale * float(value))
        for setting in comparison.settings
        for training in setting.trainings
        for epoch, value in enumerate(training.history.get(column, []), 1)
    ]


def written(metric: str, mean: float, deviation: float | None = None) -> str:
    """A value of a metric as a reader wants it: "38.2 ± 1.1 %" for an accuracy, "1.812 ± 0.031" for a loss."""
    scale, digits, unit = (100.0, 1, " %") if metric.endswith("accuracy") else (1.0, 3, "")
    spread = "" if deviation is None else f" ± {scale * deviation:.{digits}f}"
    return f"{scale * mean:.{digits}f}{spread}{unit}"


def table(comparison: Comparison) -> tuple[list[str], list[list[tuple[object, float | str]]]]:
    """(header, rows) of the settings, the best first; each cell as it is shown, and what it is sorted by."""
    beside = ("val_accuracy", "val_loss", "train_loss")  # never what the test images say: nobody is to choose by that
    present = [m for m in beside if m != comparison.metric and all(m in t.metrics for t in comparison.trainings)]
    columns = [comparison.metric, *present]
    rows = []
    for setting in comparison.settings:
        row: list[tuple[object, float | str]] = []
        for value in setting.values.values():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            row.append((value, value if number else str(value)))
        for metric in columns:
            mean, deviation = mean_and_deviation([training.metrics[metric] for training in setting.trainings])
            row.append((written(metric, mean, deviation), mean))
        seconds = sum(training.metrics["training_seconds"] for training in setting.trainings) / len(setting.trainings)
        rows.append([*row, (len(setting.trainings), len(setting.trainings)), (f"{seconds:.0f} s", seconds)])
    return [*comparison.axes, *(WORDS[m] for m in columns), "seeds", "training time"], rows


def effects(comparison: Comparison) -> dict[str, dict[str, float]]:
    """axis -> value in words -> mean of the metric over all settings with that value."""
    found: dict[str, dict[str, float]] = {}
    for axis in comparison.axes:
        groups: dict[str, list[float]] = {}
        for setting in comparison.settings:
            groups.setdefault(str(setting.values[axis]), []).append(setting.mean)
        found[axis] = {value: float(np.mean(means)) for value, means in groups.items()}
    return found


def effects_in_words(comparison: Comparison) -> str:
    """What each axis does to the metric, averaged over the others: "max_lr from 30.1 % at 0.2 to 38.9 % at 0.05"."""
    parts = []
    for axis, means in effects(comparison).items():
        if len(means) < 2:
            continue
        low, high = min(means, key=lambda v: means[v]), max(means, key=lambda v: means[v])
        if means[low] == means[high]:
            parts.append(f"{axis} makes no difference")
            continue
        ends = [f"{written(comparison.metric, means[value])} at {value}" for value in (low, high)]
        parts.append(f"{axis} from {ends[0]} to {ends[1]}")
    return "; ".join(parts) or "nothing to compare yet"


def rivals_in_words(comparison: Comparison) -> str:
    """The settings that cannot be told from the best by seeds alone, in words.

    Those with zero in the 95 % interval of the difference, by Student's t with the variance pooled over all settings,
    for that of two or three seeds alone is hardly known: |m1 - m2| <= t s sqrt(1 / n1 + 1 / n2).
    """
    best, *others = comparison.settings
    several = [(len(s.trainings) - 1, s.deviation) for s in comparison.settings if s.deviation is not None]
    freedom = sum(degrees for degrees, _ in several)
    if not freedom:
        return "unknown, for there is one seed"
    pooled = (sum(degrees * deviation**2 for degrees, deviation in several) / freedom) ** 0.5
    reach = float(t.ppf(0.975, freedom)) * pooled
    near = [
        other.name
        for other in others
        if abs(best.mean - other.mean) <= reach * (1 / len(best.trainings) + 1 / len(other.trainings)) ** 0.5
    ]
    return "; ".join(near) or "none"


def in_words(comparison: Comparison) -> dict[str, Any]:
    """What the prose of the chapter tells: what was swept, on what, the best and the worst, and what is luck."""
    best, worst, sweep = comparison.settings[0], comparison.settings[-1], comparison.sweep
    record = best.trainings[0].record
    values = ["{} ({})".format(name, ", ".join(map(str, column))) for name, column in sweep.axes.items()]
    epochs = _one_or_several(comparison, "epochs")
    seconds = sum(training.record["provenance"]["seconds"] for training in comparison.trainings)
    usual = TrainingParams().flat()
    told = {"train_size", "val_size", "test_size", "epochs", "dataset"}
    others = [f"{n} {v} instead of {usual[n]}" for n, v in sweep.fixed.items() if v != usual[n] and n not in told]
    val_images = record["parameters"]["val_size"]
    return {
        "sweep_axes": " and ".join([", ".join(values[:-1]), values[-1]]) if len(values) > 1 else values[0],
        "sweep_points": f"{len(comparison.trainings)}" + (f" of {len(sweep.points)}" if comparison.unfinished else ""),
        "sweep_epochs": f"{epochs} epoch{'' if epochs == '1' else 's'}",
        "sweep_images": f"{_one_or_several(comparison, 'train_images')} images",
        "sweep_time": duration(seconds),
        "sweep_compute": record["provenance"]["compute"],
        "sweep_changes": ", except " + ", ".join(others) if others else "",
        "sweep_metric": WORDS[comparison.metric],
        "sweep_val_images": " or ".join(
            sorted({f"{t.record['parameters']['val_size']:,}" for t in comparison.trainings})
        ),
        "sweep_best": best.name,
        "sweep_best_value": written(comparison.metric, best.mean, best.deviation),
        "sweep_worst": worst.name,
        "sweep_worst_value": written(comparison.metric, worst.mean, worst.deviation),
        "sweep_effects": effects_in_words(comparison),
        "sweep_rivals": rivals_in_words(comparison),
        "sweep_noise": noise_in_words(comparison, val_images),
    }


def _one_or_several(comparison: Comparison, name: str) -> str:
    """A number of metrics.json as the trainings have it: "3", or "1,000 to 4,000" where they differ."""
    found = sorted({training.metrics[name] for training in comparison.trainings})
    return f"{found[0]:,}" if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"


def noise_in_words(comparison: Comparison, images: int) -> str:
    """How far accuracies are off for the choice of `images` alone: a binomial share's standard error; "" for a loss."""
    if not comparison.rising or not images:
        return ""
    share = comparison.settings[0].mean
    error = (share * (1 - share) / images) ** 0.5
    return f"The choice of {images:,} images adds a standard error of {100 * error:.1f} points to each accuracy."

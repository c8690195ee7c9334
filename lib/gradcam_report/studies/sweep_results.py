"""Results of a sweep of trainings: means over seeds, and the settings that seeds alone cannot tell apart."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from ..config import ReportError, SweepConfig
from ..runs.sweep import SweepRecord, TrainingResult, Value, Values, format_values, read_trainings
from ..training.seeds import mean_and_deviation

SEED = "seed"


@dataclass(frozen=True)
class Setting:
    """The trainings that differ in nothing but the seed, and their metric: `mean` and sample standard `deviation`.

    `deviation` is divided by n - 1, and None for one training.
    """

    values: Values
    trainings: list[TrainingResult]
    mean: float
    deviation: float | None

    @property
    def name(self) -> str:
        """The values as a user types them: "max_lr=0.1 cutout=8"."""
        return format_values(self.values)

    def statistics(self, metric: str) -> tuple[float, float | None]:
        """Return mean and sample standard deviation of any metric of the trainings."""
        return mean_and_deviation([getattr(training.metrics, metric) for training in self.trainings])


@dataclass(frozen=True)
class Comparison:
    """A sweep ranked by `metric`: `settings`, the best first, over `axes` (all but the seed)."""

    record: SweepRecord
    metric: str
    axes: list[str]
    settings: list[Setting]

    @property
    def higher_is_better(self) -> bool:
        """Whether more of the metric is better: an accuracy, not a loss."""
        return self.metric.endswith("accuracy")

    @property
    def trainings(self) -> list[TrainingResult]:
        """Every finished training, those of the best setting first."""
        return [training for setting in self.settings for training in setting.trainings]


def load(config: SweepConfig) -> Comparison:
    """Read and rank a sweep; raises `ReportError` where no training is finished or their metric is missing."""
    record, metric = read_trainings(config.sweep_dir), config.metric
    finished = [(point, point.training) for point in record.points if point.training]
    if not finished:
        raise ReportError(f"{config.sweep_dir} holds no finished training; give the command of the sweep again.")
    if any(getattr(training.metrics, metric) is None for _, training in finished):
        raise ReportError(
            f"metric is {metric!r}, which the trainings in {config.sweep_dir} do not have, for no images were held "
            "out; sweep anew with -p val_size=2000 and another --out."
        )
    axes = [name for name in record.axes if name != SEED] or [SEED]
    groups: dict[str, list[tuple[Values, TrainingResult]]] = {}
    for point, training in finished:
        values = {name: point.values[name] for name in axes}
        groups.setdefault(str(values), []).append((values, training))
    settings = []
    for group in groups.values():
        trainings = [training for _, training in group]
        statistics = mean_and_deviation([getattr(training.metrics, metric) for training in trainings])
        settings.append(Setting(group[0][0], trainings, *statistics))
    settings.sort(key=lambda setting: setting.mean, reverse=metric.endswith("accuracy"))
    return Comparison(record, metric, axes, settings)


def learning_curves(comparison: Comparison, column: str) -> list[tuple[Values, int, float]]:
    """Return (values, epoch counted from 1, value) of every row of every history."""
    return [
        (setting.values, epoch, value)
        for setting in comparison.settings
        for training in setting.trainings
        for epoch, value in enumerate(training.history.get(column, []), 1)
    ]


def effects(comparison: Comparison) -> dict[str, list[tuple[Value, float]]]:
    """Return for each axis (value, mean of the metric over all settings with that value), the best setting's first."""
    means: dict[str, list[tuple[Value, float]]] = {}
    for axis in comparison.axes:
        groups: dict[str, list[Setting]] = {}
        for setting in comparison.settings:
            groups.setdefault(str(setting.values[axis]), []).append(setting)
        means[axis] = [(s[0].values[axis], float(np.mean([setting.mean for setting in s]))) for s in groups.values()]
    return means


def indistinguishable(comparison: Comparison) -> list[Setting] | None:
    """Return the settings that seeds alone do not tell from the best; None where every setting has one seed.

    The 95 % interval of their difference holds zero, by Student's t with the variance pooled over all settings:
    |m1 - m2| <= t s sqrt(1 / n1 + 1 / n2). The variance of two or three seeds alone would be too uncertain.
    """
    best, *others = comparison.settings
    variances = [(len(s.trainings) - 1, s.deviation**2) for s in comparison.settings if s.deviation is not None]
    degrees = sum(n for n, _ in variances)
    if not degrees:
        return None
    pooled = (sum(n * variance for n, variance in variances) / degrees) ** 0.5
    reach = float(t.ppf(0.975, degrees)) * pooled
    limits = [reach * (1 / len(best.trainings) + 1 / len(other.trainings)) ** 0.5 for other in others]
    return [other for other, limit in zip(others, limits, strict=True) if abs(best.mean - other.mean) <= limit]


def standard_error(accuracy: float, images: int) -> float:
    """Return the standard error of an accuracy (0 to 1) measured on a random choice of images: sqrt(p (1 - p) / n)."""
    return float((accuracy * (1 - accuracy) / images) ** 0.5)

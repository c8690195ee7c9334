"""Studies of the recipe: short trainings that differ in one thing, see benchmarks/study.py."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from ..config import DATASET_NAMES, AugmentConfig, OptimConfig, ReportError, ScheduleConfig, project_root
from ..runs import io
from ..runs.records import Accuracy, Count, Recipe, Record

BASE = "the recipe"  # name of the training without changes
OPTIMIZER_NAMES = {"muon": "Muon", "sgd": "SGD"}  # for prose
CHANCE = 0.1  # accuracy of a network that knows nothing of ten classes
RATES_DEPEND_ON = ("dataset", "optimizer", "batch_size", "muon_momentum", "sgd_lr_factor")


class Protocol(Record):
    """The length of a study's trainings: `train_size` images (0 is all others) for `epochs`, judged on `val_size`."""

    dataset: str
    train_size: Count
    val_size: Annotated[int, Field(gt=0)]
    epochs: Count


class StudyRecipe(ScheduleConfig, OptimConfig, AugmentConfig):
    """The parameters that the points change, without the epochs, which are the protocol's."""

    model_config = ConfigDict(extra="ignore")
    epochs: int = Field(0, exclude=True)


class Point(Record):
    """One training: the parameters in which it differs from the recipe, and its accuracy on the validation images.

    `val_accuracy` is None where the loss did not stay finite; `compute` says what trained.
    """

    name: str
    changes: dict[str, str | float]
    seed: int
    val_accuracy: Accuracy | None
    compute: str


class Study(Record):
    """A study's file: the points' trainings, of several seeds where there was time for them."""

    protocol: Protocol
    recipe: StudyRecipe
    points: Annotated[list[Point], Field(min_length=1)]

    @property
    def accuracies(self) -> dict[str, list[float]]:
        """Name -> accuracy (0-1) of each seed; chance for a training that diverged."""
        found: dict[str, list[float]] = {}
        for point in self.points:
            found.setdefault(point.name, []).append(CHANCE if point.val_accuracy is None else point.val_accuracy)
        return found

    @property
    def means(self) -> dict[str, float]:
        """Name -> mean accuracy (0-1) over the seeds."""
        return {name: float(np.mean(values)) for name, values in self.accuracies.items()}

    @property
    def seeds(self) -> int:
        """The most seeds of any name."""
        return max(map(len, self.accuracies.values()))

    @property
    def compute(self) -> str:
        """All that the points were trained on."""
        return " and ".join(dict.fromkeys(point.compute for point in self.points))

    @property
    def description(self) -> str:
        """Data set, recipe and length: "CIFAR-10, Muon, batches of 500; 10,000 training images, 5 epochs, ..."."""
        protocol, optimizer = self.protocol, OPTIMIZER_NAMES[self.recipe.optimizer]
        images = f"{protocol.train_size:,}" if protocol.train_size else "all other"
        return (
            f"{DATASET_NAMES[protocol.dataset]}, {optimizer}, batches of {self.recipe.batch_size}; "
            f"{images} training images, {protocol.epochs} epochs, judged on {protocol.val_size:,} images held out of "
            f"the training set, {'one seed' if self.seeds == 1 else f'up to {self.seeds} seeds'}"
        )

    @property
    def standard_error(self) -> float:
        """Of the difference between two accuracies (0-1), for the choice of validation images alone.

        sqrt(2 p (1 - p) / n) with the best accuracy p, for networks judged on different images; on the same ones, as
        here, it is rather smaller.
        """
        best = max(self.means.values())
        return float(np.sqrt(2 * best * (1 - best) / self.protocol.val_size))

    def fits(self, recipe: Recipe) -> bool:
        """Whether the rates of a run of this `recipe` mean the same as those of the study."""
        own = self.recipe.model_dump() | self.protocol.model_dump()
        return all(getattr(recipe, name) == own[name] for name in RATES_DEPEND_ON)

    def differences(self) -> dict[str, float]:
        """By how much each other name is better than `BASE` in accuracy (0-1), the best first."""
        means = self.means
        base = means.pop(BASE)
        return {name: mean - base for name, mean in sorted(means.items(), key=lambda item: -item[1])}

    def by_peak(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(max_lr float64 (P,), increasing, mean accuracy float64 (P,), 0-1) of a study of the peak rate."""
        rates = {point.name: float(point.changes["max_lr"]) for point in self.points}
        pairs = sorted((rates[name], mean) for name, mean in self.means.items())
        return np.array([rate for rate, _ in pairs]), np.array([mean for _, mean in pairs])

    def accuracy_at(self, rate: float) -> float | None:
        """The accuracy (0-1) at a peak `rate`, linear in log(rate) between the points; None outside them."""
        rates, accuracies = self.by_peak()
        if not rates[0] <= rate <= rates[-1]:
            return None
        return float(np.interp(np.log(rate), np.log(rates), accuracies))


def load(name: str) -> Study:
    """Read the study `name` of the project's benchmarks/, at full length (`<name>-full.json`) if that is there.

    Raises `ReportError` where there is none, and for a file that is no study.
    """
    folder = project_root() / "benchmarks"
    path = next((p for p in (folder / f"{name}-full.json", folder / f"{name}.json") if p.is_file()), None)
    if path is None:
        raise ReportError(f"benchmarks/{name}.json is missing; run python benchmarks/study.py {name} first.")
    return io.read_record(path, Study, f"delete it or run python benchmarks/study.py {name}")

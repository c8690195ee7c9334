"""The study of the peak: the best one-cycle peak over the range test's onset, see benchmarks/peak_factor.py."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..config import ReportError, project_root
from ..runs import io
from ..runs.records import Accuracy, Count, Record
from ..training.schedule import steps_per_epoch
from .ablation import CHANCE, OPTIMIZER_NAMES

FILE = "benchmarks/peak_factor.json"
Positive = Annotated[float, Field(gt=0)]


class Protocol(Record):
    """The trainings: channels of layer1, epochs, training images, and the held-out images that judge them."""

    width: int
    epochs: Count
    train_size: Annotated[int, Field(gt=0)]
    val_size: Annotated[int, Field(gt=0)]


class Setting(Record):
    """What a range test and its trainings have in common."""

    optimizer: str
    batch_size: Annotated[int, Field(gt=0)]
    seed: int

    @property
    def key(self) -> tuple[str, int, int]:
        """The setting as a key of dictionaries, in the order of the table."""
        return self.optimizer, self.batch_size, self.seed


class MeasuredRange(Setting):
    """A range test: each rule's rate per step, None where a rule finds nothing."""

    suggestions: dict[str, Positive | None]


class PeakTraining(Setting):
    """A training with a peak of `factor` times the onset; `val_accuracy` (0-1) is None where the loss grew infinite."""

    factor: Positive
    max_lr: Positive
    val_accuracy: Accuracy | None


class Study(Record):
    """The file: range tests and trainings, in the order in which they were made. It may lack some still."""

    protocol: Protocol
    range_tests: list[MeasuredRange]
    trainings: list[PeakTraining]

    @property
    def standard_error(self) -> float:
        """Of the difference of two accuracies (0-1), for the choice of held-out images: sqrt(2 p (1 - p) / n).

        p is the best accuracy. For two networks judged on the same images, as here, the true one is rather smaller.
        """
        best = max(float(curve.accuracies.max()) for curve in self.curves())
        return float(np.sqrt(2 * best * (1 - best) / self.protocol.val_size))

    def curves(self) -> "list[PeakCurve]":
        """The settings that have trainings, by optimizer, batch size and seed."""
        onsets = {test.key: test.suggestions.get("divergence onset") for test in self.range_tests}
        groups: dict[tuple[str, int, int], list[PeakTraining]] = {}
        for training in self.trainings:
            groups.setdefault(training.key, []).append(training)
        return [self._curve(onset, groups[key]) for key in sorted(groups) if (onset := onsets.get(key))]

    def _curve(self, onset: float, trainings: list[PeakTraining]) -> "PeakCurve":
        ordered = sorted(trainings, key=lambda training: training.factor)
        first, protocol = ordered[0], self.protocol
        return PeakCurve(
            optimizer=first.optimizer,
            batch_size=first.batch_size,
            seed=first.seed,
            onset=onset,
            steps=protocol.epochs * steps_per_epoch(protocol.train_size, first.batch_size),
            factors=np.array([training.factor for training in ordered]),
            accuracies=np.array([CHANCE if (a := training.val_accuracy) is None else a for training in ordered]),
        )


@dataclass(frozen=True)
class PeakCurve:
    """The trainings of one setting: held-out `accuracies` float (F,), 0-1, by `factors` float (F,), increasing.

    `onset` is the range test's divergence onset, a rate per step; a training has `steps` and a peak of factor x onset.
    One that diverged counts as guessing.
    """

    optimizer: str
    batch_size: int
    seed: int
    onset: float
    steps: int
    factors: NDArray[np.float64]
    accuracies: NDArray[np.float64]

    @property
    def name(self) -> str:
        """Optimizer and batch size: "Muon, batches of 128"."""
        return f"{OPTIMIZER_NAMES[self.optimizer]}, batches of {self.batch_size}"

    @property
    def best(self) -> int:
        """Index of the factor with the highest accuracy."""
        return int(self.accuracies.argmax())

    @property
    def best_factor(self) -> float:
        """The factor with the highest accuracy."""
        return float(self.factors[self.best])

    @property
    def enclosed(self) -> bool:
        """Whether smaller and larger factors than the best were tried: if not, the best may lie farther out."""
        return 0 < self.best < len(self.factors) - 1

    @property
    def at_onset(self) -> float | None:
        """The accuracy (0-1) of the training whose peak is the onset itself; None before it is made."""
        found = self.accuracies[self.factors == 1]
        return float(found[0]) if len(found) else None

    @property
    def cost(self) -> float | None:
        """How much accuracy (0-1) the onset as the peak loses against the best factor; None where `at_onset` is."""
        return None if self.at_onset is None else float(self.accuracies.max() - self.at_onset)


def load() -> Study:
    """Read the project's study; raises `ReportError` where there is none, and for a file of something else."""
    path = project_root() / FILE
    if not path.is_file():
        raise ReportError(f"{FILE} is missing; run python benchmarks/peak_factor.py first.")
    return io.read_record(path, Study, "delete it or run python benchmarks/peak_factor.py")

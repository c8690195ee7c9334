"""Trainings of other recipes at the published run's full length, beside the published training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis import predictions
from ..config import PUBLISHED, PUBLISHED_VARIANTS, ReportError, project_root, short
from ..runs import io
from ..runs.folder import RunFolder
from ..runs.records import Metrics, Recipe, RunRecord


@dataclass(frozen=True)
class ComparedTraining:
    """A training: the parameters in which it differs from the published one, none for that one itself.

    `accuracy` float64 (E,), 0-1, is that of the test images after each epoch.
    """

    changes: dict[str, Any]
    metrics: Metrics
    accuracy: NDArray[np.float64]
    predictions: predictions.Predictions

    @property
    def name(self) -> str:
        """The changes as text, as in "sgd_lr_factor 0.25, cutout 0", or "as published"."""
        return ", ".join(f"{name} {short(value)}" for name, value in self.changes.items()) or "as published"

    @property
    def wrong(self) -> set[int]:
        """Positions in the test set of the images that it gets wrong."""
        return set(self.predictions.indices[self.predictions.wrong].tolist())


@dataclass(frozen=True)
class Lead:
    """How far a training is ahead of the published one in test accuracy, 0-1.

    `early` is the mean over the first quarter of the epochs, `end` the last epoch's. `standard_error` is that of `end`
    for the choice of test images, on which both are judged: sqrt(b + c) / n, where b images are wrong for the one
    network only and c for the other. `shared` errors are wrong for both, `own` ones for the published network only.
    """

    early: float
    end: float
    standard_error: float
    shared: int
    own: int


def load() -> list[ComparedTraining]:
    """The published training, and those in artifacts/variants, by folder; nothing where nothing is published.

    Raises `ReportError` for a folder that holds no results, or those of other images or of another length.
    """
    published = RunFolder(PUBLISHED)
    if not (published / RunRecord.FILE).exists():
        return []
    recipe = published.run().parameters
    records = sorted(project_root().glob(f"{PUBLISHED_VARIANTS}/*/{RunRecord.FILE}"))
    folders = [RunFolder(path.parent) for path in records]
    base, *others = (_read(folder, recipe) for folder in [published, *folders])
    for folder, other in zip(folders, others, strict=True):
        same_images = np.array_equal(other.predictions.indices, base.predictions.indices)
        if not other.changes or not same_images or len(other.accuracy) != len(base.accuracy):
            raise ReportError(
                f"{folder.name} cannot be compared with {PUBLISHED}: it has the same parameters, other test images or "
                "another number of epochs; move it elsewhere."
            )
    return [base, *others]


def lead(base: ComparedTraining, other: ComparedTraining) -> Lead:
    """Compare two trainings on the same test images."""
    ahead = other.accuracy - base.accuracy
    return Lead(
        early=float(ahead[: max(1, len(ahead) // 4)].mean()),
        end=float(ahead[-1]),
        standard_error=len(base.wrong ^ other.wrong) ** 0.5 / base.metrics.test_images,
        shared=len(base.wrong & other.wrong),
        own=len(base.wrong - other.wrong),
    )


def _read(folder: RunFolder, base: Recipe) -> ComparedTraining:
    changes = {name: value for name, value in folder.run().parameters if getattr(base, name) != value}
    history = io.read_table(folder.need("history.csv", "training"))
    return ComparedTraining(changes, folder.metrics(), history["test_accuracy"], predictions.load(folder))

"""What a network answered for the test images, and which of its answers are wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runs import io
from ..runs.folder import RunFolder, other_seeds
from ..runs.io import unreadable
from ..runs.records import RunRecord

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def softmax(logits: NDArray[Any]) -> Floats:
    """Turn logits (..., C) of any real dtype into probabilities, float64 (..., C), whose rows sum to 1.

    float64, because float32 rounds the probabilities of a confident network to exactly 1, which ties images that are to
    be ranked.
    """
    shifted = np.asarray(logits, dtype=np.float64)
    exponentials = np.exp(shifted - shifted.max(axis=-1, keepdims=True))  # the largest is exp(0): no overflow
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@dataclass(frozen=True, eq=False)
class Predictions:
    """A network's answers for N images of C classes; every array has one row for each image.

    Raises `ValueError` where the arrays do not fit together, a label is no class, or a logit is not finite.
    """

    logits: NDArray[np.float32]
    """float32 (N, C)."""
    labels: Ints
    """int64 (N,): true classes, 0 to C-1."""
    indices: Ints
    """int64 (N,): distinct positions in the test set, in any order."""

    def __post_init__(self) -> None:
        n, shapes = len(self.labels), (self.logits.shape, self.labels.shape, self.indices.shape)
        if self.logits.ndim != 2 or n == 0 or any(shape[:1] != (n,) for shape in shapes):
            raise ValueError(f"logits, labels and indices have the shapes {', '.join(map(str, shapes))}")
        if self.labels.min() < 0 or self.labels.max() >= self.logits.shape[1]:
            raise ValueError(f"a label is none of {self.logits.shape[1]} classes")
        if len(np.unique(self.indices)) != n:
            raise ValueError("an image is there twice")
        if not np.isfinite(self.logits).all():
            raise ValueError("a logit is not finite")

    @cached_property
    def probabilities(self) -> Floats:
        """Softmax of the logits, float64 (N, C)."""
        return softmax(self.logits)

    @cached_property
    def predicted(self) -> Ints:
        """Class of the largest logit, int64 (N,); the lowest class where several are equal."""
        return self.logits.argmax(axis=1)

    @cached_property
    def confidence(self) -> Floats:
        """Probability of the predicted class, float64 (N,), 1/C to 1."""
        return self.probabilities.max(axis=1)

    @cached_property
    def wrong(self) -> Bools:
        """True where the predicted class is not the label, bool (N,)."""
        return self.predicted != self.labels

    def predicted_for(self, indices: Ints) -> Ints:
        """Return the predicted class of test images by number, int64 (M,); -1 for an image without a prediction."""
        known = dict(zip(self.indices.tolist(), self.predicted.tolist(), strict=True))
        return np.array([known.get(index, -1) for index in indices.tolist()], dtype=np.int64)


def load(folder: RunFolder) -> Predictions:
    """Read a run's predictions for the test images; raises `ReportError` where there are none or they are damaged."""
    arrays = io.read_arrays(path := folder.need("predictions.npz", "training"))
    try:
        return Predictions(arrays["logits"], arrays["labels"], arrays["indices"])
    except ValueError as error:
        raise unreadable(path, error) from None


def load_validation(folder: RunFolder) -> Predictions | None:
    """Read a run's predictions for its validation images, numbered from 0; None where it held none out.

    Raises `ReportError` as `load` does.
    """
    arrays = io.read_arrays(path := folder.need("predictions.npz", "training"))
    if "val_logits" not in arrays:
        return None
    try:
        return Predictions(arrays["val_logits"], arrays["val_labels"], np.arange(len(arrays["val_labels"])))
    except ValueError as error:
        raise unreadable(path, f"of the validation images {error}") from None


def load_other_seeds(folder: RunFolder, record: RunRecord) -> dict[int, Predictions]:
    """Read the predictions of the trainings that differ from a run in the seed alone, by seed.

    Raises `ReportError` where one of them has other labels or another number of classes than the run itself.
    """
    own, others = load(folder), {}
    for seed, other_folder in other_seeds(folder, record).items():
        others[seed] = other = load(other_folder)
        _, here, there = np.intersect1d(own.indices, other.indices, return_indices=True)
        same_classes = other.logits.shape[1] == own.logits.shape[1]
        if not same_classes or (own.labels[here] != other.labels[there]).any():
            raise unreadable(other_folder / "predictions.npz", f"its classes or labels are not those of {folder.name}")
    return others


def confusion_matrix(labels: Ints, predicted: Ints, n_classes: int) -> Ints:
    """Count images by true class (rows) and predicted class (columns), int64 (C, C).

    `labels` and `predicted` are int64 (N,), 0 to C-1; raises `ValueError` for others.
    """
    for name, classes in (("labels", labels), ("predicted", predicted)):
        if classes.size and (classes.min() < 0 or classes.max() >= n_classes):
            raise ValueError(f"{name} must lie in 0 to {n_classes - 1}, got {classes.min()} to {classes.max()}")
    cells = labels.astype(np.int64) * n_classes + predicted
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def class_report(confusion: Ints) -> dict[str, NDArray[Any]]:
    """Score each class of a confusion matrix (C, C) whose rows are the true classes.

    Returns `precision` TP / (TP + FP), `recall` TP / (TP + FN) and `f1` 2 TP / (2 TP + FP + FN), float64 (C,), 0 to 1,
    and `support`, int64 (C,), the images of each class. The scores of a class without images are nan: `np.nanmean`,
    `np.nanargmin` and the like leave it out. The precision of a class that was never predicted is 0.
    """
    num_correct, support, num_predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    there = np.where(support > 0, 1.0, np.nan)
    return {
        "precision": there * num_correct / np.maximum(num_predicted, 1),
        "recall": there * num_correct / np.maximum(support, 1),
        "f1": there * 2 * num_correct / np.maximum(num_predicted + support, 1),
        "support": support,
    }


def top_confusions(confusion: Ints, k: int) -> list[tuple[int, int, int]]:
    """Return the `k` commonest mistakes as (true class, predicted class, count), commonest first, ties in class order.

    The list is shorter where the network made fewer kinds of mistakes.
    """
    counts = np.where(np.eye(len(confusion), dtype=bool), 0, confusion)
    order = np.argsort(-counts, axis=None, kind="stable")[: max(k, 0)]
    pairs = [(int(i) // len(counts), int(i) % len(counts)) for i in order]
    return [(true, predicted, int(counts[true, predicted])) for true, predicted in pairs if counts[true, predicted]]


def most_confident(predictions: Predictions, rows: Ints) -> Ints:
    """Sort rows of the predictions, int64 (M,), by falling confidence, ties by number in the test set."""
    return rows[np.lexsort((predictions.indices[rows], -predictions.confidence[rows]))]


@dataclass(frozen=True, eq=False)
class SharedErrors:
    """How far other networks make a network's errors too; arrays have one row for each of its errors, in their order.

    Both arrays are nan for an image that none of the other networks was tested on.
    """

    also_wrong: Floats
    """float64 (errors,), 0-1: the share of the other networks that get the image wrong."""
    same_answer: Floats
    """float64 (errors,), 0-1: the share of the other networks that give it the same wrong class."""
    baseline: float
    """The others' mean error rate, 0-1: `also_wrong` of equally hard images; nan without others."""

    def groups(self) -> dict[str, Bools]:
        """Which errors "all", "some" or "none" of the others make too, and which are "not tested": bool (errors,)."""
        return {
            "all": self.also_wrong == 1,
            "some": (self.also_wrong > 0) & (self.also_wrong < 1),
            "none": self.also_wrong == 0,
            "not tested": np.isnan(self.also_wrong),
        }


def shared_errors(predictions: Predictions, others: Sequence[Predictions]) -> SharedErrors:
    """Compare the errors of `predictions` with the answers of `others`, which may hold other images, in any order."""
    wrong = predictions.wrong
    given = np.array([other.predicted_for(predictions.indices[wrong]) for other in others])
    given = given.reshape(len(others), wrong.sum())
    tested = np.where((given >= 0).any(axis=0), (given >= 0).sum(axis=0), np.nan)
    also_wrong = (given >= 0) & (given != predictions.labels[wrong])
    same_answer = given == predictions.predicted[wrong]
    baseline = float(np.mean([other.wrong.mean() for other in others])) if others else float("nan")
    return SharedErrors(also_wrong.sum(axis=0) / tested, same_answer.sum(axis=0) / tested, baseline)

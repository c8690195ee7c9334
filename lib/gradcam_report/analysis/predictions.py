"""What the model got wrong: logits and labels to confusion matrix, per-class scores, and the images worth showing.

numpy only, so that a page about errors can be made where torch is not installed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import ReportError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def softmax(logits: NDArray[Any]) -> Floats:
    """Probabilities, float64 (..., C), rows summing to 1, from logits (..., C) of any real dtype.

    float64 because float32 rounds a confident model's probabilities to exactly 1 and so ties the images to be ranked.
    """
    shifted = np.asarray(logits, dtype=np.float64)
    exponentials = np.exp(shifted - shifted.max(axis=-1, keepdims=True))  # the largest is exp(0): no overflow
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's answers for a set of test images; every array has one row for each image.

    `logits`: float32 (N, C); `labels`: int64 (N,), true classes 0 to C-1; `indices`: int64 (N,), distinct positions in
    the test set, in any order. Raises `ReportError` where the arrays do not fit together or a logit is not finite.
    """

    logits: NDArray[np.float32]
    labels: Ints
    indices: Ints

    def __post_init__(self) -> None:
        n, again = len(self.labels), "run the training chapter again with -p force True."
        shapes = (self.logits.shape, self.labels.shape, self.indices.shape)
        if self.logits.ndim != 2 or any(shape != (n,) for shape in (shapes[0][:1], *shapes[1:])) or n == 0:
            raise ReportError(f"The predictions' logits, labels and indices have the shapes {shapes}; {again}")
        outside = self.labels[(self.labels < 0) | (self.labels >= self.logits.shape[1])]
        if outside.size:
            raise ReportError(
                f"The predictions hold the label {outside[0]} for {self.logits.shape[1]} classes; {again}"
            )
        if len(np.unique(self.indices)) != n:
            raise ReportError(f"The predictions hold {n} rows but not {n} different test images; {again}")
        broken = int((~np.isfinite(self.logits)).any(axis=1).sum())
        if broken:
            raise ReportError(f"The logits of {broken} of {n} images are not finite; train again with a lower max_lr.")

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
    def wrong(self) -> NDArray[np.bool_]:
        """True where the predicted class is not the label, bool (N,)."""
        return self.predicted != self.labels


def confusion_matrix(labels: Ints, predicted: Ints, n_classes: int) -> Ints:
    """Counts, int64 (C, C): row = true class, column = predicted class.

    `labels` and `predicted` are int64 (N,), 0 to C-1; raises `ValueError` for others.
    """
    for name, classes in (("labels", labels), ("predicted", predicted)):
        if classes.size and (classes.min() < 0 or classes.max() >= n_classes):
            raise ValueError(f"{name} must lie in 0 to {n_classes - 1}, got {classes.min()} to {classes.max()}")
    cells = labels.astype(np.int64) * n_classes + predicted
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def class_report(confusion: Ints) -> dict[str, NDArray[Any]]:
    """Per-class scores of a confusion matrix (C, C) whose rows are the true classes.

    Returns `precision` TP / (TP + FP), `recall` TP / (TP + FN) and `f1` 2 TP / (2 TP + FP + FN), float64 (C,), 0 to 1,
    and `support`, int64 (C,), the images of each class. A fraction without a denominator (a class never predicted, or
    never there) is 0, as scikit-learn has it with `zero_division=0`.
    """
    hits, support, called = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    return {
        "precision": hits / np.maximum(called, 1),
        "recall": hits / np.maximum(support, 1),
        "f1": 2 * hits / np.maximum(called + support, 1),
        "support": support,
    }


def top_confusions(confusion: Ints, k: int) -> list[tuple[int, int, int]]:
    """The `k` commonest mistakes as (true class, predicted class, count), commonest first, ties in class order.

    Only mistakes that happened: the list is shorter where the model made fewer kinds.
    """
    counts = np.where(np.eye(len(confusion), dtype=bool), 0, confusion)
    order = np.argsort(-counts, axis=None, kind="stable")[: max(k, 0)]
    pairs = [(int(i) // len(counts), int(i) % len(counts)) for i in order]
    return [(true, predicted, int(counts[true, predicted])) for true, predicted in pairs if counts[true, predicted]]


def surest_of(predictions: Predictions, true: int, predicted: int, k: int) -> Ints:
    """Rows of at most `k` images of class `true` that were taken for `predicted`, most confident first, int64."""
    rows = np.flatnonzero((predictions.labels == true) & (predictions.predicted == predicted))
    return rows[np.lexsort((predictions.indices[rows], -predictions.confidence[rows]))][:k]


def answers(predictions: Predictions, indices: Ints) -> Ints:
    """The classes answered to test images by number, int64 (M,); -1 for an image that is not among the predictions."""
    known = dict(zip(predictions.indices.tolist(), predictions.predicted.tolist(), strict=True))
    return np.array([known.get(index, -1) for index in indices.tolist()], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Repetition:
    """How far other networks make a network's errors too; arrays have one row for each of its errors, in their order.

    `again`: float64 (errors,), 0-1, the share of the other networks that get the image wrong, nan for an image that
    none of them was asked about; `alike`: the same of those that give it the same wrong class; `baseline`: the share,
    0-1, of all their images that the others get wrong in the mean, which is what `again` would be if all images were
    equally hard, and nan without others.
    """

    again: Floats
    alike: Floats
    baseline: float

    def groups(self) -> dict[str, NDArray[np.bool_]]:
        """bool (errors,): those that "all", "some" or "none" of the others make too, and those "not asked" of any."""
        return {
            "all": self.again == 1,
            "some": (self.again > 0) & (self.again < 1),
            "none": self.again == 0,
            "not asked": np.isnan(self.again),
        }

    def in_words(self, who: str, kinds: Mapping[str, NDArray[np.bool_]]) -> str:
        """The shares for prose: of all errors, and of each of the `kinds`, bool (errors,), that there are errors of.

        `who` are the others, as in "seed 1". Other kinds of errors may be asked about, or none.
        """
        asked = np.isfinite(self.again)
        if not asked.any():
            return "No other network was asked about these errors."
        mean = {name: 100 * self.again[rows & asked].mean() for name, rows in kinds.items() if (rows & asked).any()}
        each = ", ".join(f"{share:.0f} % ({name})" for name, share in mean.items())
        these = "these errors" if asked.all() else f"the {asked.sum()} errors that others were asked about"
        by_kind = f" By the kind of error: {each}." if each else ""
        return (
            f"Of {these} {100 * self.again[asked].mean():.0f} % are also made by {who}, "
            f"{100 * self.alike[asked].mean():.0f} % with the same wrong class; of all images "
            f"{100 * self.baseline:.1f} % are wrong there.{by_kind} Were all images equally hard, an error would be "
            "repeated no more often than any image is got wrong. What goes beyond that is owed to images that are hard "
            "for all such networks, be their labels in doubt or not."
        )


def repetition(predictions: Predictions, others: Sequence[Predictions]) -> Repetition:
    """How far the errors of `predictions` are those of `others` too, which may hold other images, in any order."""
    wrong = predictions.wrong
    given = np.array([answers(other, predictions.indices[wrong]) for other in others])
    given = given.reshape(len(others), wrong.sum())
    asked = np.where((given >= 0).any(axis=0), (given >= 0).sum(axis=0), np.nan)
    again = (given >= 0) & (given != predictions.labels[wrong])
    alike = given == predictions.predicted[wrong]
    baseline = float(np.mean([other.wrong.mean() for other in others])) if others else float("nan")
    return Repetition(again.sum(axis=0) / asked, alike.sum(axis=0) / asked, baseline)


def sample(predictions: Predictions, count: int, seed: int = 0) -> Ints:
    """Rows of `count` images drawn by `seed`, right or wrong, int64, increasing."""
    order = np.random.default_rng(seed).permutation(len(predictions.labels))
    return np.sort(order[:count])


def choose(predictions: Predictions, selection: str, n_images: int, indices: Sequence[int] = ()) -> Ints:
    """The rows of `predictions` to show, distinct, in the order to show them, int64 (at most `n_images`,).

    `selection` is one of
    - "confident": the errors with the highest probability for the wrong class, most confident first;
    - "stratified": the most confident error of each true class, in class order, then each class's next, and so on;
    - "first": the errors with the lowest test-set index;
    - "index": the images with these test-set `indices`, in that order, right or wrong; `n_images` does not count.

    Equal confidences are ordered by test-set index, so the choice never depends on the order of the rows. Where the
    model made fewer errors than asked for, all of them are returned. Raises `ReportError` where it made none, for an
    index that was not predicted, an `n_images` below 1 or an unknown `selection`.
    """
    if selection == "index":
        return _rows_of(predictions.indices, indices)
    if selection not in ("confident", "stratified", "first"):
        raise ReportError(f"selection is {selection!r}; choose one of 'confident', 'stratified', 'first', 'index'.")
    if n_images < 1:
        raise ReportError(f"n_images is {n_images}; it must be at least 1.")
    rows = np.flatnonzero(predictions.wrong)
    if not rows.size:
        raise ReportError(
            f"The model made no error on {len(predictions.labels)} test images; raise test_size, "
            "or name images to show, as in -p indices '[3, 14]'."
        )
    if selection == "first":
        return rows[np.argsort(predictions.indices[rows])][:n_images]
    rows = rows[np.lexsort((predictions.indices[rows], -predictions.confidence[rows]))]
    if selection == "stratified":
        labels = predictions.labels[rows]
        rank = (labels[:, None] == np.arange(labels.max() + 1)).cumsum(axis=0)[np.arange(len(labels)), labels]
        rows = rows[np.lexsort((labels, rank))]  # rank 1: its class's most confident
    return rows[:n_images]


def _rows_of(known: Ints, wanted: Sequence[int]) -> Ints:
    """Rows of the test-set indices `wanted` in `known`, each once, in the order wanted."""
    if not len(wanted):
        raise ReportError("selection is 'index' but indices is empty; name images, as in -p indices '[3, 14]'.")
    row_of = {int(index): row for row, index in enumerate(known)}
    for index in wanted:
        if index not in row_of:
            raise ReportError(
                f"indices holds {index}, which is not among the {len(known)} test images predicted "
                f"(from {known.min()} to {known.max()}); choose from these or raise test_size."
            )
    return np.array([row_of[index] for index in dict.fromkeys(wanted)], dtype=np.int64)

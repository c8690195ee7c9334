"""Which test images a chapter shows, with what the network made of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..config import ReportError, SelectionConfig
from ..data import datasets
from ..formatting import error_title
from ..runs import io
from ..runs.folder import RunFolder
from ..runs.records import RunRecord
from .predictions import Bools, Floats, Ints, Predictions, load, most_confident


@dataclass(frozen=True, eq=False)
class Examples:
    """N chosen test images of a run."""

    folder: RunFolder
    record: RunRecord
    predictions: Predictions
    """For all test images, not only the chosen ones."""
    rows: Ints
    """int64 (N,): the rows of the chosen images in `predictions`."""
    images: NDArray[np.uint8]
    """uint8 (N, 3, 32, 32), 0-255."""
    data_root: str
    """The folder of CIFAR-10, as `datasets.test_images` takes it."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dataset(self) -> str:
        """Name of the data set that the run was trained on."""
        return self.record.parameters.dataset

    @property
    def classes(self) -> list[str]:
        """C class names."""
        return self.record.result.classes

    @property
    def indices(self) -> Ints:
        """Positions in the test set, int64 (N,)."""
        return self.predictions.indices[self.rows]

    @property
    def true(self) -> Ints:
        """True classes, int64 (N,)."""
        return self.predictions.labels[self.rows]

    @property
    def predicted(self) -> Ints:
        """Predicted classes, int64 (N,)."""
        return self.predictions.predicted[self.rows]

    @property
    def wrong(self) -> Bools:
        """True where the predicted class is not the label, bool (N,)."""
        return self.predictions.wrong[self.rows]

    @property
    def probabilities(self) -> Floats:
        """The network's probabilities, float64 (N, C)."""
        return self.predictions.probabilities[self.rows]

    def titles(self) -> list[str]:
        """What `formatting.error_title` says of each image: its number, predicted and true class, probabilities."""
        return [
            error_title(index, self.classes[predicted], chances[predicted], self.classes[true], chances[true])
            for index, predicted, true, chances in zip(
                self.indices, self.predicted, self.true, self.probabilities, strict=True
            )
        ]

    def at(self, rows: Ints) -> "Examples":
        """Return the images at other rows, int64 (M,), of the same predictions; raises as `choose` does."""
        if len(rows):
            images = datasets.test_images(self.dataset, self.data_root, self.predictions.indices[rows]).numpy()
        else:
            images = np.empty((0, 3, 32, 32), np.uint8)
        return replace(self, rows=rows, images=images)


@dataclass(frozen=True, eq=False)
class OwnPicture(Examples):
    """A reader's picture in place of test images: its answer counts as right, for nobody labelled it."""

    def at(self, rows: Ints) -> "Examples":
        """Return the picture at `rows`, int64 (M,), which are 0."""
        return replace(self, rows=rows, images=self.images[rows])


def own_picture(folder: RunFolder, image: NDArray[np.uint8], logits: NDArray[np.float32]) -> OwnPicture:
    """Make a reader's picture, uint8 (1, 3, 32, 32), with the network's logits, float32 (1, C), the only example."""
    predictions = Predictions(logits, logits.argmax(axis=1), np.zeros(1, np.int64))
    return OwnPicture(folder, folder.run(), predictions, np.zeros(1, np.int64), image, data_root="")


def choose(run_dir: str, selection: SelectionConfig, data_root: str = "") -> Examples:
    """Choose test images of a run by `select_rows`.

    Raises `ReportError` where the run's training is not finished, its files are damaged, an index was not predicted, or
    the images cannot be had.
    """
    return choose_rows(run_dir, lambda predictions: select_rows(predictions, selection), data_root)


def choose_rows(run_dir: str, pick: Callable[[Predictions], Ints], data_root: str = "") -> Examples:
    """Choose test images of a run: those at the rows, int64 (N,), that `pick` returns for its predictions.

    Raises `ReportError` as `choose` does.
    """
    folder = RunFolder(run_dir)
    record = folder.run()
    predictions = load(folder)
    if predictions.logits.shape[1] != len(record.result.classes):
        raise io.unreadable(folder / "predictions.npz", f"it has {predictions.logits.shape[1]} classes")
    examples = Examples(folder, record, predictions, np.empty(0, np.int64), np.empty(0, np.uint8), data_root)
    return examples.at(pick(predictions))


def select_rows(predictions: Predictions, selection: SelectionConfig) -> Ints:
    """Return the rows of `predictions` to show, distinct, in the order to show them, int64 (at most n_images,).

    `selection.selection` is one of
    - "representative": errors of diverse classes, from the most contested to the clearest, see `representative`;
    - "confident": the errors with the highest probability for the wrong class, most confident first;
    - "stratified": the most confident error of each true class, in class order, then each class's next, and so on;
    - "first": the errors with the lowest test-set index;
    - "index": the images with the test-set `indices`, in that order, right or wrong; `n_images` does not count.

    A network without errors shows right answers by the same rules. Equal confidences are ordered by test-set index, so
    the order of the rows does not matter. Raises `ReportError` for an index that was not predicted.
    """
    if selection.selection == "index":
        return _rows_of(predictions.indices, selection.indices)
    rows = np.flatnonzero(predictions.wrong if predictions.wrong.any() else ~predictions.wrong)
    if selection.selection == "representative":
        return representative(predictions, rows, selection.n_images)
    if selection.selection == "first":
        rows = rows[np.argsort(predictions.indices[rows])]
    else:
        rows = most_confident(predictions, rows)
    if selection.selection == "stratified":
        labels = predictions.labels[rows]
        rank = (labels[:, None] == np.arange(labels.max() + 1)).cumsum(axis=0)[np.arange(len(labels)), labels]
        rows = rows[np.lexsort((labels, rank))]  # rank 1: its class's most confident
    return rows[: selection.n_images]


def margins(predictions: Predictions) -> Floats:
    """Return how clearly each answer was given, float64 (N,), at least 0, in logits.

    For an error it is the logit of the predicted class minus that of the true class; for a right answer, that of the
    predicted class minus the runner-up's.
    """
    logits, every = predictions.logits.astype(np.float64), np.arange(len(predictions.labels))
    best, runner_up = np.partition(logits, -2, axis=1)[:, [-1, -2]].T
    return best - np.where(predictions.wrong, logits[every, predictions.labels], runner_up)


def representative(predictions: Predictions, rows: Ints, count: int) -> Ints:
    """Choose `count` of `rows`, int64 (M,), of diverse classes, from the most contested to the clearest.

    The rows are sorted by `margins`, equal ones by test-set index, and cut into `count` equal groups. Each group, the
    smallest margins first, gives the row nearest its middle whose true class is not among those chosen. Where it has
    none, it gives the nearest one whose pair of true and predicted class is new, and else the one in the middle.
    """
    order = rows[np.lexsort((predictions.indices[rows], margins(predictions)[rows]))]
    pairs = list(zip(predictions.labels.tolist(), predictions.predicted.tolist(), strict=True))
    chosen: list[int] = []
    for group in np.array_split(order, max(1, min(count, len(order)))):
        nearest = _middle_first(group)
        classes, taken = {pairs[row][0] for row in chosen}, {pairs[row] for row in chosen}
        fresh = [row for row in nearest if pairs[row][0] not in classes]
        fresh += [row for row in nearest if pairs[row] not in taken]
        chosen += (fresh or nearest)[:1]
    return np.array(chosen, dtype=np.int64)


def _middle_first(rows: Ints) -> list[int]:
    """The rows from the middle of their order outwards; of two that are equally far, the earlier one first."""
    distance = np.abs(2 * np.arange(len(rows)) - (len(rows) - 1))
    return rows[np.argsort(distance, kind="stable")].tolist()


def typical_right(predictions: Predictions, labels: Ints) -> Ints:
    """Return for each class in `labels`, int64 (M,), the right answer in the middle of the class's order by `margins`.

    int64 (at most M,). A class that is there again gets the next one, and one without (more) right answers none.
    """
    margin, chosen = margins(predictions), list[int]()
    for label in labels.tolist():
        rows = np.flatnonzero(~predictions.wrong & (predictions.labels == label))
        order = rows[np.lexsort((predictions.indices[rows], margin[rows]))]
        chosen += [row for row in _middle_first(order) if row not in chosen][:1]
    return np.array(chosen, dtype=np.int64)


def _rows_of(known: Ints, wanted: Sequence[int]) -> Ints:
    """Rows of the test-set indices `wanted` in `known`, each once, in the order wanted."""
    row_of = {int(index): row for row, index in enumerate(known)}
    for index in wanted:
        if index not in row_of:
            raise ReportError(
                f"indices holds {index}, which is not among the {len(known)} test images of this run "
                f"(from {known.min()} to {known.max()}); choose from these."
            )
    return np.array([row_of[index] for index in dict.fromkeys(wanted)], dtype=np.int64)


def sample_rows(predictions: Predictions, count: int, seed: int = 0) -> Ints:
    """Draw rows of `count` images at random, right or wrong, by `seed`; int64, increasing."""
    order = np.random.default_rng(seed).permutation(len(predictions.labels))
    return np.sort(order[:count])

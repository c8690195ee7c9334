"""The images that the error chapters show: which ones, what they are, and what the model made of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .. import config
from ..config import ErrorAnalysisParams, ExplorerParams, FaithfulnessParams, GradCamParams
from ..data import datasets
from ..formatting import error_title
from ..runs import folder as run_folder
from ..runs import io
from ..runs.records import RunRecord
from . import calibration
from . import predictions as errors

WithImages = ErrorAnalysisParams | GradCamParams | ExplorerParams | FaithfulnessParams


MOST = 10_000  # test images of any data set, see `config.DataConfig`


@dataclass(frozen=True)
class Cases:
    """N chosen test images of a run: `images` uint8 (N, 3, 32, 32); `rows` int64 (N,), their rows in `predictions`."""

    folder: run_folder.RunFolder
    record: RunRecord
    predictions: errors.Predictions
    rows: np.ndarray
    images: np.ndarray
    classes: list[str]

    @property
    def dataset(self) -> str:
        """Name of the data set that the run was trained on."""
        return self.record.parameters.dataset

    @property
    def indices(self) -> np.ndarray:
        """Positions in the test set, int64 (N,)."""
        return self.predictions.indices[self.rows]

    @property
    def true(self) -> np.ndarray:
        """True classes, int64 (N,)."""
        return self.predictions.labels[self.rows]

    @property
    def predicted(self) -> np.ndarray:
        """Predicted classes, int64 (N,)."""
        return self.predictions.predicted[self.rows]

    @property
    def probabilities(self) -> np.ndarray:
        """What the model gives to each class, float64 (N, C)."""
        return self.predictions.probabilities[self.rows]

    def titles(self) -> list[str]:
        """For each image its number, its predicted and its true class with probabilities."""
        return titles(self.predictions, self.rows, self.classes)

    def names(self, classes: np.ndarray) -> list[str]:
        """Class names of int64 (N,)."""
        return [self.classes[c] for c in classes]

    def probability(self, classes: np.ndarray) -> np.ndarray:
        """The model's probability for one class of each image: int64 (N,) -> float64 (N,)."""
        return self.predictions.probabilities[self.rows, classes]


def predictions_of(folder: run_folder.RunFolder) -> errors.Predictions:
    """The test-set predictions of a run; raises `ReportError` when there are none or they are damaged."""
    path = folder.need("predictions.npz", "training")
    arrays = io.read_arrays(path)
    missing = [name for name in ("logits", "labels", "indices") if name not in arrays]
    if missing:
        raise io.unreadable(path, f"{' and '.join(missing)} missing")
    logits, indices = arrays["logits"], arrays["indices"]
    if fault := _misfit(logits, arrays["labels"], logits.shape[-1:]):
        raise io.unreadable(path, fault)
    if indices.shape != logits.shape[:1] or indices.dtype != np.int64 or indices.min() < 0 or indices.max() >= MOST:
        raise io.unreadable(path, f"its indices are not those of {len(logits)} test images")
    return errors.Predictions(logits, arrays["labels"], indices)


def of_other_seeds(
    folder: run_folder.RunFolder, record: RunRecord, predictions: errors.Predictions
) -> dict[int, errors.Predictions]:
    """By seed, the predictions of the same recipe trained from other seeds, as far as the run's folder holds them.

    Raises `ReportError` where they are not of the classes and labels of the run's own `predictions`.
    """
    found = {}
    for seed, other in run_folder.other_seeds(folder, record).items():
        found[seed] = predictions_of(other)
        _, here, there = np.intersect1d(predictions.indices, found[seed].indices, return_indices=True)
        same_classes = found[seed].logits.shape[1] == predictions.logits.shape[1]
        if not same_classes or (predictions.labels[here] != found[seed].labels[there]).any():
            raise io.unreadable(other / "predictions.npz", f"its classes or labels are not those of {folder.name}")
    return found


def missed_by_all(chosen: Cases) -> np.ndarray:
    """Which of the chosen images every other seed of the run gets wrong too, or was not asked about: bool (N,)."""
    others = of_other_seeds(chosen.folder, chosen.record, chosen.predictions).values()
    missed = [errors.answers(other, chosen.indices) != chosen.true for other in others]
    return np.all([np.ones(len(chosen.rows), dtype=bool), *missed], axis=0)


def _misfit(logits: np.ndarray, labels: np.ndarray, classes: tuple[int, ...]) -> str:
    """In a few words why logits (N, C) and labels (N,) are not those of some images; empty where they are."""
    if logits.dtype != np.float32 or logits.ndim != 2 or not len(logits) or logits.shape[1:] != classes:
        return f"its logits are {logits.dtype} {logits.shape}"
    if labels.dtype != np.int64 or labels.shape != logits.shape[:1]:
        return f"its labels are {labels.dtype} {labels.shape} for {len(logits)} images"
    if labels.min() < 0 or labels.max() >= classes[0] or not np.isfinite(logits).all():
        return f"a label is none of {classes[0]} classes, or a logit is not finite"
    return ""


def titles(predictions: errors.Predictions, rows: np.ndarray, classes: Sequence[str]) -> list[str]:
    """What `formatting.error_title` says of each of the `rows`, int64 (N,)."""
    words = zip(
        predictions.indices[rows],
        (classes[c] for c in predictions.predicted[rows]),
        predictions.confidence[rows],
        (classes[c] for c in predictions.labels[rows]),
        predictions.probabilities[rows, predictions.labels[rows]],
        strict=True,
    )
    return [error_title(*row) for row in words]


def images_at(cases: Cases, params: WithImages, rows: np.ndarray) -> np.ndarray:
    """The test images uint8 (N, 3, 32, 32) of other rows of the predictions, int64 (N,)."""
    indices = cases.predictions.indices[rows]
    if not len(indices):
        return np.empty((0, 3, 32, 32), np.uint8)
    return datasets.test_images(cases.dataset, params.images.data_root, indices).numpy()


def calibrated(folder: run_folder.RunFolder, predictions: errors.Predictions) -> tuple[np.ndarray, list[float], str]:
    """(probabilities float64 (N, C) with a temperature, the temperatures, in words what they were fitted on).

    Fitted on the validation images where the run held some out; else each half of the test images gets the temperature
    of the other half, for the network has seen every training image.
    """
    arrays = io.read_arrays(folder.need("predictions.npz", "training"))
    if "val_logits" in arrays:
        if fault := _misfit(arrays["val_logits"], arrays["val_labels"], predictions.logits.shape[1:]):
            raise io.unreadable(folder / "predictions.npz", f"of the validation images {fault}")
        temperature = calibration.fit_temperature(arrays["val_logits"], arrays["val_labels"])
        return errors.softmax(predictions.logits / temperature), [temperature], "fitted on the validation images"
    probabilities, temperatures = calibration.cross_fitted(predictions.logits, predictions.labels)
    return probabilities, temperatures, "for each half of the test images fitted on the other half"


def test_features(folder: run_folder.RunFolder) -> np.ndarray:
    """Reduced features of the test images, float16 (N, D), row for row with the predictions."""
    return _features(folder, "test", len(predictions_of(folder).labels))


def _features(folder: run_folder.RunFolder, part: str, count: int) -> np.ndarray:
    """Reduced features of "train" or "test", float16 (count, D); raises `ReportError` for any other array."""
    path = folder.need("features.npz", "training")
    arrays = io.read_arrays(path)
    found, other = arrays[part], arrays["train" if part == "test" else "test"]
    if found.dtype != np.float16 or found.ndim != 2 or len(found) != count or not found.shape[1]:
        raise io.unreadable(path, f"{part} is {found.dtype} {found.shape}, not the features of {count} images")
    if other.shape[1:] != found.shape[1:]:
        raise io.unreadable(path, f"training and test images have features {found.shape} and {other.shape}")
    if not np.isfinite(found).all():
        raise io.unreadable(path, f"{part} holds numbers that are not finite")
    return found


def training_images(
    folder: run_folder.RunFolder, record: RunRecord, data_root: str
) -> tuple[datasets.Split, np.ndarray]:
    """The images that a run was trained on, and their features float16 (N, D), row for row.

    Raises `ReportError` when the run holds no features or the data set cannot be had.
    """
    fields = ("dataset", "train_size", "test_size", "val_size", "seed")
    asked = config.DataConfig(data_root=data_root, **{name: getattr(record.parameters, name) for name in fields})
    train = datasets.load(asked, datasets.CHOOSE_RUN).train
    return train, _features(folder, "train", len(train))


def choose(params: ErrorAnalysisParams | GradCamParams) -> Cases:
    """The images that `params.selection` asks for, from the run folder of `params.run`.

    Raises `ReportError` when the run has no finished training, made no error, or does not hold an index asked for.
    """
    folder, record, predictions = _finished(params)
    rows = errors.choose(predictions, **params.selection.model_dump())
    return _shown(params, folder, record, predictions, rows)


def of_rows(params: WithImages, rows: Callable[[errors.Predictions], np.ndarray]) -> Cases:
    """The images whose rows, int64 (N,), are picked from the predictions by `rows`; raises as `choose` does."""
    folder, record, predictions = _finished(params)
    return _shown(params, folder, record, predictions, rows(predictions))


def _finished(params: WithImages) -> tuple[run_folder.RunFolder, RunRecord, errors.Predictions]:
    folder = run_folder.RunFolder(params.run.run_dir)
    record = io.read_record(folder.need(RunRecord.FILE, "training"), RunRecord)
    predictions, dataset = predictions_of(folder), record.parameters.dataset
    if record.result.classes != list(datasets.CLASSES[dataset]):
        raise io.unreadable(folder / "run.json", f"its classes are not those of {dataset}")
    if predictions.logits.shape[1] != len(datasets.CLASSES[dataset]):
        raise io.unreadable(folder / "predictions.npz", f"it has {predictions.logits.shape[1]} classes")
    return folder, record, predictions


def _shown(
    params: WithImages,
    folder: run_folder.RunFolder,
    record: RunRecord,
    predictions: errors.Predictions,
    rows: np.ndarray,
) -> Cases:
    name, root = record.parameters.dataset, params.images.data_root
    images = datasets.test_images(name, root, predictions.indices[rows])
    return Cases(folder, record, predictions, rows, images.numpy(), record.result.classes)

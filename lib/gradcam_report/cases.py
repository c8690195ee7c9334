"""The images that the error chapters show: which ones, what they are, and what the model made of them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from . import data, errors, run


@dataclass(frozen=True)
class Cases:
    """N chosen test images of a run: `images` uint8 (N, 3, 32, 32); `rows` int64 (N,), their rows in `predictions`."""

    folder: run.RunFolder
    record: run.Record
    predictions: errors.Predictions
    rows: np.ndarray
    images: np.ndarray
    classes: list[str]

    @property
    def dataset(self) -> str:
        """Name of the data set that the run was trained on."""
        return self.record["parameters"]["dataset"]

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

    def names(self, classes: np.ndarray) -> list[str]:
        """Class names of int64 (N,)."""
        return [self.classes[c] for c in classes]

    def probability(self, classes: np.ndarray) -> np.ndarray:
        """The model's probability for one class of each image: int64 (N,) -> float64 (N,)."""
        return self.predictions.probabilities[self.rows, classes]


def predictions_of(folder: run.RunFolder) -> errors.Predictions:
    """The test-set predictions of a run; raises `ReportError` when there are none or they are damaged."""
    path = folder.need("predictions.npz", "training")
    arrays = run.read_arrays(path)
    missing = [name for name in ("logits", "labels", "indices") if name not in arrays]
    if missing:
        raise run.unreadable(path, f"{' and '.join(missing)} missing")
    return errors.Predictions(arrays["logits"], arrays["labels"], arrays["indices"])


def choose(params: Mapping[str, Any]) -> Cases:
    """The images that `params["selection"]` asks for, from the run folder of `params["run"]`.

    Raises `ReportError` when the run has no finished training, made no error, or does not hold an index asked for.
    """
    folder = run.RunFolder(params["run"].run_dir)
    folder.need("run.json", "training")
    record = folder.record("run")
    assert record is not None
    predictions = predictions_of(folder)
    rows = errors.choose(predictions, **asdict(params["selection"]))
    images = data.test_images(record["parameters"]["dataset"], params["images"].data_root, predictions.indices[rows])
    return Cases(folder, record, predictions, rows, images.numpy(), record["result"]["classes"])

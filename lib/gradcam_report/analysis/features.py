"""How near images are to one another in the network's features, the 512 numbers before its linear layer.

A run keeps its features reduced to 32 principal components in half precision, see `training.results.reduced`.
"""

import numpy as np
from numpy.typing import NDArray

from ..config import DataConfig
from ..data import datasets
from ..runs import io
from ..runs.folder import RunFolder
from ..runs.io import unreadable
from ..runs.records import RunRecord
from .predictions import Floats, Ints

Reduced = NDArray[np.float16]

NEIGHBOURS = 5  # nearest training images that the report shows of an image


def load_test(folder: RunFolder) -> Reduced:
    """Read the reduced features of a run's test images, float16 (N, D), row for row with its predictions.

    Raises `ReportError` where there are none or the file is damaged.
    """
    return _load(folder, "test")


def load_train(folder: RunFolder, record: RunRecord, data_root: str = "") -> tuple[datasets.Split, Reduced]:
    """Return the images that a run was trained on, and their reduced features, float16 (N, D), row for row.

    Raises `ReportError` where the run holds no features or the data set cannot be had.
    """
    fields = ("dataset", "train_size", "test_size", "val_size", "seed")
    config = DataConfig(data_root=data_root, **record.parameters.model_dump(include=set(fields)))
    features, train = _load(folder, "train"), datasets.load(config, datasets.CHOOSE_RUN).train
    if len(features) != len(train):
        raise unreadable(folder / "features.npz", f"features of {len(features)} images, not of {len(train)}")
    return train, features


def _load(folder: RunFolder, part: str) -> Reduced:
    features = io.read_arrays(path := folder.need("features.npz", "training"))[part]
    if features.ndim != 2 or not np.isfinite(features).all():
        raise unreadable(path, f"{part} is {features.dtype} {features.shape}, or holds numbers that are not finite")
    return features


def nearest(queries: NDArray[np.floating], among: NDArray[np.floating], k: int) -> tuple[Ints, Floats]:
    """Find for each of `queries`, float (Q, D), the `k` nearest rows of `among`, float (N, D), by Euclidean distance.

    Returns rows, int64 (Q, k), nearest first, and their distances, float64 (Q, k).
    """
    a, b = np.asarray(queries, np.float64), np.asarray(among, np.float64)
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    order = np.argsort(squared, axis=1, kind="stable")[:, :k]
    return order, np.sqrt(np.maximum(np.take_along_axis(squared, order, axis=1), 0))


def neighbours(folder: RunFolder, record: RunRecord, rows: Ints, data_root: str = "") -> tuple[NDArray[np.uint8], Ints]:
    """Find the `NEIGHBOURS` nearest training images of a run's test images at `rows`, int64 (N,), nearest first.

    Returns the images, uint8 (N, K, 3, 32, 32), and their labels, int64 (N, K). Raises `ReportError` as `load_train`
    does.
    """
    train, known = load_train(folder, record, data_root)
    near, _ = nearest(load_test(folder)[rows], known, NEIGHBOURS)
    return train.images.numpy()[near], train.labels.numpy()[near]


def neighbour_disagreement(features: NDArray[np.floating], labels: Ints, k: int = 10) -> Floats:
    """Return the share, float64 (N,), of each image's `k` nearest others that are of another class.

    `features` are float (N, D) with more than `k` rows, `labels` int64 (N,).
    """
    rows, _ = nearest(features, features, k + 1)
    others = np.array([near[near != row][:k] for row, near in enumerate(rows)])  # without itself
    return np.mean(labels[others] != labels[:, None], axis=1)


def project(features: NDArray[np.floating], method: str) -> Floats:
    """Project features, float (N, D), to points of a plane, float64 (N, 2).

    "pca" takes the two directions of most variance: distances mean something. "tsne" (van der Maaten & Hinton 2008)
    keeps neighbours together: sizes of clusters and gaps between them mean nothing.
    """
    from sklearn.decomposition import PCA  # here: importing it takes seconds
    from sklearn.manifold import TSNE

    points = np.asarray(features, np.float32)
    if method == "pca":
        return PCA(2).fit_transform(points).astype(np.float64)
    perplexity = min(30.0, (len(points) - 1) / 3)
    return TSNE(2, perplexity=perplexity, init="pca", random_state=0).fit_transform(points).astype(np.float64)

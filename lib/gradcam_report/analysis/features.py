"""How near images are to one another in the network's eyes: the features before its linear layer.

A run keeps them reduced to `DIMENSIONS` principal components in half precision, a few megabytes for all of CIFAR-10.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from .predictions import Floats, Ints


def nearest(queries: NDArray[np.floating], among: NDArray[np.floating], k: int) -> tuple[Ints, Floats]:
    """For each of `queries`, float (Q, D), the `k` nearest rows of `among`, float (N, D), by Euclidean distance.

    Returns rows, int64 (Q, k), nearest first, and their distances, float64 (Q, k).
    """
    a, b = np.asarray(queries, np.float64), np.asarray(among, np.float64)
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    order = np.argsort(squared, axis=1, kind="stable")[:, :k]
    return order, np.sqrt(np.maximum(np.take_along_axis(squared, order, axis=1), 0))


def strangers(features: NDArray[np.floating], labels: Ints, k: int = 10) -> Floats:
    """The share, float64 (N,), of each image's `k` nearest others that are of another class.

    `features` are float (N, D) with more than `k` rows, `labels` int64 (N,).
    """
    rows, _ = nearest(features, features, k + 1)
    others = np.array([near[near != row][:k] for row, near in enumerate(rows)])  # without itself
    return np.mean(labels[others] != labels[:, None], axis=1)


def in_the_plane(features: NDArray[np.floating], method: str, seed: int = 0) -> Floats:
    """Features, float (N, D), as points of a plane, float64 (N, 2).

    "pca" takes the two directions of most variance, and distances mean something; "tsne" (van der Maaten & Hinton 2008)
    keeps neighbours together and tears everything else apart: sizes of clumps and gaps between them mean nothing.
    """
    points = np.asarray(features, np.float32)
    if method == "pca":
        return PCA(2).fit_transform(points).astype(np.float64)
    perplexity = min(30.0, (len(points) - 1) / 3)
    return TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(points).astype(np.float64)

"""Whether confidence can be taken at its word: reliability, calibration error, temperature, selective prediction.

numpy and scipy only, as `errors`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from .predictions import Floats, Ints, softmax

BINS = 15  # as in Guo et al. 2017


@dataclass(frozen=True, eq=False)
class Reliability:
    """Answers in bins of equal width by confidence; every array is float64 (bins,), but `count` int64 (bins,).

    `confidence` and `accuracy` are means within a bin, 0-1, and nan where it is empty.
    """

    edges: Floats  # (bins + 1,), 0 to 1
    confidence: Floats
    accuracy: Floats
    count: Ints

    @property
    def error(self) -> float:
        """Expected calibration error, 0-1: the mean gap between confidence and accuracy, weighted by the bins' counts.

        Naeini et al. 2015; Guo et al. 2017, https://arxiv.org/abs/1706.04599, equation 3.
        """
        gaps = np.abs(self.confidence - self.accuracy)
        return float(np.nansum(gaps * self.count) / max(1, self.count.sum()))


def reliability(confidence: Floats, correct: NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """Sort answers by `confidence`, float (N,), 0-1, into `bins` of equal width; `correct` is bool (N,).

    A bin holds what is above its lower edge and up to its upper one; 0 falls into the first.
    """
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.digitize(confidence, edges[1:-1], right=True), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(place, weights=values, minlength=bins) / count for values in (confidence, correct)]
    return Reliability(edges, means[0], means[1], count)


def cross_entropy(logits: NDArray[np.floating], labels: Ints) -> float:
    """Mean negative log-likelihood in nats of logits (N, C) against int64 (N,)."""
    precise = logits.astype(np.float64)
    return float(np.mean(logsumexp(precise, axis=1) - precise[np.arange(len(labels)), labels]))


def fit_temperature(logits: NDArray[np.floating], labels: Ints) -> float:
    """The temperature T > 0 whose softmax(logits / T) has the least cross-entropy on logits (N, C), labels int64 (N,).

    Guo et al. 2017, section 4.2. Above 1 the network was too sure, below 1 not sure enough; the answers stay the same.
    The search covers 1/20 to 20, and is over log T, in which the loss has one minimum.
    """
    found = minimize_scalar(
        lambda log_t: cross_entropy(logits / np.exp(log_t), labels),
        bounds=(-np.log(20), np.log(20)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def cross_fitted(logits: NDArray[np.floating], labels: Ints, seed: int = 0) -> tuple[Floats, list[float]]:
    """Calibrated probabilities, float64 (N, C), where no image was calibrated by a temperature that had seen it.

    For a network that was trained on everything there is no other data to fit a temperature on: each random half of the
    images, drawn by `seed`, gets the temperature fitted on the other half. Returns the two temperatures as well.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    halves = [order[: len(order) // 2], order[len(order) // 2 :]]
    probabilities = np.empty(logits.shape, dtype=np.float64)
    temperatures = []
    for here, other in (halves, halves[::-1]):
        temperatures.append(fit_temperature(logits[other], labels[other]))
        probabilities[here] = softmax(logits[here] / temperatures[-1])
    return probabilities, temperatures


def selective(confidence: Floats, correct: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Accuracy if only the surest answers are given: `coverage` and `accuracy`, float64 (N,), 0-1.

    Row k is for the k + 1 answers of highest confidence, of `confidence` float (N,) and `correct` bool (N,); ties in
    the order given. (Geifman & El-Yaniv 2017, https://arxiv.org/abs/1705.08500)
    """
    order = np.argsort(-confidence, kind="stable")
    given = np.arange(1, len(order) + 1)
    return given / len(order), np.cumsum(correct[order]) / given

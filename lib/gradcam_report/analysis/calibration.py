"""Whether confidence can be taken at its word: reliability, calibration error, temperature, selective prediction."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from ..runs.folder import RunFolder
from .predictions import Bools, Floats, Ints, Predictions, load_validation, softmax

BINS = 15  # as in Guo et al. 2017


@dataclass(frozen=True, eq=False)
class Reliability:
    """Answers in bins of equal width by confidence."""

    edges: Floats
    """float64 (bins + 1,), 0 to 1."""
    confidence: Floats
    """float64 (bins,): mean confidence within a bin, 0-1; nan where it is empty."""
    accuracy: Floats
    """float64 (bins,): accuracy within a bin, 0-1; nan where it is empty."""
    count: Ints
    """int64 (bins,): answers."""

    @property
    def error(self) -> float:
        """Expected calibration error, 0-1: the mean gap between confidence and accuracy, weighted by the bins' counts.

        sum over bins b of |b| / N * |accuracy(b) - confidence(b)|: Naeini et al. 2015; equation 3 of Guo et al. 2017,
        https://arxiv.org/abs/1706.04599.
        """
        gaps = np.abs(self.confidence - self.accuracy)
        return float(np.nansum(gaps * self.count) / max(1, self.count.sum()))


def reliability(confidence: Floats, correct: Bools, bins: int = BINS) -> Reliability:
    """Sort answers by `confidence`, float (N,), 0-1, into `bins` of equal width; `correct` is bool (N,).

    A bin holds what is above its lower edge and up to its upper one; 0 falls into the first.
    """
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.digitize(confidence, edges[1:-1], right=True), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(place, weights=values, minlength=bins) / count for values in (confidence, correct)]
    return Reliability(edges, means[0], means[1], count)


def compare_confidence(confidence: Floats, correct: Bools) -> Literal["under-confident", "over-confident", "neither"]:
    """Compare the mean `confidence`, float (N,), 0-1, with the accuracy; `correct` is bool (N,).

    "neither" where the two are at most one point apart.
    """
    gap = float(confidence.mean()) - float(correct.mean())
    return "neither" if abs(gap) <= 0.01 else "over-confident" if gap > 0 else "under-confident"


def cross_entropy(logits: NDArray[np.floating], labels: Ints) -> float:
    """Mean negative log-likelihood, in nats, of logits (N, C) against labels, int64 (N,)."""
    precise = logits.astype(np.float64)
    return float(np.mean(logsumexp(precise, axis=1) - precise[np.arange(len(labels)), labels]))


def fit_temperature(logits: NDArray[np.floating], labels: Ints) -> float:
    """Find the temperature T whose softmax(logits / T) has the least cross-entropy on logits (N, C), labels int64 (N,).

    Guo et al. 2017, section 4.2. Above 1 the network was too sure, below 1 not sure enough; the answers stay the same.
    The search covers 1/20 to 20, over log T, in which the loss has one minimum.
    """
    result = minimize_scalar(
        lambda log_t: cross_entropy(logits / np.exp(log_t), labels),
        bounds=(-np.log(20), np.log(20)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(result.x))


@dataclass(frozen=True, eq=False)
class Calibrated:
    """Predictions calibrated by temperatures."""

    probabilities: Floats
    """float64 (N, C)."""
    temperatures: list[float]
    """One, fitted on validation images, or one for each half of the test images, fitted on the other half."""


def calibrate(folder: RunFolder, predictions: Predictions) -> Calibrated:
    """Calibrate a run's `predictions` by a temperature fitted on its validation images.

    A run that held none out has no other data to fit on: `cross_fit` calibrates it. Raises `ReportError` where the
    run's files are damaged.
    """
    validation = load_validation(folder)
    if validation is None:
        return cross_fit(predictions.logits, predictions.labels)
    temperature = fit_temperature(validation.logits, validation.labels)
    return Calibrated(softmax(predictions.logits / temperature), [temperature])


def cross_fit(logits: NDArray[np.floating], labels: Ints) -> Calibrated:
    """Calibrate each random half of the images, always the same, by the temperature fitted on the other half.

    So no image, of logits (N, C) and labels int64 (N,), gets a temperature that has seen it.
    """
    order = np.random.default_rng(0).permutation(len(labels))
    halves = [order[: len(order) // 2], order[len(order) // 2 :]]
    probabilities = np.empty(logits.shape, dtype=np.float64)
    temperatures = []
    for here, other in (halves, halves[::-1]):
        temperatures.append(fit_temperature(logits[other], labels[other]))
        probabilities[here] = softmax(logits[here] / temperatures[-1])
    return Calibrated(probabilities, temperatures)


def selective_accuracy(confidence: Floats, correct: Bools) -> tuple[Floats, Floats]:
    """Return the accuracy where only the most confident answers are given: `coverage`, `accuracy`, float64 (N,), 0-1.

    Row k is for the k + 1 answers of highest confidence, of `confidence` float (N,) and `correct` bool (N,); ties in
    the order given. Geifman & El-Yaniv 2017, https://arxiv.org/abs/1705.08500.
    """
    order = np.argsort(-confidence, kind="stable")
    given = np.arange(1, len(order) + 1)
    return given / len(order), np.cumsum(correct[order]) / given

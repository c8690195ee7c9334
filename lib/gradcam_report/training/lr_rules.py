"""Rules that read a rate off the curve of a learning-rate range test: pure functions of its rates and losses.

Rates are per step, for the batch size of the test. Training takes `divergence_onset` where no rate is given.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import ReportError

FloatArray = NDArray[np.float64]
ONSET_FACTOR = 1.1  # the smoothed loss has turned when it exceeds its minimum by a tenth


@dataclass
class MovingAverage:
    """Debiased exponential moving average, as in Adam (Kingma & Ba 2014)."""

    decay: float
    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> float:
        """The average with one more value."""
        self.total = self.decay * self.total + (1 - self.decay) * value
        self.count += 1
        return self.total / (1 - self.decay**self.count)


def smooth(losses: FloatArray, smoothing: float = 0.9) -> FloatArray:
    """The `MovingAverage` after each loss, float (K,); nan after a nan or inf."""
    average, out = MovingAverage(smoothing), np.full(len(losses), np.nan)
    for i, loss in enumerate(losses):
        if not math.isfinite(loss):
            break
        out[i] = average.add(float(loss))
    return out


def spike(smoothed: FloatArray) -> int:
    """Index of the first smoothed loss, float (K,), that exceeds the minimum before it by a tenth; K where none does.

    The first tenth of the curve is not looked at, for an average of few losses is noise; but a loss that is not finite
    counts as exceeding wherever it is.
    """
    after_first_tenth = np.arange(len(smoothed)) >= len(smoothed) // 10
    lowest = np.fmin.accumulate(np.where(after_first_tenth, smoothed, np.inf))
    turned = np.flatnonzero((smoothed > ONSET_FACTOR * lowest) | ~np.isfinite(smoothed))
    return int(turned[0]) if len(turned) else len(smoothed)


def _falling(lrs: FloatArray, losses: FloatArray, smoothing: float) -> tuple[FloatArray, FloatArray]:
    """Rates and smoothed losses from the start to the minimum before the spike: BatchNorm networks recover after it."""
    smoothed = smooth(np.asarray(losses, dtype=np.float64), smoothing)
    stop = spike(smoothed)
    if stop < 3:
        raise ReportError(f"The loss turned after {stop} steps; lower start_lr or take more iterations.")
    start = min(len(smoothed) // 10, stop - 1)
    lowest = start + int(np.argmin(smoothed[start:stop])) + 1
    return np.asarray(lrs)[:lowest], smoothed[:lowest]


def divergence_onset(lrs: FloatArray, losses: FloatArray, smoothing: float = 0.9) -> float:
    """The first rate at which the smoothed loss exceeds its minimum so far by a tenth (`spike`).

    Smith's upper bound (https://arxiv.org/abs/1506.01186, section 3.3): where the loss stops falling and turns. A loss
    that is not finite counts as exceeding. Raises `ReportError` when the loss never turns.
    """
    at = spike(smooth(np.asarray(losses, dtype=np.float64), smoothing))
    if at == len(lrs):
        raise ReportError(f"The loss never turned up to a rate of {lrs[-1]:.3g}; raise end_lr or iterations.")
    return float(lrs[at])


def steepest(lrs: FloatArray, losses: FloatArray, smoothing: float = 0.9) -> float:
    """The rate before the minimum at which the smoothed loss falls fastest per log(rate), without the first tenth."""
    rates, smoothed = _falling(lrs, losses, smoothing)
    if len(rates) < 3:
        raise ReportError(f"The loss fell for {len(rates)} steps only; lower start_lr.")
    slopes = np.gradient(smoothed, np.log(rates))
    skip = min(len(lrs) // 10, len(rates) - 2)  # early noise fools the slope
    return float(rates[skip + int(np.argmin(slopes[skip:]))])


def valley(lrs: FloatArray, losses: FloatArray, smoothing: float = 0.9) -> float:
    """The middle of the longest descent of the smoothed loss before its spike: fastai's default rule.

    Raises `ReportError` when the loss turns within the first 3 steps.
    """
    rates, smoothed = _falling(lrs, losses, smoothing)
    return float(rates[middle_of_descent(smoothed)])


def middle_of_descent(values: FloatArray) -> int:
    """Index half-way through the longest decreasing subsequence of float (K,), counted as in fastai's `valley`."""
    length = np.ones(len(values), dtype=np.int64)
    for i in range(1, len(values)):
        length[i] += length[:i][values[:i] > values[i]].max(initial=0)
    end = int(np.argmax(length))
    third = int(length[end]) / 3
    return max(end - int(length[end]) + int(third) + int(third / 2), 0)


def minimum_over_ten(lrs: FloatArray, losses: FloatArray, smoothing: float = 0.9) -> float:
    """A tenth of the rate at which the smoothed loss is lowest, an old rule of thumb."""
    return float(_falling(lrs, losses, smoothing)[0][-1]) / 10


RULES = {
    "divergence onset": divergence_onset, "steepest": steepest, "valley": valley, "minimum / 10": minimum_over_ten,
}  # fmt: skip


def suggestions(lrs: FloatArray, losses: FloatArray, smoothing: float = 0.9) -> dict[str, float | None]:
    """Every rule's rate by name; None where a rule finds nothing on this curve."""
    rates: dict[str, float | None] = {}
    for name, rule in RULES.items():
        try:
            rates[name] = rule(lrs, losses, smoothing)
        except ReportError:
            rates[name] = None
    return rates

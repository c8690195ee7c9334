"""The rules on recorded and hand-made curves, against pandas, torch-lr-finder and fastai's rule."""

import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch_lr_finder import LRFinder

from gradcam_report.config import ReportError
from gradcam_report.training import lr_rules
from gradcam_report.training.lr_rules import FloatArray


@pytest.fixture(scope="module")
def recorded() -> tuple[FloatArray, FloatArray]:
    """A test of ResNet-18 on CIFAR-10, 1e-4 to 10 in 400 steps: it spikes at 0.04, recovers, and diverges at 7."""
    table = np.loadtxt(Path(__file__).parent / "recorded" / "range_test.csv", delimiter=",", skiprows=1)
    return table[:, 0], table[:, 1]


def geometric(count: int, start: float = 1e-4, end: float = 10.0) -> FloatArray:
    return np.geomspace(start, end, count)


def descent(count: int = 400) -> tuple[FloatArray, FloatArray]:
    """Smooth: steepest at 0.002, lowest before 0.1, and then rising without end."""
    lrs = geometric(count)
    x = np.log10(lrs)
    return lrs, 2.3 - 0.8 / (1 + np.exp(-4 * (x - math.log10(0.002)))) + np.exp(6 * (x - math.log10(0.3)))


def averaged(losses: FloatArray, smoothing: float) -> FloatArray:
    """Pandas' adjusted average divides by the sum of the weights, which is Adam's correction of the bias."""
    return pd.Series(losses).ewm(alpha=1 - smoothing, adjust=True).mean().to_numpy()


# --- smoothing


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60),
    st.floats(0, 0.999),
)
def test_smooth_is_the_debiased_average(losses: list[float], smoothing: float):
    np.testing.assert_allclose(
        lr_rules.smooth(np.array(losses), smoothing), averaged(losses, smoothing), rtol=1e-9, atol=1e-9
    )


# --- divergence onset


def first_turn(losses: FloatArray, smoothing: float) -> int:
    """The onset by pandas: the first smoothed loss past the first tenth that exceeds the minimum there by a tenth."""
    later = pd.Series(averaged(losses, smoothing))[len(losses) // 10 :]
    return int((later > 1.1 * later.cummin()).idxmax())


def test_onset_of_the_recorded_curve(recorded: tuple[FloatArray, FloatArray]):
    lrs, losses = recorded
    assert lr_rules.divergence_onset(lrs, losses) == lrs[first_turn(losses, 0.9)]
    assert lr_rules.divergence_onset(lrs, losses) == pytest.approx(0.0371, rel=0.01)


def test_onset_is_at_the_spike_not_after_the_recovery():
    lrs = geometric(200)
    losses = np.concatenate([np.linspace(2.3, 1.5, 100), np.full(10, 3.0), np.linspace(2.0, 0.5, 90)])
    assert lr_rules.divergence_onset(lrs, losses, smoothing=0) == lrs[100]
    assert lrs[100] <= lr_rules.divergence_onset(lrs, losses) <= lrs[103]
    assert lr_rules.minimum_over_ten(lrs, losses, smoothing=0) == pytest.approx(lrs[99] / 10)
    assert lr_rules.steepest(lrs, losses) < lrs[100]
    assert lr_rules.valley(lrs, losses) < lrs[100]


def test_a_curve_that_never_turns():
    lrs, losses = geometric(100), np.linspace(2.3, 1.0, 100)
    with pytest.raises(ReportError, match=r"up to a rate of 10;"):
        lr_rules.divergence_onset(lrs, losses)
    found = lr_rules.suggestions(lrs, losses)
    assert found["divergence onset"] is None
    assert found["minimum / 10"] == pytest.approx(1.0)
    assert all(found[name] is not None for name in ("steepest", "valley"))


@pytest.mark.parametrize("at", [4, 60])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_turns_the_curve(at: int, bad: float):
    """Also in the first tenth, where noise is forgiven; the other rules look to its left."""
    lrs, losses = geometric(100), np.linspace(2.3, 1.0, 100)
    losses[at] = bad
    assert lr_rules.divergence_onset(lrs, losses) == lrs[at]
    for name, rate in lr_rules.suggestions(lrs, losses).items():
        assert rate is not None and math.isfinite(rate) and rate <= lrs[at], name


# --- the other rules


def library_steepest(lrs: FloatArray, losses: FloatArray) -> float:
    """What torch-lr-finder suggests on this curve."""
    finder = LRFinder(nn.Linear(1, 1), torch.optim.SGD([torch.zeros(1)], lr=1.0), None)
    finder.history = {"lr": list(lrs), "loss": list(losses)}
    figure, axes = plt.subplots()
    try:
        return float(finder.plot(skip_start=len(lrs) // 10, skip_end=0, suggest_lr=True, ax=axes)[1])
    finally:
        plt.close(figure)


@pytest.mark.parametrize("smoothing", [0.0, 0.5])
def test_steepest_agrees_with_torch_lr_finder(smoothing: float):
    """Rates in geometric progression: the slope per step, which that library takes, is the slope per log(rate)."""
    lrs, losses = descent()
    assert lr_rules.steepest(lrs, losses, smoothing) == library_steepest(lrs, averaged(losses, smoothing))
    assert lr_rules.steepest(lrs, losses, 0) == pytest.approx(0.002, rel=0.05)


def test_steepest_is_not_fooled_by_early_noise():
    lrs, losses = descent()
    losses[:5] += [3.0, 1.0, 0.0, -1.0, 2.0]
    assert lr_rules.steepest(lrs, losses) == lr_rules.steepest(*descent())
    assert library_steepest(lrs[:300], averaged(losses, 0.9)[:300]) == lr_rules.steepest(lrs, losses)


def valley_of_fastai(values: list[float]) -> int:
    """The double loop of https://docs.fast.ai/callback.schedule.html#valley; a start of -1 would wrap round, so 0."""
    lengths, first, last = [1] * len(values), 0, 0
    for i in range(1, len(values)):
        for j in range(i):
            if values[i] < values[j] and lengths[i] < lengths[j] + 1:
                lengths[i] = lengths[j] + 1
            if lengths[last] < lengths[i]:
                last, first = i, i - lengths[i]
    sections = (last - first) / 3
    return max(first + int(sections) + int(sections / 2), 0)


@given(st.lists(st.floats(0, 5) | st.integers(0, 5).map(float), min_size=1, max_size=40))
def test_middle_of_descent_is_counted_as_fastai_counts(values: list[float]):
    assert lr_rules.middle_of_descent(np.array(values)) == valley_of_fastai(values)


def test_valley_of_the_recorded_curve_looks_left_of_the_spike(recorded: tuple[FloatArray, FloatArray]):
    lrs, losses = recorded
    smoothed = averaged(losses, 0.9)
    start, spike = len(lrs) // 10, first_turn(losses, 0.9)
    lowest = start + int(np.argmin(smoothed[start:spike]))
    assert lr_rules.valley(lrs, losses) == lrs[valley_of_fastai(list(smoothed[: lowest + 1]))]
    assert lr_rules.minimum_over_ten(lrs, losses) == pytest.approx(lrs[lowest] / 10)


@given(st.lists(st.floats(0.01, 10) | st.just(math.nan), min_size=1, max_size=50), st.floats(0, 0.99))
def test_rules_find_a_rate_of_the_curve_or_say_why_not(losses: list[float], smoothing: float):
    lrs, curve = geometric(len(losses)), np.array(losses)
    found = lr_rules.suggestions(lrs, curve, smoothing)
    for name, rate in found.items():
        if rate is None:
            with pytest.raises(ReportError):
                lr_rules.RULES[name](lrs, curve, smoothing)
        else:
            assert np.isclose(lrs, rate * 10 if name == "minimum / 10" else rate, rtol=1e-9).any()

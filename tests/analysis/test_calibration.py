"""Calibration against torchmetrics and scikit-learn, and in cases whose answer is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from gradcam_report.analysis import calibration, predictions
from gradcam_report.runs import io
from gradcam_report.runs.folder import RunFolder


def answers(seed: int, count: int = 400, scale: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits float32 (N, 5) and labels that often agree with them."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(count, 5)).astype(np.float32) * scale
    labels = np.where(random.random(count) < 0.6, logits.argmax(1), random.integers(5, size=count))
    return logits, labels


@given(st.integers(0, 1000), st.sampled_from([5, 10, 15]), st.floats(0.2, 6))
def test_the_calibration_error_is_that_of_torchmetrics(seed: int, bins: int, scale: float):
    logits, labels = answers(seed, scale=scale)
    chances = softmax(logits.astype(np.float64), axis=1)
    found = calibration.reliability(chances.max(1), chances.argmax(1) == labels, bins).error
    theirs = multiclass_calibration_error(torch.from_numpy(chances), torch.from_numpy(labels), 5, n_bins=bins)
    assert found == pytest.approx(theirs.item(), abs=1e-6)


def test_calibration_errors_and_bins_that_are_known():
    confidence = np.repeat([0.25, 0.5, 0.75, 1.0], 100)
    correct = np.concatenate([np.arange(100) < share for share in (25, 50, 75, 100)])
    found = calibration.reliability(confidence, correct, bins=4)
    assert found.error == pytest.approx(0, abs=1e-12) and found.count.tolist() == [100] * 4
    np.testing.assert_allclose(found.accuracy, [0.25, 0.5, 0.75, 1.0])
    sure = calibration.reliability(np.ones(10), np.arange(10) < 5)  # always sure, right half the time
    assert sure.error == pytest.approx(0.5) and sure.count[-1] == 10 and np.isnan(sure.accuracy[:-1]).all()
    edges = calibration.reliability(np.array([0.0, 0.25, 0.26, 1.0]), np.ones(4, dtype=bool), bins=4)
    assert edges.count.tolist() == [2, 1, 0, 1], "bins hold their upper edge, the first one also 0"


@given(st.integers(0, 1000))
def test_cross_entropy_is_scikit_learns(seed: int):
    logits, labels = answers(seed, count=20)
    expected = log_loss(labels, softmax(logits.astype(np.float64), axis=1), labels=range(5))
    assert calibration.cross_entropy(logits, labels) == pytest.approx(expected, rel=1e-9)


def drawn(temperature: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels drawn from softmax(logits / temperature): the network is right about its chances but for it."""
    random = np.random.default_rng(0)
    logits = random.normal(size=(count, 5)) * 3
    chances = softmax(logits / temperature, axis=1)
    return logits, (random.random((count, 1)) > chances.cumsum(1)).sum(1).clip(max=4)


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_the_temperature_that_made_the_labels_is_found_again(true: float):
    logits, labels = drawn(true, 20_000)
    assert calibration.fit_temperature(logits, labels) == pytest.approx(true, rel=0.05)


def test_cross_fitting_calibrates_no_image_by_a_temperature_that_saw_it():
    logits, labels = drawn(4.0, 2000)
    before = softmax(logits.astype(np.float64), axis=1)
    found = calibration.cross_fit(logits, labels)
    after, temperatures = found.probabilities, found.temperatures
    np.testing.assert_array_equal(after.argmax(1), logits.argmax(1))
    np.testing.assert_allclose(after.sum(1), 1)
    assert min(temperatures) > 1 and temperatures[0] != temperatures[1]
    gaps = [calibration.reliability(p.max(1), p.argmax(1) == labels).error for p in (before, after)]
    assert gaps[1] < 0.25 * gaps[0]
    # What an image gets must not depend on its own label.
    changed = labels.copy()
    changed[0] = (changed[0] + 1) % 5
    np.testing.assert_array_equal(calibration.cross_fit(logits, changed).probabilities[0], after[0])


def test_giving_only_the_surest_answers():
    confidence, correct = np.array([0.5, 0.9, 0.7, 0.9]), np.array([False, True, False, True])
    coverage, accuracy = calibration.selective_accuracy(confidence, correct)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    np.testing.assert_allclose(accuracy, [1, 1, 2 / 3, 0.5])


def test_a_temperature_is_fitted_on_validation_images_where_there_are_some(six_errors: Path) -> None:
    folder = RunFolder("runs/six")
    assert len(calibration.calibrate(folder, predictions.load(folder)).temperatures) == 2
    arrays = io.read_arrays(folder / "predictions.npz")
    val = {"val_logits": 5 * arrays["logits"][:20], "val_labels": arrays["labels"][:20]}
    io.write_arrays(folder / "predictions.npz", **arrays, **val)
    found = calibration.calibrate(folder, predictions.load(folder))
    assert found.temperatures == [calibration.fit_temperature(val["val_logits"], val["val_labels"])]
    np.testing.assert_allclose(found.probabilities, softmax(arrays["logits"] / found.temperatures[0], axis=1))


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [(0.5, "under-confident"), (0.745, "neither"), (0.758, "neither"), (0.9, "over-confident")],
)
def test_confidence_is_compared_with_accuracy_to_a_point(confidence: float, expected: str) -> None:
    correct = np.array([True, True, True, False])  # 75 %
    assert calibration.compare_confidence(np.full(4, confidence), correct) == expected

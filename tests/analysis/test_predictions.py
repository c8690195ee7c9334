"""Predictions, scores against scikit-learn and torchmetrics, and the errors that other trainings make too."""

from pathlib import Path

import numpy as np
import pytest
import torch
from answers_by_hand import CLASSES, another_seed, classes, predictions
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as sklearn_confusion
from sklearn.metrics import f1_score, precision_recall_fscore_support
from torchmetrics.functional.classification import multiclass_confusion_matrix, multiclass_f1_score

from gradcam_report.analysis import predictions as answers
from gradcam_report.analysis.predictions import Predictions, class_report, confusion_matrix, softmax, top_confusions
from gradcam_report.config import ReportError
from gradcam_report.runs import io
from gradcam_report.runs.folder import RunFolder
from gradcam_report.runs.records import RunRecord

pairs = st.lists(st.tuples(classes, classes), min_size=1, max_size=40).map(lambda rows: np.array(rows).T)


@given(pairs)
def test_scores_equal_scikit_learn_for_the_classes_that_have_images(rows):
    labels, predicted = rows
    ours = confusion_matrix(labels, predicted, CLASSES)
    assert ours.dtype == np.int64
    np.testing.assert_array_equal(ours, sklearn_confusion(labels, predicted, labels=range(CLASSES)))
    there = np.unique(labels)
    theirs = precision_recall_fscore_support(labels, predicted, labels=there, zero_division=0)
    report = class_report(ours)
    assert list(report) == ["precision", "recall", "f1", "support"]
    for score, expected in zip(report.values(), theirs, strict=True):
        np.testing.assert_allclose(score[there], expected, rtol=1e-12)
    macro = f1_score(labels, predicted, labels=there, average="macro", zero_division=0)
    assert np.nanmean(report["f1"]) == pytest.approx(macro)


def test_scores_equal_torchmetrics():
    labels, predicted = torch.randint(0, 10, (2, 500), generator=torch.Generator().manual_seed(0))
    ours = confusion_matrix(labels.numpy(), predicted.numpy(), 10)
    np.testing.assert_array_equal(ours, multiclass_confusion_matrix(predicted, labels, 10))
    f1 = multiclass_f1_score(predicted, labels, 10, average=None)
    np.testing.assert_allclose(class_report(ours)["f1"], f1, rtol=1e-6)


def test_a_class_without_images_is_left_out_of_ranks_and_means():
    report = class_report(np.array([[0, 0, 0], [0, 5, 1], [0, 0, 4]]))
    assert np.isnan([report[name][0] for name in ("precision", "recall", "f1")]).all() and report["support"][0] == 0
    assert np.nanmean(report["f1"]) == pytest.approx((10 / 11 + 8 / 9) / 2) == pytest.approx(0.899, abs=5e-4)
    assert np.nanargmin(report["f1"]) == 2


def test_confusions_by_hand():
    assert confusion_matrix(np.array([0, 0, 1]), np.array([1, 1, 1]), 2).tolist() == [[0, 2], [0, 1]]
    small = np.array([9], dtype=np.uint8)  # 9 * 30 would wrap in uint8
    assert confusion_matrix(small, small, 30)[9, 9] == 1
    with pytest.raises(ValueError, match="predicted must lie in 0 to 1"):
        confusion_matrix(np.array([0]), np.array([2]), 2)
    confusion = np.array([[50, 2, 7], [7, 60, 0], [1, 2, 70]])
    assert top_confusions(confusion, 3) == [(0, 2, 7), (1, 0, 7), (0, 1, 2)]
    assert len(top_confusions(confusion, 99)) == 5 and top_confusions(np.diag([4, 5]), 3) == []


def test_softmax_equals_torch_and_survives_large_logits():
    logits = np.random.default_rng(0).normal(scale=20, size=(50, 10)).astype(np.float32)
    expected = torch.softmax(torch.from_numpy(logits).double(), dim=1)
    np.testing.assert_allclose(softmax(logits), expected, rtol=1e-12)
    np.testing.assert_allclose(softmax(np.array([[1e30, 0.0], [-1e30, -1e30]])), [[1, 0], [0.5, 0.5]])


def test_prediction_properties():
    found = predictions([[2, 0], [0, 1], [3, 3]], [0, 0, 1], [30, 10, 20])
    assert found.predicted.tolist() == [0, 1, 0] and found.wrong.tolist() == [False, True, True]
    np.testing.assert_allclose(found.confidence, [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-1)), 0.5])
    asked = found.predicted_for(np.array([10, 20, 99, 30]))
    assert asked.dtype == np.int64 and asked.tolist() == [1, 0, -1, 0]
    assert answers.most_confident(found, np.array([2, 1, 0])).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("logits", "labels", "indices", "message"),
    [
        ([[0.0, 1.0]], [0, 1], [0, 1], r"shapes \(1, 2\), \(2,\), \(2,\)"),
        ([0.0, 1.0], [0, 1], [0, 1], "shapes"),
        (np.zeros((0, 2)), [], [], "shapes"),
        ([[0.0, 1.0]], [2], [0], "a label is none of 2 classes"),
        ([[0.0, 1.0], [0.0, 1.0]], [0, 1], [7, 7], "twice"),
        ([[0.0, np.nan], [0.0, 1.0]], [0, 1], [0, 1], "not finite"),
    ],
)
def test_predictions_that_do_not_belong_together(logits, labels, indices, message):
    with pytest.raises(ValueError, match=message):
        predictions(logits, labels, indices)


def answering(predicted, labels, indices) -> Predictions:
    return predictions(np.eye(CLASSES)[predicted], labels, indices)


def test_which_errors_other_networks_make_too_by_hand():
    one = answering([1, 1, 1, 0, 1], [0, 0, 0, 0, 0], [10, 11, 12, 13, 14])  # image 13 is right
    other = answering([2, 1, 0, 3], [0, 0, 0, 0], [12, 11, 10, 13])  # not tested on 14
    third = answering([1, 1], [0, 0], [10, 11])
    found = answers.shared_errors(one, [other, third])
    np.testing.assert_array_equal(found.also_wrong, [0.5, 1, 1, np.nan])  # images 10, 11, 12 and 14
    np.testing.assert_array_equal(found.same_answer, [0.5, 1, 0, np.nan])
    assert found.baseline == (3 / 4 + 2 / 2) / 2
    assert {name: rows.tolist() for name, rows in found.groups().items()} == {
        "all": [False, True, True, False],
        "some": [True, False, False, False],
        "none": [False, False, False, False],
        "not tested": [False, False, False, True],
    }


# Read from a run's folder


def test_other_seeds_of_the_same_recipe_are_found_by_number(six_errors: Path) -> None:
    folder = RunFolder("runs/six")
    record = folder.record(RunRecord)
    assert record is not None and answers.load_other_seeds(folder, record) == {}
    for seed in (10, 2, 0):
        another_seed(six_errors, seed)
    another_seed(six_errors, 5, val_size=8)  # another recipe
    found = answers.load_other_seeds(folder, record)
    assert list(found) == [2, 10]  # 0 is the run's own
    shared = answers.shared_errors(answers.load(folder), list(found.values()))
    assert shared.also_wrong.tolist() == shared.same_answer.tolist() == [0, 0, 0, 1, 1, 1]


def test_missing_and_damaged_predictions_are_named(six_errors: Path) -> None:
    folder, path = RunFolder("runs/six"), six_errors / "predictions.npz"
    assert answers.load_validation(folder) is None
    io.write_arrays(path, logits=np.zeros((2, 10), np.float32), labels=np.array([0, 10]), indices=np.arange(2))
    with pytest.raises(ReportError, match=r"predictions\.npz cannot be read \(a label is none of 10 classes\)"):
        answers.load(folder)
    path.unlink()
    with pytest.raises(ReportError, match=r"holds no predictions\.npz; run the chapter training"):
        answers.load(folder)

"""Scores against scikit-learn and torchmetrics; the choice of images by its meaning."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import confusion_matrix as sklearn_confusion
from sklearn.metrics import precision_recall_fscore_support
from torchmetrics.functional.classification import multiclass_confusion_matrix, multiclass_f1_score

from gradcam_report.analysis.predictions import (
    Predictions,
    answers,
    choose,
    class_report,
    confusion_matrix,
    repetition,
    softmax,
    top_confusions,
)
from gradcam_report.config import ReportError

CLASSES = 4
classes = st.integers(0, CLASSES - 1)
pairs = st.lists(st.tuples(classes, classes), min_size=1, max_size=40).map(lambda rows: np.array(rows).T)


def predictions(logits, labels, indices=None) -> Predictions:
    indices = np.arange(len(labels)) if indices is None else np.array(indices)
    return Predictions(np.array(logits, dtype=np.float32), np.array(labels), indices)


@st.composite
def some_predictions(draw):
    """Predictions with many equal confidences, in any order of test-set indices."""
    n = draw(st.integers(1, 30))
    logits = draw(arrays(np.float32, (n, CLASSES), elements=st.sampled_from([0.0, 1.0, 2.0, 60.0])))
    labels = draw(arrays(np.int64, n, elements=classes))
    return predictions(logits, labels, draw(st.permutations(range(100, 100 + n))))


@settings(deadline=None)  # a busy machine is not a fault
@given(pairs)
def test_scores_equal_scikit_learn(rows):
    labels, predicted = rows
    ours = confusion_matrix(labels, predicted, CLASSES)
    assert ours.dtype == np.int64
    np.testing.assert_array_equal(ours, sklearn_confusion(labels, predicted, labels=range(CLASSES)))
    theirs = precision_recall_fscore_support(labels, predicted, labels=range(CLASSES), zero_division=0)
    report = class_report(ours)
    assert list(report) == ["precision", "recall", "f1", "support"]
    for score, expected in zip(report.values(), theirs, strict=True):
        np.testing.assert_allclose(score, expected, rtol=1e-12)


def test_scores_equal_torchmetrics():
    labels, predicted = torch.randint(0, 10, (2, 500), generator=torch.Generator().manual_seed(0))
    ours = confusion_matrix(labels.numpy(), predicted.numpy(), 10)
    np.testing.assert_array_equal(ours, multiclass_confusion_matrix(predicted, labels, 10))
    f1 = multiclass_f1_score(predicted, labels, 10, average=None)
    np.testing.assert_allclose(class_report(ours)["f1"], f1, rtol=1e-6)


def test_confusion_rows_are_true_classes():
    assert confusion_matrix(np.array([0, 0, 1]), np.array([1, 1, 1]), 2).tolist() == [[0, 2], [0, 1]]
    small = np.array([9], dtype=np.uint8)  # 9 * 30 would wrap in uint8
    assert confusion_matrix(small, small, 30)[9, 9] == 1
    for outside in (-1, 2):
        with pytest.raises(ValueError, match="predicted must lie in 0 to 1"):
            confusion_matrix(np.array([0]), np.array([outside]), 2)


def test_a_class_never_seen_nor_predicted_scores_zero():
    report = class_report(np.array([[3, 0], [0, 0]]))
    assert [report[name][1] for name in report] == [0, 0, 0, 0]


def test_top_confusions():
    confusion = np.array([[50, 2, 7], [7, 60, 0], [1, 2, 70]])
    assert top_confusions(confusion, 3) == [(0, 2, 7), (1, 0, 7), (0, 1, 2)]
    assert top_confusions(confusion, 99)[-1] == (2, 0, 1)
    assert len(top_confusions(confusion, 99)) == 5
    assert top_confusions(np.diag([4, 5]), 3) == []


def test_softmax_equals_torch_and_survives_large_logits():
    logits = np.random.default_rng(0).normal(scale=20, size=(50, 10)).astype(np.float32)
    expected = torch.softmax(torch.from_numpy(logits).double(), dim=1)
    np.testing.assert_allclose(softmax(logits), expected, rtol=1e-12)
    np.testing.assert_allclose(softmax(np.array([[1e30, 0.0], [-1e30, -1e30]])), [[1, 0], [0.5, 0.5]])


def test_float32_ties_are_told_apart():
    close = predictions([[0, 20, 0], [0, 21, 0]], [0, 0])
    assert (close.confidence.astype(np.float32) == 1).all()
    assert choose(close, "confident", 2, []).tolist() == [1, 0]


def test_prediction_properties():
    found = predictions([[2, 0], [0, 1], [3, 3]], [0, 0, 1])
    assert found.predicted.tolist() == [0, 1, 0]
    assert found.wrong.tolist() == [False, True, True]
    np.testing.assert_allclose(found.confidence, [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-1)), 0.5])
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("logits", "labels", "indices", "message"),
    [
        ([[0.0, 1.0]], [0, 1], [0, 1], r"shapes \(\(1, 2\), \(2,\), \(2,\)\)"),
        ([[0.0, 1.0]], [0], [0, 1], "shapes"),
        ([0.0, 1.0], [0, 1], [0, 1], "shapes"),
        (np.zeros((0, 2)), [], [], "shapes"),
        ([[0.0, 1.0]], [2], [0], "label 2 for 2 classes"),
        ([[0.0, 1.0], [0.0, 1.0]], [0, 1], [7, 7], "not 2 different test images"),
        ([[0.0, np.nan], [0.0, 1.0]], [0, 1], [0, 1], "1 of 2 images are not finite; train again with a lower max_lr"),
    ],
)
def test_predictions_that_do_not_belong_together(logits, labels, indices, message):
    with pytest.raises(ReportError, match=message):
        predictions(logits, labels, indices)


@settings(deadline=None)
@given(some_predictions(), st.sampled_from(["confident", "stratified", "first"]), st.integers(1, 40))
def test_choice_is_of_errors_and_keeps_its_order(found, selection, n_images):
    errors = np.flatnonzero(found.wrong)
    if not errors.size:
        with pytest.raises(ReportError, match=rf"no error on {len(found.labels)} test images.*-p indices"):
            choose(found, selection, n_images, [])
        return
    rows = choose(found, selection, n_images, [])
    assert len(rows) == min(n_images, len(errors))
    assert len(set(rows)) == len(rows) and set(rows) <= set(errors)
    left_out = np.setdiff1d(errors, rows)
    if selection == "confident":
        assert (np.diff(found.confidence[rows]) <= 0).all()
        assert not left_out.size or found.confidence[left_out].max() <= found.confidence[rows].min()
    elif selection == "first":
        assert (np.diff(found.indices[rows]) > 0).all()
        assert not left_out.size or found.indices[left_out].min() > found.indices[rows].max()
    else:
        check_round_robin(found, rows, errors)


def check_round_robin(found, rows, errors):
    """Classes take turns in order until they run out, each with its own errors by falling confidence."""
    by_class = {int(c): sorted(found.confidence[errors[found.labels[errors] == c]]) for c in found.labels[errors]}
    turns = []
    while any(by_class.values()):
        turns += [(c, by_class[c].pop()) for c in sorted(by_class) if by_class[c]]
    assert list(zip(found.labels[rows], found.confidence[rows], strict=True)) == turns[: len(rows)]


@settings(deadline=None)
@given(some_predictions(), st.sampled_from(["confident", "stratified", "first"]), st.randoms())
def test_choice_does_not_depend_on_the_order_of_rows(found, selection, random):
    if not found.wrong.any():
        return
    order = list(range(len(found.labels)))
    random.shuffle(order)
    shuffled = Predictions(found.logits[order], found.labels[order], found.indices[order])
    before = found.indices[choose(found, selection, 5, [])]
    after = shuffled.indices[choose(shuffled, selection, 5, [])]
    assert before.tolist() == after.tolist()


def test_six_errors_where_ten_are_asked():
    six = predictions(np.eye(3)[[1] * 6 + [0] * 4], [0] * 10)
    assert choose(six, "confident", 10, []).tolist() == [0, 1, 2, 3, 4, 5]


def test_choice_by_index_is_of_test_set_positions_right_or_wrong():
    found = predictions([[1, 0], [0, 1], [1, 0]], [0, 0, 0], [30, 10, 20])
    rows = choose(found, "index", 1, [20, 10, 20])
    assert rows.dtype == np.int64
    assert rows.tolist() == [2, 1]
    with pytest.raises(
        ReportError, match=r"indices holds 7, .* 3 test images predicted \(from 10 to 30\); choose from"
    ):
        choose(found, "index", 1, [20, 7])
    with pytest.raises(ReportError, match="indices is empty"):
        choose(found, "index", 1, [])


def test_choice_refuses_what_it_does_not_know():
    found = predictions([[0, 1]], [0])
    with pytest.raises(ReportError, match="selection is 'worst'; choose one of 'confident'"):
        choose(found, "worst", 1, [])
    with pytest.raises(ReportError, match="n_images is 0"):
        choose(found, "confident", 0, [])


def test_errors_need_no_torch():
    code = "import sys, gradcam_report.analysis.predictions; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def answering(classes_answered, labels, indices) -> Predictions:
    return predictions(np.eye(CLASSES)[classes_answered], labels, indices)


def test_answers_are_found_by_the_images_numbers():
    found = answers(answering([3, 0, 2], [0, 0, 0], [30, 10, 20]), np.array([10, 20, 99, 30]))
    assert found.dtype == np.int64 and found.tolist() == [0, 2, -1, 3]


def test_which_errors_other_networks_make_again_by_hand():
    one = answering([1, 1, 1, 0, 1], [0, 0, 0, 0, 0], [10, 11, 12, 13, 14])  # image 13 is right
    other = answering([2, 1, 0, 3], [0, 0, 0, 0], [12, 11, 10, 13])  # not asked about 14
    third = answering([1, 1], [0, 0], [10, 11])
    found = repetition(one, [other, third])
    np.testing.assert_array_equal(found.again, [0.5, 1, 1, np.nan])  # images 10, 11, 12 and 14
    np.testing.assert_array_equal(found.alike, [0.5, 1, 0, np.nan])
    assert found.baseline == (3 / 4 + 2 / 2) / 2
    assert {name: rows.tolist() for name, rows in found.groups().items()} == {
        "all": [False, True, True, False],
        "some": [True, False, False, False],
        "none": [False, False, False, False],
        "not asked": [False, False, False, True],
    }
    kinds = {"odd": np.array([True, True, False, True]), "plain": np.array([False, False, True, False])}
    assert found.in_words("seeds 1 and 2", kinds | {"never": np.zeros(4, dtype=bool)}) == (
        "Of the 3 errors that others were asked about 83 % are also made by seeds 1 and 2, 50 % with "
        "the same wrong class; of all images 87.5 % are "
        "wrong there. By the kind of error: 75 % (odd), 100 % (plain). Were all images equally hard, an error would be "
        "repeated no more often than any image is got wrong. What goes beyond that is owed to images that are hard for "
        "all such networks, be their labels in doubt or not."
    )
    assert "are wrong there. Were all" in found.in_words("seeds 1 and 2", {})


def test_errors_that_no_other_network_was_asked_about_are_not_called_repeated():
    one, elsewhere = answering([1, 1], [0, 0], [10, 11]), answering([1], [0], [99])
    for others in ([], [elsewhere]):
        found = repetition(one, others)
        assert np.isnan(found.again).all() and found.groups()["not asked"].tolist() == [True, True]
        assert found.in_words("seed 1", {}) == "No other network was asked about these errors."
    assert repetition(answering([0], [0], [0]), [one]).again.shape == (0,)

"""Which test images are chosen, by the meaning of each selection, and what is known of them."""

from pathlib import Path

import numpy as np
import pytest
from answers_by_hand import CLASSES, classes, predictions
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradcam_report.analysis import selection
from gradcam_report.analysis.predictions import Predictions
from gradcam_report.config import ReportError, SelectionConfig
from gradcam_report.data import datasets
from gradcam_report.runs import io

kinds = st.sampled_from(["representative", "confident", "stratified", "first"])


def select(found: Predictions, kind: str = "confident", n_images: int = 10, indices: list[int] | None = None):
    return selection.select_rows(found, SelectionConfig(selection=kind, n_images=n_images, indices=indices or []))


@st.composite
def some_predictions(draw):
    """Predictions with many equal confidences, in any order of test-set indices."""
    n = draw(st.integers(1, 30))
    logits = draw(arrays(np.float32, (n, CLASSES), elements=st.sampled_from([0.0, 1.0, 2.0, 60.0])))
    labels = draw(arrays(np.int64, n, elements=classes))
    return predictions(logits, labels, draw(st.permutations(range(100, 100 + n))))


@given(some_predictions(), kinds, st.integers(1, 40))
def test_choice_is_of_errors_where_there_are_any_and_keeps_its_order(found, kind, n_images):
    candidates = np.flatnonzero(found.wrong) if found.wrong.any() else np.arange(len(found.labels))
    rows = select(found, kind, n_images)
    assert len(rows) == min(n_images, len(candidates))
    assert len(set(rows)) == len(rows) and set(rows) <= set(candidates)
    left_out = np.setdiff1d(candidates, rows)
    if kind == "confident":
        assert (np.diff(found.confidence[rows]) <= 0).all()
        assert not left_out.size or found.confidence[left_out].max() <= found.confidence[rows].min()
    elif kind == "first":
        assert (np.diff(found.indices[rows]) > 0).all()
        assert not left_out.size or found.indices[left_out].min() > found.indices[rows].max()
    elif kind == "representative":
        check_groups(found, rows, candidates)
    else:
        check_round_robin(found, rows, candidates)


def check_groups(found, rows, candidates):
    """Every group of the order by margin gives one, of a new class where it has one, else of a new pair."""
    margin = selection.margins(found)
    order = sorted(candidates, key=lambda row: (margin[row], found.indices[row]))
    size, more = divmod(len(order), len(rows))
    starts = np.cumsum([0, *(size + (group < more) for group in range(len(rows)))])
    classes, pairs = set(), set()
    for row, start, end in zip(rows, starts, starts[1:], strict=False):
        group, pair = order[start:end], (found.labels[row], found.predicted[row])
        assert row in group
        assert pair[0] not in classes or {found.labels[other] for other in group} <= classes
        fresh = {(found.labels[other], found.predicted[other]) for other in group} - pairs
        assert pair[0] not in classes or pair in fresh or not fresh
        classes.add(pair[0])
        pairs.add(pair)


def check_round_robin(found, rows, candidates):
    """Classes take turns in order until they run out, each with its own images by falling confidence."""
    labels = found.labels[candidates]
    by_class = {int(c): sorted(found.confidence[candidates[labels == c]]) for c in labels}
    turns = []
    while any(by_class.values()):
        turns += [(c, by_class[c].pop()) for c in sorted(by_class) if by_class[c]]
    assert list(zip(found.labels[rows], found.confidence[rows], strict=True)) == turns[: len(rows)]


@given(some_predictions())
def test_margins_are_differences_of_logits(found):
    for margin, logits, label, predicted in zip(
        selection.margins(found), found.logits, found.labels, found.predicted, strict=True
    ):
        others = np.delete(logits, predicted)
        assert margin == logits[predicted] - (logits[label] if label != predicted else others.max())


def test_ten_errors_of_ten_classes_are_taken_from_the_middles_of_their_groups():
    labels = np.tile(np.arange(10), 30)
    logits = np.eye(10)[(labels + 1) % 10] * np.arange(1, 301)[:, None]  # margins 1 to 300
    rows = select(predictions(logits, labels), "representative")
    assert sorted(labels[rows]) == list(range(10))
    assert (rows // 30).tolist() == list(range(10)) and rows[0] == 14, "14 and 15 are in the middle of 0 to 29"
    same = predictions(logits, np.zeros(300, int) + (labels + 2) % 2 * 5)  # two classes only, several pairs
    assert len(set(select(same, "representative"))) == 10


def test_typical_right_answers_are_in_the_middle_of_their_class():
    labels = np.repeat([0, 1, 2], 5)
    logits = np.eye(CLASSES)[np.where(np.arange(15) == 10, 3, labels)] * np.tile([5, 4, 3, 2, 1], 3)[:, None]
    found = predictions(logits, labels)  # 10 is wrong: four right answers of class 2
    assert selection.typical_right(found, np.array([1, 0, 1, 2])).tolist() == [7, 2, 8, 13]
    assert selection.typical_right(found, np.array([3])).tolist() == []


@given(some_predictions(), kinds, st.randoms())
def test_choice_does_not_depend_on_the_order_of_rows(found, kind, random):
    order = list(range(len(found.labels)))
    random.shuffle(order)
    shuffled = Predictions(found.logits[order], found.labels[order], found.indices[order])
    before, after = found.indices[select(found, kind, 5)], shuffled.indices[select(shuffled, kind, 5)]
    assert before.tolist() == after.tolist()


def test_choice_by_index_is_of_test_set_positions_right_or_wrong():
    found = predictions([[1, 0], [0, 1], [1, 0]], [0, 0, 0], [30, 10, 20])
    rows = select(found, "index", 1, [20, 10, 20])
    assert rows.dtype == np.int64 and rows.tolist() == [2, 1]
    with pytest.raises(ReportError, match=r"indices holds 7, .* 3 test images of this run \(from 10 to 30\); choose"):
        select(found, "index", 1, [20, 7])


def test_a_random_sample_is_of_distinct_rows_and_the_same_for_the_same_seed():
    found = predictions(np.eye(4)[[0] * 30], [0] * 30)
    rows = selection.sample_rows(found, 10)
    assert len(set(rows)) == 10 and (np.diff(rows) > 0).all()
    assert np.array_equal(rows, selection.sample_rows(found, 10))
    assert not np.array_equal(rows, selection.sample_rows(found, 10, seed=1))
    assert len(selection.sample_rows(found, 99)) == 30


# From a run's folder


def test_six_errors_are_all_that_is_shown_where_ten_are_asked_for(six_errors: Path) -> None:
    chosen = selection.choose("runs/six", SelectionConfig())
    assert chosen.indices.tolist() == [2, 5, 11, 17, 23, 31]  # the most contested first
    drawn = datasets.synthetic_images(40, datasets.SHAPES_TEST_SEED).images.numpy()
    np.testing.assert_array_equal(chosen.images, drawn[chosen.indices])
    assert chosen.wrong.all() and chosen.dataset == "shapes" and len(chosen) == 6
    others = chosen.at(np.array([3, 5]))
    np.testing.assert_array_equal(others.images, drawn[[3, 5]])
    right, wrong = others.titles()
    assert right.startswith("# 3\n✓") and "✗" not in right and wrong.startswith("# 5\n✗")
    sure, true = (f"{100 * others.probabilities[1, c]:.1f} %" for c in (others.predicted[1], others.true[1]))
    assert wrong.endswith(f"{sure}\n✓ {others.classes[others.true[1]]} {true}")
    assert chosen.at(others.rows[:0]).images.shape == (0, 3, 32, 32)


def test_a_run_without_errors_shows_right_answers(six_errors: Path) -> None:
    arrays = io.read_arrays(six_errors / "predictions.npz")
    io.write_arrays(
        six_errors / "predictions.npz", **arrays | {"logits": np.eye(10, dtype=np.float32)[arrays["labels"]]}
    )
    for kind in ("representative", "confident", "stratified", "first"):
        chosen = selection.choose("runs/six", SelectionConfig(selection=kind))
        assert len(chosen) == 10 and not chosen.wrong.any()

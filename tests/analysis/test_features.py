"""Reduced features, nearest images and pictures of them: against scikit-learn and by what must not change."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from gradcam_report.analysis import features
from gradcam_report.config import ReportError, parse_params
from gradcam_report.data import datasets
from gradcam_report.runs.folder import RunFolder
from gradcam_report.runs.records import RunRecord


def clumps(count: int = 60, side: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Points in three clumps of a space of which only five directions are used, and their clumps."""
    random = np.random.default_rng(0)
    clump = np.arange(count) % 3
    centres = 12 * np.eye(5)[:3]
    points = (centres[clump] + random.normal(size=(count, 5))) @ random.normal(size=(5, side))
    return points.astype(np.float32), clump


@given(st.integers(0, 100), st.integers(1, 6))
def test_nearest_is_scikit_learns(seed: int, k: int):
    random = np.random.default_rng(seed)
    among, queries = random.normal(size=(30, 4)), random.normal(size=(5, 4))
    rows, distances = features.nearest(queries, among, k)
    theirs, indices = NearestNeighbors(n_neighbors=k).fit(among).kneighbors(queries)
    np.testing.assert_array_equal(rows, indices)
    np.testing.assert_allclose(distances, theirs, atol=1e-9)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_clusters_stay_together_in_the_plane(method: str):
    points, clump = clumps()
    plane = features.project(points, method)
    assert plane.shape == (60, 2) and plane.dtype == np.float64
    rows, _ = features.nearest(plane, plane, 4)
    assert np.mean(clump[rows[:, 1:]] == clump[:, None]) > 0.9
    np.testing.assert_array_equal(plane, features.project(points, method))  # the same picture every time


def test_neighbours_of_other_classes_disagree():
    points, clump = clumps()
    assert features.neighbour_disagreement(points, clump, k=5).max() == 0
    moved = np.where(np.arange(60) == 7, (clump + 1) % 3, clump)  # one label is wrong
    found = features.neighbour_disagreement(points, moved, k=5)
    assert found[7] == 1 and np.delete(found, 7).max() <= 1 / 5


def test_an_image_is_never_its_own_neighbour():
    twins = np.zeros((4, 2))  # all in one place: any of them may come first
    np.testing.assert_allclose(
        features.neighbour_disagreement(twins, np.array([0, 1, 1, 1]), k=3), [1, 1 / 3, 1 / 3, 1 / 3]
    )


def test_training_images_come_with_their_features_row_for_row(six_errors: Path) -> None:
    folder = RunFolder("runs/six")
    record = folder.record(RunRecord)
    assert record is not None
    train, found = features.load_train(folder, record)
    config = parse_params("training", {"dataset": "shapes", "train_size": 24, "test_size": 40}).data
    assert np.array_equal(train.images, datasets.load(config).train.images) and found.shape == (24, 8)
    assert features.load_test(folder).shape == (40, 8)
    record = record.model_copy(update={"parameters": record.parameters.model_copy(update={"train_size": 25})})
    with pytest.raises(ReportError, match=r"features\.npz cannot be read \(features of 24 images, not of 25\)"):
        features.load_train(folder, record)
    (folder / "features.npz").unlink()
    with pytest.raises(ReportError, match=r"holds no features\.npz; run the chapter training"):
        features.load_test(folder)

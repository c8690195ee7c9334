"""Reduced features, nearest images and pictures of them: against scikit-learn and by what must not change."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors
from torch import nn

from gradcam_report import model
from gradcam_report.analysis import features
from gradcam_report.data import datasets
from gradcam_report.training import evaluation, results
from gradcam_report.training.device import Compute

CPU = Compute(torch.device("cpu"), "fp32")


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


def test_an_image_is_nearest_to_itself():
    points, _ = clumps()
    rows, distances = features.nearest(points[:7], points, 2)
    assert rows[:, 0].tolist() == list(range(7)) and np.abs(distances[:, 0]).max() < 1e-2


def test_reducing_keeps_the_distances_that_the_variance_is_in():
    points, _ = clumps()
    found = results.reduced(points, points[:10], dimensions=5)
    assert found["train"].dtype == found["test"].dtype == np.float16
    assert found["train"].shape == (60, 5) and found["test"].shape == (10, 5)
    before, after = (np.linalg.norm(p[:, None] - p[None], axis=2) for p in (points, found["train"].astype(float)))
    np.testing.assert_allclose(after, before, atol=0.01 * before.max())
    assert results.reduced(points[:4], points, dimensions=32)["test"].shape == (60, 4)  # no more than images


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_clumps_stay_clumps_in_the_plane(method: str):
    points, clump = clumps()
    plane = features.in_the_plane(points, method)
    assert plane.shape == (60, 2) and plane.dtype == np.float64
    rows, _ = features.nearest(plane, plane, 4)
    assert np.mean(clump[rows[:, 1:]] == clump[:, None]) > 0.9
    np.testing.assert_array_equal(plane, features.in_the_plane(points, method))  # the same picture every time


def test_features_are_what_the_linear_layer_is_given(small_shapes: datasets.Dataset):
    net = model.build(0, width=8).train()
    head = net.linear
    found = evaluation.features(net, small_shapes.test, small_shapes.normalizer, CPU, batch=20)
    assert net.linear is head and net.training and found.shape == (48, 64)
    logits = evaluation.predict(net, small_shapes.test, small_shapes.normalizer, CPU)
    torch.testing.assert_close(head(found), logits, atol=1e-4, rtol=1e-4)
    net.linear = nn.Linear(3, 3)
    net.conv1 = nn.Conv2d(1, 1, 1)  # whatever goes wrong, the network keeps its head
    with pytest.raises(RuntimeError):
        evaluation.features(net, small_shapes.test, small_shapes.normalizer, CPU)
    assert isinstance(net.linear, nn.Linear)


def test_strangers_are_the_neighbours_of_other_classes():
    points, clump = clumps()
    assert features.strangers(points, clump, k=5).max() == 0
    moved = np.where(np.arange(60) == 7, (clump + 1) % 3, clump)  # one label is wrong: all its neighbours are strangers
    found = features.strangers(points, moved, k=5)
    assert found[7] == 1 and np.delete(found, 7).max() <= 1 / 5


def test_an_image_is_never_its_own_stranger_or_neighbour():
    twins = np.zeros((4, 2))  # all in one place: any of them may come first
    np.testing.assert_allclose(features.strangers(twins, np.array([0, 1, 1, 1]), k=3), [1, 1 / 3, 1 / 3, 1 / 3])

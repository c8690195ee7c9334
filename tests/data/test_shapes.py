"""The synthetic images: what their masks promise, and that only the object tells the class."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

from gradcam_report.data import shapes

SHAPE_OF = np.arange(10) // len(shapes.TEXTURES)


@pytest.fixture(scope="module")
def synthetic() -> shapes.SyntheticImages:
    return shapes.generate(3000, seed=0)


@settings(max_examples=8, deadline=None)
@given(short=st.integers(0, 130), extra=st.integers(0, 130), seed=st.integers(0, 2**63))
def test_fewer_images_are_the_beginning_of_more(short: int, extra: int, seed: int) -> None:
    few, many = shapes.generate(short, seed), shapes.generate(short + extra, seed)
    for part, whole in zip(few, many, strict=True):
        np.testing.assert_array_equal(part, whole[:short])
    counts = np.bincount(few.labels, minlength=10)
    assert counts.max() - counts.min() <= 1
    assert many.masks.any(axis=(1, 2)).all()


def test_seeds_give_other_images_in_another_order(synthetic: shapes.SyntheticImages) -> None:
    other = shapes.generate(100, seed=1)
    assert [array.dtype for array in synthetic] == [np.uint8, np.int64, np.bool_]
    assert len(np.unique(np.concatenate([synthetic.images[:100], other.images]).reshape(200, -1), axis=0)) == 200
    assert not np.array_equal(other.labels, synthetic.labels[:100])
    assert not np.array_equal(synthetic.labels[:10], synthetic.labels[10:20])


def test_object_is_whole_and_its_size_tells_nothing(synthetic: shapes.SyntheticImages) -> None:
    area = synthetic.masks.sum(axis=(1, 2))
    assert area.min() > 0.11 * 32**2
    assert area.max() < 0.26 * 32**2
    means = np.array([area[synthetic.labels == label].mean() for label in range(10)])
    assert np.ptp(means) < 0.06 * means.mean()
    border = np.ones((32, 32), bool)
    border[1:-1, 1:-1] = False
    assert not synthetic.masks[:, border].any()  # nothing is cut off


def test_masks_have_the_geometry_of_their_class(synthetic: shapes.SyntheticImages) -> None:
    """The circle about the centre that just fits inside, over the side of a square of the same area."""
    rows, columns = np.mgrid[:32, :32]
    expected = {"disc": np.pi**-0.5, "square": 0.5, "triangle": 27**-0.25, "ring": 0.0, "cross": 0.3}
    for position, name in enumerate(shapes.SHAPES):
        fits = []
        for mask in synthetic.masks[SHAPE_OF[synthetic.labels] == position][:200]:
            centre = rows[mask].mean(), columns[mask].mean()
            fits.append(np.hypot(rows - centre[0], columns - centre[1])[~mask].min() / mask.sum() ** 0.5)
        assert np.mean(fits) == pytest.approx(expected[name], abs=0.05), name


def test_stripes_have_one_direction_and_checks_have_two(synthetic: shapes.SyntheticImages) -> None:
    """Coherence of the brightness gradient's structure tensor: 1 for one direction, 0 for none preferred."""
    dy, dx = np.gradient(synthetic.images.mean(axis=1), axis=(1, 2))
    inside = synthetic.masks.copy()
    for axis in (1, 2):
        inside &= np.roll(synthetic.masks, 1, axis) & np.roll(synthetic.masks, -1, axis)
    yy, xx, yx = ((a * b * inside).sum(axis=(1, 2)) for a, b in ((dy, dy), (dx, dx), (dy, dx)))
    coherence = np.hypot(yy - xx, 2 * yx) / (yy + xx)
    striped = synthetic.labels % 2 == 0
    assert shapes.CLASSES[0].startswith("striped")
    threshold = 0.6
    assert (coherence[striped] > threshold).mean() > 0.95
    assert (coherence[~striped] < threshold).mean() > 0.95


def test_the_object_is_exactly_in_its_mask_and_the_background_is_independent_of_the_class() -> None:
    synthetic = shapes.generate(100, seed=5)
    uniforms = shapes._uniforms(seed=5, start=0)[:, 1:]
    layers, others = (shapes._layers(uniforms, labels) for labels in (synthetic.labels, 9 - synthetic.labels))
    np.testing.assert_array_equal(layers.background, others.background)
    changed = (synthetic.images != np.rint(255 * layers.background).astype(np.uint8)).any(axis=1)
    assert not changed[~synthetic.masks].any()
    assert changed[synthetic.masks].mean() > 0.98
    assert layers.coverage[layers.coverage > 0].min() >= 0.5


def pixels(synthetic: shapes.SyntheticImages) -> np.ndarray:
    return synthetic.images.reshape(len(synthetic.images), -1) / 255


def colours(synthetic: shapes.SyntheticImages) -> np.ndarray:
    """Means, deviations and the histogram of each image's colours, 8 levels per channel."""
    images = synthetic.images
    bins = np.tensordot(images // 32, [64, 8, 1], axes=(1, 0)).reshape(len(images), -1)
    histograms = [np.bincount(row, minlength=512) for row in bins]
    return np.concatenate([np.sqrt(histograms), images.mean(axis=(2, 3)), images.std(axis=(2, 3))], axis=1)


def places(synthetic: shapes.SyntheticImages) -> np.ndarray:
    rows, columns = synthetic.masks.any(axis=2), synthetic.masks.any(axis=1)
    centres = np.stack([side @ np.arange(32) / side.sum(axis=1) for side in (rows, columns)], axis=1)
    return np.concatenate([centres, centres**2, centres[:, :1] * centres[:, 1:]], axis=1)


@pytest.mark.parametrize(("features", "alpha", "most"), [(pixels, 3000, 0.18), (colours, 300, 0.2), (places, 1, 0.18)])
def test_a_linear_classifier_is_near_chance(
    synthetic: shapes.SyntheticImages, features: Callable[..., np.ndarray], alpha: float, most: float
) -> None:
    x = StandardScaler().fit_transform(features(synthetic))
    model = RidgeClassifier(alpha=alpha).fit(x[:2000], synthetic.labels[:2000])
    assert model.score(x[2000:], synthetic.labels[2000:]) < most  # chance is 0.1

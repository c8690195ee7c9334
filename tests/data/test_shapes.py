import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

from gradcam_report.data import shapes

SHAPE_OF = np.arange(10) // len(shapes.TEXTURES)
CHANCE = 1 / len(shapes.CLASSES)


@pytest.fixture(scope="module")
def drawn() -> shapes.SyntheticImages:
    return shapes.generate(3000, seed=0)


def held_out_accuracy(features: np.ndarray, labels: np.ndarray, alpha: float) -> float:
    features = StandardScaler().fit_transform(features)
    model = RidgeClassifier(alpha=alpha).fit(features[:2000], labels[:2000])
    return model.score(features[2000:], labels[2000:])


def test_format(drawn: shapes.SyntheticImages) -> None:
    assert drawn.images.shape == (3000, 3, 32, 32)
    assert drawn.images.dtype == np.uint8
    assert drawn.labels.shape == (3000,)
    assert drawn.labels.dtype == np.int64
    assert drawn.masks.shape == (3000, 32, 32)
    assert drawn.masks.dtype == np.bool_
    assert len(set(shapes.CLASSES)) == 10
    assert shapes.CLASSES[3] == "checked square"


@settings(max_examples=8, deadline=None)
@given(short=st.integers(0, 130), extra=st.integers(0, 130), seed=st.integers(0, 2**63))
def test_fewer_images_are_the_beginning_of_more(short: int, extra: int, seed: int) -> None:
    few, many = shapes.generate(short, seed), shapes.generate(short + extra, seed)
    for part, whole in zip(few, many, strict=True):
        np.testing.assert_array_equal(part, whole[:short])
    counts = np.bincount(few.labels, minlength=10)
    assert counts.max() - counts.min() <= 1
    assert many.masks.any(axis=(1, 2)).all()


def test_seeds_give_other_images_in_another_order(drawn: shapes.SyntheticImages) -> None:
    other = shapes.generate(100, seed=1)
    assert len(np.unique(np.concatenate([drawn.images[:100], other.images]).reshape(200, -1), axis=0)) == 200
    assert not np.array_equal(other.labels, drawn.labels[:100])
    assert not np.array_equal(drawn.labels[:10], drawn.labels[10:20])


@pytest.mark.parametrize(("n", "seed"), [(-1, 0), (1, -1)])
def test_negative_arguments_are_refused(n: int, seed: int) -> None:
    with pytest.raises(ValueError, match=f"n={n} and seed={seed}"):
        shapes.generate(n, seed)


def test_object_is_whole_and_its_size_tells_nothing(drawn: shapes.SyntheticImages) -> None:
    area = drawn.masks.sum(axis=(1, 2))
    assert area.min() > 0.11 * 32**2
    assert area.max() < 0.26 * 32**2
    means = np.array([area[drawn.labels == label].mean() for label in range(10)])
    assert np.ptp(means) < 0.06 * means.mean()
    border = np.ones((32, 32), bool)
    border[1:-1, 1:-1] = False
    assert not drawn.masks[:, border].any()  # nothing is cut off


def test_masks_have_the_geometry_of_their_class(drawn: shapes.SyntheticImages) -> None:
    """The circle about the centre that just fits inside, over the side of a square of the same area."""
    rows, columns = np.mgrid[:32, :32]
    expected = {"disc": np.pi**-0.5, "square": 0.5, "triangle": 27**-0.25, "ring": 0.0, "cross": 0.3}
    for position, name in enumerate(shapes.SHAPES):
        fits = []
        for mask in drawn.masks[SHAPE_OF[drawn.labels] == position][:200]:
            centre = rows[mask].mean(), columns[mask].mean()
            fits.append(np.hypot(rows - centre[0], columns - centre[1])[~mask].min() / mask.sum() ** 0.5)
        assert np.mean(fits) == pytest.approx(expected[name], abs=0.05), name


def test_stripes_have_one_direction_and_checks_have_two(drawn: shapes.SyntheticImages) -> None:
    """Coherence of the brightness gradient's structure tensor: 1 for one direction, 0 for none preferred."""
    dy, dx = np.gradient(drawn.images.mean(axis=1), axis=(1, 2))
    inside = drawn.masks.copy()
    for axis in (1, 2):
        inside &= np.roll(drawn.masks, 1, axis) & np.roll(drawn.masks, -1, axis)
    yy, xx, yx = ((a * b * inside).sum(axis=(1, 2)) for a, b in ((dy, dy), (dx, dx), (dy, dx)))
    coherence = np.hypot(yy - xx, 2 * yx) / (yy + xx)
    striped = drawn.labels % 2 == 0
    assert shapes.CLASSES[0].startswith("striped")
    threshold = 0.6
    assert (coherence[striped] > threshold).mean() > 0.95
    assert (coherence[~striped] < threshold).mean() > 0.95


def test_mask_is_exactly_where_the_class_shows() -> None:
    """The same random numbers drawn as two classes differ in the union of both masks and nowhere else."""
    uniforms = shapes._uniforms(seed=5, start=0)[:, 1:]
    disc, triangle = (shapes._layers(uniforms, np.full(100, label)) for label in (0, 5))
    np.testing.assert_array_equal(disc.background, triangle.background)
    images = [b + coverage * (paint - b) for b, paint, coverage in (disc, triangle)]
    masks = [layers.coverage[:, 0] > 0 for layers in (disc, triangle)]
    differs = (images[0] != images[1]).any(axis=1)
    assert not (differs & ~(masks[0] | masks[1])).any()
    assert differs[masks[0] ^ masks[1]].mean() > 0.99
    assert disc.coverage[disc.coverage > 0].min() >= 0.5


def test_masks_belong_to_the_images_drawn() -> None:
    drawn = shapes.generate(100, seed=5)
    uniforms = shapes._uniforms(seed=5, start=0)
    background = np.rint(255 * shapes._layers(uniforms[:, 1:], drawn.labels).background).astype(np.uint8)
    changed = (drawn.images != background).any(axis=1)
    assert not changed[~drawn.masks].any()
    assert changed[drawn.masks].mean() > 0.98


def test_pixels_do_not_tell_the_class_linearly(drawn: shapes.SyntheticImages) -> None:
    accuracy = held_out_accuracy(drawn.images.reshape(3000, -1) / 255, drawn.labels, alpha=3000)
    assert accuracy < CHANCE + 0.08


def test_colours_do_not_tell_the_class(drawn: shapes.SyntheticImages) -> None:
    histograms = [np.bincount(pixels, minlength=512) for pixels in _colour_bins(drawn.images)]
    moments = [f(drawn.images, axis=(2, 3)) for f in (np.mean, np.std)]
    features = np.concatenate([np.sqrt(histograms), *moments], axis=1)
    assert held_out_accuracy(features, drawn.labels, alpha=300) < 0.2


def test_place_does_not_tell_the_class(drawn: shapes.SyntheticImages) -> None:
    rows, columns = drawn.masks.any(axis=2), drawn.masks.any(axis=1)
    centres = np.stack([side @ np.arange(32) / side.sum(axis=1) for side in (rows, columns)], axis=1)
    features = np.concatenate([centres, centres**2, centres[:, :1] * centres[:, 1:]], axis=1)
    assert held_out_accuracy(features, drawn.labels, alpha=1) < CHANCE + 0.08


def _colour_bins(images: np.ndarray) -> np.ndarray:
    """(N, 1024) bin of each pixel, 8 levels per channel."""
    red, green, blue = (images // 32).astype(np.int64).reshape(len(images), 3, -1).transpose(1, 0, 2)
    return 64 * red + 8 * green + blue


@pytest.mark.slow
def test_a_longer_training_of_a_narrow_network_gets_nearly_all_of_them_right(tmp_path):
    from gradcam_report.config import AugmentConfig, DataConfig, OptimConfig, ScheduleConfig
    from gradcam_report.data import datasets
    from gradcam_report.runs import folder as run_folder
    from gradcam_report.training import trainer as train
    from gradcam_report.training.device import resolve

    dataset = datasets.load(DataConfig(dataset="shapes"))
    recipe = train.Recipe(AugmentConfig(), OptimConfig(batch_size=64), ScheduleConfig(epochs=8, max_lr=0.05), seed=0)
    trainer = train.Trainer(dataset, recipe, resolve("cpu", "auto"), width=16)
    trainer.fit(run_folder.RunFolder(tmp_path), {}, progress=False)
    assert trainer.history["test_accuracy"][-1] > 0.95

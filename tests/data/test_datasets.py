"""Normalizers, splits and the synthetic data set against plain numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcam_report.config import DataConfig, ReportError
from gradcam_report.data import datasets, shapes

pytestmark = pytest.mark.usefixtures("few_threads")


@pytest.mark.parametrize("name", datasets.NORMALIZERS)
def test_normalising_is_undone_exactly_for_every_value(name: str) -> None:
    normalizer = datasets.NORMALIZERS[name]
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    normal = normalizer(images)
    assert normal.dtype == torch.float32
    assert torch.equal(normalizer.invert(normal), images)
    values = np.arange(256).reshape(16, 16)
    for c in range(3):
        expected = (values / 255 - normalizer.mean[c]) / normalizer.std[c]
        np.testing.assert_allclose(normal[0, c], expected, atol=1e-5)
    far = torch.tensor([-100.0, 100.0]).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    assert normalizer.invert(far)[0].eq(0).all() and normalizer.invert(far)[1].eq(255).all()  # clipped, not wrapped


def test_the_normalizer_of_shapes_has_the_statistics_of_its_images() -> None:
    normalizer = datasets.NORMALIZERS["shapes"]
    images = shapes.generate(2000, seed=1).images
    measured = [f(images / 255, axis=(0, 2, 3)) for f in (np.mean, np.std)]
    np.testing.assert_allclose(datasets.channel_statistics(torch.from_numpy(images)), measured, atol=1e-9)
    np.testing.assert_allclose(measured, [normalizer.mean, normalizer.std], atol=0.005)


@st.composite
def split_sizes(draw: st.DrawFn) -> tuple[int, int, int]:
    total = draw(st.integers(1, 200))
    val = draw(st.integers(0, total - 1))
    return total, draw(st.integers(0, total - val)), val


def small(count: int) -> datasets.Split:
    numbers = torch.arange(count)
    return datasets.Split(numbers.view(-1, 1, 1, 1), numbers * 2, numbers, numbers.view(-1, 1, 1))


@settings(max_examples=60)
@given(split_sizes(), st.integers(0, 2**31 - 1))
def test_splits_are_disjoint_and_nested(sizes: tuple[int, int, int], seed: int) -> None:
    total, size, val_size = sizes
    train, val = datasets.split(small(total), size, val_size, seed)
    assert (len(train), len(val)) == (size or total - val_size, val_size)
    assert not set(train.indices.tolist()) & set(val.indices.tolist())
    for part in (train, val):
        assert part.indices.tolist() == sorted(set(part.indices.tolist()))
        assert torch.equal(part.images.flatten(), part.indices)
        assert torch.equal(part.labels, 2 * part.indices)
        assert part.masks is not None and torch.equal(part.masks.flatten(), part.indices)
    again, _ = datasets.split(small(total), size, val_size, seed)
    assert torch.equal(again.indices, train.indices)
    everything, same_val = datasets.split(small(total), 0, val_size, seed)
    assert torch.equal(same_val.indices, val.indices)  # the validation part does not depend on the training size
    assert set(train.indices.tolist()) <= set(everything.indices.tolist())
    assert len(everything) + len(val) == total


def test_another_seed_is_another_split_and_no_size_is_the_first_images() -> None:
    parts = [datasets.split(small(1000), 100, 100, seed) for seed in (0, 1)]
    for one, other in zip(*parts, strict=True):
        assert len(set(one.indices.tolist()) & set(other.indices.tolist())) < 50
        assert one.indices.max() > 800


@pytest.mark.parametrize(("size", "val_size"), [(11, 0), (6, 5), (0, 10), (0, 11)])
def test_more_images_than_there_are_is_refused(size: int, val_size: int) -> None:
    with pytest.raises(ReportError, match=f"train_size is {size} and val_size {val_size}, but .* only 10 images"):
        datasets.split(small(10), size, val_size, 0, "train_size")


def test_shapes_come_in_the_sizes_asked_for_and_are_the_same_every_time(small_shapes: datasets.Dataset) -> None:
    parts = (small_shapes.train, small_shapes.val, small_shapes.test)
    assert [len(part) for part in parts] == [96, 32, 48]
    assert (small_shapes.name, small_shapes.classes) == ("shapes", shapes.CLASSES)
    everything = torch.cat([part.images for part in parts]).flatten(1)
    assert len(everything.unique(dim=0)) == 96 + 32 + 48  # no image is in two parts
    again = datasets.load(DataConfig(dataset="shapes", train_size=96, val_size=32, test_size=48))
    for part, same in zip(parts, (again.train, again.val, again.test), strict=True):
        assert torch.equal(part.images, same.images) and torch.equal(part.labels, same.labels)
    chosen = small_shapes.test.select(torch.tensor([40, 3, 17]))
    assert chosen.indices.tolist() == [40, 3, 17]
    assert torch.equal(datasets.test_images("shapes", "", chosen.indices.numpy()), chosen.images)

"""Batches and their augmentation against plain numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcam_report.config import AugmentConfig
from gradcam_report.data import augmentation, datasets
from gradcam_report.training import schedule

pytestmark = pytest.mark.usefixtures("few_threads")

PLAIN = datasets.Normalizer((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
STILL = AugmentConfig(crop_padding=0, flip="none", cutout=0)


def coded(count: int) -> datasets.Split:
    """Images that say where each pixel came from: row in red, column in green, image in blue; label = image."""
    images = torch.empty(count, 3, 32, 32, dtype=torch.uint8)
    images[:, 0] = torch.arange(32).view(1, 32, 1)
    images[:, 1] = torch.arange(32).view(1, 1, 32)
    images[:, 2] = torch.arange(count).view(count, 1, 1)
    return datasets.Split(images, torch.arange(count), torch.arange(count) + 1000, torch.zeros(count, 32, 32).bool())


def augmented(
    train: datasets.Split, config: AugmentConfig, seed: int = 0, epoch: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """One epoch as uint8 (N, 3, 32, 32), in the order of the labels, and those labels."""
    images, labels = zip(*augmentation.batches(train, 16, config, PLAIN, seed, epoch), strict=True)
    order = torch.cat(labels).argsort()
    return PLAIN.invert(torch.cat(images))[order].numpy(), torch.cat(labels)[order].numpy()


# Batches


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(1, 17), st.integers(0, 5), st.integers(0, 5))
def test_an_epoch_shows_every_image_once(count: int, batch_size: int, seed: int, epoch: int) -> None:
    train = coded(count)
    sizes, seen = [], []
    for images, labels in augmentation.batches(train, batch_size, STILL, PLAIN, seed, epoch):
        assert images.dtype == torch.float32 and images.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(PLAIN.invert(images), train.images[labels])
        sizes.append(len(labels))
        seen += labels.tolist()
    assert sorted(seen) == list(range(count))
    assert all(size == batch_size for size in sizes[:-1])
    assert len(sizes) == schedule.steps_per_epoch(count, batch_size)


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    train = coded(64)
    config = AugmentConfig(crop_padding=4, flip="random", cutout=8)

    def one_epoch(seed: int, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = zip(*augmentation.batches(train, 16, config, PLAIN, seed, epoch), strict=True)
        return torch.cat(images), torch.cat(labels)

    torch.manual_seed(1)
    state = torch.get_rng_state()
    images, labels = one_epoch(seed=3, epoch=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    again, same = one_epoch(seed=3, epoch=5)
    assert torch.equal(again, images) and torch.equal(same, labels)
    for seed, epoch in [(3, 6), (4, 5), (5, 3)]:
        others, order = one_epoch(seed, epoch)
        assert not torch.equal(order, labels)
        assert not torch.equal(others[order.argsort()], images[labels.argsort()])


# Augmentation


def origins(image: np.ndarray, original: np.ndarray, pad: int) -> list[tuple[int, int, bool]]:
    """Every (row shift, column shift, mirrored) by which numpy makes `image` of `original`."""
    padded = np.pad(original, ((0, 0), (pad, pad), (pad, pad)), mode="reflect")
    places = [(dy, dx) for dy in range(2 * pad + 1) for dx in range(2 * pad + 1)]
    crops = {(dy - pad, dx - pad): padded[:, dy : dy + 32, dx : dx + 32] for dy, dx in places}
    return [
        (*shift, mirrored)
        for shift, crop in crops.items()
        for mirrored in (False, True)
        if np.array_equal(crop[:, :, ::-1] if mirrored else crop, image)
    ]


@settings(max_examples=10)
# Up to 15: at 16 a crop can be symmetric about the border, so that it has two origins.
@given(pad=st.integers(0, 15), flip=st.sampled_from(["alternating", "random", "none"]), epoch=st.integers(0, 99))
def test_every_image_is_one_crop_of_its_reflected_original(pad: int, flip: str, epoch: int) -> None:
    train = coded(6)
    images, labels = augmented(train, AugmentConfig(crop_padding=pad, flip=flip, cutout=0), seed=1, epoch=epoch)
    mirrored = augmentation.flips(torch.from_numpy(labels), flip, torch.Generator(), 1, epoch)
    for image, label, flipped in zip(images, labels, mirrored, strict=True):
        found = origins(image, train.images[label].numpy(), pad)
        assert len(found) == 1
        assert flip == "random" or found[0][2] == bool(flipped)


def test_crops_reach_every_place_and_images_do_not_share_one() -> None:
    """1600 draws of 81 places: each is missed with a probability of 2e-9, whatever the generator."""
    count, pad = 1600, 4
    images = torch.arange(32 * 32).view(1, 1, 32, 32).expand(count, 3, 32, 32)  # the place of each pixel
    random = torch.Generator().manual_seed(0)
    config = AugmentConfig(crop_padding=pad, flip="random", cutout=0)
    batch = augmentation.augmented(images, torch.arange(count), config, lambda x: x, random, 0, 0)  # type: ignore[arg-type]
    middle, right = batch[:, 0, 16, 16], batch[:, 0, 16, 17]
    mirrored = right < middle
    rows, columns = middle // 32 - 16, middle % 32 - torch.where(mirrored, 15, 16)
    places, counts = torch.stack([rows, columns]).unique(dim=1, return_counts=True)
    assert places.shape[1] == (2 * pad + 1) ** 2
    assert places.min() == -pad and places.max() == pad
    assert counts.max() < 60  # 20 expected each
    assert 700 < int(mirrored.sum()) < 900


def test_alternating_flip_is_a_fair_coin_for_each_image_and_seed_turned_over_every_epoch() -> None:
    rows, random = torch.arange(10_000), torch.Generator()
    coins = [augmentation.flips(rows, "alternating", random, seed, epoch=7) for seed in (0, 1, 2)]
    assert all(0.48 < coin.double().mean() < 0.52 for coin in coins)
    assert all(0.2 < (coins[i] ^ coins[j]).double().mean() < 0.8 for i, j in ((0, 1), (0, 2), (1, 2)))
    assert torch.equal(augmentation.flips(rows[500:600], "alternating", random, 0, 7), coins[0][500:600])
    for epoch in (6, 8):
        assert torch.equal(augmentation.flips(rows, "alternating", random, 0, epoch), ~coins[0])


@pytest.mark.parametrize("side", [1, 8, 31])
def test_cutout_is_one_square_of_the_mean_colour(side: int) -> None:
    normalizer = datasets.NORMALIZERS["cifar10"]
    white = datasets.Split(torch.full((200, 3, 32, 32), 255, dtype=torch.uint8), torch.arange(200), torch.arange(200))
    config = AugmentConfig(crop_padding=4, flip="none", cutout=side)
    images = torch.cat([x for x, _ in augmentation.batches(white, 64, config, normalizer, 0, 0)])
    erased = images == 0
    assert erased.sum(dim=(1, 2, 3)).eq(3 * side * side).all()
    assert (erased == erased[:, :1]).all()
    assert images[~erased].min() > 1  # white stays white
    corners = set()
    for hole in erased[:, 0]:
        y, x = (int(v) for v in hole.nonzero()[0])
        assert hole[y : y + side, x : x + side].all()
        corners.add((y, x))
    assert len(corners) > (100 if side < 31 else 3)  # of (33 - side)^2 places
    assert {0, 32 - side} <= {y for y, _ in corners} and {0, 32 - side} <= {x for _, x in corners}
    shown = normalizer.invert(images)[0, :, erased[0, 0]]
    assert shown[:, 0].tolist() == [round(255 * m) for m in normalizer.mean]

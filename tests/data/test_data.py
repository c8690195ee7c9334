"""Splits, batches and augmentation against plain numpy, and what happens when CIFAR-10 is absent or damaged."""

import os
import pickle
import socket
import time
import urllib.error
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.datasets import CIFAR10

from gradcam_report.config import AugmentConfig, DataConfig, ReportError
from gradcam_report.data import augmentation, shapes
from gradcam_report.data import cifar10 as data
from gradcam_report.training import schedule

pytestmark = pytest.mark.usefixtures("few_threads")

PLAIN = data.Normalizer((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
STILL = AugmentConfig(crop_padding=0, flip="none", cutout=0)


def coded(count: int) -> data.Split:
    """Images that say where each pixel came from: row in red, column in green, image in blue; label = image."""
    images = torch.empty(count, 3, 32, 32, dtype=torch.uint8)
    images[:, 0] = torch.arange(32).view(1, 32, 1)
    images[:, 1] = torch.arange(32).view(1, 1, 32)
    images[:, 2] = torch.arange(count).view(count, 1, 1)
    return data.Split(images, torch.arange(count), torch.arange(count) + 1000, torch.zeros(count, 32, 32).bool())


def augmented(train: data.Split, config: AugmentConfig, seed: int = 0, epoch: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """One epoch as uint8 (N, 3, 32, 32), in the order of the labels, and those labels."""
    images, labels = zip(*augmentation.batches(train, 16, config, PLAIN, seed, epoch), strict=True)
    order = torch.cat(labels).argsort()
    return PLAIN.invert(torch.cat(images))[order].numpy(), torch.cat(labels)[order].numpy()


# Normalising


@pytest.mark.parametrize("name", data.NORMALIZERS)
def test_normalising_is_undone_exactly_for_every_value(name: str) -> None:
    normalizer = data.NORMALIZERS[name]
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    normal = normalizer(every)
    assert normal.dtype == torch.float32
    assert torch.equal(normalizer.invert(normal), every)
    values = np.arange(256).reshape(16, 16)
    for c in range(3):
        expected = (values / 255 - normalizer.mean[c]) / normalizer.std[c]
        np.testing.assert_allclose(normal[0, c].numpy(), expected, atol=1e-5)


def test_values_beyond_the_range_are_clipped_not_wrapped() -> None:
    normalizer = data.NORMALIZERS["cifar10"]
    far = torch.tensor([-100.0, 100.0]).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    assert normalizer.invert(far)[0].eq(0).all() and normalizer.invert(far)[1].eq(255).all()


def channel_statistics(images: torch.Tensor) -> np.ndarray:
    """Mean and standard deviation per channel in 0-1 units, from exact counts of each value: (2, 3)."""
    counts = np.zeros((3, 256))
    for part in images.split(1000):
        counts += [np.bincount(part[:, c].flatten().numpy(), minlength=256) for c in range(3)]
    weights, values = counts / counts.sum(1, keepdims=True), np.arange(256) / 255
    mean = weights @ values
    return np.stack([mean, np.sqrt((weights * (values - mean[:, None]) ** 2).sum(1))])


def test_constants_of_shapes_are_those_of_drawn_images() -> None:
    normalizer = data.NORMALIZERS["shapes"]
    measured = channel_statistics(torch.from_numpy(shapes.draw(2000, seed=1).images))
    np.testing.assert_allclose(measured, [normalizer.mean, normalizer.std], atol=0.005)


# Splits


@st.composite
def split_sizes(draw: st.DrawFn) -> tuple[int, int, int]:
    total = draw(st.integers(1, 200))
    val = draw(st.integers(0, total - 1))
    return total, draw(st.integers(0, total - val)), val


def small(count: int) -> data.Split:
    numbers = torch.arange(count)
    return data.Split(numbers.view(-1, 1, 1, 1), numbers * 2, numbers, numbers.view(-1, 1, 1))


@settings(max_examples=60)
@given(split_sizes(), st.integers(0, 2**31 - 1))
def test_splits_are_disjoint_and_nested(sizes: tuple[int, int, int], seed: int) -> None:
    total, size, val_size = sizes
    train, val = data.split(small(total), size, val_size, seed)
    assert (len(train), len(val)) == (size or total - val_size, val_size)
    assert not set(train.indices.tolist()) & set(val.indices.tolist())
    for part in (train, val):
        assert part.indices.tolist() == sorted(set(part.indices.tolist()))
        assert torch.equal(part.images.flatten(), part.indices)
        assert torch.equal(part.labels, 2 * part.indices)
        assert part.masks is not None and torch.equal(part.masks.flatten(), part.indices)

    again, _ = data.split(small(total), size, val_size, seed)
    assert torch.equal(again.indices, train.indices)
    everything, same_val = data.split(small(total), 0, val_size, seed)
    assert torch.equal(same_val.indices, val.indices)  # the validation part does not depend on the training size
    assert set(train.indices.tolist()) <= set(everything.indices.tolist())
    assert len(everything) + len(val) == total


def test_another_seed_is_another_split_and_no_size_is_the_first_images() -> None:
    parts = [data.split(small(1000), 100, 100, seed) for seed in (0, 1)]
    for one, other in zip(*parts, strict=True):
        assert len(set(one.indices.tolist()) & set(other.indices.tolist())) < 50
        assert one.indices.max() > 800


@pytest.mark.parametrize(("size", "val_size"), [(11, 0), (6, 5), (0, 10), (0, 11)])
def test_more_images_than_there_are_is_refused(size: int, val_size: int) -> None:
    with pytest.raises(ReportError, match=f"train_size is {size} and val_size {val_size}, but .* only 10 images"):
        data.split(small(10), size, val_size, 0, "train_size")


def test_rows_are_chosen_in_the_order_asked() -> None:
    part = small(10).at(torch.tensor([7, 2, 7]))
    assert part.indices.tolist() == part.images.flatten().tolist() == [7, 2, 7]
    assert len(part) == 3 and part.masks is not None
    assert small(4).at(torch.tensor([True, False, False, True])).labels.tolist() == [0, 6]


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
    for image, label in zip(images, labels, strict=True):
        found = origins(image, train.images[label].numpy(), pad)
        assert len(found) == 1
        assert not (flip == "none" and found[0][2])


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


@pytest.mark.parametrize("epoch", [0, 7])
def test_alternating_flip_shows_each_image_both_ways_in_two_epochs(epoch: int) -> None:
    train = coded(60)
    config = AugmentConfig(crop_padding=0, flip="alternating", cutout=0)
    first, second, third = (augmented(train, config, seed=2, epoch=epoch + i)[0] for i in range(3))
    mirrored = [bool((image == original[:, :, ::-1]).all()) for image, original in zip(first, train.images.numpy())]  # noqa: B905
    assert 15 < sum(mirrored) < 45  # not all the same way
    for i, original in enumerate(train.images.numpy()):
        ways = (original[:, :, ::-1], original) if mirrored[i] else (original, original[:, :, ::-1])
        np.testing.assert_array_equal(first[i], ways[0])
        np.testing.assert_array_equal(second[i], ways[1])
    np.testing.assert_array_equal(third, first)


def test_alternating_flip_tosses_a_fair_coin_of_its_own_for_each_seed() -> None:
    rows = torch.arange(10_000)
    random = torch.Generator()
    coins = [augmentation.flips(rows, "alternating", random, seed, epoch=0) for seed in (0, 1, 2)]
    for coin in coins:
        assert 0.48 < coin.double().mean() < 0.52
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert 0.2 < (coins[one] ^ coins[other]).double().mean() < 0.8
    assert torch.equal(
        augmentation.flips(rows[500:600], "alternating", random, 0, 0), coins[0][500:600]
    )  # whatever the batch


@pytest.mark.parametrize("side", [1, 8, 31])
def test_cutout_is_one_square_of_the_mean_colour(side: int) -> None:
    normalizer = data.NORMALIZERS["cifar10"]
    white = data.Split(torch.full((200, 3, 32, 32), 255, dtype=torch.uint8), torch.arange(200), torch.arange(200))
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


# The drawn set


def test_shapes_come_in_the_sizes_asked_for(small_shapes: data.Dataset) -> None:
    parts = (small_shapes.train, small_shapes.val, small_shapes.test)
    assert [len(part) for part in parts] == [96, 32, 48]
    assert (small_shapes.name, small_shapes.classes) == ("shapes", shapes.CLASSES)
    assert small_shapes.normalizer == data.NORMALIZERS["shapes"]
    for part in parts:
        assert part.images.dtype == torch.uint8 and part.images.shape[1:] == (3, 32, 32)
        assert part.labels.dtype == torch.int64
        assert part.masks is not None and part.masks.dtype == torch.bool
    everything = torch.cat([part.images for part in parts]).flatten(1)
    assert len(everything.unique(dim=0)) == 96 + 32 + 48  # no image is in two parts


def test_shapes_are_the_same_every_time_and_found_again_by_index(small_shapes: data.Dataset) -> None:
    again = data.load(DataConfig(dataset="shapes", train_size=96, val_size=32, test_size=48))
    for part, same in zip((small_shapes.train, small_shapes.test), (again.train, again.test), strict=True):
        assert torch.equal(part.images, same.images) and torch.equal(part.labels, same.labels)
    test = small_shapes.test.at(torch.tensor([40, 3, 17]))
    assert torch.equal(data.test_images("shapes", "", test.indices.numpy()), test.images)


# CIFAR-10 that is not there


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No network: the addresses that torchvision tried."""
    tried: list[str] = []

    def refuse(request: Any, *args: Any, **kwargs: Any) -> None:
        tried.append(getattr(request, "full_url", request))
        raise urllib.error.URLError("Temporary failure in name resolution")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    return tried


def test_without_data_and_network_cifar10_is_refused(project: Path, offline: list[str]) -> None:
    patience = socket.getdefaulttimeout()
    for load in (
        lambda: data.load(DataConfig(dataset="cifar10")),
        lambda: data.test_images("cifar10", "", [0]),
    ):
        with pytest.raises(ReportError) as caught:
            load()
        assert f"CIFAR-10 is not in {project / 'data'} and could not be downloaded" in str(caught.value)
        assert "name resolution" in str(caught.value)
        assert "set CIFAR10_ROOT" in str(caught.value) and "-p dataset shapes" in str(caught.value)
    assert offline
    assert socket.getdefaulttimeout() == patience


def test_without_data_and_network_auto_is_shapes(project: Path, offline: list[str]) -> None:
    config = DataConfig(dataset="auto", train_size=10, test_size=10)
    assert data.settled(config) == DataConfig(dataset="shapes", train_size=10, test_size=10)
    assert data.load(config).name == "shapes"
    assert offline


def test_shapes_never_look_for_a_network(project: Path, offline: list[str]) -> None:
    data.load(DataConfig(dataset="shapes", train_size=10, test_size=10))
    data.test_images("shapes", "", [3])
    assert not offline


def test_a_download_that_arrives_damaged_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.utils._get_redirect_url", lambda url, max_hops: url)
    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", lambda url, path: Path(path).write_bytes(b"half of"))
    with pytest.raises(ReportError, match=r"could not be downloaded .*corrupted"):
        data.load(DataConfig(dataset="cifar10"))
    assert not (project / "data" / "cifar-10-batches-py").exists()


def test_of_two_processes_one_downloads_and_the_other_waits_for_all_of_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads stand for them: their locks are of different files' handles, as those of processes are."""
    begun = []

    class Slow(CIFAR10):
        def __init__(self, root: str, download: bool) -> None:
            begun.append(root)
            folder = Path(root) / self.base_folder
            folder.mkdir(parents=True)
            (folder / "first").touch()
            time.sleep(0.5)
            (folder / "last").touch()

    def seen(turn: int) -> set[str]:
        time.sleep(0.2 * turn)
        assert data.choose(DataConfig(dataset="cifar10")) == "cifar10"
        return {path.name for path in (project / "data" / "cifar-10-batches-py").iterdir()}

    monkeypatch.setattr("torchvision.datasets.CIFAR10", Slow)
    monkeypatch.setattr("socket.setdefaulttimeout", lambda seconds: None)  # which threads share
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(seen, range(2))) == [{"first", "last"}] * 2
    assert len(begun) == 1 and not list((project / "data").glob("*.part"))


def test_where_cifar10_is_looked_for(project: Path, monkeypatch: pytest.MonkeyPatch, offline: list[str]) -> None:
    assert data.cifar10_root("") == project / "data"
    monkeypatch.setenv("CIFAR10_ROOT", "/elsewhere")
    assert data.cifar10_root("") == Path("/elsewhere")
    assert data.cifar10_root("mine") == project / "mine"
    (project / "mine" / "cifar-10-batches-py").mkdir(parents=True)
    assert data.settled(DataConfig(dataset="auto", data_root="mine")).dataset == "cifar10"
    assert not offline


# CIFAR-10 that is damaged


class Trap:
    """Unpickling this makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("train", [True, False])
def test_files_of_other_content_are_never_unpickled(project: Path, train: bool) -> None:
    folder = project / "data" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name, _ in (*CIFAR10.train_list, *CIFAR10.test_list, [CIFAR10.meta["filename"], ""]):
        (folder / name).write_bytes(pickle.dumps(Trap(project / "sprung")))
    with pytest.raises(ReportError, match=r"(data|test)_batch\S* differs from the published file; delete .* download"):
        data.read_cifar10(project / "data", train)
    with pytest.raises(ReportError, match="differs from the published file"):
        data.load(DataConfig(dataset="cifar10"))
    assert not (project / "sprung").exists()


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("data_batch_1", "altered"),
        ("data_batch_5", "missing"),
        ("test_batch", "truncated"),
        ("batches.meta", "altered"),
    ],
)
def test_one_damaged_file_is_named_with_how_to_get_it_again(
    cifar10_folder: str, project: Path, offline: list[str], name: str, damage: str
) -> None:
    folder = project / "data" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for file in Path(cifar10_folder, "cifar-10-batches-py").iterdir():
        if file.name != name:
            (folder / file.name).symlink_to(file)
    content = bytearray(Path(cifar10_folder, "cifar-10-batches-py", name).read_bytes())
    content[len(content) // 2] ^= 1
    if damage != "missing":
        (folder / name).write_bytes(content[:-1] if damage == "truncated" else content)
    words = "is missing" if damage == "missing" else "differs from the published file"
    for read in (
        lambda: data.load(DataConfig(dataset="auto", train_size=10, test_size=10)),
        lambda: data.test_images("cifar10", "", [0]),
    ):
        with pytest.raises(ReportError) as caught:
            read()
        assert str(caught.value) == f"{folder / name} {words}; delete {folder} and run again to download CIFAR-10 anew."


# CIFAR-10 itself


@pytest.fixture(scope="module")
def cifar10(cifar10_folder: str) -> data.Dataset:
    return data.load(DataConfig(dataset="cifar10", data_root=cifar10_folder, val_size=1000))


@pytest.mark.realdata
def test_cifar10_is_what_its_files_say(cifar10: data.Dataset, cifar10_folder: str) -> None:
    """Against a reading of the files as their format is described, without torchvision."""
    folder = Path(cifar10_folder, "cifar-10-batches-py")
    meta = pickle.loads((folder / "batches.meta").read_bytes())
    assert tuple(meta["label_names"]) == cifar10.classes
    assert (len(cifar10.train), len(cifar10.val), len(cifar10.test)) == (49_000, 1_000, 10_000)
    for name, first, part in (("test_batch", 0, cifar10.test), ("data_batch_3", 20_000, cifar10.train)):
        raw = pickle.loads((folder / name).read_bytes(), encoding="bytes")
        rows = ((part.indices >= first) & (part.indices < first + 10_000)).nonzero().flatten()[::97]
        places = (part.indices[rows] - first).numpy()
        assert len(rows) > 90
        np.testing.assert_array_equal(part.images[rows].numpy(), raw[b"data"][places].reshape(-1, 3, 32, 32))
        np.testing.assert_array_equal(part.labels[rows].numpy(), np.array(raw[b"labels"])[places])
    found = data.test_images("cifar10", cifar10_folder, [9_999, 5])
    assert torch.equal(found, cifar10.test.images[[9_999, 5]])


@pytest.mark.realdata
def test_constants_of_cifar10_are_those_of_its_training_images(cifar10: data.Dataset) -> None:
    images = torch.cat([cifar10.train.images, cifar10.val.images])
    assert len(images) == 50_000
    normalizer = data.NORMALIZERS["cifar10"]
    np.testing.assert_allclose(channel_statistics(images), [normalizer.mean, normalizer.std], atol=1e-3)

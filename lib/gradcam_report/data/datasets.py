"""The data sets that a training can use, CIFAR-10 and the synthetic shapes, with their splits and normalizers.

Images stay uint8, (N, 3, 32, 32), 0-255, until a batch needs them (`augmentation` makes the batches).
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..config import DataConfig, ReportError
from . import cifar10, shapes

CLASSES = {"cifar10": cifar10.CLASSES, "shapes": shapes.CLASSES}
SHAPES_TRAIN, SHAPES_TEST, SHAPES_TRAIN_SEED, SHAPES_TEST_SEED = 10_000, 2_000, 1, 2
# What else a user can do without CIFAR-10, in a chapter that trains and in one that reads a finished run.
CHOOSE_SHAPES = "add -p dataset shapes"
CHOOSE_RUN = "name a run of shapes with -p run_dir"


@dataclass(frozen=True)
class Normalizer:
    """Per-channel mean and standard deviation in 0-1 units; `invert` undoes `__call__` exactly."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    # Cached: a copy for each batch would make the host wait for the GPU. There are two normalizers in all.
    @functools.cache  # noqa: B019
    def _constants(self, device: torch.device) -> tuple[Tensor, Tensor]:
        shape = (1, 3, 1, 1)
        return torch.tensor(self.mean, device=device).view(shape), torch.tensor(self.std, device=device).view(shape)

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, H, W), 0-255 -> float32 (N, 3, H, W), about zero mean and unit variance per channel."""
        mean, std = self._constants(images.device)
        return images.to(torch.float32).div(255).sub(mean).div(std)

    def invert(self, images: Tensor) -> Tensor:
        """float (N, 3, H, W) as `__call__` returns it -> uint8 (N, 3, H, W), 0-255."""
        mean, std = self._constants(images.device)
        return images.mul(std).add(mean).mul(255).round().clamp(0, 255).to(torch.uint8)


# Mean and standard deviation over all pixels of the training images; the tests measure them again.
NORMALIZERS = {
    "cifar10": Normalizer((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "shapes": Normalizer((0.499, 0.499, 0.500), (0.195, 0.194, 0.195)),
}


def channel_statistics(images: Tensor) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of uint8 (N, 3, H, W), in 0-1 units, from counts of byte values."""
    value = torch.arange(256, dtype=torch.float64) / 255
    share = torch.stack([torch.bincount(images[:, c].flatten(), minlength=256) for c in range(3)]).double()
    share /= share.sum(1, keepdim=True)
    mean = share @ value
    return mean.tolist(), (share @ value.square() - mean.square()).sqrt().tolist()


@dataclass(frozen=True)
class Split:
    """Images uint8 (N, 3, 32, 32), labels and `indices` (into the original set) int64 (N,), masks bool (N, 32, 32)."""

    images: Tensor
    labels: Tensor
    indices: Tensor
    masks: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: Tensor) -> "Split":
        """The rows chosen by an int64 or bool tensor, in that order."""
        masks = None if self.masks is None else self.masks[rows]
        return Split(self.images[rows], self.labels[rows], self.indices[rows], masks)

    def to(self, device: torch.device) -> "Split":
        """The same split on another device."""
        masks = None if self.masks is None else self.masks.to(device)
        return Split(self.images.to(device), self.labels.to(device), self.indices.to(device), masks)


@dataclass(frozen=True)
class Dataset:
    """A data set's three splits, its class names and its normalizer; `source` says in words where it came from."""

    name: str
    classes: tuple[str, ...]
    normalizer: Normalizer
    train: Split
    val: Split
    test: Split
    source: str

    def to(self, device: torch.device) -> "Dataset":
        """The same data on another device."""
        return replace(self, train=self.train.to(device), val=self.val.to(device), test=self.test.to(device))


def resolve_auto(config: DataConfig) -> DataConfig:
    """Replace the data set "auto": by CIFAR-10 where it is found or can be downloaded, else by shapes.

    Prints why it is shapes, in a notebook or on the terminal.
    """
    if config.dataset != "auto":
        return config
    try:
        cifar10.locate(config.data_root)
    except cifar10.NotFound as error:
        print(f"{error} This run uses synthetic shapes instead; its numbers say nothing about photographs.", flush=True)
        return config.model_copy(update={"dataset": "shapes"})
    return config.model_copy(update={"dataset": "cifar10"})


def load(config: DataConfig, alternative: str = CHOOSE_SHAPES) -> Dataset:
    """Load the data set, on the CPU; `alternative` is what a user can do without CIFAR-10.

    Raises:
        ReportError: CIFAR-10 cannot be had, one of its files differs from the published one, or there are fewer images
            than the sizes ask for.
    """
    config = resolve_auto(config)
    name, seed = config.dataset, config.seed
    if name == "shapes":
        count = config.train_size or SHAPES_TRAIN
        images = synthetic_images(config.val_size + count, SHAPES_TRAIN_SEED)
        # The images are independent of one another: the first ones are as random a choice as any.
        val, train = (images.select(rows) for rows in torch.arange(len(images)).split([config.val_size, count]))
        test = synthetic_images(config.test_size or SHAPES_TEST, SHAPES_TEST_SEED)
        source = "shapes (synthetic images, generated by this report)"
    else:
        place = cifar10.locate(config.data_root, alternative)
        train, val = split(_cifar10(place, train=True), config.train_size, config.val_size, seed, "train_size")
        test, _ = split(_cifar10_test(place), config.test_size, 0, seed, "test_size")
        source = "CIFAR-10 (Krizhevsky 2009), every file's MD5 as published"
    return Dataset(name, CLASSES[name], NORMALIZERS[name], train, val, test, source)


def test_images(name: str, data_root: str, indices: Sequence[int] | np.ndarray) -> Tensor:
    """Images uint8 (N, 3, 32, 32) of a finished run's test set by their positions in it; raises as `load` does."""
    rows = torch.as_tensor(indices, dtype=torch.int64)
    if name == "shapes":
        return synthetic_images(int(rows.max()) + 1, SHAPES_TEST_SEED).images[rows]
    return _cifar10_test(cifar10.locate(data_root, CHOOSE_RUN)).images[rows]


def synthetic_images(count: int, seed: int) -> Split:
    """The first `count` images of the endless synthetic set that belongs to `seed`, see `shapes.generate`."""
    images, labels, masks = (torch.from_numpy(array) for array in shapes.generate(count, seed))
    return Split(images, labels, torch.arange(count), masks)


def _cifar10(place: Path, train: bool) -> Split:
    images, labels = cifar10.read(place, train)
    return Split(images, labels, torch.arange(len(labels)))


@functools.lru_cache(maxsize=1)  # 31 MB: a chapter asks for test images several times, and unpacking takes seconds
def _cifar10_test(place: Path) -> Split:
    return _cifar10(place, train=False)


def split(full: Split, size: int, val_size: int, seed: int, name: str = "size") -> tuple[Split, Split]:
    """Draw two disjoint random parts of `full` by `seed`, in its order: `size` images (0: all others), `val_size`.

    The validation part is the same whatever `size` is. Raises `ReportError` (with `name`) for too few images.
    """
    if size + val_size > len(full) or (size == 0 and val_size >= len(full)):
        raise ReportError(
            f"{name} is {size} and val_size {val_size}, but there are only {len(full)} images; ask for less."
        )
    order = torch.randperm(len(full), generator=torch.Generator().manual_seed(seed))
    val, rest = order[:val_size], order[val_size:]
    return full.select(rest[: size or len(rest)].sort().values), full.select(val.sort().values)

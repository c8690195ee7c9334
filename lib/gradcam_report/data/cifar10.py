"""CIFAR-10 and the embedded `shapes` set as uint8 tensors.

Images stay uint8, (N, 3, 32, 32), 0-255, until the batch that needs them (`augment` makes those); one pair of constants
per data set normalises and denormalises.
"""

import functools
import http.client
import os
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..config import DataConfig, ReportError, project_root
from ..runs.lock import file_lock
from . import shapes

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CLASSES = {"cifar10": CIFAR10_CLASSES, "shapes": shapes.CLASSES}
SHAPES_TRAIN, SHAPES_TEST, SHAPES_TEST_SEED = 10_000, 2_000, 2


@dataclass(frozen=True)
class Normalizer:
    """Per-channel mean and standard deviation in 0-1 units; `invert` undoes `__call__` exactly."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    # Kept, for copying them anew for each batch would make the host wait for a GPU; there are two normalizers in all.
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


# Means and standard deviations over all pixels of the training images (tests measure them again).
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

    def at(self, rows: Tensor) -> "Split":
        """The rows chosen by an int64 or bool tensor, in that order."""
        masks = None if self.masks is None else self.masks[rows]
        return Split(self.images[rows], self.labels[rows], self.indices[rows], masks)

    def to(self, device: torch.device) -> "Split":
        """The same split on another device."""
        masks = None if self.masks is None else self.masks.to(device)
        return Split(self.images.to(device), self.labels.to(device), self.indices.to(device), masks)


@dataclass(frozen=True)
class Dataset:
    """A data set's three splits, its class names and its normaliser; `source` says in words where it came from."""

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


def load(config: DataConfig) -> Dataset:
    """Load what `config` asks for, on the CPU.

    Raises `ReportError` when CIFAR-10 is neither here nor to be downloaded, when one of its files was altered, or when
    more images are asked for than there are.
    """
    name = choose(config)
    if name == "shapes":
        count = config.train_size or SHAPES_TRAIN
        drawn = draw_shapes(config.val_size + count, seed=1)
        # Drawn independently of one another: the first ones are as random a choice as any.
        val, train = (drawn.at(rows) for rows in torch.arange(len(drawn)).split([config.val_size, count]))
        test = draw_shapes(config.test_size or SHAPES_TEST, seed=SHAPES_TEST_SEED)
        source = "shapes (drawn by this report)"
    else:
        root = cifar10_root(config.data_root)
        train, val = split(
            read_cifar10(root, train=True), config.train_size, config.val_size, config.seed, "train_size"
        )
        test, _ = split(read_cifar10(root, train=False), config.test_size, 0, config.seed, "test_size")
        source = "CIFAR-10 (Krizhevsky 2009), every file's MD5 as published"
    return Dataset(name, CLASSES[name], NORMALIZERS[name], train, val, test, source)


def test_images(name: str, data_root: str, indices: Sequence[int] | np.ndarray) -> Tensor:
    """Images uint8 (N, 3, 32, 32) of the data set's test part by their positions in it; raises as `load` does."""
    wanted = torch.as_tensor(indices, dtype=torch.int64)
    if name == "shapes":
        return draw_shapes(int(wanted.max()) + 1, seed=SHAPES_TEST_SEED).images[wanted]
    choose(DataConfig(data_root=data_root))
    return read_cifar10(cifar10_root(data_root), train=False).images[wanted]


def draw_shapes(count: int, seed: int) -> Split:
    """The first `count` images of an endless set of drawn shapes, see `shapes.draw`."""
    drawn = shapes.draw(count, seed)
    images, labels, masks = (torch.from_numpy(a) for a in (drawn.images, drawn.labels, drawn.masks))
    return Split(images, labels, torch.arange(count), masks)


def settled(config: DataConfig) -> DataConfig:
    """`config` with "auto" replaced by the data set that it stands for here; nothing is read yet."""
    return config.model_copy(update={"dataset": choose(config)}) if config.dataset == "auto" else config


def choose(config: DataConfig) -> str:
    """The data set to use: for "auto" CIFAR-10 where it is found or can be downloaded, else `shapes`.

    Raises `ReportError` when "cifar10" itself is asked for and cannot be had.
    """
    if config.dataset == "shapes":
        return "shapes"
    root = cifar10_root(config.data_root)
    if not (root / "cifar-10-batches-py").is_dir():
        try:
            download_cifar10(root)
        except ReportError:
            if config.dataset == "cifar10":
                raise
            return "shapes"
    return "cifar10"


def cifar10_root(data_root: str) -> Path:
    """torchvision's `root` of CIFAR-10: the parameter if given, else the environment's CIFAR10_ROOT, else `data/`."""
    return project_root() / (data_root or os.environ.get("CIFAR10_ROOT", "") or "data")


def download_cifar10(root: Path) -> None:
    """Fetch CIFAR-10 into `root` with torchvision, which checks its MD5; raises `ReportError` when that fails.

    It takes its name when it is whole; of several processes one fetches, the others wait.
    """
    from torchvision.datasets import CIFAR10

    patience = socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(30)
        root.mkdir(parents=True, exist_ok=True)
        with file_lock(root / ".cifar10.lock", timeout=-1):
            if not (root / CIFAR10.base_folder).is_dir():
                part = root / "cifar-10.part"
                CIFAR10(str(part), download=True)
                (part / CIFAR10.base_folder).rename(root / CIFAR10.base_folder)
                shutil.rmtree(part)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        reason = " ".join(str(error).split())[:120]
        raise ReportError(
            f"CIFAR-10 is not in {root} and could not be downloaded ({reason}); set CIFAR10_ROOT to the folder that "
            "holds cifar-10-batches-py, or add -p dataset shapes."
        ) from None
    finally:
        socket.setdefaulttimeout(patience)


def read_cifar10(root: Path, train: bool) -> Split:
    """Read torchvision's files once their MD5s are checked (they are pickles); raises `ReportError` for a bad one."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    folder = root / CIFAR10.base_folder
    # All of them, whichever part is read: torchvision refuses the whole set for one bad file without naming it.
    listed = [*CIFAR10.train_list, *CIFAR10.test_list, [CIFAR10.meta["filename"], CIFAR10.meta["md5"]]]
    for name, md5 in listed:
        if not check_integrity(str(folder / name), md5):
            fault = "differs from the published file" if (folder / name).exists() else "is missing"
            raise ReportError(f"{folder / name} {fault}; delete {folder} and run again to download CIFAR-10 anew.")
    raw = CIFAR10(str(root), train=train)
    images = torch.from_numpy(raw.data).permute(0, 3, 1, 2).contiguous()
    return Split(images, torch.tensor(raw.targets), torch.arange(len(raw.targets)))


def split(full: Split, size: int, val_size: int, seed: int, name: str = "size") -> tuple[Split, Split]:
    """Two disjoint random parts of `full`, drawn by `seed`, in its order: `size` images (0: all others), `val_size`.

    The validation part is the same whatever `size` is. Raises `ReportError` (naming `name`) when there are too few
    images.
    """
    if size + val_size > len(full) or (size == 0 and val_size >= len(full)):
        raise ReportError(
            f"{name} is {size} and val_size {val_size}, but there are only {len(full)} images; ask for less."
        )
    order = torch.randperm(len(full), generator=torch.Generator().manual_seed(seed))
    val, rest = order[:val_size], order[val_size:]
    return full.at(rest[: size or len(rest)].sort().values), full.at(val.sort().values)

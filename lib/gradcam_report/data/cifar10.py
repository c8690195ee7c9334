"""CIFAR-10 on disk: find it, download it, check it, read it.

A data root may be torchvision's `root` (the folder that holds `cifar-10-batches-py`), that folder itself, a folder that
holds the published archive, or the archive. The archive is read in memory: only a download ever writes to a data root.
"""

import hashlib
import http.client
import os
import pickle
import shutil
import socket
import tarfile
import urllib.request
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from ..config import ReportError, data_folder

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FOLDER, ARCHIVE = "cifar-10-batches-py", "cifar-10-python.tar.gz"
TIMEOUT = 30.0  # seconds that a download waits for the next bytes


class NotFound(ReportError):
    """CIFAR-10 is not on this machine and cannot be downloaded."""


def locate(data_root: str, alternative: str = "") -> Path:
    """Return the folder of CIFAR-10's batches, or its archive; download it where it is missing.

    `alternative` ends the sentence of an error with what else the user of this chapter can do.

    Raises:
        NotFound: the named folder does not exist, or the download failed.
    """
    root, name = data_folder("data_root", data_root, "CIFAR10_ROOT", "data")
    if source := find(root):
        return source
    if name and not root.is_dir():
        ways = _listed("correct it", alternative)
        raise NotFound(f"{name} is {str(root)!r}, but there is no such folder; {ways}.")
    try:
        download(root)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        reason = " ".join(str(error).split())[:120]
        named = f"set {name or 'CIFAR10_ROOT'} to a folder that holds CIFAR-10"
        ways = _listed(f"put {ARCHIVE} there", named, alternative)
        raise NotFound(f"CIFAR-10 is not in {root} and could not be downloaded ({reason}); {ways}.") from None
    return root / FOLDER


def _listed(*ways: str) -> str:
    return " or ".join(", ".join(way for way in ways if way).rsplit(", ", 1))


def find(root: Path) -> Path | None:
    """Return the folder of the batches at `root`, else the archive there, else None."""
    if os.path.isfile(root / "data_batch_1") or (root.name == FOLDER and os.path.isdir(root)):
        return root
    if os.path.isdir(root / FOLDER):
        return root / FOLDER
    return next((path for path in (root / ARCHIVE, root) if path.name == ARCHIVE and os.path.isfile(path)), None)


def download(root: Path) -> None:
    """Download CIFAR-10 into `root` with torchvision, which checks its MD5.

    Without a connection nothing is created. The folder of the batches gets its name once it is complete. One of several
    processes downloads, the others wait for it. torchvision uses what a killed download left in `cifar-10.part`.
    """
    from torchvision.datasets import CIFAR10

    timeout = socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(TIMEOUT)  # torchvision passes none
        urllib.request.urlopen(urllib.request.Request(CIFAR10.url, method="HEAD")).close()
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".cifar10.lock"):
            if not (root / FOLDER).is_dir():
                part = root / "cifar-10.part"
                CIFAR10(str(part), download=True)
                (part / FOLDER).rename(root / FOLDER)
                shutil.rmtree(part)
    finally:
        socket.setdefaulttimeout(timeout)


def read(source: Path, train: bool) -> tuple[Tensor, Tensor]:
    """Read the 50,000 training or the 10,000 test images from what `locate` returned.

    Returns:
        images uint8 (N, 3, 32, 32), 0-255, and labels int64 (N,), positions in `CLASSES`.

    Raises:
        ReportError: a file is missing, or its MD5 is not the published one. The files are pickles, which can run any
            code: none is unpickled before its MD5 is checked.
    """
    from torchvision.datasets import CIFAR10

    checksums = dict(CIFAR10.train_list if train else CIFAR10.test_list)
    remedy = f"to download CIFAR-10 anew, delete {source} and run again with -p data_root {source.parent}."
    try:
        contents = {n: (source / n).read_bytes() for n in checksums} if source.is_dir() else _unpack(source, checksums)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise ReportError(f"CIFAR-10 in {source} cannot be read ({error}); {remedy}") from None
    for name, checksum in checksums.items():
        if hashlib.md5(contents[name], usedforsecurity=False).hexdigest() != checksum:
            raise ReportError(f"{name} in {source} differs from the published file; {remedy}")
    batches = [pickle.loads(contents[name], encoding="latin1") for name in checksums]
    images = torch.from_numpy(np.concatenate([batch["data"] for batch in batches])).reshape(-1, 3, 32, 32)
    return images, torch.tensor([label for batch in batches for label in batch["labels"]])


def _unpack(archive: Path, names: Iterable[str]) -> dict[str, bytes]:
    """The archive's files of these names as bytes, empty where it has none."""
    contents = dict.fromkeys(names, b"")
    with tarfile.open(archive) as tar:
        for member in tar:  # in the order of the file: going back in it would unpack it again
            name, packed = PurePosixPath(member.name).name, tar.extractfile(member)
            if name in contents and packed is not None:
                contents[name] = packed.read()
    return contents

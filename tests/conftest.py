"""Fixtures that several test files share; torch is imported only by those that need it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from gradcam_report.config import DataConfig

if TYPE_CHECKING:
    from gradcam_report.data import Dataset

settings.register_profile("busy", deadline=None)  # how long an example takes says more about the machine than the code
settings.load_profile("busy")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The top of an empty project, made the working directory: runs/, artifacts/ and data/ are looked for in it."""
    root = tmp_path.resolve() / "project"
    (root / "book").mkdir(parents=True)
    (root / "book" / "index.md").touch()
    monkeypatch.chdir(root)
    monkeypatch.delenv("CIFAR10_ROOT", raising=False)
    return root


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks have an eighth of their channels, for speed, whoever builds them."""
    from gradcam_report import model

    build = model.build
    monkeypatch.setattr(model, "build", lambda seed, classes=10, width=64: build(seed, classes, 8))


@pytest.fixture(scope="session")
def small_shapes() -> "Dataset":
    """96 training, 32 validation and 48 test images of `shapes`."""
    from gradcam_report import data

    return data.load(DataConfig(dataset="shapes", train_size=96, val_size=32, test_size=48))


@pytest.fixture(scope="session")
def cifar10_folder() -> str:
    """Where the real CIFAR-10 is; skips the test when CIFAR10_ROOT does not say so."""
    folder = os.environ.get("CIFAR10_ROOT", "")
    if not (Path(folder) / "cifar-10-batches-py").is_dir():
        pytest.skip("CIFAR10_ROOT holds no cifar-10-batches-py")
    return str(Path(folder).resolve())


@pytest.fixture(scope="module")
def few_threads() -> Iterator[None]:
    """One thread for torch: small networks are faster with it, and sums are added in one order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

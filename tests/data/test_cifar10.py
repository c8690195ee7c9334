"""CIFAR-10 wherever a user may have it: found, checked and read there, or named in one sentence."""

import hashlib
import io
import os
import pickle
import socket
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from serving import serve
from torchvision.datasets import CIFAR10

from gradcam_report.config import DataConfig, ReportError
from gradcam_report.data import cifar10, datasets

FOLDER, ARCHIVE = CIFAR10.base_folder, CIFAR10.filename


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Small stand-ins for the published files, which torchvision takes for them: five images a batch. No network."""
    random = np.random.default_rng(0)
    files = {"batches.meta": pickle.dumps({"label_names": list(cifar10.CLASSES)})}
    for name, _ in (*CIFAR10.train_list, *CIFAR10.test_list):
        pixels = random.integers(0, 256, (5, 3072), dtype=np.uint8)
        files[name] = pickle.dumps({"data": pixels, "labels": random.integers(0, 10, 5).tolist()})
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    for lines in ("train_list", "test_list"):
        monkeypatch.setattr(CIFAR10, lines, [[name, md5(files[name])] for name, _ in getattr(CIFAR10, lines)])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5(files["batches.meta"])})
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5(packed.getvalue()))
    monkeypatch.setattr(CIFAR10, "url", f"http://127.0.0.1:9/{ARCHIVE}")  # nothing listens there
    return files | {ARCHIVE: packed.getvalue()}


def unpack(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        if name != ARCHIVE:
            (folder / name).write_bytes(content)


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# Found and read


@pytest.mark.parametrize("by", ["parameter", "environment"])
@pytest.mark.parametrize("place", ["", FOLDER, "archive", f"archive/{ARCHIVE}"])
def test_every_form_of_a_data_root_is_read_as_torchvision_reads_it_and_never_written_to(
    project: Path, published: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, place: str, by: str
) -> None:
    root = project.parent / "home" / "images"
    unpack(root / FOLDER, published)
    (root / "archive").mkdir()
    (root / "archive" / ARCHIVE).write_bytes(published[ARCHIVE])
    monkeypatch.setenv("HOME", str(root.parent))
    typed, before = f"~/images/{place}", tree(project.parent)
    if by == "environment":
        monkeypatch.setenv("CIFAR10_ROOT", typed)
    given = typed if by == "parameter" else ""
    assert datasets.resolve_auto(DataConfig(dataset="auto", data_root=given)).dataset == "cifar10"
    read = datasets.load(DataConfig(dataset="cifar10", data_root=given))
    for split, train in ((read.train, True), (read.test, False)):
        expected = CIFAR10(str(root), train=train)
        np.testing.assert_array_equal(split.images.permute(0, 2, 3, 1), expected.data)
        assert split.labels.tolist() == expected.targets
    assert torch.equal(datasets.test_images("cifar10", given, [3, 1]), read.test.images[[3, 1]])
    assert tree(project.parent) == before


# Not there


@pytest.mark.parametrize("by", ["data_root", "CIFAR10_ROOT"])
def test_a_mistyped_folder_is_named_and_not_created(
    project: Path, published: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, capsys, by: str
) -> None:
    monkeypatch.setenv("CIFAR10_ROOT", "imagse" if by == "CIFAR10_ROOT" else str(project))
    given, before = "imagse" if by == "data_root" else "", tree(project)
    fault = f"{by} is '{project / 'imagse'}', but there is no such folder; correct it"
    small = {"data_root": given, "train_size": 10, "test_size": 10}
    assert datasets.load(DataConfig(dataset="auto", **small)).name == "shapes"
    assert f"{fault}. This run uses synthetic shapes instead" in capsys.readouterr().out
    with pytest.raises(ReportError, match=f"^{fault} or add -p dataset shapes.$"):
        datasets.load(DataConfig(dataset="cifar10", **small))
    with pytest.raises(ReportError, match=f"^{fault} or name a run of shapes with -p run_dir.$"):
        datasets.test_images("cifar10", given, [0])
    assert tree(project) == before


@pytest.mark.parametrize("root", ["", "empty"])
def test_without_a_network_nothing_is_created_and_the_remedy_is_named(
    project: Path, published: dict[str, bytes], capsys, root: str
) -> None:
    (project / "empty").mkdir()
    before, timeout = tree(project), socket.getdefaulttimeout()
    asked = DataConfig(dataset="cifar10", data_root=root)
    with pytest.raises(ReportError) as caught:
        datasets.load(asked)
    folder, name = (project / "empty", "data_root") if root else (project / "data", "CIFAR10_ROOT")
    assert f"CIFAR-10 is not in {folder} and could not be downloaded (<urlopen error" in str(caught.value)
    assert f"put {ARCHIVE} there, set {name} to" in str(caught.value)
    assert datasets.resolve_auto(asked.model_copy(update={"dataset": "auto"})).dataset == "shapes"
    assert str(folder) in capsys.readouterr().out
    assert (tree(project), socket.getdefaulttimeout()) == (before, timeout)


# Damaged


class Trap:
    """Unpickling this makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("name", ["data_batch_1", "data_batch_5", "test_batch", ARCHIVE])
@pytest.mark.parametrize("damage", ["another", "truncated", "missing"])
def test_what_is_not_the_published_file_is_named_and_never_unpickled(
    project: Path, published: dict[str, bytes], name: str, damage: str
) -> None:
    if name == ARCHIVE:
        (project / "data").mkdir()
    else:
        unpack(project / "data" / FOLDER, published)
    path = project / "data" / (name if name == ARCHIVE else f"{FOLDER}/{name}")
    half = published[name][: len(published[name]) // 2]
    path.write_bytes(pickle.dumps(Trap(project / "sprung")) if damage == "another" else half)
    if damage == "missing":
        path.unlink()
    with pytest.raises(ReportError, match=f"{path if name == ARCHIVE else path.parent}|could not be downloaded"):
        datasets.load(DataConfig(dataset="cifar10"))
    assert not (project / "sprung").exists()


# Downloaded


@pytest.fixture
def requests(published: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The methods of the requests that the university's server gets."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / ARCHIVE).write_bytes(published[ARCHIVE])
    with serve(tmp_path / "served") as (address, requests):
        monkeypatch.setattr(CIFAR10, "url", f"{address}/{ARCHIVE}")
        yield requests


def test_one_of_several_processes_downloads_and_a_killed_download_leaves_nothing(
    project: Path, published: dict[str, bytes], requests: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads stand for processes: each opens the lock's file for itself."""
    unpack(project / "data" / "cifar-10.part" / FOLDER, {"data_batch_1": b"half of"})
    (project / "data" / "cifar-10.part" / ARCHIVE).write_bytes(published[ARCHIVE][:100])
    monkeypatch.setattr("socket.setdefaulttimeout", lambda seconds: None)  # which threads share
    with ThreadPoolExecutor(3) as pool:
        sources = list(pool.map(lambda _: cifar10.locate(""), range(3)))
    assert sources == [project / "data" / FOLDER] * 3
    assert requests.count("GET") == 2  # torchvision first asks where the address leads
    assert {path.name for path in (project / "data").iterdir()} == {FOLDER, ".cifar10.lock"}
    assert len(datasets.load(DataConfig()).train) == 25


# CIFAR-10 itself


@pytest.mark.realdata
def test_cifar10_is_what_torchvision_reads_and_has_the_normalizers_statistics(cifar10_folder: str) -> None:
    read = datasets.load(DataConfig(data_root=cifar10_folder, val_size=1000))
    assert (len(read.train), len(read.val), len(read.test)) == (49_000, 1_000, 10_000)
    train, test = CIFAR10(cifar10_folder, train=True), CIFAR10(cifar10_folder, train=False)
    for part, expected in ((read.train, train), (read.val, train), (read.test, test)):
        assert tuple(expected.classes) == read.classes
        np.testing.assert_array_equal(part.images.permute(0, 2, 3, 1), expected.data[part.indices])
        np.testing.assert_array_equal(part.labels, np.array(expected.targets)[part.indices])
    measured = datasets.channel_statistics(torch.cat([read.train.images, read.val.images]))
    np.testing.assert_allclose(measured, [read.normalizer.mean, read.normalizer.std], atol=1e-3)

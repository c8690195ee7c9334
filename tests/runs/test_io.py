"""Files whole or not at all, read back as they were written, and damage named instead of believed."""

import errno
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_records import metrics, run_record

from gradcam_report.config import ReportError
from gradcam_report.runs import io
from gradcam_report.runs.records import RunRecord

READERS: dict[str, Callable[[Path], Any]] = {
    "run.json": lambda path: io.read_record(path, RunRecord),
    "some.json": io.read_json,
    "history.csv": io.read_table,
    "predictions.npz": io.read_arrays,
    "model.safetensors": io.read_tensors,
}
ARRAYS = {"logits": np.arange(40, dtype=np.float32).reshape(4, 10) / 7, "labels": np.array([3, 1, 4, 1])}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one valid file for each of the readers."""
    folder = tmp_path_factory.mktemp("whole")
    io.write_json(folder / "run.json", run_record())
    io.write_json(folder / "some.json", {"loss": 0.1, "name": "é", "metrics": metrics()})
    io.write_table(folder / "history.csv", {"epoch": [1, 2], "loss": [2.5, 1.25]})
    io.write_arrays(folder / "predictions.npz", **ARRAYS)
    io.write_tensors(folder / "model.safetensors", {"weight": torch.arange(12.0).view(3, 4)}, {"classes": "10"})
    return folder


# Writing


def no_space(*args: Any, **kwargs: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupt(*args: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("step", "failure"), [("fsync", no_space), ("replace", no_space), ("replace", interrupt)])
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, failure: Callable[..., None], old: bytes | None
) -> None:
    path = tmp_path / "run.json"
    if old:
        path.write_bytes(old)
    with monkeypatch.context() as broken, pytest.raises((ReportError, KeyboardInterrupt)):
        broken.setattr(os, step, failure)
        io.write_atomic(path, b"new")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([old] if old else [])
    io.write_atomic(path, b"new")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"new"]


KILLED = """
import os, signal, sys
from pathlib import Path
from gradcam_report.runs import io
os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
io.write_atomic(Path(sys.argv[1]), b"new")
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL elsewhere")
def test_a_kill_leaves_the_old_file_and_a_temporary_that_is_cleared(tmp_path: Path) -> None:
    path, other = tmp_path / "run.json", tmp_path / ".mine.tmp"
    path.write_bytes(b"old")
    other.touch()
    assert subprocess.run([sys.executable, "-c", KILLED, path]).returncode < 0
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 3
    io.clear_temporaries(tmp_path)
    assert set(tmp_path.iterdir()) == {path, other}


@pytest.mark.skipif(os.name != "posix", reason="permissions as on POSIX")
def test_others_may_read_what_is_written(tmp_path: Path) -> None:
    io.write_atomic(tmp_path / "new" / "file", b"")
    assert (tmp_path / "new" / "file").stat().st_mode & 0o777 == 0o644


# Reading back what was written


numbers = st.floats(width=64) | st.integers(-(2**53), 2**53)


@settings(max_examples=50)
@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(numbers, min_size=n, max_size=n), min_size=1, max_size=4)))
def test_tables_give_back_the_same_floats(scratch: Path, columns: list[list[float]]) -> None:
    io.write_table(scratch / "table.csv", {f"column {i}": c for i, c in enumerate(columns)})
    back = io.read_table(scratch / "table.csv")
    assert list(back) == [f"column {i}" for i in range(len(columns))]
    for got, given_ in zip(back.values(), columns, strict=True):
        assert got.dtype == np.float64
        np.testing.assert_array_equal(got, np.array(given_, dtype=np.float64))


def test_columns_of_numpy_or_no_numbers_are_written_and_uneven_ones_refused(tmp_path: Path) -> None:
    path, losses = tmp_path / "table.csv", np.array([0.1, 1 / 3, 2.0], dtype=np.float32)
    for columns in ({"epoch": np.arange(3), "loss": losses}, {"epoch": [], "loss": []}):
        io.write_table(path, columns)
        np.testing.assert_equal(io.read_table(path), {k: np.array(v, np.float64) for k, v in columns.items()})
    with pytest.raises(ValueError):
        io.write_table(path, {"epoch": [1, 2], "loss": [0.5]})


def test_records_arrays_and_tensors_come_back_as_they_were(whole: Path, tmp_path: Path) -> None:
    assert io.read_record(whole / "run.json", RunRecord) == run_record()
    with pytest.raises(ValueError):
        io.write_json(tmp_path / "some.json", {"loss": math.nan})
    assert io.read_json(whole / "some.json") == {
        "loss": 0.1,
        "name": "é",
        "metrics": metrics().model_dump(exclude_unset=True),
    }
    back = io.read_arrays(whole / "predictions.npz")
    assert list(back) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert back[name].dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)

    tensors = {"half": torch.randn(4, 4).half().t(), "count": torch.tensor(7), "grad": torch.ones(2).requires_grad_()}
    io.write_tensors(tmp_path / "t.safetensors", tensors, {"width": "64"})
    got, metadata = io.read_tensors(tmp_path / "t.safetensors")
    assert metadata == {"width": "64"}
    torch.testing.assert_close(got, {k: t.detach() for k, t in tensors.items()}, rtol=0, atol=0)


# Damage


@pytest.mark.parametrize("name", ["run.json", "some.json", "predictions.npz", "model.safetensors"])
@settings(max_examples=30)
@given(data=st.data())
def test_a_truncated_file_is_refused(scratch: Path, whole: Path, name: str, data: st.DataObject) -> None:
    path, content = scratch / name, (whole / name).read_bytes().rstrip()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(ReportError, match=f"{name} cannot be read .* run the chapter that makes it again"):
        READERS[name](path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *((name, None) for name in READERS),
        *((name, b"") for name in READERS),
        ("run.json", json.dumps(run_record().model_dump() | {"parameters": {"batch_size": 0}}).encode()),
        ("some.json", b"[1, 2]"),
        ("history.csv", b"epoch,loss\n1\n"),
        ("history.csv", b"epoch,loss\n1,two\n"),
    ],
)
def test_a_damaged_or_absent_file_is_one_sentence_with_its_name(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ReportError) as caught:
        READERS[name](path)
    text = str(caught.value)
    assert text.startswith(f"{path} cannot be read (") and "\n" not in text and len(text) < len(str(path)) + 300

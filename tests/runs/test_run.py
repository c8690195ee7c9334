"""Files whole or not at all, damage named instead of believed, and a published run that nobody overwrites."""

import contextlib
import datetime
import errno
import json
import math
import os
import pickle
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcam_report.config import PUBLISHED, ReportError
from gradcam_report.runs import folder as run_folder
from gradcam_report.runs import io

READERS: dict[str, Callable[[Path], Any]] = {
    "run.json": io.read_json,
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
    io.write_json(folder / "run.json", {"parameters": {"seed": 0}, "result": {}, "provenance": {}})
    io.write_table(folder / "history.csv", {"epoch": [1, 2], "loss": [2.5, 1.25]})
    io.write_arrays(folder / "predictions.npz", **ARRAYS)
    io.write_tensors(folder / "model.safetensors", {"weight": torch.arange(12.0).view(3, 4)}, {"classes": "10"})
    return folder


def store(folder: str, stage: str, parameters: dict[str, Any]) -> None:
    record = {"parameters": parameters, "result": {"kept": True}, "provenance": {}}
    io.write_json(run_folder.RunFolder(folder) / f"{stage}.json", record)


# Writing


def no_space(*args: Any, **kwargs: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, old: bytes | None
) -> None:
    path = tmp_path / "run.json"
    if old:
        path.write_bytes(old)
    with monkeypatch.context() as broken:
        broken.setattr(os, step, no_space)
        with pytest.raises(ReportError, match=r"run\.json could not be written \(No space left on device\); free some"):
            io.write_atomic(path, b"new")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([old] if old else [])
    io.write_atomic(path, b"new")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"new"]


def test_an_interrupt_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "history.csv"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        io.write_atomic(path, b"new")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]


def test_new_content_is_complete_before_it_takes_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(os, "replace", lambda new, old: seen.append((Path(new).read_bytes(), Path(new).parent)))
    io.write_atomic(tmp_path / "new" / "file", b"x" * 100_000)
    assert seen == [(b"x" * 100_000, tmp_path / "new")]  # same folder: a rename across disks would be a copy


@pytest.mark.skipif(os.name != "posix", reason="permissions as on POSIX")
def test_others_may_read_what_is_written(tmp_path: Path) -> None:
    io.write_atomic(tmp_path / "file", b"")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_a_folder_that_cannot_be_written_to_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "file").write_text("in the way")
    with pytest.raises(ReportError, match=r"could not be written .* choose another run_dir"):
        run_folder.RunFolder("file/try").prepare()

    def read_only(*args: Any, **kwargs: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    with pytest.raises(ReportError, match=r"runs.try.* could not be written \(Permission denied\); .* another run_dir"):
        run_folder.RunFolder("runs/try").prepare()


def test_preparing_leaves_an_empty_folder(project: Path) -> None:
    run_folder.RunFolder("runs/deep/try").prepare()
    assert list((project / "runs/deep/try").iterdir()) == []


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


def test_tables_of_numpy_numbers_and_of_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    io.write_table(path, {"epoch": np.arange(3), "loss": np.array([0.1, 1 / 3, 2.0], dtype=np.float32)})
    assert path.read_text().splitlines()[:2] == ["epoch,loss", f"0,{np.float32(0.1).item()!r}"]
    np.testing.assert_array_equal(io.read_table(path)["loss"], np.array([0.1, 1 / 3, 2.0], dtype=np.float32))
    io.write_table(path, {"epoch": [], "loss": []})
    assert {k: v.shape for k, v in io.read_table(path).items()} == {"epoch": (0,), "loss": (0,)}
    with pytest.raises(ValueError):
        io.write_table(path, {"epoch": [1, 2], "loss": [0.5]})


def test_arrays_and_tensors_come_back_with_their_types(whole: Path, tmp_path: Path) -> None:
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


def test_json_is_never_made_of_what_json_cannot_say(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    io.write_json(path, {"loss": 0.1, "name": "é"})
    assert io.read_json(path) == json.loads(path.read_text(encoding="utf-8")) == {"loss": 0.1, "name": "é"}
    with pytest.raises(ValueError):
        io.write_json(path, {"loss": math.nan})
    assert io.read_json(path)["loss"] == 0.1


# Damage


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=60)
@given(content=st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_random_bytes_are_refused_by_name_or_read(scratch: Path, name: str, content: bytes) -> None:
    path = scratch / name
    path.write_bytes(content)
    with contextlib.suppress(ReportError):
        READERS[name](path)
        assert name.endswith((".csv", ".json"))  # by chance some text is a number or an object; no zip is


@pytest.mark.parametrize("name", ["run.json", "predictions.npz", "model.safetensors"])
@settings(max_examples=60)
@given(data=st.data())
def test_truncation_and_altered_bytes_never_change_a_value(
    scratch: Path, whole: Path, name: str, data: st.DataObject
) -> None:
    path, content = scratch / name, (whole / name).read_bytes().rstrip()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(ReportError, match=f"{name} cannot be read .* run the chapter that makes it again"):
        READERS[name](path)

    at, mask = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(1, 255))
    path.write_bytes(content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :])
    with contextlib.suppress(ReportError):
        got = READERS[name](path)
        if name.endswith(".npz"):  # the only one of these formats with checksums
            for key, array in got.items():  # an array may be missing, which the reader of it must notice
                np.testing.assert_array_equal(array, ARRAYS[key])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.json", b""),
        ("run.json", b"[1, 2]"),
        ("run.json", b'{"parameters": {'),
        ("run.json", b"\xff\xfe{}"),
        ("run.json", b"[" * 200_000),
        ("history.csv", b""),
        ("history.csv", b"\n"),
        ("history.csv", b"epoch,loss\n1\n"),
        ("history.csv", b"epoch,loss\n1,2,3\n"),
        ("history.csv", b"epoch,loss\n1,two\n"),
        ("history.csv", b"epoch,loss\n1,\xff\n"),
        ("history.csv", b'epoch,loss\n1,"' + b"2" * 200_000),
        ("predictions.npz", b""),
        ("model.safetensors", b""),
    ],
)
def test_damage_is_reported_with_file_and_remedy(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ReportError) as caught:
        READERS[name](path)
    text = str(caught.value)
    assert text.startswith(f"{path} cannot be read (") and "\n" not in text and len(text) < len(str(path)) + 300
    assert text.endswith("delete it and run the chapter that makes it again.")


@pytest.mark.parametrize("name", READERS)
def test_an_absent_file_is_reported_like_a_damaged_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(ReportError, match=f"{name} cannot be read"):
        READERS[name](tmp_path / name)


class Trap:
    """Unpickling this makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (self.path,)


def test_arrays_are_never_unpickled(tmp_path: Path) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / "predictions.npz"
    trap = np.array([Trap(sprung)], dtype=object)
    np.savez(path, logits=trap)
    with pytest.raises(ReportError, match="cannot be read"):
        io.read_arrays(path)
    path.write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(ReportError, match="cannot be read"):
        io.read_arrays(path)
    assert not sprung.exists()
    with pytest.raises(ValueError):
        io.write_arrays(path, logits=trap)


# Run folders


def test_a_missing_file_is_answered_with_the_chapter_to_run(project: Path) -> None:
    folder = run_folder.RunFolder("runs/try")
    with pytest.raises(ReportError) as caught:
        folder.need("model.safetensors", "training")
    assert str(caught.value) == (
        "runs/try holds no model.safetensors; run the chapter training with -p run_dir runs/try first."
    )
    (project / "runs/try/model.safetensors").mkdir(parents=True)  # a folder is no file
    with pytest.raises(ReportError):
        folder.need("model.safetensors", "training")
    store("runs/try", "run", {})
    assert folder.need("run.json", "training") == project / "runs/try/run.json"


def test_records_lacking_a_part_are_damaged(project: Path) -> None:
    assert run_folder.RunFolder("runs/try").record("run") is None
    for lacking in ({"parameters": {}, "result": {}}, {"parameters": [], "result": {}, "provenance": {}}):
        io.write_json(project / "runs/try/run.json", lacking)
        with pytest.raises(ReportError, match=r"run\.json cannot be read \(parameters"):
            run_folder.RunFolder("runs/try").record("run")


def test_folders_belong_to_the_project_wherever_one_stands(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project / "book")
    assert run_folder.RunFolder("runs/try").path == project / "runs/try"
    assert run_folder.RunFolder(project / "runs/try").name == str(Path("runs/try"))
    outside = project.parent / "elsewhere"
    assert (run_folder.RunFolder(outside).path, run_folder.RunFolder(outside).name) == (outside, str(outside))


# What a stage finds in its folder


RECIPE = {"seed": 0, "max_lr": 0.1, "flip": "alternating", "layers": ["layer1"]}


def test_the_same_parameters_show_the_stored_result(project: Path) -> None:
    store("runs/try", "run", RECIPE)
    folder, record = run_folder.settle("runs/try", "run", dict(reversed(RECIPE.items())), force=False)
    assert folder.path == project / "runs/try"
    assert record is not None and record["result"] == {"kept": True}
    assert run_folder.settle("runs/try", "lr_find", RECIPE, force=False)[1] is None  # the other stage left nothing


def test_other_parameters_are_refused_with_the_difference(project: Path) -> None:
    store("runs/try", "run", RECIPE)
    with pytest.raises(ReportError) as caught:
        run_folder.settle("runs/try", "run", RECIPE | {"seed": 1}, force=False)
    assert str(caught.value) == (
        "runs/try holds a run of another recipe (seed 0 there, 1 asked); "
        "choose another run_dir, or add -p force True to replace it."
    )
    with pytest.raises(ReportError, match=r"cutout None there, 8 asked\)"):
        run_folder.settle("runs/try", "run", RECIPE | {"cutout": 8}, force=False)
    with pytest.raises(ReportError, match=r"max_lr 0\.1 there, None asked; flip 'alternating' there, 'none' asked\)"):
        run_folder.settle("runs/try", "run", {"seed": 0, "flip": "none", "layers": ["layer1"]}, force=False)


@pytest.mark.parametrize("parameters", [RECIPE, RECIPE | {"seed": 1}])
def test_force_computes_anew_in_the_same_folder(project: Path, parameters: dict[str, Any]) -> None:
    store("runs/try", "run", RECIPE)
    folder, record = run_folder.settle("runs/try", "run", parameters, force=True)
    assert (folder.path, record) == (project / "runs/try", None)
    assert folder.record("run") is not None  # until the new result takes its place


def test_an_empty_folder_is_work_to_do_and_nothing_is_made_yet(project: Path) -> None:
    folder, record = run_folder.settle("runs/new", "run", RECIPE, force=False)
    assert (folder.name, record) == ("runs/new", None)
    assert not (project / "runs").exists()


@pytest.fixture(params=[PUBLISHED, f"./{PUBLISHED}/", f"runs/../{PUBLISHED}", f"{PUBLISHED}/sub", "absolute", "link"])
def published(request: pytest.FixtureRequest, project: Path) -> Iterator[str]:
    """Ways to say the published folder; nothing in it changes whatever a test does."""
    store(PUBLISHED, "run", RECIPE)
    store(f"{PUBLISHED}/sub", "run", RECIPE)
    (project / "runs").mkdir()
    (project / "link").symlink_to(project / PUBLISHED)
    before = {p: p.read_bytes() for p in (project / "artifacts").rglob("*") if p.is_file()}
    yield str(project / PUBLISHED) if request.param == "absolute" else request.param
    assert {p: p.read_bytes() for p in (project / "artifacts").rglob("*") if p.is_file()} == before


def test_the_published_run_is_shown_and_never_written(project: Path, published: str) -> None:
    folder, record = run_folder.settle(published, "run", RECIPE, force=False)
    assert folder.published and record is not None and record["result"] == {"kept": True}

    for parameters, stage, force in [
        (RECIPE | {"seed": 1}, "run", False),
        (RECIPE | {"seed": 1}, "run", True),
        (RECIPE, "run", True),
        (RECIPE, "lr_find", False),
    ]:
        folder, record = run_folder.settle(published, stage, parameters, force)
        assert record is None and not folder.published
        assert folder.path.parent == project / "runs" and folder.path.name.startswith(f"{stage}-")
        folder.prepare()
        assert run_folder.settle(published, stage, dict(reversed(parameters.items())), force)[0].path == folder.path


def test_redirected_runs_are_found_again_and_kept_apart(project: Path) -> None:
    store(PUBLISHED, "run", RECIPE)
    paths = {run_folder.settle(PUBLISHED, "run", RECIPE | {"seed": s}, force=False)[0].path for s in range(1, 21)}
    assert len(paths) == 20
    other = RECIPE | {"seed": 1}
    folder, _ = run_folder.settle(PUBLISHED, "run", other, force=False)
    store(folder.name, "run", other)
    again, record = run_folder.settle(PUBLISHED, "run", other, force=False)
    assert again.path == folder.path and record is not None and record["parameters"] == other
    assert run_folder.settle(PUBLISHED, "run", other, force=True)[1] is None


def test_folders_named_like_the_published_one_are_not_it(project: Path) -> None:
    for name in ("artifacts/reference2", "artifacts", "runs/artifacts/reference"):
        assert not run_folder.RunFolder(name).published
        assert run_folder.settle(name, "run", RECIPE, force=False)[0].path == project / name


# Provenance


def test_provenance_says_when_and_on_what(project: Path) -> None:
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    facts = run_folder.provenance("2 threads", "shapes", seconds=12.345, commit=run_folder.commit())
    assert before <= datetime.datetime.fromisoformat(facts["finished"]) <= datetime.datetime.now(datetime.UTC)
    assert (facts["compute"], facts["data"], facts["seconds"]) == ("2 threads", "shapes", 12.3)
    assert facts["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert facts["versions"]["numpy"] == np.__version__
    assert facts["commit"] is None  # no checkout here
    io.write_json(project / "run.json", facts)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_commit_is_named_and_whether_files_differ(project: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", *identity, *words], check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("add", "book")
    git("commit", "-qm", "all")
    (project / "untracked").touch()
    assert run_folder.commit() == git("rev-parse", "--short=12", "HEAD")
    (project / "book/index.md").write_text("changed")
    assert run_folder.commit() == git("rev-parse", "--short=12", "HEAD") + "+"

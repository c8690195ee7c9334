"""Publishing: all of a finished run and its chapters or nothing, whenever it is killed."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from notebooks import Executed, contents
from sample_records import provenance, range_test_record, run_record

from gradcam_report.config import CHAPTERS, PUBLISHED, ReportError
from gradcam_report.execution import publish, runner
from gradcam_report.execution.parameters import parameters_for
from gradcam_report.runs import io

RESULTS = (*publish.RANGE_TEST_FILES, *publish.TRAINING_FILES)


def finished(folder: Path, commit: str | None = "0123456789ab", **other: Any) -> None:
    """The files of a finished run of the defaults; `other` are parameters that differ."""
    trained = run_record(**other).model_copy(update={"provenance": provenance(commit=commit)})
    io.write_json(folder / "run.json", trained)
    io.write_json(folder / "lr_find.json", range_test_record())
    for name in RESULTS:
        if not (folder / name).exists():
            (folder / name).write_bytes(f"new {name}".encode())


@pytest.fixture
def published(chapters: Path) -> Path:
    """A project with a published run, and a finished one in runs/full."""
    (chapters / PUBLISHED).mkdir(parents=True)
    for name in RESULTS:
        (chapters / PUBLISHED / name).write_bytes(f"old {name}".encode())
    finished(chapters / "runs" / "full")
    return chapters


def state(project: Path) -> dict[str, dict[str, bytes]]:
    return {name: contents(project / name) for name in ("artifacts", "book")}


def committed(project: Path) -> None:
    (project / ".gitignore").write_text("/runs/\n/_build/\n")
    for words in ("init -q", "add -A", "-c user.name=a -c user.email=a@b commit -q -m first"):
        subprocess.run(["git", *words.split()], cwd=project, check=True)


@pytest.mark.parametrize("git", [False, True])
def test_publishing_replaces_the_run_and_every_chapter(published: Path, executed: Executed, git: bool) -> None:
    (published / "runs" / "full" / "checkpoint.safetensors").write_bytes(b"large")
    if git:
        committed(published)
    before = contents(published / PUBLISHED)
    publish.publish_any("runs/full")
    full = published / "runs" / "full"
    assert contents(published / PUBLISHED) == {name: (full / name).read_bytes() for name in RESULTS}
    for name in CHAPTERS:
        assert "executed" in (published / "book" / f"{name}.ipynb").read_text()
        assert executed.calls[name] == parameters_for(name, {})
    assert set(executed.runs) == {(full / "run.json").read_bytes()}, "they were executed where the new run is"
    old = published / f"{PUBLISHED}.old"
    assert not old.exists() if git else contents(old) == before, "what git does not keep stays"
    assert not (published / publish.STAGE).exists()


def test_publishing_takes_what_was_measured_of_other_seeds_but_not_their_weights(
    published: Path, executed: Executed
) -> None:
    full = published / "runs" / "full"
    finished(full / "seed-1", seed=1)
    finished(full / "seed-3", seed=3, epochs=2)  # of another recipe
    (full / "seed-1" / publish.MAPS_FILE).write_bytes(b"maps")
    (full / "seed-2").mkdir()  # a seed that is still being trained
    publish.publish("runs/full")
    target = published / PUBLISHED
    assert set(contents(target / "seed-1")) == {*publish.SEED_FILES, publish.MAPS_FILE}
    assert {path.name for path in target.glob("seed-*")} == {"seed-1"}


@pytest.mark.parametrize("name", ["lr_find.csv", "features.npz", "seed-1/predictions.npz"])
def test_an_unfinished_run_is_not_published(published: Path, executed: Executed, name: str) -> None:
    before = state(published)
    finished(published / "runs" / "full" / "seed-1", seed=1)
    (published / "runs" / "full" / name).unlink()
    with pytest.raises(ReportError, match=f"holds no {Path(name).name}; run the chapter"):
        publish.publish("runs/full")
    assert state(published) == before and not executed.calls


@pytest.mark.parametrize(
    ("folder", "other", "words"),
    [
        ("runs/full", {"epochs": 3}, "not made with the defaults .*epochs 3"),
        ("runs/full", {"dataset": "shapes"}, "not made with the defaults .*dataset 'shapes'"),
        ("runs/full", {"commit": "0123456789ab+"}, "uncommitted changes"),
        ("runs/full/seed-1", {"seed": 1, "commit": "0123456789ab+"}, "uncommitted changes"),
    ],
)
def test_a_run_that_nobody_could_make_again_is_not_published(
    published: Path, executed: Executed, folder: str, other: dict[str, Any], words: str
) -> None:
    before = state(published)
    finished(published / folder, **other)
    with pytest.raises(ReportError, match=f"{folder} was .*{words}"):
        publish.publish("runs/full")
    assert state(published) == before and not executed.calls


@pytest.mark.parametrize("name", ["book/data.ipynb", "artifacts/new.json"])
def test_uncommitted_changes_are_not_overwritten(published: Path, executed: Executed, name: str) -> None:
    committed(published)
    (published / name).write_text("mine")
    with pytest.raises(ReportError, match=f"{name} has uncommitted changes"):
        publish.publish("runs/full")
    assert not executed.calls and (published / name).read_text() == "mine"


def test_a_chapter_that_fails_changes_nothing(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(published)
    monkeypatch.setattr(runner, "execute", Executed(fails="explorer"))
    with pytest.raises(ReportError, match="The chapter explorer stopped"):
        publish.publish("runs/full")
    assert state(published) == before


@pytest.mark.parametrize("moves", [0, 1, 2, 7, 11])
def test_a_kill_between_the_moves_is_mended_by_the_same_command(
    published: Path, executed: Executed, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    left = [moves]

    def dying(move: Any) -> Any:
        def moved(*args: Any) -> Any:
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return move(*args)

        return moved

    committed(published)
    with monkeypatch.context() as patch:
        for name in ("rename", "replace"):
            patch.setattr(Path, name, dying(getattr(Path, name)))
        with pytest.raises(KeyboardInterrupt):
            publish.publish_any("runs/full")
        left[0] = -1
    if moves >= 2:
        shutil.rmtree(published / "runs" / "full")  # it is not needed any more
    publish.publish_any("runs/full")
    assert (published / PUBLISHED / "metrics.json").read_bytes() == b"new metrics.json"
    assert all("executed" in (published / "book" / f"{name}.ipynb").read_text() for name in CHAPTERS)
    assert [path.name for path in (published / "artifacts").iterdir()] == ["reference"]


def test_the_published_run_can_be_published_again(published: Path, executed: Executed) -> None:
    for name in RESULTS:
        (published / PUBLISHED / name).unlink()
    finished(published / PUBLISHED, commit="0123456789ab+")
    before = contents(published / PUBLISHED)
    committed(published)
    publish.publish(PUBLISHED)
    assert contents(published / "artifacts" / "reference") == before and executed.calls

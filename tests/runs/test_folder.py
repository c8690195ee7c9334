"""A stored result is shown to the same recipe, never overwritten by another one; nobody writes to a published run."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sample_records import metrics, run_record

from gradcam_report.config import PUBLISHED, PUBLISHED_VARIANTS, ReportError
from gradcam_report.runs import io
from gradcam_report.runs.folder import RunFolder, other_seeds, resolve_folder
from gradcam_report.runs.provenance import current_commit
from gradcam_report.runs.records import RangeTestRecipe, RangeTestRecord, RunRecord, TrainingRecipe

RECIPE, RANGE_TEST = TrainingRecipe(dataset="shapes"), RangeTestRecipe(dataset="shapes")


def store(folder: str, **parameters: object) -> RunFolder:
    io.write_json(RunFolder(folder) / "run.json", run_record(**parameters))
    return RunFolder(folder)


def other(**parameters: object) -> TrainingRecipe:
    return RECIPE.model_copy(update=parameters)


# Folders


def test_a_missing_file_is_answered_with_the_chapter_to_run(project: Path) -> None:
    folder = RunFolder("runs/try")
    assert folder.record(RunRecord) is None
    with pytest.raises(ReportError, match=r"runs/try holds no .* the chapter training with -p run_dir runs/try first"):
        folder.run()
    io.write_json(folder / "run.json", run_record(seed=5))
    io.write_json(folder / "metrics.json", metrics(errors=3))
    assert (folder.run().parameters.seed, folder.metrics().errors) == (5, 3)
    (folder / "model.safetensors").mkdir()  # a folder is no file
    with pytest.raises(ReportError):
        folder.need("model.safetensors", "training")


def test_folders_belong_to_the_project_wherever_one_stands(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project / "book")
    assert RunFolder("runs/try").path == project / "runs/try"
    assert RunFolder(project / "runs/try").name == str(Path("runs/try"))
    outside = project.parent / "elsewhere"
    assert (RunFolder(outside).path, RunFolder(outside).name) == (outside, str(outside))
    for name in (f"{PUBLISHED}2", "artifacts", f"runs/{PUBLISHED}"):
        assert not RunFolder(name).published


def test_preparing_makes_an_empty_folder_or_says_that_it_cannot_be_written(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    RunFolder("runs/deep/try").prepare()
    assert list((project / "runs/deep/try").iterdir()) == []
    (project / "file").write_text("in the way")
    with pytest.raises(ReportError, match=r"file/try could not be written .* choose another run_dir"):
        RunFolder("file/try").prepare()

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(ReportError, match=r"runs/try could not be written \(Permission denied\)"):
        RunFolder("runs/try").prepare()


# What a stage finds in its folder


def test_a_stored_result_is_shown_to_the_same_recipe_and_replaced_only_by_force(project: Path) -> None:
    folder, record = resolve_folder("runs/try", RunRecord, RECIPE, force=False)
    assert (folder.name, record) == ("runs/try", None) and not (project / "runs").exists()
    store("runs/try", dataset="shapes")
    folder, record = resolve_folder("runs/try", RunRecord, RECIPE, force=False)
    assert folder.path == project / "runs/try" and record == run_record(dataset="shapes")
    with pytest.raises(
        ReportError, match=r"\(flip 'alternating' there, 'none' requested; width 64 there, 16 requested"
    ):
        resolve_folder("runs/try", RunRecord, other(flip="none", width=16), force=False)
    for recipe in (RECIPE, other(seed=1)):
        folder, record = resolve_folder("runs/try", RunRecord, recipe, force=True)
        assert (folder.path, record) == (project / "runs/try", None)
    assert folder.record(RunRecord) is not None  # until the new result takes its place
    assert resolve_folder("runs/try", RangeTestRecord, RANGE_TEST, force=False)[1] is None


def test_other_seeds_differ_in_the_seed_alone(project: Path) -> None:
    folder = store("runs/try", dataset="shapes")
    for seed, more in ((2, {}), (1, {}), (3, {"epochs": 7}), (0, {})):
        store(f"runs/try/seed-{seed}", dataset="shapes", seed=seed, **more)
    (folder / "seed-9").mkdir()
    found = other_seeds(folder, run_record(dataset="shapes"))
    assert list(found) == [1, 2] and found[2].path == folder / "seed-2"


@pytest.fixture(params=[PUBLISHED, f"{PUBLISHED_VARIANTS}/a", "absolute", "link"])
def published(request: pytest.FixtureRequest, project: Path) -> Iterator[str]:
    """Ways to say the published folder; nothing in it changes whatever a test does."""
    store(PUBLISHED, dataset="shapes")
    store(f"{PUBLISHED_VARIANTS}/a", dataset="shapes")
    (project / "runs").mkdir()
    (project / "link").symlink_to(project / PUBLISHED)
    before = {p: p.read_bytes() for p in (project / "artifacts").rglob("*") if p.is_file()}
    yield str(project / PUBLISHED) if request.param == "absolute" else request.param
    assert {p: p.read_bytes() for p in (project / "artifacts").rglob("*") if p.is_file()} == before


def test_the_published_run_is_shown_and_never_written(project: Path, published: str) -> None:
    folder, record = resolve_folder(published, RunRecord, RECIPE, force=False)
    assert folder.published and record == run_record(dataset="shapes")
    for recipe, force in [(other(seed=1), False), (other(seed=1), True), (RECIPE, True)]:
        folder, record = resolve_folder(published, RunRecord, recipe, force)
        assert record is None and not folder.published
        assert folder.path.parent == project / "runs" and folder.path.name.startswith("run-")
        folder.prepare()
    folder, record = resolve_folder(published, RangeTestRecord, RANGE_TEST, force=False)
    assert record is None and folder.path.name.startswith("lr_find-")


def test_redirected_runs_are_found_again_and_kept_apart(project: Path) -> None:
    store(PUBLISHED, dataset="shapes")
    found = [resolve_folder(PUBLISHED, RunRecord, other(seed=seed), force=False)[0] for seed in range(1, 21)]
    assert len({folder.path for folder in found}) == 20
    store(found[0].name, dataset="shapes", seed=1)
    again, record = resolve_folder(PUBLISHED, RunRecord, other(seed=1), force=False)
    assert again.path == found[0].path and record == run_record(dataset="shapes", seed=1)


# Provenance


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_commit_is_named_and_whether_files_differ(project: Path) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", *identity, *words], check=True, capture_output=True, text=True).stdout.strip()

    assert current_commit() is None
    git("init", "-q")
    git("add", "book")
    git("commit", "-qm", "all")
    (project / "untracked").touch()
    assert current_commit() == git("rev-parse", "--short=12", "HEAD")
    (project / "book/index.md").write_text("changed")
    assert current_commit() == git("rev-parse", "--short=12", "HEAD") + "+"

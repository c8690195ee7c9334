"""Chapters through papermill: executed from their clean source, kept whole, published all together or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from gradcam_report.config import CHAPTERS, PUBLISHED, ReportError, field_names, parse_params
from gradcam_report.execution import publish, runner
from gradcam_report.runs import io

RESULTS = (*publish.RANGE_TEST_FILES, *publish.TRAINING_FILES)


def first_cell(name: str) -> nbformat.NotebookNode:
    values = runner.parameters_for(name, {})
    source = "\n".join(f"{k} = {v!r}  # what it means" for k, v in values.items())
    return new_code_cell(source, metadata={"tags": ["parameters"]})


def write(path: Path, *cells: nbformat.NotebookNode, **metadata: Any) -> None:
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=list(cells), metadata=kernel | metadata), path)


def code(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Parameters


def test_parameters_come_from_a_yaml_file(tmp_path: Path) -> None:
    (tmp_path / "some.yaml").write_text("epochs: 3  # passes\nlayers: [layer4]\n")
    (tmp_path / "empty.yaml").write_text("# nothing yet\n")
    assert runner.read_parameters(tmp_path / "some.yaml") == {"epochs": 3, "layers": ["layer4"]}
    assert runner.read_parameters(tmp_path / "empty.yaml") == {}


@pytest.mark.parametrize("text", ["- epochs", "epochs", "1: 2", "a: [", "\t", b"\xff\xfe\x00"])
def test_a_file_that_is_no_mapping_is_refused_in_one_sentence(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "some.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ReportError, match=r"some\.yaml") as caught:
        runner.read_parameters(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", CHAPTERS)
def test_each_chapter_gets_its_own_of_a_flat_list_and_defaults_for_the_rest(name: str) -> None:
    given = runner.parameters_for(name, {"epochs": 3, "method": "layercam", "seed": 7})
    assert list(given) == list(field_names(name))
    for other, value in {"epochs": 3, "method": "layercam", "seed": 7}.items():
        assert given.get(other, value) == value
    parse_params(name, given)


def test_a_name_that_no_chapter_knows_is_refused() -> None:
    runner.check_names({"epochs": 1, "method": "gradcam"})
    with pytest.raises(ReportError, match="No chapter has a parameter 'epohcs'"):
        runner.check_names({"epochs": 1, "epohcs": 1})


# One chapter


def test_a_chapter_is_executed_from_its_clean_source(project: Path) -> None:
    old = new_code_cell("print('old')", outputs=[new_output("stream", text="stale")], execution_count=9)
    old.metadata.papermill = {"status": "failed"}
    injected = new_code_cell("run_dir = 'runs/old'", metadata={"tags": ["injected-parameters"]})
    source = project / "book" / "model.ipynb"
    write(source, first_cell("model"), injected, old, new_code_cell("print(run_dir)"), papermill={"exception": True})
    before = source.read_bytes()

    seconds = runner.execute("model", project / "out" / "model.ipynb", {"run_dir": PUBLISHED})

    assert seconds > 0 and source.read_bytes() == before
    assert [path.name for path in (project / "out").iterdir()] == ["model.ipynb"]
    cells = code(project / "out" / "model.ipynb")
    assert [printed(cell) for cell in cells] == ["", "old\n", PUBLISHED + "\n"]  # a default is not injected
    assert [cell.execution_count for cell in cells] == [1, 2, 3]
    assert {cell.metadata.papermill.status for cell in cells} == {"completed"}
    assert str(project) not in (project / "out" / "model.ipynb").read_text()


def test_a_parameter_that_differs_from_the_default_is_injected_and_the_chapter_runs_at_the_top(project: Path) -> None:
    write(
        project / "book" / "model.ipynb", first_cell("model"), new_code_cell("import os\nprint(run_dir, os.getcwd())")
    )
    runner.execute("model", project / "runs" / "x" / "book" / "model.ipynb", {"run_dir": "runs/x"})
    _, injected, last = code(project / "runs" / "x" / "book" / "model.ipynb")
    assert injected.metadata.tags == ["injected-parameters"] and 'run_dir = "runs/x"' in injected.source
    assert printed(last) == f"runs/x {project}\n"


STOP = "from gradcam_report.config import ReportError\nraise ReportError('epochs is 0; it must be at least 1.')"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        pytest.param(
            STOP, "The chapter model stopped (see {failed}): epochs is 0; it must be at least 1.", id="refused"
        ),
        pytest.param(
            "1 / 0",
            "The chapter model stopped (see {failed}): ZeroDivisionError: division by zero",
            id="broken",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "import os\nos._exit(1)",
            "The chapter model was killed (see {failed})",
            id="killed",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_failed_chapter_is_kept_beside_what_was_there(project: Path, source: str, sentence: str) -> None:
    out, failed = project / "out" / "model.ipynb", project / "out" / "model.failed.ipynb"
    write(out, new_markdown_cell("the last good one"))
    before = out.read_bytes()
    write(project / "book" / "model.ipynb", first_cell("model"), new_code_cell(source), new_code_cell("print('after')"))

    with pytest.raises(ReportError) as caught:
        runner.execute("model", out, {})

    assert str(caught.value).startswith(sentence.format(failed=failed)) and "\n" not in str(caught.value)
    assert out.read_bytes() == before and sorted(p.name for p in out.parent.iterdir()) == [failed.name, out.name]
    assert not any(printed(cell) for cell in code(failed))
    told = [o.traceback for cell in code(failed) for o in cell.outputs if o.output_type == "error"]
    assert source != STOP or told == [["ReportError: epochs is 0; it must be at least 1."]]  # no traceback


def test_a_missing_chapter_is_named(project: Path) -> None:
    with pytest.raises(ReportError, match=r"book/model\.ipynb is missing"):
        runner.execute("model", project / "out" / "model.ipynb", {})
    assert not (project / "out").exists()


# A run of several


class Executed:
    """Stands for `report.execute`: writes what it was asked for instead of running it; fails at chapter `fails`."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.calls: dict[str, dict[str, Any]] = {}

    def __call__(self, chapter: str, out: Path, parameters: Mapping[str, Any], book: Path | None = None) -> float:
        if chapter == self.fails:
            raise ReportError(f"The chapter {chapter} stopped.")
        self.calls[chapter] = dict(parameters)
        write(out, new_markdown_cell(f"executed {chapter}"))
        return 1.0


@pytest.fixture
def chapters(project: Path) -> Path:
    """A project whose book holds every chapter."""
    for name in CHAPTERS:
        write(project / "book" / f"{name}.ipynb", new_markdown_cell(f"committed {name}"))
    return project


def test_run_all_hands_each_chapter_its_parameters_and_tells_the_time_left(
    chapters: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    executed = Executed()
    monkeypatch.setattr(runner, "execute", executed)
    values = {"dataset": "shapes", "epochs": 2, "train_size": 64}
    assert runner.run_all(values, "runs/x", site=False) is None
    assert list(executed.calls) == list(CHAPTERS)
    for name, given in executed.calls.items():
        assert given == runner.parameters_for(name, values | {"run_dir": "runs/x"})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * len(CHAPTERS) and lines[0] == f"[1/{len(CHAPTERS)}] data ..."
    assert lines[-1] == f"[{len(CHAPTERS)}/{len(CHAPTERS)}] {list(CHAPTERS)[-1]} took 1 s; about 0 s left"
    assert sorted(p.name for p in (chapters / "runs/x/book").iterdir()) == sorted(f"{c}.ipynb" for c in CHAPTERS)


def test_without_cifar10_auto_is_settled_once_for_all_chapters_and_said(
    chapters: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gradcam_report.data import cifar10

    def offline(root: Path) -> None:
        raise OSError("no route to host")

    executed = Executed()
    monkeypatch.setattr(runner, "execute", executed)
    monkeypatch.setattr(cifar10, "download", offline)
    runner.run_all({"dataset": "auto"}, "runs/x", site=False)
    assert {c["dataset"] for c in executed.calls.values() if "dataset" in c} == {"shapes"}
    assert "could not be downloaded (no route to host)" in capsys.readouterr().out
    with pytest.raises(ReportError, match="could not be downloaded"):
        runner.run_all({"dataset": "cifar10"}, "runs/x", site=False)


def test_chapters_that_read_a_finished_run_do_not_ask_for_a_data_set(
    chapters: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed = Executed()
    monkeypatch.setattr(runner, "execute", executed)
    monkeypatch.setattr(runner, "choose_dataset", lambda values: pytest.fail("a data set was looked for"))
    runner.run_all({"selection": "stratified"}, "runs/x", ["gradcam"], site=False)
    assert executed.calls["gradcam"]["selection"] == "stratified"


@pytest.mark.parametrize(
    ("values", "run_dir", "sentence"),
    [
        ({}, PUBLISHED, "never writes"),
        ({}, "artifacts/../artifacts/reference/mine", "never writes"),
        ({}, ".", "never writes"),
        ({}, "", "never writes"),
        ({"epohcs": 1}, "runs/x", "No chapter has a parameter 'epohcs'"),
        ({"epochs": "ten"}, "runs/x", "epochs is 'ten'"),
        ({"method": "gradcam++"}, "runs/x", "method is 'gradcam\\+\\+'"),
    ],
)
def test_run_all_refuses_before_any_work(
    chapters: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], run_dir: str, sentence: str
) -> None:
    executed, before = Executed(), contents(chapters)
    monkeypatch.setattr(runner, "execute", executed)
    monkeypatch.setattr(runner, "choose_dataset", lambda values: pytest.fail("a data set was looked for"))
    with pytest.raises(ReportError, match=sentence):
        runner.run_all(values, run_dir)
    assert not executed.calls and contents(chapters) == before


def test_run_all_refuses_a_run_folder_that_cannot_be_written(chapters: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executed = Executed()
    monkeypatch.setattr(runner, "execute", executed)
    (chapters / "runs").write_text("a file where the folder should be")
    with pytest.raises(ReportError, match="could not be written"):
        runner.run_all({"dataset": "shapes"}, "runs/x")
    assert not executed.calls


def test_without_every_chapter_there_is_no_site_and_that_is_said_at_once(
    chapters: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    executed = Executed()
    monkeypatch.setattr(runner, "execute", executed)
    monkeypatch.setattr(runner, "build_run_site", lambda folder: pytest.fail("a site was built"))
    assert runner.run_all({}, "runs/x", ["gradcam"]) is None
    assert executed.calls
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("No site will be built: runs/x does not hold the chapters data, model,")


def test_a_training_of_more_images_is_expected_to_take_longer() -> None:
    def training(**values: int) -> float:
        return runner.expected_images("training", runner.parameters_for("training", values))

    assert training(train_size=1000, epochs=1) < training(train_size=1000, epochs=2) < training(epochs=2)
    assert all(runner.expected_images(name, runner.parameters_for(name, {})) > 0 for name in CHAPTERS)


# Publishing


def finished(folder: Path, **other: Any) -> None:
    """The files of a finished run of the defaults; `other` are parameters that differ."""
    for stage, chapter in (("lr_find", "lr_finder"), ("run", "training")):
        machine = {"run_dir", "data_root", "device", "force", "seeds"}
        made = {k: v for k, v in runner.parameters_for(chapter, {}).items() if k not in machine}
        made |= {k: v for k, v in other.items() if k in made}
        result = {"suggestions": {"divergence onset": 0.037}}
        io.write_json(folder / f"{stage}.json", {"parameters": made, "result": result, "provenance": {}})
    for name in RESULTS:
        if not (folder / name).exists():
            (folder / name).write_bytes(f"new {name}".encode())


@pytest.fixture
def published(chapters: Path) -> Path:
    """A project with a published run."""
    reference = chapters / PUBLISHED
    reference.mkdir(parents=True)
    for name in RESULTS:
        (reference / name).write_bytes(f"old {name}".encode())
    return chapters


def state(project: Path) -> dict[str, dict[str, bytes]]:
    return {name: contents(project / name) for name in ("artifacts", "book")}


def test_publishing_replaces_the_run_and_every_chapter(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executed = Executed()
    monkeypatch.setattr(runner, "execute", executed)
    finished(published / "runs" / "full")
    (published / "runs" / "full" / "checkpoint.safetensors").write_bytes(b"large")
    publish.publish("runs/full")
    assert contents(published / "artifacts") == {
        f"reference/{name}": (published / "runs" / "full" / name).read_bytes() for name in RESULTS
    }
    for name in CHAPTERS:
        assert "executed" in (published / "book" / f"{name}.ipynb").read_text()
        assert executed.calls[name] == runner.parameters_for(name, {})
    assert [p.name for p in (published / "runs").iterdir()] == ["full"]


def test_publishing_takes_what_was_measured_of_other_seeds_but_not_their_weights(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "execute", Executed())
    full, kept = published / "runs" / "full", ("run.json", "history.csv", "metrics.json", "predictions.npz")
    finished(full)
    finished(full / "seed-1", seed=1)
    finished(full / "seed-3", seed=3, epochs=2)  # of another recipe
    (full / "seed-2").mkdir()  # a seed that is still being trained
    (full / "seed-2" / "checkpoint.safetensors").write_bytes(b"half-way")
    publish.publish("runs/full")
    target = published / PUBLISHED
    assert contents(target / "seed-1") == {name: (full / "seed-1" / name).read_bytes() for name in kept}
    assert {path.name for path in target.glob("seed-*")} == {"seed-1"}
    (full / "seed-1" / "predictions.npz").unlink()
    with pytest.raises(ReportError, match=r"seed-1 holds no predictions\.npz"):
        publish.publish("runs/full")
    assert (target / "seed-1" / "predictions.npz").exists()


@pytest.mark.parametrize("first", [False, True], ids=["over another", "for the first time"])
def test_publishing_is_all_or_nothing(published: Path, monkeypatch: pytest.MonkeyPatch, first: bool) -> None:
    if first:
        for path in (published / PUBLISHED).iterdir():
            path.unlink()
        (published / PUBLISHED).rmdir()
    before = state(published)
    monkeypatch.setattr(runner, "execute", Executed(fails="lr_finder"))
    finished(published / "runs" / "full")
    with pytest.raises(ReportError, match="The chapter lr_finder stopped"):
        publish.publish("runs/full")
    assert state(published) == before


@pytest.mark.parametrize("name", RESULTS)
def test_an_unfinished_run_is_not_published(published: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    executed, before = Executed(), state(published)
    monkeypatch.setattr(runner, "execute", executed)
    finished(published / "runs" / "full")
    (published / "runs" / "full" / name).unlink()
    chapter = "lr_finder" if name.startswith("lr_find") else "training"
    with pytest.raises(ReportError, match=f"runs/full holds no {name}; run the chapter {chapter} "):
        publish.publish("runs/full")
    assert state(published) == before and not executed.calls


@pytest.mark.parametrize("other", [{"epochs": 3}, {"iterations": 120}, {"dataset": "shapes"}, {"max_lr": 0.5}])
def test_a_run_that_the_chapters_would_not_recognise_is_not_published(
    published: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]
) -> None:
    executed, before = Executed(), state(published)
    monkeypatch.setattr(runner, "execute", executed)
    finished(published / "runs" / "full", **other)
    ((name, value),) = other.items()
    with pytest.raises(ReportError, match=f"runs/full was not made with the defaults .*{name} {value!r}"):
        publish.publish("runs/full")
    assert state(published) == before and not executed.calls


def test_a_publication_that_was_killed_between_two_renames_is_mended(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(published)
    (published / PUBLISHED).rename(published / "artifacts" / "reference.old")
    monkeypatch.setattr(runner, "execute", Executed(fails="data"))
    finished(published / "runs" / "full")
    with pytest.raises(ReportError):
        publish.publish("runs/full")
    assert state(published) == before


def test_a_publication_that_was_killed_while_chapters_ran_is_mended(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(published)
    reference = published / PUBLISHED
    reference.rename(published / "artifacts" / "reference.old")
    finished(reference)  # the new run was in place already, its chapters were not
    monkeypatch.setattr(runner, "execute", Executed(fails="data"))
    finished(published / "runs" / "full")
    with pytest.raises(ReportError):
        publish.publish("runs/full")
    assert state(published) == before


def test_the_published_run_can_be_published_again(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RESULTS:
        (published / PUBLISHED / name).unlink()
    finished(published / PUBLISHED)
    before = contents(published / "artifacts")
    monkeypatch.setattr(runner, "execute", Executed())
    publish.publish(PUBLISHED)
    assert contents(published / "artifacts") == before

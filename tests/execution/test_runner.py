"""Chapters through papermill: executed from their clean source, kept whole; a run of several."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from notebooks import Executed, code, contents, first_cell, printed, write

from gradcam_report.config import CHAPTERS, PUBLISHED, ReportError
from gradcam_report.execution import runner, site
from gradcam_report.execution.parameters import parameters_for

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


STEPS = """
import time
from gradcam_report import formatting
formatting.SECONDS = 0.1
for _ in formatting.progress(range(20), desc="steps"): time.sleep(0.02)
"""


def test_a_changed_parameter_is_injected_and_this_python_executes_the_chapter_where_the_command_was_given(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    foreign = tmp_path / "jupyter" / "kernels" / "python3"
    foreign.mkdir(parents=True)
    (foreign / "kernel.json").write_text(json.dumps({"argv": ["false"], "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(foreign.parents[1]))
    (project / "elsewhere").mkdir()
    monkeypatch.chdir(project / "elsewhere")
    asks = new_code_cell("import os, sys\nprint(run_dir, os.getcwd(), sys.executable)")
    write(project / "book" / "model.ipynb", first_cell("model"), asks, new_code_cell(STEPS))

    runner.execute("model", project / "out.ipynb", {"run_dir": "runs/x"})

    _, injected, last, steps = code(project / "out.ipynb")
    assert injected.metadata.tags == ["injected-parameters"] and 'run_dir = "runs/x"' in injected.source
    assert printed(last) == f"runs/x {project / 'elsewhere'} {sys.executable}\n"
    assert len(steps.outputs) == 1, "progress is one output"
    assert "steps 20 of 20" in capfd.readouterr().err, "and is told without a terminal too"


STOP = "from gradcam_report.config import ReportError\nraise ReportError('epochs is 0; it must be at least 1.')"
IN_USE = "from gradcam_report.runs.lock import FolderInUse\nraise FolderInUse('it is in use.')"


@pytest.mark.parametrize(
    ("source", "words", "retryable"),
    [
        (STOP, "stopped (see {failed}): epochs is 0; it must be at least 1.", False),
        pytest.param(IN_USE, "stopped (see {failed}): it is in use.", True, marks=pytest.mark.slow),
        pytest.param("1 / 0", "stopped (see {failed}): ZeroDivisionError: ", None, marks=pytest.mark.slow),
        pytest.param("import os\nos._exit(1)", "was killed (see {failed})", None, marks=pytest.mark.slow),
    ],
    ids=["refused", "folder in use", "broken", "killed"],
)
def test_a_failed_chapter_is_kept_beside_what_was_there(
    project: Path, source: str, words: str, retryable: bool | None
) -> None:
    out, failed = project / "out" / "model.ipynb", project / "out" / "model.failed.ipynb"
    write(out, new_markdown_cell("the last good one"))
    before = out.read_bytes()
    write(project / "book" / "model.ipynb", first_cell("model"), new_code_cell(source), new_code_cell("print('after')"))

    with pytest.raises(ReportError) as caught:
        runner.execute("model", out, {})

    assert words.format(failed=failed) in str(caught.value) and "\n" not in str(caught.value)
    assert getattr(caught.value, "retryable", None) == retryable
    assert out.read_bytes() == before and sorted(p.name for p in out.parent.iterdir()) == [failed.name, out.name]
    assert not any(printed(cell) for cell in code(failed))


# A run of several


def test_run_all_hands_each_chapter_its_parameters(chapters: Path, executed: Executed) -> None:
    values = {"dataset": "shapes", "epochs": "2", "train_size": 64}
    assert runner.run_all(values, "runs/x", build_site=False) is None
    assert list(executed.calls) == list(CHAPTERS)
    for name, given in executed.calls.items():
        assert given == parameters_for(name, values | {"run_dir": "runs/x"})
    assert sorted(p.name for p in (chapters / "runs/x/book").iterdir()) == sorted(f"{c}.ipynb" for c in CHAPTERS)


def test_the_time_left_is_scaled_by_the_chapters_that_are_finished(
    chapters: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "expected_seconds", lambda chapter, parameters: 30.0 if chapter == "training" else 10.0)
    monkeypatch.setattr(runner, "execute", Executed(seconds=20.0))
    runner.run_all({"dataset": "shapes"}, "runs/x", ["model", "training", "gradcam"], build_site=False)
    told = [line for line in capsys.readouterr().out.splitlines() if "took" in line]
    assert told[0] == "[1/3] model took 20 s; about 80 s left"
    assert told[1] == "[2/3] training took 20 s; about 10 s left" and "left" not in told[2]


def test_without_cifar10_auto_is_resolved_once_for_all_chapters_and_said(
    chapters: Path, executed: Executed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from gradcam_report.data import cifar10

    def offline(root: Path) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(cifar10, "download", offline)
    runner.run_all({"dataset": "auto"}, "runs/x", build_site=False)
    assert {c["dataset"] for c in executed.calls.values() if "dataset" in c} == {"shapes"}
    assert "could not be downloaded (no route to host)" in capsys.readouterr().out
    with pytest.raises(ReportError, match="could not be downloaded"):
        runner.run_all({"dataset": "cifar10"}, "runs/x", build_site=False)


@pytest.mark.parametrize(
    ("values", "run_dir", "sentence"),
    [
        ({}, PUBLISHED, "never writes"),
        ({}, "artifacts/../artifacts/reference/mine", "never writes"),
        ({}, ".", "never writes"),
        ({}, "", "run_dir is empty"),
        ({"epohcs": 1}, "runs/x", "No chapter has a parameter 'epohcs'"),
        ({"epochs": "ten"}, "runs/x", "epochs is 'ten'"),
    ],
)
def test_run_all_refuses_before_any_work(
    chapters: Path, executed: Executed, values: dict[str, Any], run_dir: str, sentence: str
) -> None:
    before = contents(chapters)
    with pytest.raises(ReportError, match=sentence):
        runner.run_all(values, run_dir)
    assert not executed.calls and contents(chapters) == before


def test_some_chapters_of_a_finished_run_need_no_data_set_and_make_no_site(
    chapters: Path, executed: Executed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "choose_dataset", lambda values: pytest.fail("a data set was looked for"))
    monkeypatch.setattr(site, "build_run", lambda folder: pytest.fail("a site was built"))
    assert runner.run_all({"selection": "stratified"}, "runs/x", ["gradcam"]) is None
    assert executed.calls["gradcam"]["selection"] == "stratified"
    assert "No site will be built: runs/x does not hold the chapters data, model," in capsys.readouterr().out

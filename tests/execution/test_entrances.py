"""Chapters as users start them, with papermill itself: from any folder, with any file of parameters."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from notebooks import code

from gradcam_report.config import CHAPTERS, ReportError, paths
from gradcam_report.pages import notebook
from gradcam_report.runs.folder import RunFolder

TOP = Path(__file__).parents[2]
SHOW = "print(params.flat())"


def beginning(name: str, folder: Path) -> Path:
    """The chapter up to the call of `begin`, and a cell that shows its parameters."""
    chapter = nbformat.read(TOP / "book" / f"{name}.ipynb", as_version=4)
    cells = [cell for cell in chapter.cells if cell.cell_type == "code"]
    first = next(number for number, cell in enumerate(cells) if ".begin(" in cell.source)
    imports = [line for line in cells[first].source.splitlines() if "begin(" in line or "pages" in line]
    cells[first].source = "\n".join([*imports, SHOW])
    chapter.cells = cells[: first + 1]
    nbformat.write(chapter, folder / f"{name}.ipynb")
    return folder / f"{name}.ipynb"


def papermill(chapter: Path, *options: str, cwd: Path) -> tuple[str, str]:
    """(all that the notebook shows, what the command says)."""
    out = chapter.with_name("out.ipynb")
    command = [sys.executable, "-m", "papermill", str(chapter), str(out), "--no-progress-bar", *options]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})
    shown = [output for cell in code(out) for output in cell.outputs]
    return "\n".join(o.get("text") or o.get("data", {}).get("text/markdown", "") for o in shown), done.stderr


def test_a_file_of_all_parameters_and_papermills_own_names(tmp_path: Path) -> None:
    file = str(TOP / "params" / "quick.yaml")
    text, error = papermill(beginning("gradcam", tmp_path), "-f", file, "--inject-paths", cwd=TOP)
    assert "'score_cam': False" in text and "Left aside" in text and "dataset" in text.split("\n")[0], error


def test_text_keeps_its_spelling_and_numbers_may_be_text(tmp_path: Path) -> None:
    file, given = str(TOP / "params" / "full.yaml"), ["-y", "weight_decay: 5e-4", "-r", "run_dir", "007"]
    options = ["-f", file, *given, "--inject-input-path", "--inject-output-path"]
    text, error = papermill(beginning("training", tmp_path), *options, cwd=TOP)
    assert "'weight_decay': 0.0005" in text and "'run_dir': '007'" in text and "'epochs': 20" in text, error


@pytest.mark.parametrize("file", ["quick", "full"])
@pytest.mark.parametrize("name", CHAPTERS)
def test_every_chapter_takes_the_files_of_parameters(name: str, file: str) -> None:
    given = yaml.safe_load((TOP / "params" / f"{file}.yaml").read_text())
    params = notebook.begin(name, given | {"weight_decay": "5e-4", "PAPERMILL_INPUT_PATH": "x"})
    assert all(value == given.get(key, value) for key, value in params.flat().items())


def test_a_text_that_papermill_took_for_a_number_is_refused_with_the_option_that_keeps_it() -> None:
    with pytest.raises(ReportError, match="papermill's -r keeps text"):
        notebook.begin("training", {"run_dir": 7})


def test_from_another_folder_inputs_are_the_users_and_the_run_is_the_checkouts(tmp_path: Path) -> None:
    chapter = beginning("gradcam", tmp_path)
    cell = "from gradcam_report.config import input_path\nfrom gradcam_report.runs.folder import RunFolder\n"
    cell += "print(input_path(params.cam.picture), RunFolder(params.run.run_dir).path)"
    whole = nbformat.read(chapter, as_version=4)
    whole.cells.append(nbformat.v4.new_code_cell(cell))
    nbformat.write(whole, chapter)
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "index.md").touch()  # a book of somebody else's
    (tmp_path / "cat.jpg").touch()
    text, error = papermill(chapter, "-p", "picture", "cat.jpg", cwd=tmp_path)
    assert f"{tmp_path / 'cat.jpg'} {TOP / 'artifacts' / 'reference'}" in text, error


def test_outside_every_checkout_it_is_said_where_one_was_sought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "__file__", "/site-packages/gradcam_report/config/paths.py")  # installed without one
    with pytest.raises(ReportError, match=f"neither {tmp_path} nor a folder above it is a checkout of the report"):
        RunFolder("artifacts/reference").need("run.json", "training")

"""Small chapters to execute, and a stand-in for their execution."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from gradcam_report.config import PUBLISHED, ReportError
from gradcam_report.execution.parameters import parameters_for


def first_cell(name: str) -> nbformat.NotebookNode:
    source = "\n".join(f"{k} = {v!r}" for k, v in parameters_for(name, {}).items())
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


class Executed:
    """Stands for `runner.execute`: writes what it was asked for instead of running it; fails at chapter `fails`."""

    def __init__(self, fails: str = "", seconds: float = 1.0) -> None:
        self.fails, self.seconds = fails, seconds
        self.calls: dict[str, dict[str, Any]] = {}
        self.runs: list[bytes] = []  # the record of the published run that each would have seen in its checkout

    def __call__(self, chapter: str, out: Path, parameters: Mapping[str, Any], checkout: Path | None = None) -> float:
        if chapter == self.fails:
            raise ReportError(f"The chapter {chapter} stopped.")
        self.calls[chapter] = dict(parameters)
        self.runs += [(checkout / PUBLISHED / "run.json").read_bytes()] if checkout else []
        write(out, new_markdown_cell(f"executed {chapter}"))
        return self.seconds

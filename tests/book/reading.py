"""What tests read from notebooks: code cells, outputs, glued values."""

import ast
from pathlib import Path
from typing import Any

import nbformat

KEY = "application/papermill.record/text/plain"


def cells(path: Path, kind: str = "code") -> list[nbformat.NotebookNode]:
    """The cells of one kind, in order."""
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def outputs(path: Path) -> list[nbformat.NotebookNode]:
    """All outputs of all cells, in order."""
    return [output for cell in cells(path) for output in cell.outputs]


def glued(path: Path) -> dict[str, Any]:
    """What a chapter recorded for the prose, as the values that it had."""
    records = [o for o in outputs(path) if "scrapbook" in o.get("metadata", {})]
    return {o.metadata.scrapbook.name: ast.literal_eval(o.data[KEY]) for o in records}


def texts(path: Path) -> list[str]:
    """All that a notebook wrote, except pictures."""
    found = []
    for output in outputs(path):
        found += [output.get("text", ""), output.get("evalue", "")]
        found += [str(data) for kind, data in output.get("data", {}).items() if not kind.startswith("image/")]
    return found


def assert_completed(path: Path) -> None:
    """Papermill executed all cells once, from top to bottom, without an error."""
    code = cells(path)
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert {cell.metadata.papermill.status for cell in code} == {"completed"}
    assert not [output for output in outputs(path) if output.output_type == "error"]
    record = nbformat.read(path, as_version=4).metadata.papermill
    assert record.exception is None and record.duration > 0

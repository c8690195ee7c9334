"""How a chapter is told: what a reader sees of its code, where its parameters, exercises and provenance stand."""

from pathlib import Path

import nbformat
import pytest
import reading

from gradcam_report.config import CHAPTERS

BOOK = Path(__file__).parents[2] / "book"
chapters = pytest.mark.parametrize("name", CHAPTERS)


def cells(name: str, kind: str = "code") -> list[nbformat.NotebookNode]:
    return reading.cells(BOOK / f"{name}.ipynb", kind)


def tags(cell: nbformat.NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


@chapters
def test_visible_code_is_short_and_only_the_parameters_are_folded(name: str) -> None:
    first, *others = cells(name)
    assert "parameters" in tags(first)
    assert not [cell.source for cell in others if {"hide-input", "hide-cell"} & tags(cell)]
    visible = [cell.source for cell in others if not {"remove-input", "remove-cell"} & tags(cell)]
    assert not [source for source in visible if len(source.splitlines()) > 20 or "notebook.glue(" in source]
    assert not [line for source in visible for line in source.splitlines() if len(line) > 88], "wraps on the page"
    assert not [cell.source for cell in others if len(cell.source.splitlines()) > 30]


@chapters
def test_a_chapter_ends_with_exercises_and_their_answers(name: str) -> None:
    prose = [cell.source for cell in cells(name, "markdown")]
    headings = [line for source in prose for line in source.splitlines() if line.startswith("## ")]
    assert headings[-1] == "## Exercises"
    assert "\n".join(prose).split("## Exercises")[1].count("{dropdown}") >= 2


@chapters
def test_one_line_at_the_foot_tells_where_results_come_from(name: str) -> None:
    telling = [cell for cell in cells(name) if "show_provenance(" in cell.source]
    assert telling in ([], cells(name)[-1:]) and all("remove-input" in tags(cell) for cell in telling)

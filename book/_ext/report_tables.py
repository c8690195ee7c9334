"""Sphinx directives for how the chapters were executed, from papermill's records in the notebooks.

``{execution-table}``
    One row per chapter in the order of the table of contents: title, status, start (UTC), seconds; the total last.
``{parameter-table}``
    One table per chapter: parameter, the value it ran with, and what it means.

Nothing here is typed by hand or computed while building, so the page cannot disagree with the chapters.
"""

import ast
import io
import json
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

Cell = Sequence[nodes.Node]
Row = Sequence[Cell]


@dataclass(frozen=True)
class Execution:
    """How one chapter ran: `started` in UTC, `seconds` of wall clock; both None if papermill never ran it."""

    status: str
    started: datetime | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Parameter:
    """One parameter of a chapter: its name, its value as Python source, and the comment that explains it."""

    name: str
    value: str
    meaning: str


def execution(notebook: dict[str, Any]) -> Execution:
    """Read the execution record of a notebook (nbformat 4, as parsed JSON).

    The status is "completed" only if papermill saw no exception and completed every code cell.
    """
    record = notebook["metadata"].get("papermill")
    if not record:
        return Execution("not executed")
    started = datetime.fromisoformat(record["start_time"])
    if started.tzinfo is None:  # papermill before 2.6 writes UTC without saying so
        started = started.replace(tzinfo=UTC)
    completed = all(
        cell["metadata"].get("papermill", {}).get("status") == "completed"
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    )
    status = "failed" if record.get("exception") else "completed" if completed else "incomplete"
    return Execution(status, started.astimezone(UTC), record.get("duration"))


def parameters(notebook: dict[str, Any]) -> list[Parameter]:
    """List the parameters of a notebook in the order of its cell tagged `parameters`.

    A value that papermill injected replaces the default; the meaning is the comment behind the default.
    """
    used = {name: value for name, value, _ in _assignments(_tagged_source(notebook, "injected-parameters"))}
    defaults = _assignments(_tagged_source(notebook, "parameters"))
    return [Parameter(name, used.get(name, value), meaning) for name, value, meaning in defaults]


def _tagged_source(notebook: dict[str, Any], tag: str) -> str:
    for cell in notebook["cells"]:
        if tag in cell["metadata"].get("tags", []):
            return "".join(cell["source"])
    return ""


def _assignments(source: str) -> Iterator[tuple[str, str, str]]:
    """Yield (name, value as source, comment) of each assignment at the top level of a cell."""
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign):
            target = statement.targets[0]
        elif isinstance(statement, ast.AnnAssign):
            target = statement.target
        else:
            continue
        if isinstance(target, ast.Name) and statement.value is not None:
            last_line = statement.end_lineno or statement.lineno
            yield target.id, ast.unparse(statement.value), comments.get(last_line, comments.get(statement.lineno, ""))


class ChapterTable(SphinxDirective):
    """Base of both directives: the chapters in reading order, links to them, and the table itself."""

    def chapters(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (document name, parsed notebook) of each notebook in the order of the table of contents."""
        # Without a table of contents (one page built alone) every notebook counts, by name.
        documents = getattr(self.config, "external_site_map", None) or sorted(self.env.found_docs)
        for name in documents:
            path = Path(self.env.doc2path(name))
            if path.suffix == ".ipynb" and path.exists():
                self.env.note_dependency(str(path))
                yield name, json.loads(path.read_text(encoding="utf-8"))

    def link(self, document: str) -> nodes.Node:
        """Return a link to a document; Sphinx fills in its title once all pages are read."""
        return addnodes.pending_xref(
            "",
            nodes.inline(),
            refdomain="std",
            reftype="doc",
            reftarget=f"/{document}",
            refexplicit=False,
            refwarn=True,
            refdoc=self.env.docname,
        )

    def table(self, caption: Cell, header: Sequence[str], rows: Sequence[Row], numbers: int = -1) -> nodes.Node:
        """Return a table with a caption; the column `numbers`, if any, is set flush right."""
        group = nodes.tgroup("", cols=len(header))
        group += [nodes.colspec(colwidth=1) for _ in header]
        group += nodes.thead("", self._row([[nodes.Text(text)] for text in header], numbers))
        group += nodes.tbody("", *[self._row(row, numbers) for row in rows])
        table = nodes.table("", nodes.title("", "", *caption), group, classes=["report-table"])
        table["ids"] = [f"report-table-{self.env.new_serialno('report-table')}"]  # numfig numbers what has an id
        return table

    def _row(self, cells: Row, numbers: int) -> nodes.row:
        entries = [nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells]
        if numbers >= 0:
            entries[numbers]["classes"].append("number")
        return nodes.row("", *entries)


class ExecutionTable(ChapterTable):
    """``{execution-table}``: start, duration and status of each chapter."""

    def run(self) -> list[nodes.Node]:
        """Return the table, or a sentence where the book has no notebooks."""
        chapters = [(name, execution(notebook)) for name, notebook in self.chapters()]
        if not chapters:
            return [nodes.paragraph(text="This book has no executable chapters.")]
        rows = [
            [
                [self.link(name)],
                [nodes.Text(ran.status)],
                [nodes.Text(f"{ran.started:%Y-%m-%d %H:%M}" if ran.started else "–")],
                [nodes.Text(f"{ran.seconds:,.1f}" if ran.seconds is not None else "–")],
            ]
            for name, ran in chapters
        ]
        total = sum(ran.seconds or 0.0 for _, ran in chapters)
        rows.append([[nodes.strong(text="Total")], [], [], [nodes.strong(text=f"{total:,.1f}")]])
        caption = [nodes.Text("How the chapters were executed")]
        return [self.table(caption, ["Chapter", "Status", "Started (UTC)", "Seconds"], rows, numbers=3)]


class ParameterTable(ChapterTable):
    """``{parameter-table}``: the parameters of each chapter, their values and meanings."""

    def run(self) -> list[nodes.Node]:
        """Return one table per chapter that has parameters, or a sentence where none has."""
        tables = []
        for name, notebook in self.chapters():
            rows = [
                [[nodes.literal(text=p.name)], [nodes.literal(text=p.value)], [nodes.Text(p.meaning)]]
                for p in parameters(notebook)
            ]
            if rows:
                caption = [nodes.Text("Parameters of “"), self.link(name), nodes.Text("”")]
                tables.append(self.table(caption, ["Parameter", "Value", "Meaning"], rows))
        return tables or [nodes.paragraph(text="This book has no chapters with parameters.")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register both directives."""
    app.add_directive("execution-table", ExecutionTable)
    app.add_directive("parameter-table", ParameterTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

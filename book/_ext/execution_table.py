"""Sphinx directive ``{execution-table}``: how the chapters were executed, from papermill's records in the notebooks.

One row per chapter in the order of the table of contents: title, status, start (UTC), seconds; the total last.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

HEADER = ("Chapter", "Status", "Started (UTC)", "Seconds")


@dataclass(frozen=True)
class Execution:
    """How one chapter ran: `started` in UTC, `seconds` of wall clock; both None if papermill never ran it."""

    status: str
    started: datetime | None = None
    seconds: float | None = None


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


class ExecutionTable(SphinxDirective):
    """``{execution-table}``: start, duration and status of each chapter."""

    def run(self) -> list[nodes.Node]:
        """Return the table, or a sentence where the book has no notebooks."""
        chapters = list(self.chapters())
        if not chapters:
            return [nodes.paragraph(text="This book has no executable chapters.")]
        rows: list[Sequence[nodes.Node]] = [
            [
                self.link(name),
                nodes.Text(ran.status),
                nodes.Text(f"{ran.started:%Y-%m-%d %H:%M}" if ran.started else "–"),
                nodes.Text(f"{ran.seconds:,.1f}" if ran.seconds is not None else "–"),
            ]
            for name, ran in chapters
        ]
        total = f"{sum(ran.seconds or 0.0 for _, ran in chapters):,.1f}"
        rows.append([nodes.strong(text="Total"), nodes.Text(""), nodes.Text(""), nodes.strong(text=total)])
        group = nodes.tgroup("", cols=len(HEADER))
        group += [nodes.colspec(colwidth=1) for _ in HEADER]
        group += nodes.thead("", _row([nodes.Text(text) for text in HEADER]))
        group += nodes.tbody("", *map(_row, rows))
        caption = nodes.title("", "How the chapters were executed")
        table = nodes.table("", caption, group, classes=["execution-table"])
        table["ids"] = ["execution-table"]  # numfig numbers what has an id
        return [table]

    def chapters(self) -> Iterator[tuple[str, Execution]]:
        """Yield (document name, how it ran) of each notebook in the order of the table of contents."""
        # Without a table of contents (one page built alone) every notebook counts, by name.
        documents = getattr(self.config, "external_site_map", None) or sorted(self.env.found_docs)
        for name in documents:
            path = Path(self.env.doc2path(name))
            if path.suffix == ".ipynb" and path.exists():
                self.env.note_dependency(str(path))
                yield name, execution(json.loads(path.read_text(encoding="utf-8")))

    def link(self, document: str) -> nodes.Node:
        """Return a link to a document; Sphinx fills in its title once all pages are read."""
        where = {"reftype": "doc", "reftarget": f"/{document}", "refdoc": self.env.docname}
        return addnodes.pending_xref("", nodes.inline(), refdomain="std", refexplicit=False, refwarn=True, **where)


def _row(cells: Sequence[nodes.Node]) -> nodes.row:
    """A row whose last cell, a number, is set flush right."""
    entries = [nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells]
    entries[-1]["classes"].append("number")
    return nodes.row("", *entries)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("execution-table", ExecutionTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

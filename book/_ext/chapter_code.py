"""Sphinx extension for the code of chapters: a labelled bar over the parameters, and a switch that opens all bars.

A cell tagged `parameters`, or `injected-parameters` by papermill, is folded under a bar with its name. The page of a
notebook gets a line below its title: a switch (`_static/chapter-code.js`) and a link to the notebook, which also has
the cells that the page leaves out.
"""

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

BARS = {"tag_parameters": "Parameters", "tag_injected-parameters": "Parameters of this run"}
LINE = """</h1>
<p class="chapter-code"><button type="button" class="show-code" aria-pressed="false" hidden>Show all code</button>
<a href="_sources/{page}.ipynb" download>Download the notebook</a> with every cell</p>"""


def label_bars(app: Sphinx, document: nodes.document) -> None:
    """Fold each cell of parameters and label its bar."""
    for cell in document.findall(nodes.container):
        label = next((label for tag, label in BARS.items() if tag in cell["classes"]), None)
        if label:
            cell["hide_mode"], cell["prompt_show"], cell["prompt_hide"] = "input", label, label


def add_line(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Put the switch and the link below the title of a notebook's page."""
    if app.builder.name == "html" and doctree is not None and Path(app.env.doc2path(page)).suffix == ".ipynb":
        context["body"] = context["body"].replace("</h1>", LINE.format(page=page), 1)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect both."""
    app.connect("doctree-read", label_bars)
    app.connect("html-page-context", add_line)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

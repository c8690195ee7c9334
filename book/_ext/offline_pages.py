"""Sphinx extension for pages that load nothing from other hosts and pass an accessibility check.

- Formulas become MathML, which browsers draw themselves, by docutils' own converter: no MathJax from a CDN.
- Thebe (live code on a public server), which Jupyter Book loads unasked and twice, is left out.
- The entries of a bibliography lose an ARIA list role that does not allow their own role inside it.
"""

from html import escape
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)


def mathml(node: nodes.Element, as_block: bool) -> str:
    """Return a formula as MathML; one that docutils cannot convert is a warning and stays LaTeX."""
    try:
        return tex2mathml(node.astext(), as_block=as_block)
    except MathError as error:
        logger.warning("formula %r cannot be shown: %s", node.astext(), error, location=node)
        return f"<code>{escape(node.astext())}</code>"


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a line."""
    self.body.append(mathml(node, as_block=False))
    raise nodes.SkipNode


def visit_math_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a displayed formula, with its number where it has a label."""
    self.body.append(self.starttag(node, "div", CLASS="math-block"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({node["number"]})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(mathml(node, as_block=True) + "</div>\n")
    raise nodes.SkipNode


def _is_thebe(file: Any) -> bool:
    return "thebe" in f"{file.filename} {file.attributes.get('body', '')}".lower()


def leave_out_thebe(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document) -> None:
    """Drop Thebe's scripts and style sheet from a page."""
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context[kind] if not _is_thebe(file)]


def mend_bibliography(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document) -> None:
    """Remove role="list", whose children may only be list items, around entries with a role of their own."""
    if body := context.get("body"):
        context["body"] = body.replace('<div role="list" class="citation-list">', '<div class="citation-list">')


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the formula renderer and the page corrections; `html_math_renderer: mathml` turns the former on."""
    app.add_html_math_renderer("mathml", inline_renderers=(visit_math, None), block_renderers=(visit_math_block, None))
    app.connect("html-page-context", leave_out_thebe, priority=900)
    app.connect("html-page-context", mend_bibliography, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

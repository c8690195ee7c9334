"""Sphinx extension that letters the appendices: A, B, ... in place of numbers that go on from the chapters'.

The table of contents numbers both parts. This makes an appendix "A", its figures and tables "Fig. A.1" and "Table A.1",
so that no number of a chapter occurs twice.
"""

from string import ascii_uppercase
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

CAPTION = "Appendices"  # of their part in _toc.yml


def appendices(env: BuildEnvironment) -> list[str]:
    """Return the documents of the appendices, in their order."""
    trees = env.tocs[env.config.root_doc].findall(addnodes.toctree)
    return [name for tree in trees if tree.get("caption") == CAPTION for name in tree["includefiles"]]


def lettered(first: str, number: Any) -> Any:
    """Return (10, 2) as ("A", 2); Sphinx joins the parts as text, and has None for a section without a number."""
    return number and (first, *number[1:])


def letter(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Put the letters into the numbers that Sphinx has assigned; returns the documents to write anew."""
    names = appendices(env)
    for first, name in zip(ascii_uppercase, names, strict=False):
        for numbers in (env.toc_secnumbers.get(name, {}), *env.toc_fignumbers.get(name, {}).values()):
            numbers |= {anchor: lettered(first, number) for anchor, number in numbers.items()}
        for node in (env.titles[name], *env.tocs[name].findall(nodes.reference)):
            if "secnumber" in node:
                node["secnumber"] = lettered(first, node["secnumber"])
    return names


def setup(app: Sphinx) -> dict[str, bool]:
    """Letter the appendices once Sphinx has numbered all documents."""
    app.connect("env-get-updated", letter, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Sphinx extension for the report on one page, as `make pdf` prints it: links between chapters stay within the page.

Chapters link to one another's cards by the pages of the site; on one page these links become anchors. Views of the
explorer and of "Try it", such as `explorer.html#case=3`, exist on the site only: links to them lead to the site at
REPORT_URL, or become plain words without it.
"""

import os
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

LINK = re.compile(r'href="(\w+)\.html#([^"]*)"')


def rewritten(body: str, site: str) -> str:
    """Return the page with the links of chapters changed; `site` is the address of the site, empty if unknown."""

    def address(link: re.Match[str]) -> str:
        page, anchor = link.groups()
        if "=" not in anchor:
            return f'href="#{anchor}"'
        return f'href="{site}/{page}.html#{anchor}"' if site else 'class="elsewhere"'

    return LINK.sub(address, body)


def without_image_links(app: Sphinx) -> None:
    """Leave out the link of an image to itself, which is of no use on paper."""
    if app.builder.name == "singlehtml":
        app.config.html_scaled_image_link = False


def rewrite(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Change the links of the one page."""
    if app.builder.name == "singlehtml" and "body" in context:
        context["body"] = rewritten(context["body"], os.environ.get("REPORT_URL", "").strip().rstrip("/"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the changes."""
    app.connect("builder-inited", without_image_links)
    app.connect("html-page-context", rewrite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

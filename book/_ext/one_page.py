"""Sphinx extension for the report in one piece, as `make pdf` prints it: links that chapters wrote lead within it.

Chapters link to one another's cases by the pages of the site. In one piece the cards are further down; the explorer's
views exist on the site only, so those links go there if REPORT_URL says where it is, and are plain words otherwise.
"""

import os
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

LINK = re.compile(r'href="(\w+)\.html#([^"]*)"')


def rewritten(body: str, site: str) -> str:
    """The page with the links of chapters changed; `site` is the address of the site, empty if there is none."""

    def address(link: re.Match[str]) -> str:
        page, anchor = link.groups()
        if page != "explorer":
            return f'href="#{anchor}"'
        return f'href="{site}/explorer.html#{anchor}"' if site else 'class="elsewhere"'

    return LINK.sub(address, body)


def without_image_links(app: Sphinx) -> None:
    """On paper an image is no link to itself."""
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

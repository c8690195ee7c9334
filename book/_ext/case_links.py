"""Sphinx extension that tells the explorer and "Try it" which images have a case card in the chapter on Grad-CAM.

The chapters are rerun apart, with parameters of their own; which cards there are shows when the site is built.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

GRADCAM = "gradcam"
CARD = re.compile(r'id="case-(\d+)"')
SECTIONS = {"explorer": '<section class="explorer"', "try_it": '<section class="live"'}  # page -> what is told


def add_cards(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Write the numbers of the images with a card into a page's section, as `data-cards`."""
    if page not in SECTIONS or GRADCAM not in app.env.found_docs:
        return
    blocks = app.env.get_doctree(GRADCAM).findall(nodes.raw)
    cards = dict.fromkeys(number for block in blocks for number in CARD.findall(block.astext()))
    context["body"] = context["body"].replace(SECTIONS[page], f'{SECTIONS[page]} data-cards="{" ".join(cards)}"', 1)


def setup(app: Sphinx) -> dict[str, Any]:
    """Run the function for each page."""
    app.connect("html-page-context", add_cards)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

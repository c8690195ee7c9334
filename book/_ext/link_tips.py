"""Sphinx extension that collects the tips of `_static/tips.js`: the text of a link's target, shown beside the link.

Targets are terms, references, figures and tables. When all pages are written, the texts of those that links lead to
go into `_static/link-tips.js`. It is a script, because a page opened from a folder may not read other files.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag
from sphinx.application import Sphinx

SCRIPT = "link-tips.js"
INLINE = re.compile(r'="data:[^"]*"')  # pictures within a page, megabytes without text
Tip = dict[str, str]


def words(tag: Tag | None) -> str:
    """Return the text of an element in one line, without the sign that links to a heading or a caption."""
    if tag is None:
        return ""
    for sign in tag.select("a.headerlink"):
        sign.decompose()
    return " ".join(tag.get_text().split())


def targets(page: BeautifulSoup) -> Iterator[tuple[str, Tip]]:
    """Yield (anchor, tip) of each term, reference, figure and table of a page."""
    for term in page.select("dl.glossary dt[id]"):
        yield str(term["id"]), {"title": words(term), "text": words(term.find_next("dd"))}
    for reference in page.select("div.citation[id]"):
        yield str(reference["id"]), {"text": words(reference.select_one("p"))}
    for figure in page.select("figure[id]"):
        tip = {"text": words(figure.select_one("figcaption"))}
        image = figure.select_one("img[src]")
        if image is not None:
            tip |= {"image": str(image["src"]), "alt": str(image.get("alt", ""))}
        yield str(figure["id"]), tip
    for table in page.select("table[id]"):
        yield str(table["id"]), {"text": words(table.select_one("caption"))}


def links(name: str, page: BeautifulSoup) -> Iterator[str]:
    """Yield the addresses, as "page.html#anchor", that the links of the page `name` lead to."""
    for link in page.select('.bd-article a.internal[href*="#"]'):
        file, _, anchor = str(link["href"]).partition("#")
        yield f"{file or name}#{anchor}"


def collected(folder: Path) -> dict[str, Tip]:
    """Return address -> tip of all targets in a built site that one of its links leads to."""
    known: dict[str, Tip] = {}
    wanted: set[str] = set()
    for path in sorted(folder.glob("*.html")):
        page = BeautifulSoup(INLINE.sub('=""', path.read_text(encoding="utf-8")), "html.parser")
        wanted.update(links(path.name, page))
        known |= {f"{path.name}#{anchor}": tip for anchor, tip in targets(page)}
    return {address: known[address] for address in sorted(wanted & known.keys())}


def write(app: Sphinx, error: Exception | None) -> None:
    """Write the script after a build of HTML pages."""
    if error is None and app.builder.name == "html":
        tips = json.dumps(collected(Path(app.outdir)), ensure_ascii=False, indent=0)
        script = Path(app.outdir) / "_static" / SCRIPT
        script.write_text(f"window.linkTips = {tips};\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the script to every page, and write it when the pages are there."""
    app.connect("builder-inited", lambda app: app.builder.name == "html" and app.add_js_file(SCRIPT))
    app.connect("build-finished", write)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""Whether the links of a built site lead somewhere: to files, to anchors, and to views of the explorer."""

import json
import re
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from bs4 import BeautifulSoup

INLINE = re.compile(r'="data:[^"]*"')
ADDRESSES = (("a[href]", "href"), ("link[href]", "href"), ("img[src]", "src"), ("script[src]", "src"))


def pages(site: Path) -> dict[str, BeautifulSoup]:
    """File name -> the page, its embedded pictures left out."""
    return {
        path.name: BeautifulSoup(INLINE.sub('=""', path.read_text(encoding="utf-8")), "html.parser")
        for path in sorted(site.glob("*.html"))
    }


def anchors(page: BeautifulSoup) -> set[str]:
    return {str(tag["id"]) for tag in page.select("[id]")} | {str(tag["name"]) for tag in page.select("a[name]")} | {""}


def view_exists(explorer: BeautifulSoup, anchor: str) -> bool:
    """Whether the explorer has what an address asks for: known names, and values that occur in its data."""
    data = json.loads(str(explorer.select_one("section.explorer script.data").string))  # type: ignore[union-attr]
    cases = {str(row["index"]) for row in data["cases"]}
    allowed = {"true": set(data["classes"]), "predicted": set(data["classes"]), "case": cases}
    return all(value in allowed.get(name, set()) for name, value in parse_qsl(anchor, strict_parsing=True))


def broken(site: Path) -> list[tuple[str, str]]:
    """(page, address) of each link within the site that leads nowhere."""
    known = pages(site)
    targets = {name: anchors(page) for name, page in known.items()}
    found = []
    for name, page in known.items():
        for selector, attribute in ADDRESSES:
            for tag in page.select(selector):
                address = str(tag[attribute])
                parts = urlsplit(address)
                if not address or parts.scheme or parts.netloc:
                    continue
                target, anchor = unquote(parts.path) or name, unquote(parts.fragment)
                if target in ("explorer.html", "try_it.html") and "=" in anchor:  # both hold the same images
                    whole = view_exists(known["explorer.html"], parts.fragment)
                else:
                    whole = (site / target).is_file() and (target not in targets or anchor in targets[target])
                if not whole:
                    found.append((name, address))
    return found

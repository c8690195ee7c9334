"""Pages that are gone lead to where their content is now."""

from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.errors import ConfigError

import redirects


def build(folder: Path, **pages: str) -> Path:
    """A site of two pages with these redirects; its folder."""
    source = folder / "source"
    source.mkdir()
    for name in ("index", "speed"):
        (source / f"{name}.rst").write_text(f":orphan:\n\n{name.title()} & more\n============\n")
    settings = {"extensions": redirects.__name__, "redirects": pages}
    Sphinx(source, None, folder / "site", folder / "trees", "html", settings, status=None, freshenv=True).build()
    return folder / "site"


def test_an_old_address_leads_to_the_new_page(tmp_path: Path) -> None:
    site = build(tmp_path, scaling="speed#several-processes")
    page = BeautifulSoup((site / "scaling.html").read_text(encoding="utf-8"), "html.parser")
    (link,) = page.select("a")
    assert (link["href"], link.get_text()) == ("speed.html#several-processes", "Speed & more")
    (refresh,) = page.select('meta[http-equiv="refresh"]')
    assert refresh["content"] == f"0; url={link['href']}"


@pytest.mark.parametrize("pages", [{"index": "speed"}, {"scaling": "gone"}])
def test_a_redirect_from_a_page_or_to_none_is_refused(tmp_path: Path, pages: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="redirects leads from"):
        build(tmp_path, **pages)

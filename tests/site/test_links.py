"""Every link within the published site leads somewhere, down to the anchor; and the check would notice."""

from pathlib import Path

import links
import pytest

pytestmark = pytest.mark.slow


def test_every_link_within_the_site_leads_somewhere(site: Path) -> None:
    found = links.pages(site)
    views = [tag for page in found.values() for tag in page.select('a[href^="explorer.html#"]')]
    assert len(found) > 14 and len(views) > 40
    assert links.broken(site) == []


@pytest.mark.parametrize(
    "address",
    ["gone.html", "index.html#gone", "#gone", "_images/gone.png", "explorer.html#case=no", "explorer.html#true=owl"],
)
def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, address: str) -> None:
    data = '{"classes": ["cat"], "cases": [{"i": 3}]}'
    (tmp_path / "explorer.html").write_text(f'<section class="explorer"><script class="data">{data}</script></section>')
    sound = '<p id="here"><a href="#here">x</a><a href="explorer.html#true=cat&amp;case=3">y</a><a href="https://a.b/c">z</a>'
    (tmp_path / "index.html").write_text(sound)
    assert links.broken(tmp_path) == []
    (tmp_path / "index.html").write_text(f'{sound}<a href="{address}">w</a>')
    assert links.broken(tmp_path) == [("index.html", address)]

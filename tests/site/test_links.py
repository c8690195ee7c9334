"""Every link within the published site leads somewhere, down to the anchor; and the check would notice."""

from pathlib import Path

import links
import pytest


@pytest.mark.slow
def test_every_link_within_the_site_leads_somewhere(site: Path) -> None:
    views = [tag for page in links.pages(site).values() for tag in page.select('a[href^="explorer.html#"]')]
    assert len(views) > 40 and links.broken(site) == []


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    data = '{"classes": ["cat"], "cases": [{"index": 3}]}'
    (tmp_path / "explorer.html").write_text(f'<section class="explorer"><script class="data">{data}</script></section>')
    sound = ["#here", "explorer.html#true=cat&amp;case=3", "https://a.b/c"]
    bad = ["gone.html", "index.html#gone", "_images/gone.png", "explorer.html#case=no", "explorer.html#true=owl"]
    page = "".join(f'<a href="{address}">x</a>' for address in sound + bad)
    (tmp_path / "index.html").write_text(f'<p id="here">{page}</p>')
    assert links.broken(tmp_path) == [("index.html", address) for address in bad]

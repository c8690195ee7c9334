"""The book's own Sphinx extensions: what they read from notebooks, and what they add to pages."""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image
from sphinx.errors import ExtensionError
from visiting import PAGES, TOP

import published_site
from execution_table import Execution, execution
from gradcam_report import plots
from gradcam_report.config import CHAPTERS
from gradcam_report.pages import case_card

ADDRESSES = {"REPORT_URL": "https://example.org/report/", "REPORT_REPOSITORY": "https://github.com/someone/report"}
RECORD = {"start_time": "2026-03-01T12:00:00.5+02:00", "duration": 61.25, "exception": None}


def cell(source: str, *tags: str, status: str = "completed") -> dict[str, Any]:
    metadata = {"tags": list(tags), "papermill": {"status": status}}
    code = {"cell_type": "code", "outputs": [], "execution_count": 1}
    return code | {"source": source.splitlines(True), "metadata": metadata}


def notebook(*cells: dict[str, Any], **record: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    if record:
        metadata["papermill"] = record
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}


def test_execution_gives_the_start_in_utc() -> None:
    start = datetime(2026, 3, 1, 10, 0, 0, 500_000, UTC)
    assert execution(notebook(cell("1"), **RECORD)) == Execution("completed", start, 61.25)
    naive = RECORD | {"start_time": "2026-03-01T12:00:00"}
    assert execution(notebook(cell("1"), **naive)).started == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "record", "expected"),
    [
        ("completed", {}, "not executed"),
        ("failed", RECORD | {"exception": True}, "failed"),
        ("pending", RECORD, "incomplete"),
    ],
)
def test_only_a_chapter_run_to_its_end_is_completed(status: str, record: dict[str, Any], expected: str) -> None:
    assert execution(notebook(cell("1"), cell("2", status=status), **record)).status == expected


def test_an_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORT_URL", "example.org")
    with pytest.raises(ExtensionError, match=r"REPORT_URL is 'example\.org'"):
        published_site.address("REPORT_URL")


def figure_cells() -> list[dict[str, Any]]:
    """A cell whose output is a figure with all its versions, and one whose figure is written as HTML."""
    figure = plots.lr_schedule(range(10), [0.1] * 10, 1)
    bundle, sizes = figure._repr_mimebundle_()
    drawn = cell("figure") | {"outputs": [{"output_type": "display_data", "data": bundle, "metadata": sizes}]}
    drawn["metadata"]["mystnb"] = {"figure": {"name": "fig-lines", "caption": "A line."}, "image": {"alt": "a line"}}
    written = {"text/html": case_card.figure_html(figure, "case-7", "A case.", "a line").data}
    return [drawn, cell("html") | {"outputs": [{"output_type": "display_data", "data": written, "metadata": {}}]}]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of a small book with the real configuration and with addresses, built strictly."""
    top = tmp_path_factory.mktemp("book")
    for name in ("_ext", "_static"):
        shutil.copytree(TOP / "book" / name, top / "book" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("_config.yml", "_toc.yml", "book/_toc.yml", "book/references.bib"):
        shutil.copy(TOP / name, top / name)
    pages = {name: f"# Page {name}" for name in PAGES}
    for number, name in enumerate(("training", "data"), 1):
        chapter = notebook(cell("epochs = 10  # passes", "parameters"), **RECORD | {"duration": 1000.0 * number})
        chapter["cells"].insert(0, {"cell_type": "markdown", "source": f"# Chapter {name}", "metadata": {}})
        if name == "data":
            chapter["cells"] += figure_cells()
        (top / "book" / f"{name}.ipynb").write_text(json.dumps(chapter))
        del pages[name]
    pages["reproduce"] += "\n\n```{execution-table}\n```\n\n```{setup-lines}\n```"
    pages["changes"] += "\n\nAs $x < 1$ by {eq}`cam` {cite}`selvaraju2017`:\n\n$$\n\\sum_k \\alpha_k A^k\n$$ (cam)"
    pages["index"] += "\n\nSee {{ source }}."
    pages["bibliography"] += "\n\n```{bibliography}\n```"
    for name, text in pages.items():
        (top / "book" / f"{name}.md").write_text(text + "\n")
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "--all", "-W", "-n", "--keep-going", "book/"]
    done = subprocess.run(command, cwd=top, env=os.environ | ADDRESSES, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return top / "_build" / "html"


def read(site: Path, name: str) -> str:
    return (site / name).read_text(encoding="utf-8")


def test_the_table_follows_the_reading_order_adds_up_and_names_the_chapters(small: Path) -> None:
    page = read(small, "reproduce.html")
    table = page[page.index('<table class="execution-table') : page.index("</table>")]
    assert table.index('href="data.html"') < table.index('href="training.html"') < table.index("3,000.0")
    assert "Chapter data" in table and "2026-03-01 10:00" in table


def test_appendices_and_their_tables_have_letters_and_chapters_numbers(small: Path) -> None:
    page = BeautifulSoup(read(small, "reproduce.html"), "html.parser")
    assert page.select_one("article h1").get_text().startswith("E. Page reproduce")
    assert page.select_one(".caption-number").get_text() == "Table E.1 "
    listed = [link.get_text() for link in page.select("nav.bd-links a.internal")]
    assert listed[1:3] == ["1. Chapter data", "2. Page model"] and "A. Page sweep" in listed


def test_parameters_are_folded_under_their_name_and_the_notebook_can_be_had(small: Path) -> None:
    page = BeautifulSoup(read(small, "training.html"), "html.parser")
    (bar,) = page.select("details.hide")
    assert bar.select_one("summary p.collapsed").get_text() == "Parameters" and "epochs" in bar.get_text()
    (link,) = page.select(".chapter-code a[download]")
    assert (small / str(link["href"])).is_file() and page.select(".chapter-code button[hidden]")
    assert not BeautifulSoup(read(small, "glossary.html"), "html.parser").select(".chapter-code")
    assert (small / ".nojekyll").is_file()


def test_formulas_and_bibliography_need_no_script_and_pages_no_other_host(small: Path) -> None:
    page = read(small, "changes.html")
    assert page.count("<math") == 2 and "<mo>&lt;</mo>" in page and 'id="equation-cam"' in page
    assert "doc-biblioentry" in read(small, "bibliography.html")
    for path in small.glob("*.html"):
        text = path.read_text()
        assert "MathJax" not in text and "unpkg.com" not in text and 'role="list" class="citation' not in text, path
        assert 'src="http' not in text and 'rel="stylesheet" href="http' not in text, path


LOOKS = {
    ("only-light", "only-wide"): (1440, 255),
    ("only-dark", "only-wide"): (1440, 0x12),
    ("only-light", "only-narrow"): (620, 255),
    ("only-dark", "only-narrow"): (620, 0x12),
}


def test_a_figure_has_a_version_for_each_page_and_width(small: Path) -> None:
    page = BeautifulSoup(read(small, "data.html"), "html.parser")
    found = set()
    for img in page.select("#fig-lines img"):
        assert img["alt"] == "a line" and img["loading"] == "lazy" and img.parent and img.parent["class"]
        assert {*img["class"]} <= {*img.parent["class"]}  # the link is hidden with it
        look = next(look for look in LOOKS if {*look} <= {*img["class"]})
        picture = np.asarray(Image.open(small / str(img["src"])).convert("RGB"))
        assert (picture.shape[1], picture[0, 0, 0]) == LOOKS[look]
        found.add(look)
    assert found == set(LOOKS)
    caption = page.select_one("#fig-lines figcaption")
    # The theme hides a caption that follows a figure's dark or light image.
    assert caption and "A line." in caption.get_text() and not page.select(".only-dark ~ figcaption")
    sources = [str(tag.get("src") or tag.get("srcset")) for tag in page.select("#case-7 :is(img, source)")]
    assert len({*sources}) == 4 and all((small / source).is_file() for source in sources)


def test_a_retired_page_leads_to_where_its_content_is_now(small: Path) -> None:
    page = BeautifulSoup(read(small, "scaling.html"), "html.parser")
    (link,) = page.select("a")
    (refresh,) = page.select('meta[http-equiv="refresh"]')
    assert link["href"] == "benchmarks.html#several-processes" and link.get_text() == "Page benchmarks"
    assert refresh["content"] == f"0; url={link['href']}"


def test_a_site_with_addresses_has_sitemap_preview_not_found_page_and_buttons(small: Path) -> None:
    url, repository = ADDRESSES["REPORT_URL"], ADDRESSES["REPORT_REPOSITORY"]
    listed = re.findall(r"<loc>([^<]+)</loc>", read(small, "sitemap.xml"))
    assert {f"{url}{page}.html" for page in PAGES} <= set(listed)
    page = read(small, "training.html")
    preview = dict(re.findall(r'<meta property="og:([\w:]+)" content="([^"]*)"', page))
    assert preview["url"] == f"{url}training.html" and preview["title"] == "4. Chapter training"
    assert (small / preview["image"].removeprefix(url)).is_file() and len(preview["image:alt"]) > 40
    lost = BeautifulSoup(read(small, "404.html"), "html.parser")
    own = [str(link["href"]) for link in lost.select("link[href]") if "://" not in str(link["href"])]
    assert own and all(address.startswith("/report/") for address in own)
    assert f'href="{repository}">the source</a>' in read(small, "index.html")
    for address in ("edit/main/book/training.ipynb", "issues/new"):
        assert f'href="{repository}/{address}' in page
    assert 'href="https://colab.research.google.com/github/someone/report/blob/main/book/training.ipynb"' in page
    assert 'href="https://mybinder.org/v2/gh/someone/report/main?urlpath=lab/tree/book/training.ipynb"' in page
    assert "colab" not in read(small, "glossary.html")


def test_the_lines_for_colab_name_the_repository_and_are_those_of_the_chapters(small: Path) -> None:
    page = BeautifulSoup(read(small, "reproduce.html"), "html.parser")
    (shown,) = [block.get_text().strip() for block in page.select("pre") if "git clone" in block.get_text()]
    for name in CHAPTERS:
        cells = json.loads((TOP / "book" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
        (note,) = [c for c in cells if "git clone" in "".join(c["source"])]
        assert note["metadata"]["tags"] == ["remove-cell"]
        lines = [line.removeprefix("> ") for line in "".join(note["source"]).splitlines() if re.match(r"> [!%]", line)]
        assert "\n".join(lines).replace("OWNER/REPOSITORY", "someone/report") == shown


@pytest.mark.slow
def test_the_site_without_addresses_has_none_of_it_and_tips_for_all_its_links(site: Path) -> None:
    assert not (site / "sitemap.xml").exists() and not (site / "404.html").exists()
    for word in ("og:title", "issues/new", "colab", "mybinder", "git clone"):
        assert word not in read(site, "gradcam.html")
    assert "OWNER/REPOSITORY" in read(site, "reproduce.html")
    script = read(site, "_static/link-tips.js")
    tips = json.loads(script.removeprefix("window.linkTips = ").rstrip().removesuffix(";"))
    linked = set()
    pattern = r'<a class="reference internal" href="([^"]*#(?:term-|fig-|tab-|id\d)[^"]*)"'
    for path in site.glob("*.html"):
        linked |= {address if address[0] != "#" else path.name + address
                   for address in re.findall(pattern, path.read_text())}  # fmt: skip
    assert len(linked) > 40 and linked <= tips.keys()
    assert all(len(tip["text"]) > 15 for tip in tips.values())
    assert all((site / tip["image"]).is_file() and len(tip["alt"]) > 40 for tip in tips.values() if "image" in tip)

"""What a site gets that has an address, and that one without has none of it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

from gradcam_report.config import CHAPTERS

TOP = Path(__file__).parents[2]
PAGES = [chapter["file"] for chapter in yaml.safe_load((TOP / "_toc.yml").read_text(encoding="utf-8"))["chapters"]]
ADDRESSES = {"REPORT_URL": "https://example.org/report/", "REPORT_REPOSITORY": "https://github.com/someone/report"}


def build(out: Path, **addresses: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("jupyter-book")
    command = [program, "build", "--all", "-W", "-n", "--keep-going", "--path-output", out, "book/"]
    environment = {k: v for k, v in os.environ.items() if k not in ADDRESSES} | addresses
    return subprocess.run(command, cwd=TOP, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("addressed")
    done = build(out, **ADDRESSES)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return out / "_build" / "html"


def test_the_sitemap_lists_every_page(site: Path) -> None:
    listed = re.findall(r"<loc>([^<]+)</loc>", (site / "sitemap.xml").read_text(encoding="utf-8"))
    assert {f"https://example.org/report/{page}.html" for page in ["index", *PAGES]} <= set(listed)


def test_links_to_a_page_have_a_preview(site: Path) -> None:
    page = (site / "gradcam.html").read_text(encoding="utf-8")
    told = dict(re.findall(r'<meta property="og:([\w:]+)" content="([^"]*)"', page))
    assert told["title"] == "Where it looked: Grad-CAM" and told["site_name"] == "Grad-CAM on ResNet-18"
    assert told["url"] == "https://example.org/report/gradcam.html" and len(told["description"]) > 50
    image = told["image"].removeprefix("https://example.org/report/")
    assert (site / image).is_file() and len(told["image:alt"]) > 40


def test_what_is_not_found_is_told_wherever_it_was_looked_for(site: Path) -> None:
    page = (site / "404.html").read_text(encoding="utf-8")
    sheets = re.findall(r'<link[^>]*href="([^"]+\.css[^"]*)"', page)
    assert sheets and all(sheet.startswith("/report/_static/") for sheet in sheets)


def test_buttons_lead_to_the_source(site: Path) -> None:
    page = (site / "gradcam.html").read_text(encoding="utf-8")
    for address in ("report", "report/edit/main/book/gradcam.ipynb", "report/issues/new"):
        assert f'href="https://github.com/someone/{address}' in page


def test_chapters_can_be_opened_on_colab_and_binder(site: Path) -> None:
    page = (site / "gradcam.html").read_text(encoding="utf-8")
    assert 'href="https://colab.research.google.com/github/someone/report/blob/main/book/gradcam.ipynb"' in page
    assert 'href="https://mybinder.org/v2/gh/someone/report/main?urlpath=lab/tree/book/gradcam.ipynb"' in page
    assert "colab" not in (site / "glossary.html").read_text(encoding="utf-8")
    for name in ("logo_colab.png", "logo_binder.svg"):
        assert (site / "_static" / "images" / name).is_file()


def test_the_lines_for_colab_name_the_repository_and_are_those_of_the_chapters(site: Path) -> None:
    page = BeautifulSoup((site / "reproduce.html").read_text(encoding="utf-8"), "html.parser")
    (shown,) = [block.get_text().strip() for block in page.select("pre") if "git clone" in block.get_text()]
    assert shown.startswith("!git clone --depth 1 https://github.com/someone/report report\n%pip install")
    for chapter in CHAPTERS:
        notes = [
            cell for cell in nbformat.read(TOP / "book" / f"{chapter}.ipynb", 4).cells if "git clone" in cell.source
        ]
        (note,) = notes
        assert note.cell_type == "markdown" and note.metadata.tags == ["remove-cell"]
        lines = [line.removeprefix("> ") for line in note.source.splitlines() if re.match(r"> [!%]", line)]
        assert "\n".join(lines).replace("OWNER/REPOSITORY", "someone/report") == shown
        assert "git clone" not in (site / f"{chapter}.html").read_text(encoding="utf-8")


def test_a_site_without_addresses_has_none_of_it(tmp_path: Path) -> None:
    assert build(tmp_path).returncode == 0
    site = tmp_path / "_build" / "html"
    assert not (site / "sitemap.xml").exists() and not (site / "404.html").exists()
    page = (site / "gradcam.html").read_text(encoding="utf-8")
    assert "og:title" not in page and "issues/new" not in page and "colab" not in page and "mybinder" not in page
    assert "OWNER/REPOSITORY" in (site / "reproduce.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_address_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    done = build(tmp_path, **{name: "example.org"})
    assert done.returncode != 0
    assert f"{name} is 'example.org'; it must be an address such as https://" in done.stdout + done.stderr

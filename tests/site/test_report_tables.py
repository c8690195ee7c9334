"""The book's own Sphinx extensions: what they read from notebooks, and the pages that come of it."""

import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from report_tables import Execution, Parameter, execution, parameters

TOP = Path(__file__).parents[2]


def cell(source: str, *tags: str, status: str = "completed") -> dict:
    metadata = {"tags": list(tags), "papermill": {"status": status}}
    return {
        "cell_type": "code",
        "source": source.splitlines(True),
        "metadata": metadata,
        "outputs": [],
        "execution_count": 1,
    }


def notebook(*cells: dict, **record) -> dict:
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    if record:
        metadata["papermill"] = record
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}


RECORD = {"start_time": "2026-03-01T12:00:00.5+02:00", "duration": 61.25, "exception": None}


def test_parameters_show_what_was_injected_over_the_default_and_the_comment_of_the_default():
    source = 'epochs = 10  # passes over the images\nlayers: list = [\n    "layer1",  # near\n]  # which maps\nseed = 0'
    injected = cell("# Parameters\nepochs = 3\nunknown = 1", "injected-parameters")
    assert parameters(notebook(cell("import math"), cell(source, "parameters"), injected)) == [
        Parameter("epochs", "3", "passes over the images"),
        Parameter("layers", "['layer1']", "which maps"),
        Parameter("seed", "0", ""),
    ]


def test_a_notebook_without_tagged_cell_has_no_parameters():
    assert parameters(notebook(cell("epochs = 1"))) == []


def test_execution_gives_the_start_in_utc():
    ran = execution(notebook(cell("1"), **RECORD))
    assert ran == Execution("completed", datetime(2026, 3, 1, 10, 0, 0, 500_000, UTC), 61.25)


def test_a_time_without_zone_is_utc():
    ran = execution(notebook(cell("1"), **RECORD | {"start_time": "2026-03-01T12:00:00"}))
    assert ran.started == datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "record", "expected"),
    [
        ("completed", {}, "not executed"),
        ("failed", RECORD | {"exception": True}, "failed"),
        ("pending", RECORD, "incomplete"),
    ],
)
def test_only_a_chapter_run_to_its_end_is_completed(status, record, expected):
    assert execution(notebook(cell("1"), cell("2", status=status), **record)).status == expected


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site of a small book with the real configuration, built strictly."""
    top = tmp_path_factory.mktemp("book")
    toc = yaml.safe_load((TOP / "_toc.yml").read_text())
    shutil.copytree(TOP / "book" / "_ext", top / "book" / "_ext", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(TOP / "book" / "_static", top / "book" / "_static")
    shutil.copy(TOP / "book" / "references.bib", top / "book")
    for name in ("_config.yml", "_toc.yml", "book/_toc.yml"):
        shutil.copy(TOP / name, top / name)
    pages = {name: f"# Page {name}" for name in [toc["root"], *(chapter["file"] for chapter in toc["chapters"])]}
    for number, name in enumerate(("training", "data"), 1):
        chapter = notebook(cell("epochs = 10  # passes", "parameters"), **RECORD | {"duration": 1000.0 * number})
        chapter["cells"].insert(0, {"cell_type": "markdown", "source": f"# Chapter {name}", "metadata": {}})
        (top / "book" / f"{name}.ipynb").write_text(json.dumps(chapter))
        del pages[name]
    pages["reproduce"] += "\n\n```{execution-table}\n```\n\n```{parameter-table}\n```"
    pages["changes"] += "\n\nAs $x < 1$ by {eq}`cam` {cite}`selvaraju2017`:\n\n$$\n\\sum_k \\alpha_k A^k\n$$ (cam)"
    pages["bibliography"] += "\n\n```{bibliography}\n```"
    for name, text in pages.items():
        (top / "book" / f"{name}.md").write_text(text + "\n")
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "--all", "-W", "-n", "--keep-going", "book/"]
    done = subprocess.run(command, cwd=top, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return top / "_build" / "html"


def test_execution_table_links_the_chapters_in_reading_order_and_adds_up(site):
    page = (site / "reproduce.html").read_text()
    table = page[page.index('<table class="report-table') : page.index("</table>")]
    assert table.index('href="data.html"') < table.index('href="training.html"') < table.index("3,000.0")
    assert "Chapter data" in table and "2026-03-01 10:00" in table


def test_parameter_tables_name_their_chapter(site):
    page = (site / "reproduce.html").read_text()
    captions = re.findall(r"<caption>.*</caption>", page)
    assert ["Chapter data" in caption for caption in captions] == [False, True, False]
    assert ["Chapter training" in caption for caption in captions] == [False, False, True]
    assert page.count("<td><p>passes</p></td>") == 2


def test_formulas_need_no_script(site):
    page = (site / "changes.html").read_text()
    assert page.count("<math") == 2 and "<mo>&lt;</mo>" in page and "MathJax" not in page
    assert 'id="equation-cam"' in page and '<span class="eqno">(1)' in page


def test_pages_load_nothing_from_other_hosts(site):
    for page in site.glob("*.html"):
        text = page.read_text()
        assert 'src="http' not in text and 'rel="stylesheet" href="http' not in text and "unpkg.com" not in text, page


def test_bibliography_entries_are_in_no_list_role(site):
    page = (site / "bibliography.html").read_text()
    assert "doc-biblioentry" in page and '<div role="list" class="citation-list">' not in page

"""The published site in a real browser: no errors, no request to anyone, accessible, readable on every screen.

Skipped where there is no Chromium. CHROMIUM names another one than that on the path, SITE a folder with a built site.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from visiting import PAGES, TOP, WAIT, Open, in_a_browser

from gradcam_report.plots import style

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = in_a_browser
CUT = """[...document.querySelectorAll('article table, article .sortable-table')]
    .filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => box.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_without_error_is_accessible_and_fits_every_screen(visit: Open, name: str, scheme: str) -> None:
    tab = visit(color_scheme=scheme, viewport={"width": 1280, "height": 800})
    page = tab.open(name)
    page.wait_for_load_state("networkidle")
    expect(page.locator("html")).to_have_attribute("data-theme", scheme)
    assert tab.faults == [] and tab.serious_faults() == []
    assert page.evaluate(CUT) == []
    for width in (1440, 768, 360):
        tab.resize(width)
        assert not tab.scrolls_sideways(), width
    assert tab.serious_faults() == [], "on a phone"


@pytest.mark.parametrize(("width", "narrow"), [(360, True), (1440, False)])
def test_the_front_page_shows_a_right_answer_and_an_error(visit: Open, width: int, narrow: bool) -> None:
    page = visit(viewport={"width": width, "height": 900}).open("index")
    image = page.locator("#at-a-glance img").locator("visible=true")
    seen = image.evaluate(
        "async (image) => { await image.decode(); return [image.naturalWidth, image.naturalHeight]; }"
    )
    box = image.bounding_box()
    assert (seen[0] < seen[1]) == narrow and box
    assert box["width"] / box["height"] == pytest.approx(seen[0] / seen[1], rel=0.02) and box["width"] > 300
    assert "rightly" in str(image.get_attribute("alt"))
    target, anchor = str(page.locator("#at-a-glance figcaption a").get_attribute("href")).split("#")
    assert visit().open(target.removesuffix(".html")).locator(f"#{anchor}").count() == 1


def test_on_a_phone_what_scrolls_can_be_reached_by_keyboard_and_tables_say_so(visit: Open) -> None:
    tab = visit(viewport={"width": 360, "height": 800})
    formula = tab.open("gradcam").locator(".math-block[data-scrolls=formula]").first
    formula.focus()
    tab.page.keyboard.press("ArrowRight")
    tab.page.wait_for_function("document.activeElement.scrollLeft > 0")
    table = tab.open("sweep").locator(".sortable-table")
    said = "getComputedStyle(document.querySelector('.sortable-table'), '::before').content"
    expect(table).to_have_attribute("data-scrolls", "table")
    assert "sideways" in tab.page.evaluate(said)
    tab.resize(1280)
    expect(table).not_to_have_attribute("data-scrolls", re.compile(""))


def test_one_switch_opens_and_closes_all_code(visit: Open) -> None:
    page = visit().open("model")
    folded, switch = page.locator("details.hide, details.source"), page.get_by_role("button", name="all code")
    for opened in (True, False):
        switch.click()
        expect(switch).to_have_attribute("aria-pressed", str(opened).lower())
        assert {part.get_attribute("open") is not None for part in folded.all()} == {opened}


def test_search_shows_excerpts_of_a_site_that_is_served(browser: "Browser", address: str) -> None:
    page = browser.new_page()
    page.set_default_timeout(WAIT)
    page.goto(f"{address}/search.html?q=insertion")
    page.locator("#search-results p.context").first.wait_for()
    page.close()


def test_a_table_is_sorted_by_mouse_and_keyboard_and_as_written_without_javascript(visit: Open) -> None:
    page = visit().open("sweep")
    table = page.locator(".sortable-table table")
    heads = table.locator("th")

    def keys(column: int) -> list[float]:
        cells = table.locator(f"td:nth-child({column + 1})").all()
        return [float(cell.get_attribute("data-key") or "") for cell in cells]

    expect(heads.nth(2)).to_have_attribute("aria-sort", "descending")
    written = keys(2)
    assert len(written) >= 4 and written == sorted(written, reverse=True)
    heads.nth(0).get_by_role("button").click()
    expect(heads.nth(0)).to_have_attribute("aria-sort", "ascending")
    assert keys(0) == sorted(keys(0))
    assert table.locator("th[aria-sort]").count() == 1
    page.keyboard.press("Enter")
    expect(heads.nth(0)).to_have_attribute("aria-sort", "descending")
    assert keys(0) == sorted(keys(0), reverse=True)
    plain = visit(java_script_enabled=False).open("sweep")
    assert plain.locator(".sortable-table button").count() == 0
    cells = plain.locator(".sortable-table td:nth-child(3)").all()
    assert [float(cell.get_attribute("data-key") or "") for cell in cells] == written


def test_a_dark_phone_is_shown_figures_for_dark_phones_and_loads_no_others(visit: Open) -> None:
    tab = visit(color_scheme="dark", viewport={"width": 360, "height": 800})
    page = tab.open("benchmarks")
    shown = page.locator("figure img:visible")
    expect(shown.nth(2)).to_be_visible()
    assert all({"only-dark", "only-narrow"} <= {*str(img.get_attribute("class")).split()} for img in shown.all())
    loaded = (
        "[...document.querySelectorAll('figure img')].filter(img => img.naturalWidth && !img.checkVisibility()).length"
    )
    assert page.evaluate(loaded) == 0
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb({}, {}, {})".format(*bytes.fromhex(style.DARK.page[1:]))


def test_the_report_prints_in_one_piece(visit: Open, tmp_path: Path) -> None:
    """What `make pdf` does: as many pages as a report has, no chapter lost, and images on them."""
    program = Path(sys.executable).with_name("jupyter-book")
    options = ["--all", "--builder", "custom", "--custom-builder", "singlehtml", "--path-output", tmp_path, "book/"]
    done = subprocess.run([program, "build", *options], cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    tab = visit()
    tab.page.goto((tmp_path / "_build" / "singlehtml" / "index.html").as_uri())
    tab.page.wait_for_selector('.explorer[data-ready="true"]')
    assert tab.page.locator(".toctree-wrapper > section").count() == len(PAGES) - 1
    tab.page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    printed = (tmp_path / "report.pdf").read_bytes()
    sheets = printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ")
    assert 40 <= sheets <= 110 and len(printed) > 2_000_000 and b"file://" not in printed
    # One page has no index to search, which the theme asks for nevertheless.
    assert [fault for fault in tab.faults if "searchindex" not in fault and "ERR_FILE_NOT_FOUND" not in fault] == []

"""The published site in a real browser: no errors, no request to anyone, accessible, the explorer as used.

Skipped where there is no Chromium. CHROMIUM names another one than that on the path, SITE a folder with a built site.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page
from visiting import CHROMIUM, PAGES, TOP, Visit

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_without_error_or_request_to_anyone(visit: Callable[..., Visit], name: str) -> None:
    tab = visit()
    tab.open(name)
    tab.page.wait_for_load_state("networkidle")
    assert tab.faults == []


VIEWS = {
    "index": ("index", ""),
    "error-analysis": ("error_analysis", ""),
    "cards": ("gradcam", "#case-by-case"),
    "curves": ("training", "#fig-curves"),
    "explorer": ("explorer", ""),
    "case": ("explorer", "#view=margin"),
    "trials": ("faithfulness", ""),
    "sweep": ("sweep", ""),
}


@pytest.mark.parametrize("device", ["light", "dark", "phone"])
@pytest.mark.parametrize("view", VIEWS)
def test_pages_can_be_looked_at(visit: Callable[..., Visit], view: str, device: str, tmp_path: Path) -> None:
    """Screenshots, kept in the folder SCREENSHOTS if it is given; none is of one colour."""
    size = {"width": 360, "height": 800} if device == "phone" else {"width": 1440, "height": 1000}
    tab = visit(viewport=size, color_scheme="dark" if device == "dark" else "light")
    page = tab.open(*VIEWS[view])
    if view == "case":
        page.wait_for_selector('.explorer[data-ready="true"]')
        page.locator(".explorer ul.tiles button").first.click()
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{view}-{device}.png")
    with Image.open(folder / f"{view}-{device}.png") as shot:
        low, high = shot.convert("L").getextrema()
        assert shot.size == (size["width"], size["height"]) and high - low > 100  # type: ignore[operator]


@pytest.mark.parametrize(("width", "shape"), [(360, "narrow"), (1440, "wide")])
def test_the_front_page_shows_one_error_from_beginning_to_end(
    visit: Callable[..., Visit], width: int, shape: str
) -> None:
    page = visit(viewport={"width": width, "height": 900}).open("index")
    image = page.locator("#at-a-glance img")
    seen = image.evaluate(
        "async (image) => { await image.decode(); return [image.naturalWidth, image.naturalHeight]; }"
    )
    assert (seen[0] < seen[1]) == (shape == "narrow")
    box = image.bounding_box()
    assert box and box["width"] / box["height"] == pytest.approx(seen[0] / seen[1], rel=0.02) and box["width"] > 300
    words, number = str(image.get_attribute("alt")), page.locator("#at-a-glance figcaption").inner_text()
    assert "heat maps at layer1, layer2, layer3, layer4" in words and "# " in number and "The network answers" in number
    target, anchor = str(page.locator("#at-a-glance a").get_attribute("href")).split("#")
    assert visit().open(target.removesuffix(".html")).locator(f"#{anchor}").count() == 1


def test_a_table_is_sorted_by_its_columns_with_mouse_and_keyboard(visit: Callable[..., Visit]) -> None:
    page = visit().open("sweep")
    table = page.locator(".sortable-table table")
    heads = table.locator("th")

    def keys(column: int) -> list[float]:
        return [
            float(cell.get_attribute("data-key") or "") for cell in table.locator(f"td:nth-child({column + 1})").all()
        ]

    before = keys(2)
    assert before == sorted(before, reverse=True) and heads.nth(2).get_attribute("aria-sort") == "descending"
    heads.nth(0).get_by_role("button").click()
    assert keys(0) == sorted(keys(0)) and heads.nth(0).get_attribute("aria-sort") == "ascending"
    assert table.locator("th[aria-sort]").count() == 1
    page.keyboard.press("Enter")
    assert keys(0) == sorted(keys(0), reverse=True) and heads.nth(0).get_attribute("aria-sort") == "descending"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert heads.nth(1).get_attribute("aria-sort") == "ascending" and sorted(keys(2), reverse=True) == before


def test_without_javascript_the_table_is_as_it_was_written(visit: Callable[..., Visit]) -> None:
    page = visit(java_script_enabled=False).open("sweep")
    assert page.locator(".sortable-table button").count() == 0
    cells = page.locator(".sortable-table td:nth-child(3)").all_inner_texts()
    values = [float(cell.split()[0]) for cell in cells]
    assert len(values) >= 4 and values == sorted(values, reverse=True)


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_no_page_scrolls_sideways(visit: Callable[..., Visit], width: int) -> None:
    tab = visit(viewport={"width": width, "height": 800})
    wide = {}
    for name in PAGES:
        page = tab.open(name)
        extent = page.evaluate("document.scrollingElement.scrollWidth")
        if extent > width:
            wide[name] = extent
    assert wide == {}


def test_every_table_is_seen_whole_on_a_laptop(visit: Callable[..., Visit]) -> None:
    """None of them, nor the box around one that sorts, wants to be scrolled."""
    tab = visit(viewport={"width": 1280, "height": 800})
    cut = {}
    for name in PAGES:
        boxes = "[...document.querySelectorAll('article table, article .sortable-table')]"
        widths = tab.open(name).evaluate(f"{boxes}.map(box => [box.scrollWidth, box.clientWidth])")
        if narrow := [pair for pair in widths if pair[0] > pair[1] + 1]:
            cut[name] = narrow
    assert cut == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_serious_fault_of_accessibility(visit: Callable[..., Visit], name: str, scheme: str) -> None:
    tab = visit(color_scheme=scheme)
    page = tab.open(name)
    assert page.get_attribute("html", "data-theme") == scheme
    found = Axe().run(page).response["violations"]
    faults = [
        (fault["id"], [node["html"][:150] for node in fault["nodes"][:3]])
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]
    assert faults == []


def test_the_report_prints_in_one_piece(visit: Callable[..., Visit], tmp_path: Path) -> None:
    """What `make pdf` does: as many pages as a report has, no chapter lost, and images on them."""
    program = Path(sys.executable).with_name("jupyter-book")
    build = [
        "build",
        "--all",
        "--builder",
        "custom",
        "--custom-builder",
        "singlehtml",
        "--path-output",
        tmp_path,
        "book/",
    ]
    done = subprocess.run([program, *build], cwd=TOP, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    tab = visit()
    tab.page.goto((tmp_path / "_build" / "singlehtml" / "index.html").as_uri())
    tab.page.wait_for_selector('.explorer[data-ready="true"]')
    assert tab.page.locator(".toctree-wrapper > section").count() == len(PAGES) - 1
    tab.page.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True)
    printed = (tmp_path / "report.pdf").read_bytes()
    sheets = printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ")
    assert 40 <= sheets <= 110 and len(printed) > 2_000_000
    assert b"file://" not in printed
    # One page has no index to search, which the theme asks for nevertheless.
    assert [fault for fault in tab.faults if "searchindex" not in fault and "ERR_FILE_NOT_FOUND" not in fault] == []


# The explorer


def explorer(tab: Visit, anchor: str = "") -> Page:
    page = tab.open("explorer", anchor)
    page.wait_for_selector('.explorer[data-ready="true"]')
    return page


def count(page: Page) -> int:
    return page.locator(".explorer ul.tiles li").count()


def picture(page: Page) -> list[int]:
    """The pixels of the open case."""
    return page.evaluate(
        "[...document.querySelector('.explorer dialog canvas').getContext('2d').getImageData(0, 0, 32, 32).data]"
    )


def case_number(page: Page) -> str:
    found = re.match(r"# (\d+):", page.locator(".explorer dialog h3").inner_text())
    assert found
    return found[1]


def test_filters_show_what_they_say_and_can_be_undone(visit: Callable[..., Visit]) -> None:
    tab = visit()
    page = explorer(tab)
    data = page.evaluate("JSON.parse(document.querySelector('.explorer .data').textContent)")
    errors = [row for row in data["cases"] if row["t"] != row["p"]]
    assert count(page) == len(errors) > 100
    page.select_option("select[name=true]", "cat")
    page.select_option("select[name=predicted]", "dog")
    cat, dog = data["classes"].index("cat"), data["classes"].index("dog")
    wanted = [row for row in errors if (row["t"], row["p"]) == (cat, dog)]
    assert count(page) == len(wanted) > 5
    assert f"{len(wanted)} of {len(data['cases'])} cases" in page.locator(".explorer .count").inner_text()
    page.locator("input[name=from]").fill("70")
    assert count(page) == sum(row["q"][row["p"]] >= 700 for row in wanted)
    page.locator("input[name=from]").fill("0")
    page.locator("input[name=people]").fill("50")
    assert count(page) == sum(row["v"][row["t"]] <= sum(row["v"]) / 2 for row in wanted)
    page.get_by_role("button", name="show all errors").click()
    page.wait_for_function("location.hash === ''")
    assert count(page) == len(errors)
    page.select_option("select[name=kind]", "right")
    assert count(page) == len(data["cases"]) - len(errors)
    assert tab.faults == []


def test_order_changes_and_is_kept_in_the_address(visit: Callable[..., Visit]) -> None:
    page = explorer(visit())
    first = page.locator(".explorer ul.tiles button").first
    surest = first.get_attribute("aria-label")
    page.select_option("select[name=sort]", "least sure first")
    unsure = first.get_attribute("aria-label")
    page.wait_for_function("location.hash.includes('sort=least+sure+first')")
    assert surest != unsure
    page.reload()
    page.wait_for_selector('.explorer[data-ready="true"]')
    assert first.get_attribute("aria-label") == unsure
    assert page.locator("select[name=sort]").input_value() == "least sure first"


def test_an_anchor_of_the_page_leaves_the_filters_alone(visit: Callable[..., Visit]) -> None:
    page = explorer(visit(), "#true=cat")
    shown = count(page)
    page.evaluate("location.hash = '#all-errors-at-a-glance'")
    page.wait_for_timeout(100)
    assert count(page) == shown and page.locator("select[name=true]").input_value() == "cat"
    page.evaluate("location.hash = '#true=dog'")
    page.wait_for_function("document.querySelector('select[name=true]').value === 'dog'")
    assert count(page) != shown


def test_a_case_outside_the_filters_opens_and_leads_back_to_them(visit: Callable[..., Visit]) -> None:
    page = explorer(visit(), "#kind=right")
    page.locator(".explorer ul.tiles button").first.click()
    page.wait_for_function("location.hash.includes('case=')")
    address = page.url.replace("kind=right&", "")
    other = explorer(visit(), "#" + address.partition("#")[2])
    assert case_number(other) == case_number(page)
    last = other.locator(".explorer ul.tiles button").last.get_attribute("aria-label")
    other.get_by_role("button", name="previous case").click()
    assert last and f"number {case_number(other)}," in last
    other.get_by_role("button", name="close").click()
    other.wait_for_function("!location.hash.includes('case=')")


def test_a_permalink_opens_the_case_as_it_was_seen(visit: Callable[..., Visit]) -> None:
    page = explorer(visit())
    page.locator(".explorer ul.tiles button").nth(3).click()
    page.get_by_role("radio").nth(1).check()
    page.locator("dialog input[name=layer]").fill("3")
    page.wait_for_function("location.hash.includes('layer=3')")
    number, seen, address = case_number(page), picture(page), page.url
    assert f"case={number}" in address and "view=other" in address and "layer=3" in address
    again = explorer(visit(), "#" + address.partition("#")[2])
    assert again.locator(".explorer dialog").is_visible()
    assert case_number(again) == number and picture(again) == seen


def test_a_link_with_nonsense_shows_the_page_as_it_begins(visit: Callable[..., Visit]) -> None:
    tab = visit()
    page = explorer(tab, "#true=unicorn&case=99999&layer=9&from=abc&sort=toString&kind=<b>&x=1")
    assert count(page) > 100 and not page.locator(".explorer dialog").is_visible() and tab.faults == []


def test_an_open_case_fits_a_phone(visit: Callable[..., Visit]) -> None:
    page = explorer(visit(viewport={"width": 360, "height": 700}))
    page.locator(".explorer ul.tiles button").first.click()
    box = page.locator(".explorer dialog")
    assert box.evaluate("box => box.scrollWidth <= box.clientWidth")
    canvas = box.locator("canvas").bounding_box()
    assert canvas and canvas["width"] <= 340 and canvas["x"] >= 0


def test_on_a_dark_page_the_explorer_and_the_cards_are_dark(visit: Callable[..., Visit]) -> None:
    for name, selector in (("explorer", ".explorer .count"), ("gradcam", "figure.case figcaption")):
        page = visit(color_scheme="dark").open(name)
        grounds = page.locator(selector).first.evaluate(
            """part => {
              const found = [];
              for (let one = part; one; one = one.parentElement) found.push(getComputedStyle(one).backgroundColor);
              return found.filter((colour) => colour !== 'rgba(0, 0, 0, 0)');
            }"""
        )
        assert grounds
        assert all(max(map(int, re.findall(r"\d+", colour)[:3])) < 80 for colour in grounds), grounds


def test_sliders_and_views_change_pixels_and_opacity_zero_is_the_image_itself(visit: Callable[..., Visit]) -> None:
    page = explorer(visit())
    page.locator(".explorer ul.tiles button").first.click()
    seen = [picture(page)]
    for layer in "123":
        page.locator("dialog input[name=layer]").fill(layer)
        seen.append(picture(page))
    for view in (1, 2):
        page.get_by_role("radio").nth(view).check()
        seen.append(picture(page))
    assert len({tuple(pixels) for pixels in seen}) == len(seen)
    assert page.locator("dialog input[name=layer]").is_disabled()  # the margin is of layer4
    page.locator("dialog input[name=opacity]").fill("0")
    plain = picture(page)
    assert plain not in seen and any(plain[i] != plain[i + 1] for i in range(0, len(plain), 4)), "in colour"


def test_everything_works_without_a_mouse(visit: Callable[..., Visit]) -> None:
    page = explorer(visit())
    first = page.locator(".explorer ul.tiles button").first
    first.focus()
    page.keyboard.press("ArrowRight")
    place = "[document.activeElement.offsetLeft, document.activeElement.getBoundingClientRect().top]"
    left, top = page.evaluate(place)
    page.keyboard.press("ArrowUp")
    assert page.evaluate(place) == [left, top], "there is nothing above the first row"
    page.keyboard.press("ArrowDown")
    below = page.evaluate(place)
    assert below[0] == left and below[1] > top
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused and focused != first.get_attribute("aria-label")
    page.keyboard.press("Enter")
    assert page.locator(".explorer dialog").is_visible() and f"number {case_number(page)}," in focused
    page.keyboard.press("ArrowRight")
    following = case_number(page)
    assert f"number {following}," not in focused
    page.keyboard.press("Escape")
    assert not page.locator(".explorer dialog").is_visible()
    assert f"number {following}," in page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert page.locator('.explorer ul.tiles button[tabindex="0"]').count() == 1


def test_an_open_case_is_accessible_in_light_and_dark(visit: Callable[..., Visit]) -> None:
    for scheme in ("light", "dark"):
        page = explorer(visit(color_scheme=scheme), "#view=margin")
        page.locator(".explorer ul.tiles button").first.click()
        found = Axe().run(page, context=".explorer").response["violations"]
        assert [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")] == []
        name = page.locator(".explorer dialog canvas").get_attribute("aria-label")
        assert name and "what each cell of layer4 adds" in name


def test_without_javascript_ten_cases_are_shown_and_what_is_missing_is_said(visit: Callable[..., Visit]) -> None:
    page = visit(java_script_enabled=False).open("explorer")
    assert count(page) == 10
    assert "in a browser with JavaScript" in page.locator(".explorer .missing").inner_text()
    (target, anchor) = str(page.locator(".explorer ul.tiles a").first.get_attribute("href")).split("#")
    assert page.locator(".explorer ul.tiles img").first.bounding_box()["width"] >= 40  # type: ignore[index]
    gallery = visit(java_script_enabled=False).open(target.removesuffix(".html"))
    assert gallery.locator(f"#{anchor}").count() == 1


def test_filtering_takes_less_than_50_ms(visit: Callable[..., Visit]) -> None:
    page = explorer(visit())
    took = page.evaluate(
        """() => {
          const field = document.querySelector('.explorer select[name=kind]');
          return ['all', 'errors', 'all', 'errors', 'all', 'errors', 'all'].map((value) => {
            const start = performance.now();
            field.value = value;
            field.dispatchEvent(new Event('change'));
            document.querySelector('.explorer ul.tiles').getBoundingClientRect();
            return performance.now() - start;
          }).sort((a, b) => a - b)[0];
        }"""
    )
    assert took < 50, took  # the least of several: what else a machine does only adds to it


def test_each_confusion_links_to_its_cases(visit: Callable[..., Visit]) -> None:
    page = visit().open("error_analysis")
    link = page.locator('a[href*="explorer.html#"][href*="predicted="]').first
    expected = int(re.sub(r"\D", "", link.inner_text()))
    link.click()
    page.wait_for_selector('.explorer[data-ready="true"]')
    assert count(page) == expected

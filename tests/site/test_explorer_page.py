"""The error explorer as readers use it: filters, permalinks, maps, keyboard, telephones, and without a script."""

import re
from collections.abc import Callable

from playwright.sync_api import Page
from visiting import Visit, in_a_browser

pytestmark = in_a_browser
GROUNDS = """part => {
    const found = [];
    for (let one = part; one; one = one.parentElement) found.push(getComputedStyle(one).backgroundColor);
    return found.filter((colour) => colour !== 'rgba(0, 0, 0, 0)');
}"""


def explorer(tab: Visit, anchor: str = "") -> Page:
    page = tab.open("explorer", anchor)
    page.wait_for_selector('.explorer[data-ready="true"]')
    return page


def count(page: Page) -> int:
    return page.locator(".explorer ul.tiles li").count()


def open_case(page: Page, number: int = 0) -> None:
    page.locator(".explorer ul.tiles button").nth(number).click()


def picture(page: Page) -> list[int]:
    """The pixels of the open case."""
    canvas = "document.querySelector('.explorer dialog canvas')"
    return page.evaluate(f"[...{canvas}.getContext('2d').getImageData(0, 0, 32, 32).data]")


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


def test_the_address_keeps_order_filters_and_the_open_case_as_it_was_seen(visit: Callable[..., Visit]) -> None:
    page = explorer(visit(), "#true=cat")
    shown, surest = count(page), page.locator(".explorer ul.tiles button").first.get_attribute("aria-label")
    page.select_option("select[name=sort]", "least sure first")
    page.wait_for_function("location.hash.includes('sort=least+sure+first')")
    assert page.locator(".explorer ul.tiles button").first.get_attribute("aria-label") != surest
    open_case(page, 3)
    page.get_by_role("radio").nth(1).check()
    page.locator("dialog input[name=layer]").fill("3")
    page.wait_for_function("location.hash.includes('layer=3')")
    number, seen, anchor = case_number(page), picture(page), "#" + page.url.partition("#")[2]
    again = explorer(visit(), anchor)
    assert again.locator(".explorer dialog").is_visible() and count(again) == shown
    assert case_number(again) == number and picture(again) == seen
    again.get_by_role("button", name="close").click()
    again.evaluate("location.hash = '#all-errors-at-a-glance'")  # an anchor of the page
    again.wait_for_timeout(100)
    assert count(again) == shown and again.locator("select[name=sort]").input_value() == "least sure first"


def test_a_link_with_nonsense_shows_the_page_as_it_begins(visit: Callable[..., Visit]) -> None:
    tab = visit()
    page = explorer(tab, "#true=unicorn&case=99999&layer=9&from=abc&sort=toString&kind=<b>&x=1")
    assert count(page) > 100 and not page.locator(".explorer dialog").is_visible() and tab.faults == []


def test_a_case_outside_the_filters_opens_and_leads_back_to_them(visit: Callable[..., Visit]) -> None:
    page = explorer(visit(), "#kind=right")
    open_case(page)
    page.wait_for_function("location.hash.includes('case=')")
    other = explorer(visit(), "#" + page.url.replace("kind=right&", "").partition("#")[2])
    assert case_number(other) == case_number(page)
    last = other.locator(".explorer ul.tiles button").last.get_attribute("aria-label")
    other.get_by_role("button", name="previous case").click()
    assert last and f"number {case_number(other)}," in last


def test_sliders_and_views_change_pixels_and_opacity_zero_is_the_image_itself(visit: Callable[..., Visit]) -> None:
    page = explorer(visit())
    open_case(page)
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
    place = "[document.activeElement.offsetLeft, document.activeElement.getBoundingClientRect().top]"
    label = "document.activeElement.getAttribute('aria-label')"
    page.locator(".explorer ul.tiles button").first.focus()
    first = page.evaluate(label)
    page.keyboard.press("ArrowRight")
    left, top = page.evaluate(place)
    page.keyboard.press("ArrowUp")
    assert page.evaluate(place) == [left, top], "there is nothing above the first row"
    page.keyboard.press("ArrowDown")
    below, focused = page.evaluate(place), page.evaluate(label)
    assert below[0] == left and below[1] > top and focused != first
    page.keyboard.press("Enter")
    assert page.locator(".explorer dialog").is_visible() and f"number {case_number(page)}," in focused
    page.keyboard.press("ArrowRight")
    following = case_number(page)
    assert f"number {following}," not in focused
    page.keyboard.press("Escape")
    assert not page.locator(".explorer dialog").is_visible() and f"number {following}," in page.evaluate(label)
    assert page.locator('.explorer ul.tiles button[tabindex="0"]').count() == 1


def test_an_open_case_is_accessible_fits_a_phone_and_is_dark_on_a_dark_page(visit: Callable[..., Visit]) -> None:
    for scheme in ("light", "dark"):
        tab = visit(color_scheme=scheme, viewport={"width": 360, "height": 700})
        page = explorer(tab, "#view=margin")
        open_case(page)
        assert tab.serious_faults(".explorer") == []
        assert page.locator(".explorer dialog").evaluate("box => box.scrollWidth <= box.clientWidth")
        canvas = page.locator(".explorer dialog canvas")
        box, name = canvas.bounding_box(), canvas.get_attribute("aria-label")
        assert box and box["width"] <= 340 and box["x"] >= 0 and name and "what each cell of layer4 adds" in name
    grounds = page.locator(".explorer .count").first.evaluate(GROUNDS)
    grounds += visit(color_scheme="dark").open("gradcam").locator("figure.case figcaption").first.evaluate(GROUNDS)
    assert all(max(map(int, re.findall(r"\d+", colour)[:3])) < 80 for colour in grounds) and len(grounds) > 1


def test_without_javascript_ten_cases_lead_to_their_cards(visit: Callable[..., Visit]) -> None:
    page = visit(java_script_enabled=False).open("explorer")
    assert count(page) == 10 and page.locator(".explorer .missing").is_visible()
    target, anchor = str(page.locator(".explorer ul.tiles a").first.get_attribute("href")).split("#")
    assert page.locator(".explorer ul.tiles img").first.bounding_box()["width"] >= 40  # type: ignore[index]
    assert visit(java_script_enabled=False).open(target.removesuffix(".html")).locator(f"#{anchor}").count() == 1


def test_each_confusion_links_to_its_cases(visit: Callable[..., Visit]) -> None:
    page = visit().open("error_analysis")
    link = page.locator('a[href*="explorer.html#"][href*="predicted="]').first
    expected = int(re.sub(r"\D", "", link.inner_text()))
    link.click()
    page.wait_for_selector('.explorer[data-ready="true"]')
    assert count(page) == expected

"""The error explorer as readers use it: filters, permalinks, maps, keyboard, telephones, and without a script."""

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect
from visiting import Open, Visit, anchor, in_a_browser

from gradcam_report.analysis import features

pytestmark = in_a_browser
GROUNDS = """part => {
    const found = [];
    for (let one = part; one; one = one.parentElement) found.push(getComputedStyle(one).backgroundColor);
    return found.filter((colour) => colour !== 'rgba(0, 0, 0, 0)');
}"""


def explorer(tab: Visit, view: str = "") -> Page:
    page = tab.open("explorer", view)
    page.wait_for_selector('.explorer[data-ready="true"]')
    return page


def count(page: Page) -> int:
    return page.locator(".explorer ul.tiles li").count()


def data(page: Page) -> dict[str, Any]:
    return page.evaluate("JSON.parse(document.querySelector('.explorer .data').textContent)")


def tile(page: Page, number: int) -> str:
    """The name of a tile: class, answer and number of its image."""
    return str(page.locator(".explorer ul.tiles button").nth(number).get_attribute("aria-label"))


def dialog(page: Page) -> Locator:
    return page.locator(".explorer dialog")


def open_case(page: Page, number: int = 0) -> None:
    page.locator(".explorer ul.tiles button").nth(number).click()
    expect(dialog(page)).to_be_visible()


def follow(page: Page, view: str) -> None:
    """Give the page another anchor, and wait until it has had the time to take it over."""
    page.evaluate(
        """(view) => new Promise((done) => {
          addEventListener('hashchange', () => setTimeout(done), { once: true });
          location.hash = view;
        })""",
        view,
    )


def picture(page: Page, view: str = "predicted") -> list[int]:
    """The pixels of one picture of the open case: image, predicted, other or margin."""
    canvas = f"document.querySelector('.explorer dialog canvas[data-view={view}]')"
    return page.evaluate(f"[...{canvas}.getContext('2d').getImageData(0, 0, 32, 32).data]")


def case_number(page: Page) -> str:
    found = re.match(r"# (\d+):", page.locator(".explorer dialog h3").inner_text())
    assert found
    return found[1]


def test_filters_show_what_they_say_and_can_be_undone(visit: Open) -> None:
    tab = visit()
    page = explorer(tab)
    cases, classes = data(page)["cases"], data(page)["classes"]
    errors = [row for row in cases if row["true"] != row["predicted"]]
    assert count(page) == len(errors) > 100
    page.select_option("select[name=true]", "cat")
    page.select_option("select[name=predicted]", "dog")
    cat, dog = classes.index("cat"), classes.index("dog")
    wanted = [row for row in errors if (row["true"], row["predicted"]) == (cat, dog)]
    assert count(page) == len(wanted) > 5
    expect(page.locator(".explorer .count")).to_contain_text(f"{len(wanted)} of {len(errors)} errors, 0 of ")
    page.locator("input[name=from]").fill("70")
    assert count(page) == sum(row["percent"][row["predicted"]] >= 70 for row in wanted)
    page.locator("input[name=from]").fill("0")
    page.locator("input[name=people]").fill("50")
    assert count(page) == sum(row["votes"][row["true"]] <= sum(row["votes"]) / 2 for row in wanted)
    page.get_by_role("button", name="show all errors").click()
    page.wait_for_function("location.hash === ''")
    assert count(page) == len(errors)
    page.select_option("select[name=kind]", "right")
    assert count(page) == len(cases) - len(errors) and tab.faults == []


def test_the_address_keeps_order_filters_and_the_open_case_as_it_was_seen(visit: Open) -> None:
    page = explorer(visit(), "#true=cat")
    shown, surest = count(page), tile(page, 0)
    page.select_option("select[name=sort]", "least sure first")
    page.wait_for_function("location.hash.includes('sort=least+sure+first')")
    assert tile(page, 0) != surest
    open_case(page, 3)
    page.locator("dialog input[name=layer]").fill("3")
    page.wait_for_function("location.hash.includes('layer=3')")
    number, seen = case_number(page), picture(page)
    again = explorer(visit(), anchor(page))
    expect(dialog(again)).to_be_visible()
    assert count(again) == shown
    assert case_number(again) == number and picture(again) == seen
    again.get_by_role("button", name="close").click()
    expect(dialog(again)).to_be_hidden()
    follow(again, "#all-errors-at-a-glance")  # an anchor of the page
    assert count(again) == shown and again.locator("select[name=sort]").input_value() == "least sure first"


def test_a_link_with_nonsense_shows_the_page_as_it_begins(visit: Open) -> None:
    tab = visit()
    page = explorer(tab, "#true=unicorn&case=99999&layer=9&from=abc&sort=toString&kind=<b>&x=1")
    assert count(page) > 100 and not page.locator(".explorer dialog").is_visible() and tab.faults == []


def test_a_case_outside_the_filters_opens_and_leads_back_to_them(visit: Open) -> None:
    page = explorer(visit(), "#kind=right")
    open_case(page)
    page.wait_for_function("location.hash.includes('case=')")
    other = explorer(visit(), anchor(page).replace("kind=right&", ""))
    assert case_number(other) == case_number(page)
    other.get_by_role("button", name="previous case").click()
    assert f"number {case_number(other)}," in tile(other, -1)


def test_sliders_change_pixels_and_opacity_zero_is_the_image_itself(visit: Open) -> None:
    page = explorer(visit())
    open_case(page)
    plain, margin = picture(page, "image"), picture(page, "margin")
    seen = [plain, margin, picture(page), picture(page, "other")]
    for layer in "123":
        page.locator("dialog input[name=layer]").fill(layer)
        seen += [picture(page), picture(page, "other")]
    assert len({tuple(pixels) for pixels in seen}) == len(seen)
    assert picture(page, "margin") == margin, "it is of layer4, whatever the slider says"
    page.locator("dialog input[name=opacity]").fill("0")
    assert all(picture(page, view) == plain for view in ("image", "predicted", "other", "margin"))
    assert any(plain[i] != plain[i + 1] for i in range(0, len(plain), 4)), "in colour"


def test_everything_works_without_a_mouse(visit: Open) -> None:
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
    expect(dialog(page)).to_be_visible()
    assert f"number {case_number(page)}," in focused
    page.keyboard.press("ArrowRight")
    following = case_number(page)
    assert f"number {following}," not in focused
    page.keyboard.press("Escape")
    expect(dialog(page)).to_be_hidden()
    page.wait_for_function(f"{label}?.includes('number {following},')")  # a dialog tells later that it was closed
    assert page.locator('.explorer ul.tiles button[tabindex="0"]').count() == 1


def test_an_open_case_is_accessible_fits_a_phone_and_is_dark_on_a_dark_page(visit: Open) -> None:
    for scheme in ("light", "dark"):
        tab = visit(color_scheme=scheme, viewport={"width": 360, "height": 700})
        page = explorer(tab)
        open_case(page)
        assert tab.serious_faults(".explorer") == []
        assert page.locator(".explorer dialog").evaluate("box => box.scrollWidth <= box.clientWidth")
        boxes = [canvas.bounding_box() for canvas in page.locator(".explorer dialog .pictures canvas").all()]
        assert len(boxes) == 4 and all(box and box["width"] > 100 and 0 <= box["x"] <= 200 for box in boxes)
        margin = page.locator("dialog canvas[data-view=margin]").get_attribute("aria-label")
        assert margin and "what each cell of layer4 adds" in margin
    grounds = page.locator(".explorer .count").first.evaluate(GROUNDS)
    grounds += visit(color_scheme="dark").open("gradcam").locator("figure.case figcaption").first.evaluate(GROUNDS)
    assert all(max(map(int, re.findall(r"\d+", colour)[:3])) < 80 for colour in grounds) and len(grounds) > 1


def test_without_javascript_ten_errors_are_shown(visit: Open) -> None:
    page = visit(java_script_enabled=False).open("explorer")
    assert count(page) == 10 and page.locator(".explorer .missing").is_visible()
    assert page.locator(".explorer ul.tiles img").first.bounding_box()["width"] >= 40  # type: ignore[index]


def wait_until_in_window(page: Page, part: str) -> None:
    """Wait until an element lies in the window, below the page's bar."""
    page.wait_for_function(
        """(part) => {
          const { y } = document.querySelector(part).getBoundingClientRect();
          return 40 < y && y < innerHeight - 40;
        }""",
        arg=part,
    )


def test_the_explorer_opens_at_what_the_address_tells(visit: Open) -> None:
    page = explorer(visit(), "#true=cat&predicted=dog")
    wait_until_in_window(page, ".explorer .count")
    assert page.evaluate("scrollY") > 100
    case = re.findall(r"number (\d+)", tile(page, -1))[0]
    page = explorer(visit(), f"#case={case}")
    expect(dialog(page)).to_be_visible()
    assert case_number(page) == case
    page.get_by_role("button", name="close").click()
    wait_until_in_window(page, f'.explorer ul.tiles button[aria-label^="number {case},"]')
    page.evaluate("scrollTo(0, 0)")
    follow(page, "#true=frog")  # a link on the page itself
    page.wait_for_function("scrollY > 100")
    assert explorer(visit()).evaluate("scrollY") == 0


def test_a_case_leads_to_its_card_where_there_is_one_and_to_training_images(visit: Open) -> None:
    tab = visit()
    anchors = tab.open("gradcam").locator("figure.case[id^=case-]").evaluate_all("cards => cards.map((one) => one.id)")
    page = explorer(tab, f"#case={anchors[0].removeprefix('case-')}")
    link = page.locator("dialog .links a").first
    assert link.get_attribute("href") == f"gradcam.html#{anchors[0]}"
    assert page.locator("dialog .near canvas").count() == features.NEIGHBOURS
    without = next(row["index"] for row in data(page)["cases"] if f"case-{row['index']}" not in anchors)
    page = explorer(visit(), f"#case={without}")
    assert "gradcam.html" not in str(page.locator("dialog .links").inner_html())


def test_a_link_to_a_card_opens_it_and_on_paper_all_are_open(visit: Open) -> None:
    page = visit().open("gradcam")
    cards = page.locator("details.folded")
    last = cards.last.locator("figure.case")
    assert [cards.first.get_attribute("open"), cards.last.get_attribute("open")] == ["", None]
    page.emulate_media(media="print")
    expect(last).to_be_visible()
    page.emulate_media(media="screen")
    expect(last).to_be_hidden()
    page.evaluate("id => { location.hash = id; }", last.get_attribute("id"))
    page.wait_for_function("scrollY > 100")
    expect(last).to_be_visible()


def test_a_drag_over_the_scatter_filters_as_the_sliders_do(visit: Open) -> None:
    page = explorer(visit())
    plot = page.locator(".scatter svg").first
    plot.evaluate("(plot) => plot.scrollIntoView({ block: 'center' })")
    plot.hover(position={"x": 5, "y": 5})  # waits until it stands still, below nothing else
    box = plot.bounding_box()
    assert box
    everything = count(page)
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 0.5 * box["height"], steps=3)
    page.mouse.up()
    page.wait_for_function("(all) => document.querySelectorAll('.explorer ul.tiles li').length < all", arg=everything)
    some = count(page)
    assert 0 < some < everything and page.locator(".scatter path.out").count() == everything - some
    values = {name: page.locator(f"input[name={name}]").input_value() for name in ("from", "to", "least", "people")}
    assert 40 < int(values["from"]) < 80 and (values["to"], values["people"]) == ("100", "100")
    address = "#" + "&".join(f"{name}={value}" for name, value in values.items())
    assert count(explorer(visit(), address)) == some
    page.locator("input[name=from]").fill("0")
    assert count(page) > some and not page.locator(".explorer dialog").is_visible()


def test_each_confusion_links_to_its_cases(visit: Open) -> None:
    page = visit().open("error_analysis")
    link = page.locator('a[href*="explorer.html#"][href*="predicted="]').first
    expected = int(re.sub(r"\D", "", link.inner_text()))
    link.click()
    page.wait_for_selector('.explorer[data-ready="true"]')
    assert count(page) == expected

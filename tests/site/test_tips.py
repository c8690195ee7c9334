"""Tips: what a link leads to is shown beside it, with mouse, keyboard and finger, and is what stands there."""

import pytest
from playwright.sync_api import Page, expect
from visiting import Open, in_a_browser

pytestmark = in_a_browser

TERM = '.bd-article a[href="glossary.html#term-logit"]'
FIGURE = '.bd-article a[href="gradcam.html#fig-margin"]'
CITED = '.bd-article a[href^="bibliography.html#"]'


def hover(page: Page, link: str) -> str:
    """Open the tip of the first such link with the mouse; returns its words."""
    page.locator(link).first.hover()
    page.locator(f"{link}[aria-describedby=link-tip]").first.wait_for()
    return " ".join(page.locator("#link-tip").inner_text().split())


def test_a_tip_says_what_its_link_leads_to_and_stays_while_the_pointer_is_on_it(visit: Open) -> None:
    tab = visit()
    term = hover(tab.open("gradcam"), TERM)
    tip = tab.page.locator("#link-tip")
    tip.hover()
    tab.page.wait_for_timeout(500)
    assert tip.is_visible()
    tab.page.mouse.move(5, 5)
    tip.wait_for(state="hidden")
    glossary = visit().open("glossary").locator("#term-logit + dd")
    assert term == f"logit {' '.join(glossary.inner_text().split())}"
    address = str(tab.page.locator(CITED).first.get_attribute("href"))
    cited = hover(tab.page, CITED)
    entry = visit().open("bibliography").locator(address.partition("html")[2]).locator("p")
    assert cited == " ".join(entry.inner_text().split()) and tab.faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_figures_tip_has_its_picture_and_caption_and_is_accessible(visit: Open, scheme: str) -> None:
    tab = visit(color_scheme=scheme, reduced_motion="reduce")
    caption = tab.open("gradcam").locator("#fig-margin .caption-text").inner_text()
    page = tab.open("model_card")
    assert " ".join(caption.split()) in hover(page, FIGURE)
    page.wait_for_function("document.querySelector('#link-tip img').naturalWidth > 100")
    tip = page.locator("#link-tip")
    inside = "({ left, right, top }) => left >= 0 && right <= 1280 && top >= 0"  # placed anew with its picture
    page.wait_for_function(f"({inside})(document.getElementById('link-tip').getBoundingClientRect())")
    assert tip.evaluate("(tip) => getComputedStyle(tip).animationName") == "none"
    assert tab.faults == [] and tab.serious_faults("#link-tip") == []


def test_with_the_keyboard_a_tip_opens_at_the_focus_and_escape_closes_it(visit: Open) -> None:
    page = visit().open("gradcam")
    link, tip = page.locator(TERM).first, page.locator("#link-tip")
    before = """(term) => {
        const links = [...document.querySelectorAll(".bd-article :is(a[href], button, summary, pre[tabindex='0'])")];
        links[links.indexOf(document.querySelector(term)) - 1].focus();
    }"""
    page.evaluate(before, TERM)
    page.keyboard.press("Tab")
    expect(tip).to_be_visible()
    assert tip.get_attribute("role") == "tooltip"
    assert link.get_attribute("aria-describedby") == tip.get_attribute("id")
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    assert link.get_attribute("aria-describedby") is None
    expect(link).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/glossary.html#term-logit")


def test_a_tap_shows_the_tip_and_a_second_one_follows_the_link(visit: Open) -> None:
    tab = visit(has_touch=True, is_mobile=True, viewport={"width": 360, "height": 800})
    page = tab.open("gradcam")
    link, tip = page.locator(TERM).first, page.locator("#link-tip")
    link.tap()
    expect(tip).to_be_visible()  # the browser makes a click of a tap after it
    assert not tab.scrolls_sideways()
    page.locator(".bd-article h1").tap()
    expect(tip).to_be_hidden()
    assert page.url.endswith("gradcam.html")
    link.tap()
    expect(tip).to_be_visible()
    link.tap()
    page.wait_for_url("**/glossary.html#term-logit")

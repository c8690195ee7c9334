"""Tips: what a link leads to is shown beside it, with mouse, keyboard and finger, and is what stands there."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page
from visiting import CHROMIUM, Visit

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]

TERM = '.bd-article a[href="glossary.html#term-logit"]'
FIGURE = '.bd-article a[href="gradcam.html#fig-margin"]'
CITED = '.bd-article a[href^="bibliography.html#"]'


def hover(page: Page, link: str) -> str:
    """Open the tip of the first such link with the mouse; returns its words."""
    page.locator(link).first.hover()
    page.locator(f"{link}[aria-describedby=link-tip]").first.wait_for()
    return " ".join(page.locator("#link-tip").inner_text().split())


def test_a_tip_says_what_its_link_leads_to(visit: Callable[..., Visit]) -> None:
    tab = visit()
    term = hover(tab.open("gradcam"), TERM)
    glossary = visit().open("glossary").locator("#term-logit + dd")
    assert term == f"logit {' '.join(glossary.inner_text().split())}"
    cited = tab.page.locator(CITED).first
    address = str(cited.get_attribute("href"))
    said = hover(tab.page, CITED)
    entry = visit().open("bibliography").locator(address.partition("html")[2]).locator("p")
    assert said == " ".join(entry.inner_text().split()) and cited.get_attribute("title") is None
    assert tab.faults == []


def test_a_figures_tip_has_its_picture_and_caption(visit: Callable[..., Visit]) -> None:
    tab = visit()
    page = tab.open("faithfulness")
    assert "Signed margin maps at layer4" in hover(page, FIGURE)
    page.wait_for_function("document.querySelector('#link-tip img').naturalWidth > 100")
    box = page.locator("#link-tip").bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 1280 and box["y"] >= 0
    assert tab.faults == []


def test_every_link_to_a_term_a_reference_or_a_figure_has_a_tip(site: Path) -> None:
    words = (site / "_static" / "link-tips.js").read_text(encoding="utf-8")
    tips = json.loads(words.removeprefix("window.linkTips = ").rstrip().removesuffix(";"))
    linked = set()
    for path in site.glob("*.html"):
        for address in re.findall(
            r'<a class="reference internal" href="([^"]*#(?:term-|fig-|tab-|id\d)[^"]*)"', path.read_text()
        ):
            linked.add(address if not address.startswith("#") else path.name + address)
    assert len(linked) > 40 and linked <= tips.keys()
    assert all(len(tip["text"]) > 15 for tip in tips.values())
    assert all((site / tip["image"]).is_file() and len(tip["alt"]) > 40 for tip in tips.values() if "image" in tip)


def test_a_tip_stays_while_the_pointer_is_on_it_and_goes_with_it(visit: Callable[..., Visit]) -> None:
    page = visit().open("gradcam")
    hover(page, TERM)
    page.locator("#link-tip").hover()
    page.wait_for_timeout(500)
    assert page.locator("#link-tip").is_visible()
    page.mouse.move(5, 5)
    page.locator("#link-tip").wait_for(state="hidden")


def test_with_the_keyboard_a_tip_opens_at_the_focus_and_escape_closes_it(visit: Callable[..., Visit]) -> None:
    page = visit().open("gradcam")
    link, tip = page.locator(TERM).first, page.locator("#link-tip")
    page.evaluate(
        """(term) => {
        const links = [...document.querySelectorAll(".bd-article a[href]")];
        links[links.indexOf(document.querySelector(term)) - 1].focus();
    }""",
        TERM,
    )
    page.keyboard.press("Tab")
    assert tip.is_visible() and tip.get_attribute("role") == "tooltip"
    assert link.get_attribute("aria-describedby") == tip.get_attribute("id")
    page.keyboard.press("Escape")
    assert tip.is_hidden() and link.get_attribute("aria-describedby") is None
    assert link.evaluate("(link) => link === document.activeElement")
    page.keyboard.press("Enter")
    page.wait_for_url("**/glossary.html#term-logit")


def test_a_tap_shows_the_tip_and_a_second_one_follows_the_link(visit: Callable[..., Visit]) -> None:
    page = visit(has_touch=True, is_mobile=True, viewport={"width": 360, "height": 800}).open("gradcam")
    link, tip = page.locator(TERM).first, page.locator("#link-tip")
    link.tap()
    assert tip.is_visible() and "Tap again to go there." in tip.inner_text()
    assert page.evaluate("document.scrollingElement.scrollWidth") == 360
    page.locator(".bd-article h1").tap()
    assert tip.is_hidden() and page.url.endswith("gradcam.html")
    link.tap()
    link.tap()
    page.wait_for_url("**/glossary.html#term-logit")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_open_tip_has_no_serious_fault_of_accessibility(visit: Callable[..., Visit], scheme: str) -> None:
    page = visit(color_scheme=scheme, reduced_motion="reduce").open("faithfulness")
    hover(page, FIGURE)
    assert page.locator("#link-tip").evaluate("(tip) => getComputedStyle(tip).animationName") == "none"
    found = Axe().run(page, context="#link-tip").response["violations"]
    assert [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")] == []

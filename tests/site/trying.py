"""What the tests of the page "Try it" share: a tab on the served site, and what is read from the page."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Locator, Page, expect
from visiting import Visit


class Served(Visit):
    """A tab on the served site."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        super().__init__(browser, Path(), **options)
        self.address, self.own = address, (address, "data:", "blob:")

    def open(self, name: str = "try_it", anchor: str = "") -> Page:
        self.page.goto(f"{self.address}/{name}.html{anchor}")
        return self.page

    def load(self, anchor: str = "") -> Page:
        """The page with its network."""
        page = self.open(anchor=anchor)
        page.get_by_role("button", name="Load the network").click()
        page.wait_for_selector('.live[data-network="loaded"]')
        settled(page)
        return page

    def fail(self, words: str) -> None:
        """Try to load the network where that cannot work: the page says why, and the prepared example stays."""
        page = self.open()
        page.get_by_role("button", name="Load the network").click()
        expect(page.locator(".live .status.fault")).to_contain_text(words)
        assert len(logits(page)) == 10


def settled(page: Page) -> None:
    """Wait until the page rests; it is marked as busy in the same task as a change, so nothing is missed."""
    page.wait_for_selector('.live[data-busy="false"]')


def status(page: Page) -> Locator:
    return page.locator(".live .status")


def logits(page: Page) -> list[float]:
    return [float(text.replace("−", "-")) for text in page.locator(".live .answers td.number").all_inner_texts()]


def canvas(page: Page, which: int = 0) -> Locator:
    return page.locator(".live figure.view canvas").nth(which)


def seen(page: Page) -> np.ndarray:
    """What the network sees, uint8 (32, 32, 3), read from the middle of each enlarged pixel; the brush is taken off."""
    values = canvas(page).evaluate(
        """canvas => {
          document.activeElement.blur();
          canvas.dispatchEvent(new PointerEvent('pointerleave'));
          const copy = new OffscreenCanvas(384, 384).getContext('2d', { willReadFrequently: true });
          copy.drawImage(canvas, 0, 0);
          const { data } = copy.getImageData(0, 0, 384, 384);
          const at = (row, column) => 4 * (384 * (12 * row + 6) + 12 * column + 6);
          const pixels = Array.from({ length: 1024 }, (_, pixel) => at(pixel >> 5, pixel & 31));
          return pixels.map((place) => [...data.subarray(place, place + 3)]).join();  // numbers one by one take seconds
        }"""
    )
    return np.array(values.split(","), np.uint8).reshape(32, 32, 3)


def stroke(page: Page, *places: tuple[float, float]) -> None:
    """Draw through places given as shares of the picture's side."""
    canvas(page).evaluate("(canvas) => canvas.scrollIntoView({ block: 'center' })")
    canvas(page).hover()  # waits until it stands still, below nothing else
    box = canvas(page).bounding_box()
    assert box
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=5)
    page.mouse.up()
    settled(page)


def give(page: Page, path: Path) -> None:
    """Choose a picture of one's own."""
    page.get_by_label("a picture file").set_input_files(path)
    page.wait_for_selector(".live .own:not([hidden])")
    settled(page)


def title(page: Page) -> Locator:
    return page.locator(".live .title")


def press(page: Page, name: str) -> None:
    page.locator(".live").get_by_role("button", name=name, exact=True).click()
    settled(page)


Start = Callable[..., Served]

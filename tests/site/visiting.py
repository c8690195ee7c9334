"""What tests in a browser share: the pages, a visit to one of them, and its accessibility."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

TOP = Path(__file__).parents[2]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
TOC = yaml.safe_load((TOP / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]

WAIT = 120_000  # milliseconds: a machine that is busy with something else is slow, not wrong
expect.set_options(timeout=WAIT)

in_a_browser = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]


def rest(page: Page) -> None:
    """Wait for two frames: what the page does when it has been laid out is done in the first of them."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def anchor(page: Page) -> str:
    """The part of the address behind #, from the page itself: the browser reports a changed one later."""
    return page.evaluate("location.hash")


class Visit:
    """One tab, what it asked for, and everything in it that went wrong; asking anyone else is a fault."""

    own: tuple[str, ...] = ("file:", "data:", "blob:")  # how the addresses begin that it may ask for

    def __init__(self, browser: Browser, site: Path, **options: Any) -> None:
        self.site = site
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(WAIT)
        self.page: Page = self.context.new_page()
        self.faults: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda m: m.type in ("error", "warning") and self.faults.append(m.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("requestfailed", self._failed)
        self.page.on("request", self._requested)

    def _failed(self, request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # of a page that was left before it had all its files
            self.faults.append(f"failed: {request.url[-300:]}")

    def _requested(self, request: Any) -> None:
        self.asked.append(request.url)
        if not request.url.startswith(self.own):
            self.faults.append(f"external: {request.url[-300:]}")

    def close(self) -> None:
        self.context.close()

    def open(self, name: str, anchor: str = "") -> Page:
        self.page.goto(f"{(self.site / name).as_uri()}.html{anchor}")
        return self.page

    def resize(self, width: int) -> None:
        """Give the window another width, and wait until the page's observers of sizes have done their work."""
        self.page.set_viewport_size({"width": width, "height": 800})
        rest(self.page)

    def scrolls_sideways(self) -> bool:
        rest(self.page)
        return self.page.evaluate("document.scrollingElement.scrollWidth > innerWidth")

    def serious_faults(self, part: str | None = None) -> list[tuple[str, str]]:
        """What axe finds on the page, or in a part of it: (rule, the first element at fault)."""
        rest(self.page)
        found = Axe().run(self.page, context=part).response["violations"]
        serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
        return [(fault["id"], fault["nodes"][0]["html"][:150]) for fault in serious]


Open = Callable[..., Visit]

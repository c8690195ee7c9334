"""What tests in a browser share: the pages, and a visit to one of them."""

import os
import shutil
from pathlib import Path
from typing import Any

import yaml
from playwright.sync_api import Browser, Page

TOP = Path(__file__).parents[2]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
TOC = yaml.safe_load((TOP / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [TOC["root"], *(chapter["file"] for chapter in TOC["chapters"])]


class Visit:
    """One tab, and everything in it that went wrong."""

    def __init__(self, browser: Browser, site: Path, **options: Any) -> None:
        self.site = site
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("console", lambda m: m.type in ("error", "warning") and self.faults.append(m.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("requestfailed", lambda request: self.faults.append(f"failed: {request.url[:100]}"))
        self.page.on("request", self._local)

    def _local(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.faults.append(f"external: {request.url[:100]}")

    def open(self, name: str, anchor: str = "") -> Page:
        self.page.goto(f"{(self.site / name).as_uri()}.html{anchor}")
        return self.page

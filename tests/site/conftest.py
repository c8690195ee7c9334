"""Fixtures of the tests that need a site which is served."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from trying import Served


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


@pytest.fixture
def start(browser: "Browser", site: Path, address: str) -> "Iterator[Callable[..., Served]]":
    from trying import Served

    opened: list[Served] = []

    def one(**options: Any) -> Served:
        opened.append(Served(browser, site, **options))
        opened[-1].base = address
        return opened[-1]

    yield one
    for tab in opened:
        tab.context.close()

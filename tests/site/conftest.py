"""Fixtures of the tests that need a site which is served."""

import contextlib
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
    policy = ""  # the Content-Security-Policy to send, none if empty

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def end_headers(self) -> None:
        if self.policy:
            self.send_header("Content-Security-Policy", self.policy)
        super().end_headers()


class Strict(Quiet):
    policy = "script-src 'self' 'unsafe-inline'; worker-src 'self'; object-src 'none'"


@contextlib.contextmanager
def serve(site: Path, handler: type[Quiet]) -> Iterator[str]:
    """Serve the site; the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(site))) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with serve(site, Quiet) as address:
        yield address


@pytest.fixture
def strict_address(site: Path) -> Iterator[str]:
    """The site from a server that forbids WebAssembly."""
    with serve(site, Strict) as address:
        yield address


@pytest.fixture
def start(browser: "Browser", site: Path, address: str) -> "Iterator[Callable[..., Served]]":
    from trying import Served

    opened: list[Served] = []

    def one(base: str = address, started: "Browser" = browser, **options: Any) -> Served:
        opened.append(Served(started, site, **options))
        opened[-1].base = base
        return opened[-1]

    yield one
    for tab in opened:
        tab.context.close()

"""Fixtures of the tests that need a site which is served."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from serving import serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from trying import Served


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with serve(site) as (address, _):
        yield address


@pytest.fixture
def strict_address(site: Path) -> Iterator[str]:
    """The site from a server that forbids WebAssembly."""
    with serve(site, "script-src 'self' 'unsafe-inline'; worker-src 'self'; object-src 'none'") as (address, _):
        yield address


@pytest.fixture
def start(browser: "Browser", address: str) -> "Iterator[Callable[..., Served]]":
    from trying import Served

    with contextlib.ExitStack() as tabs:

        def one(base: str = address, started: "Browser" = browser, **options: Any) -> Served:
            return tabs.enter_context(contextlib.closing(Served(started, base, **options)))

        yield one

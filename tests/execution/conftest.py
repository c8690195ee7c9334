import signal
from pathlib import Path

import pytest
from nbformat.v4 import new_markdown_cell
from notebooks import Executed, write

from gradcam_report.config import CHAPTERS
from gradcam_report.execution import runner


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Let what the tests start end by SIGINT, which processes in the background ignore, and so do their children."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def chapters(project: Path) -> Path:
    """A project whose book holds every chapter."""
    for name in CHAPTERS:
        write(project / "book" / f"{name}.ipynb", new_markdown_cell(f"committed {name}"))
    return project


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> Executed:
    """What was asked of `runner.execute`, which only writes it down."""
    stand_in = Executed()
    monkeypatch.setattr(runner, "execute", stand_in)
    return stand_in

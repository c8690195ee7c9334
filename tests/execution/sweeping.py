"""A stub chapter for sweeps: it writes to `journal` when it begins and ends, and waits between for the file `go`."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from gradcam_report.execution.parameters import parameters_for

COMMAND = ["sweep", "benchmarks", "--out", "runs/x", "-p"]
WAITING = """import os, time
with open("journal", "a") as journal:
    print("start", watts, file=journal, flush=True)
    while not os.path.exists("go"):
        time.sleep(0.05)
    print("end", watts, file=journal, flush=True)
"""


def write_chapter(project: Path, source: str = WAITING, chapter: str = "benchmarks") -> None:
    values = parameters_for(chapter, {})
    lines = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    cells = [new_code_cell(lines, metadata={"tags": ["parameters"]}), new_code_cell(source)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), project / "book" / f"{chapter}.ipynb")


def journal(project: Path) -> Counter[str]:
    path = project / "journal"
    return Counter(path.read_text().splitlines() if path.exists() else [])


def until(condition: Callable[[], object], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)

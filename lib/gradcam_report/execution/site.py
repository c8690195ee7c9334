"""The site: Jupyter Book's build of the published book, or of a run's chapters."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from ..config import ReportError, project_root
from ..runs.folder import RunFolder
from ..runs.io import write_atomic
from ..runs.records import RunRecord

INDEX = "_build/html/index.html"


def build_published() -> Path:
    """Build the site of the published chapters; returns its index page."""
    root = project_root()
    build(root / "book", root, root)
    return root / INDEX


def build_run(folder: RunFolder) -> Path:
    """Build a site of the executed chapters in `folder/book` and the book's other pages; every page names the run."""
    root, book = project_root(), folder / "book"
    for page in (root / "book").iterdir():
        if page.suffix != ".ipynb" and not page.is_symlink():
            if page.is_dir():
                shutil.copytree(page, book / page.name, dirs_exist_ok=True)
            else:
                shutil.copy(page, book / page.name)
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    record = folder.record(RunRecord)
    shapes = record is not None and record.parameters.dataset == "shapes"
    data = " on synthetic images, not CIFAR-10" if shapes else ""
    options = config["sphinx"]["config"].setdefault("html_theme_options", {})
    options["announcement"] = f"A run of your own, {folder.name}{data}: not the published results."
    write_atomic(folder / "_config.yml", yaml.safe_dump(config, sort_keys=False).encode())
    shutil.copy(root / "_toc.yml", folder / "_toc.yml")
    build(book, folder.path, folder.path)
    return folder / INDEX


def build(book: Path, out: Path, settings: Path) -> None:
    """Build a book into `out/_build/html` with warnings as errors, by the `_config.yml` and `_toc.yml` in `settings`.

    Raises `ReportError` with the first reason in Jupyter Book's log when that fails.
    """
    programs = Path(sys.executable).parent
    script = shutil.which("jupyter-book", path=str(programs))  # it cannot be run by `python -m`
    if script is None:
        raise ReportError(
            f"jupyter-book is not in {programs}; install it with pip install -c constraints.txt -e '.[book]'."
        )
    command = [script, "build", "--all", "-W", "-n", "--keep-going", str(book), "--path-output", str(out)]
    command += ["--config", str(settings / "_config.yml"), "--toc", str(settings / "_toc.yml")]
    done = subprocess.run(command, cwd=project_root(), capture_output=True, text=True)
    if done.returncode:
        text, log = done.stdout + done.stderr, out / "_build" / "build.log"
        write_atomic(log, text.encode())
        raise ReportError(f"The site could not be built: {reason(text)} (see {log}).")


def reason(log: str) -> str:
    """The first line of Jupyter Book's log that says why a build failed: a warning, or what Sphinx raised."""
    raised = re.search(r"^[\w.]*(?:Error|Exception): (\S.*)$", log, re.MULTILINE)
    warned = re.search(r"^.*(?:WARNING|ERROR): .*$", log, re.MULTILINE)
    if raised:
        return raised[1].rstrip(".")[:300]
    return warned[0][:300] if warned else "the log names no reason"

"""Sphinx extension that puts the weights beside the graphs of the page "Try it".

A run's own site takes those of the run, whose folder holds the book's; the published site takes the published run's.
"""

import shutil
from pathlib import Path

from sphinx.application import Sphinx

WEIGHTS = "model.safetensors"


def weights(book: Path) -> Path | None:
    """The weights that belong to a book, None where there are none."""
    candidates = [book.parent / WEIGHTS, book.parent / "artifacts" / "reference" / WEIGHTS]
    return next((path for path in candidates if path.is_file()), None)


def copy_weights(app: Sphinx, error: Exception | None) -> None:
    """Copy the weights to a finished site."""
    found, folder = weights(Path(app.srcdir)), Path(app.outdir) / "_static" / "live"
    if error is None and app.builder.name == "html" and found is not None and folder.is_dir():
        shutil.copyfile(found, folder / WEIGHTS)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the copying."""
    app.connect("build-finished", copy_weights)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

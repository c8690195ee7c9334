"""Where the checkout is, and where its published results are."""

import os
from pathlib import Path

PUBLISHED = "artifacts/reference"
PUBLISHED_SWEEP = "artifacts/sweep"
PUBLISHED_VARIANTS = "artifacts/variants"  # trainings of other recipes, without their weights


def is_checkout(folder: Path) -> bool:
    """Whether `folder` is the top of a checkout of this project: runs and other projects may have a `book/` too."""
    project = folder / "pyproject.toml"
    return (
        (folder / "book" / "index.md").is_file()
        and project.is_file()
        and 'name = "gradcam-report"' in project.read_text(encoding="utf-8", errors="replace")
    )


def project_root() -> Path:
    """The nearest checkout at or above the working directory, else the one that holds this file.

    Where there is neither, as for a package installed without its checkout, the working directory.
    """
    here = Path.cwd().resolve()
    installed = Path(__file__).resolve().parents[3]
    return next((folder for folder in (here, *here.parents, installed) if is_checkout(folder)), here)


def user_path(text: str) -> Path:
    """A path that a user gave: `~` is the home folder, a relative path starts at the checkout's top."""
    return project_root() / os.path.expanduser(text)


def input_path(text: str) -> Path:
    """A file to read that a user named: relative to the working directory if it is there, else as `user_path`."""
    path = Path(os.path.expanduser(text))
    return path.absolute() if path.exists() else user_path(text)


def data_folder(parameter: str, value: str, variable: str, default: str) -> tuple[Path, str]:
    """The folder of a data set that a user named, and by what: the parameter, or else the environment variable.

    Without either, the `default` folder of the checkout and "". A folder that a user named is never created: it may be
    mistyped.
    """
    for name, text in ((parameter, value), (variable, os.environ.get(variable, ""))):
        if text:
            return user_path(text), name
    return project_root() / default, ""

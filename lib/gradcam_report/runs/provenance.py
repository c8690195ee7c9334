"""Provenance: when, on what, with which versions and at which commit a result was computed."""

import datetime
import importlib.metadata
import platform
import subprocess

from ..config import project_root
from .records import Provenance

PACKAGES = ("torch", "torchvision", "torchcam", "numpy", "papermill")


def provenance(
    compute: str, data: str, seconds: float, commit: str | None, wall_seconds: float | None = None
) -> Provenance:
    """The provenance of a result that is finished now; see `records.Provenance` for the two durations.

    Take `commit` from `current_commit()` before the computation starts: the checkout may change meanwhile.
    """
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    return Provenance(
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 1),
        compute=compute,
        data=data,
        system=f"{platform.system()} {platform.machine()}",
        versions={"python": platform.python_version(), **versions},
        commit=commit,
        wall_seconds=None if wall_seconds is None else round(wall_seconds, 1),
    )


def current_commit() -> str | None:
    """The checkout's commit, 12 digits, with "+" where tracked files differ from it; None outside git."""
    head, changes = git("rev-parse", "--short=12", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
    return head + ("+" if changes else "") if head else None


def git(*words: str) -> str:
    """What git answers about the checkout; empty where there is no git, or where it does not know the folder."""
    command = ["git", "-C", str(project_root()), *words]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""

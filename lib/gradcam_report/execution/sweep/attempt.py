"""One attempt at a point: start its process, wait for it, and say what became of it. The same on every engine."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from ...config import ReportError
from ...runs import folder as run_folder
from ...runs import io
from . import plan


@dataclass(frozen=True)
class Outcome:
    """What an attempt came to: `sentence` says why it failed, and is empty for a point that is finished.

    `again` says whether the same attempt could go better another time; `results` are main numbers of the chapter.
    """

    sentence: str = ""
    again: bool = False
    seconds: float = 0.0
    results: dict[str, Any] = field(default_factory=dict)


def attempt(root: Path, out: str, slug: str, environment: Mapping[str, str], stop: Event | None = None) -> Outcome:
    """Execute a point in a process of its own and wait for its end; once `stop` is set, end it.

    `root` is the project's top folder, `out` the sweep's as `run.RunFolder` takes it, `environment` what is added to
    that of this process.
    """
    try:
        return _attempt(root, out, slug, environment, stop)
    except OSError as error:  # a full disk, no more processes: no reason to end the other points
        return Outcome(f"Its process could not be started ({error.strerror or error}).", True)


def _attempt(root: Path, out: str, slug: str, environment: Mapping[str, str], stop: Event | None) -> Outcome:
    place = run_folder.RunFolder(out).path / slug
    place.mkdir(parents=True, exist_ok=True)
    (place / plan.FAILED).unlink(missing_ok=True)
    command = [sys.executable, "-m", "gradcam_report.execution.sweep.point", out, slug, "--parent", str(os.getpid())]
    with (place / plan.LOG).open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=root,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for the sweep, which ends its points in order
        )
        with _ended(process):
            while process.poll() is None and not (stop and stop.is_set()):
                time.sleep(0.1)
    return outcome(place, process.returncode)


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """See to it that the process has ended after the block, politely at first."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
        if process.poll() is None:
            process.kill()
        process.wait()


def outcome(place: Path, status: int) -> Outcome:
    """What became of a point, from the exit status of its process and what it left in its folder."""
    with contextlib.suppress(ReportError):
        if status == 0:
            mark = io.read_json(place / plan.DONE)
            return Outcome(seconds=mark["seconds"], results=mark["results"])
        failed = io.read_json(place / plan.FAILED)
        return Outcome(str(failed["sentence"]), bool(failed["again"]))
    if status < 0:
        name = signal.Signals(-status).name
        return Outcome(f"Its process was killed ({name}); if nobody did, memory ran out: use fewer --workers.", True)
    last = _last_line(place / plan.LOG)
    return Outcome(f"Its process ended with status {status} (see {place / plan.LOG}): {last}", True)


def _last_line(path: Path) -> str:
    with contextlib.suppress(OSError):
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "no word")
    return "no word"

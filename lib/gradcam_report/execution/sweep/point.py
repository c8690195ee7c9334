"""One point of a sweep, in a process of its own: `python -m ...sweep.point FOLDER POINT --parent PID`.

Whatever ends this process, from a mistake to `kill -9`, costs this point alone. It ends itself, and the kernel that it
started, as soon as the process that started it is gone.
"""

import argparse
import contextlib
import os
import platform
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import Timeout

from ...config import ReportError
from ...runs import folder as run_folder
from ...runs import io
from ...runs.lock import file_lock
from .. import runner
from . import plan

SUMMARY = ("val_accuracy", "test_accuracy", "test_loss")  # of metrics.json, told when a point is finished
PATIENCE = 30.0  # seconds: a process whose parent was killed needs one or two to end


def execute(folder: run_folder.RunFolder, slug: str) -> None:
    """Execute a point that is not finished yet, its mark last; raises `ReportError` when that fails.

    Two processes at the same point (one of them on a node that was given up) take turns; the later one finds the mark.
    """
    sweep = plan.read(folder)
    if slug not in sweep.points:
        raise ReportError(f"{folder.name} holds no point {slug!r}; give the command again that made it.")
    place = sweep.point_folder(slug)
    place.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(file_lock(place / ".point.lock", PATIENCE))
        except Timeout:
            raise ReportError(f"{slug} is in use by another process; wait until that is done.") from None
        except OSError as error:
            raise ReportError(
                f"{folder.name} cannot be written to ({error.strerror}); give the sweep another folder with --out."
            ) from None
        if sweep.done(slug):
            return
        here = {"host": platform.node(), "process": os.getpid()}
        io.write_json(place / plan.STARTED, {**here, "since": _now()})
        (place / plan.FAILED).unlink(missing_ok=True)
        (place / plan.DONE).unlink(missing_ok=True)
        seconds = runner.execute(sweep.chapter, place / f"{sweep.chapter}.ipynb", sweep.parameters(slug))
        mark = {"recipe": sweep.recipe(slug), "finished": _now(), "seconds": round(seconds, 1), "host": here["host"]}
        io.write_json(place / plan.DONE, {**mark, "results": _results(place)})


def _results(place: Path) -> dict[str, Any]:
    """The main numbers that the chapter left in the point's run folder; none where it leaves no metrics.json."""
    path = place / "metrics.json"
    metrics = io.read_json(path) if path.is_file() else {}
    return {name: metrics[name] for name in SUMMARY if name in metrics}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def follow(parent: int) -> None:
    """End this process and those it started as soon as `parent` is no longer its parent; never returns."""
    while os.getppid() == parent:
        time.sleep(0.5)
    stop()


def stop(*_: object) -> None:
    """End this process and all that it started, at once; what is written so far is whole."""
    import psutil

    try:
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):  # one that has ended meanwhile
                child.kill()
    finally:
        os._exit(128 + signal.SIGTERM)


def main() -> int:
    """Execute one point; returns 0, or 1 with the reason in failed.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("slug")
    parser.add_argument("--parent", type=int, required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=follow, args=(arguments.parent,), daemon=True).start()
    folder = run_folder.RunFolder(arguments.folder)
    print(f"{_now()} {arguments.slug} on {platform.node()}", flush=True)
    try:
        execute(folder, arguments.slug)
    except ReportError as error:
        again = not isinstance(error, runner.Refused) or "is in use by" in str(error)
        io.write_json(folder / arguments.slug / plan.FAILED, {"sentence": str(error), "again": again})
        print(error, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""One computation at a time in a run folder: two would overwrite each other's checkpoints."""

import contextlib
import datetime
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from .config import ReportError
from .run import RESULTS, RunFolder, clear_temporaries, read_json, write_json

OWNER = ".owner.json"


@contextmanager
def held(folder: RunFolder, other: str = "run_dir") -> Iterator[None]:
    """Make `folder`, prove that it can be written to, and keep others from computing in it meanwhile.

    The lock is the system's: it is gone with its process, however that ends; what that process left half-written
    under another name is removed. Raises `ReportError` with the owner where another process holds the lock, and the
    advice to choose another `other`. A file system without locks goes without.
    """
    folder.prepare()
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ReportError(
            f"{folder.name} is in use by {_owner(folder)}; wait until that is done, or choose another {other}."
        ) from None
    except (NotImplementedError, OSError):
        yield
        return
    try:
        clear_temporaries(folder.path, RESULTS)  # of a process that was killed: nobody else writes here now
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        write_json(folder / OWNER, {"process": os.getpid(), "host": platform.node(), "since": now})
        yield
    finally:
        (folder / OWNER).unlink(missing_ok=True)
        lock.release()


def _owner(folder: RunFolder) -> str:
    """The holder of the lock in words, as far as it has said who it is."""
    with contextlib.suppress(ReportError, KeyError, OSError):
        owner = read_json(folder / OWNER)
        return f"process {owner['process']} on {owner['host']} since {owner['since']}"
    return "another process"

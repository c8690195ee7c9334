"""One computation at a time in a run folder: two would overwrite each other's checkpoints."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from ..config import ReportError
from .folder import RunFolder
from .io import clear_temporaries, unwritable


class FolderInUse(ReportError):
    """Another process computes in the folder."""


@contextmanager
def locked(folder: RunFolder, option: str = "run_dir") -> Iterator[None]:
    """Make `folder`, prove that it can be written to, and keep other processes from computing in it.

    The system releases the lock however the process ends; what a killed process left half-written is removed. Raises
    `FolderInUse` where another process holds the lock, with the advice to choose another `option`, and `ReportError`
    where the folder cannot be written to.
    """
    folder.prepare()
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise FolderInUse(
            f"{folder.name} is in use by another process; wait until that is done, or choose another {option}."
        ) from None
    except OSError as error:  # somebody else's file, or a file system without locks
        raise unwritable(folder / ".lock", error) from None
    try:
        clear_temporaries(folder.path)
        yield
    finally:
        lock.release()

"""One computation at a time in a run folder: two would overwrite each other's checkpoints."""

import contextlib
import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..config import ReportError
from .folder import RunFolder
from .io import clear_temporaries

WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)  # of a file system that has none


class FolderInUse(ReportError):
    """Another process computes in the folder."""


@contextmanager
def file_lock(path: Path, timeout: float) -> Iterator[None]:
    """Lock the file `path` for this process; the system releases the lock however the process ends.

    Waits `timeout` seconds, for ever with -1, then raises `filelock.Timeout`. A file system without locks goes without;
    any other `OSError`, such as for somebody else's file, is raised.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout)
    except NotImplementedError:
        pass
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
    try:
        yield
    finally:
        lock.release()


@contextmanager
def locked(folder: RunFolder, option: str = "run_dir") -> Iterator[None]:
    """Make `folder`, prove that it can be written to, and keep other processes from computing in it.

    Removes what a killed process left half-written. Raises `FolderInUse` where another process holds the lock, with the
    advice to choose another `option`, and `ReportError` where the folder cannot be written to.
    """
    folder.prepare()
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(file_lock(folder / ".lock", timeout=0))
        except Timeout:
            raise FolderInUse(
                f"{folder.name} is in use by another process; wait until that is done, or choose another {option}."
            ) from None
        except OSError as error:
            raise ReportError(
                f"{folder.name}/.lock cannot be opened ({error.strerror}); choose another {option}."
            ) from None
        clear_temporaries(folder.path)
        yield

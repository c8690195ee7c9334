"""One computation at a time in a run folder: two would overwrite each other's checkpoints."""

import contextlib
import datetime
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import Timeout

from ..config import ReportError
from .io import alone, clear_temporaries, read_json, write_json
from .folder import RESULTS, RunFolder

OWNER = ".owner.json"


@contextmanager
def held(folder: RunFolder, other: str = "run_dir") -> Iterator[None]:
    """Make `folder`, prove that it can be written to, and keep others from computing in it meanwhile.

    What a killed process left half-written under another name is removed. Raises `ReportError` with the owner where
    another process holds the lock, and the advice to choose another `other`.
    """
    folder.prepare()
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(alone(folder / ".lock", timeout=0))
        except Timeout:
            raise ReportError(
                f"{folder.name} is in use by {_owner(folder)}; wait until that is done, or choose another {other}."
            ) from None
        except OSError as error:
            raise ReportError(
                f"{folder.name}/.lock cannot be opened ({error.strerror}); choose another {other}."
            ) from None
        stack.callback((folder / OWNER).unlink, missing_ok=True)
        clear_temporaries(folder.path, RESULTS)  # of a process that was killed: nobody else writes here now
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        write_json(folder / OWNER, {"process": os.getpid(), "host": platform.node(), "since": now})
        yield


def _owner(folder: RunFolder) -> str:
    """The holder of the lock in words, as far as it has said who it is."""
    with contextlib.suppress(ReportError, KeyError, OSError):
        owner = read_json(folder / OWNER)
        return f"process {owner['process']} on {owner['host']} since {owner['since']}"
    return "another process"

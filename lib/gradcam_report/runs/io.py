"""Files written whole or not at all, and read without trusting them: JSON, tables, arrays and tensors; and a lock.

What does not hold what a file of its name must (`forms`) is told in one sentence that names it.
"""

import contextlib
import csv
import errno
import io
import json
import os
import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from ..config import ReportError
from .forms import FORMS
from .plain import Found, json_object, unreadable

LARGEST = 1e12  # of the numbers in a table: far more than any loss, rate or time
MOST_BYTES = 2**31  # of the arrays in a file, unpacked: those of CIFAR-10 take some megabytes
NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)  # what a file system without locks says


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` so that `path` holds the old bytes or the new ones, never a part.

    Raises `ReportError` when the folder is read-only, the disk full, or the like.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        if temporary:
            with contextlib.suppress(FileNotFoundError, OSError):
                os.unlink(temporary)


def unwritable(path: Path, error: OSError) -> ReportError:
    """The error for a file or folder that the system would not write."""
    return ReportError(
        f"{path} could not be written ({error.strerror or error}); free some space there or choose another run_dir."
    )


def clear_temporaries(folder: Path, names: Iterable[str]) -> None:
    """Remove what `write_atomic` left of these files when it was killed; for whoever alone may write them."""
    wanted = set(names)
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            made = re.fullmatch(r"\.(.+)\.[a-z0-9_]{8}", path.name)  # as tempfile names them
            if made and made[1] in wanted:
                path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    write_atomic(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file; raises `ReportError` when it is no JSON object, or not what a file of its name holds."""
    return json_object(path, FORMS.get(path.name))


def write_table(path: Path, columns: Mapping[str, Sequence[float]]) -> None:
    """Write equally long columns as CSV, with digits enough to read the same floats back."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    plain = [np.asarray(column).tolist() for column in columns.values()]  # numpy's own numbers have another repr
    writer.writerows([repr(v) for v in row] for row in zip(*plain, strict=True))
    write_atomic(path, text.getvalue().encode())


def read_table(path: Path) -> dict[str, np.ndarray]:
    """Read a CSV written by `write_table`: column name -> float64 (rows,); raises `ReportError` when it is damaged.

    In a history every number is finite; so are the rates of a range test, which grow.
    """
    try:
        header, *rows = csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
        values = np.array([[float(v) for v in row] for row in rows], dtype=np.float64).reshape(len(rows), len(header))
    except (OSError, ValueError, OverflowError, csv.Error) as error:
        raise unreadable(path, error) from None
    if not header:
        raise unreadable(path, "no column names")
    table = Found(((name, values[:, i]) for i, name in enumerate(header)), path)
    if path.name == "history.csv" and not (len(rows) and (np.abs(values) < LARGEST).all()):
        raise unreadable(path, "a number is missing or not finite")
    if path.name == "lr_find.csv":
        rates = table["lr"]
        growing = len(rates) > 0 and rates[0] > 0 and bool((np.diff(rates) >= 0).all()) and rates[-1] < LARGEST
        if not growing or (np.abs(table["loss"]) >= LARGEST).any():
            raise unreadable(path, "the rates do not grow, or a loss is too large")
    return table


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write arrays as a compressed .npz, atomically."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomic(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read a .npz without ever unpickling; raises `ReportError` when it is damaged."""
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(member.file_size for member in packed.infolist()) > MOST_BYTES:
                raise ValueError("larger than any file of a run")
        with np.load(path, allow_pickle=False) as file:
            return Found(((name, file[name]) for name in file.files), path)
    except Exception as error:  # zipfile, zlib and numpy each raise their own
        raise unreadable(path, error) from None


def write_tensors(path: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> None:
    """Write torch tensors as safetensors, atomically; `metadata` travels in the same file."""
    from safetensors.torch import save

    write_atomic(path, save({k: t.detach().cpu().contiguous() for k, t in tensors.items()}, metadata=dict(metadata)))


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Read a safetensors file on the CPU: (name -> tensor, metadata); raises `ReportError` when it is damaged."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except Exception as error:  # SafetensorError, OSError
        raise unreadable(path, error) from None


@contextmanager
def alone(path: Path, timeout: float) -> Iterator[None]:
    """Hold the system's lock on the file `path`, which is gone with its process, however that ends.

    Waits for it `timeout` seconds (for ever with -1), then raises `filelock.Timeout`. A file system without locks goes
    without; another `OSError`, such as a file of somebody else's, is raised.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout)
    except NotImplementedError:
        pass
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    try:
        yield
    finally:
        lock.release()  # if it is held

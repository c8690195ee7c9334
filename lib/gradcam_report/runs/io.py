"""Read and write the files of a run folder: JSON, tables, arrays and tensors, each written whole or not at all.

Reading never unpickles. A file that is damaged raises a `ReportError` that names it and says how to make it anew.
"""

import contextlib
import csv
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from ..config import ReportError

Model = TypeVar("Model", bound=BaseModel)
RERUN = "delete it and run the chapter that makes it again"


def unreadable(path: Path, why: object, remedy: str = RERUN) -> ReportError:
    """The error for a file that is damaged; `why` and the `remedy` in a few words."""
    reason = " ".join(str(why).split())[:200]
    return ReportError(f"{path} cannot be read ({reason}); {remedy}.")


def unwritable(path: Path, error: OSError) -> ReportError:
    """The error for a file or folder that the system would not write."""
    return ReportError(
        f"{path} could not be written ({error.strerror or error}); free some space there or choose another run_dir."
    )


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` so that `path` holds the old bytes or the new ones, never a part.

    Raises `ReportError` when the folder is read-only, the disk full, or the like.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
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
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def clear_temporaries(folder: Path) -> None:
    """Remove what killed calls of `write_atomic` left of a folder's files; only their one writer may."""
    for path in folder.glob(".*.*.tmp"):
        path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write records and plain values as indented JSON, atomically; raises `ValueError` for a number not finite.

    A record is written without the fields that it was made or read without, so that a stored record stays the same when
    its model gets another field.
    """
    text = json.dumps(value, indent=2, allow_nan=False, default=lambda record: record.model_dump(exclude_unset=True))
    write_atomic(path, (text + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object; raises `ReportError` when it does not."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    if not isinstance(value, dict):
        raise unreadable(path, "not a JSON object")
    return value


def read_record(path: Path, kind: type[Model], remedy: str = RERUN) -> Model:
    """Read a JSON file as a record of this model; raises `ReportError` with the `remedy` when it is not one."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error, remedy) from None
    return parse_record(content, kind, path, remedy)


def parse_record(content: bytes | str, kind: type[Model], path: Path, remedy: str = RERUN) -> Model:
    """Parse JSON that the file `path` holds, see `read_record`."""
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise unreadable(path, ": ".join([*map(str, first["loc"]), first["msg"]]), remedy) from None
    except ReportError as error:  # of a parameter, see `config.Params`
        raise unreadable(path, error, remedy) from None


def write_table(path: Path, columns: Mapping[str, Sequence[float]]) -> None:
    """Write equally long columns as CSV, with digits enough to read the same floats back."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    values = [np.asarray(column).tolist() for column in columns.values()]  # numpy's own numbers have another repr
    writer.writerows([repr(v) for v in row] for row in zip(*values, strict=True))
    write_atomic(path, text.getvalue().encode())


def read_table(path: Path) -> dict[str, NDArray[np.float64]]:
    """Read a CSV written by `write_table`: column name -> float64 (rows,); raises `ReportError` when it is damaged."""
    try:
        header, *rows = csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
        values = np.array([[float(v) for v in row] for row in rows], dtype=np.float64).reshape(len(rows), len(header))
    except (OSError, ValueError, csv.Error) as error:
        raise unreadable(path, error) from None
    return dict(zip(header, values.T, strict=True))


def write_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Write arrays as a compressed .npz, atomically."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_atomic(path, buffer.getvalue())


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read a .npz: name -> array; raises `ReportError` when it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
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


def digest(value: object) -> str:
    """Return eight hexadecimal digits that stand for a value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:8]


def canonical(value: object) -> str:
    """Return JSON text that is the same for equal values and differs for others."""
    return json.dumps(value, sort_keys=True, default=str)

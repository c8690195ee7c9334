"""Run folders: a run's weights, history, predictions and provenance, each file written whole or not at all.

A run folder is the only thing that chapters pass to one another. `lr_find.json` (+ `lr_find.csv`) and `run.json` (+
`history.csv`, `metrics.json`, `model.safetensors`, `predictions.npz`, `features.npz`) each record the parameters that
made them, so that a rerun with the same parameters shows the stored result, and one with others does not overwrite it
by accident. Other seeds of the run are run folders `seed-<number>` within it.
"""

import contextlib
import csv
import datetime
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .config import (
    PUBLISHED,
    PUBLISHED_SWEEP,
    PUBLISHED_VARIANTS,
    ReportError,
    field_names,
    parse_params,
    project_root,
    short,
)
from .forms import FORMS
from .plain import Found, json_object
from .plain import unreadable as unreadable

Record = dict[str, Any]
LARGEST = 1e12  # of the numbers in a table: far more than any loss, rate or time
MOST_BYTES = 2**31  # of the arrays in a file, unpacked: those of CIFAR-10 take some megabytes
STAGES = {"lr_find": "lr_finder", "run": "training"}  # the chapter that leaves each record
# What is only ever written by the holder of the folder's lock.
RESULTS = (
    "checkpoint.safetensors", "model.safetensors", "predictions.npz", "features.npz", "history.csv", "metrics.json",
    "run.json", "lr_find.csv", "lr_find.json", ".owner.json",
)  # fmt: skip


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


class RunFolder:
    """One run's files. `path` may be relative to the project's top folder."""

    def __init__(self, path: str | Path) -> None:
        root = project_root()
        self.path = root / path
        published = {(root / name).resolve() for name in (PUBLISHED, PUBLISHED_SWEEP, PUBLISHED_VARIANTS)}
        self.published = not published.isdisjoint([self.path.resolve(), *self.path.resolve().parents])
        self.name = os.path.relpath(self.path, root) if self.path.is_relative_to(root) else str(path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def record(self, stage: str) -> Record | None:
        """What `stage` ("lr_find" or "run") left here: {"parameters", "result", "provenance"}, or None."""
        path = self.path / f"{stage}.json"
        if not path.exists():
            return None
        record = read_json(path)
        if not all(isinstance(record.get(k), dict) for k in ("parameters", "result", "provenance")):
            raise unreadable(path, "parameters, result or provenance is missing")
        names = field_names(STAGES[stage])
        try:
            parse_params(STAGES[stage], {k: v for k, v in record["parameters"].items() if k in names})
        except ReportError as error:
            raise unreadable(path, error) from None
        if record["parameters"].get("dataset") == "auto":
            raise unreadable(path, "dataset is 'auto', which no result is of")
        return record

    def need(self, file: str, chapter: str) -> Path:
        """The path of `file`; raises `ReportError` naming the chapter that makes it when it is missing."""
        path = self.path / file
        if self.published and not path.is_file():
            raise ReportError(
                f"{self.name} holds no {file}; choose another run_dir, or restore it if the repository has it."
            )
        if not path.is_file():
            raise ReportError(
                f"{self.name} holds no {file}; run the chapter {chapter} with -p run_dir {self.name} first."
            )
        return path

    def prepare(self) -> None:
        """Make the folder and prove that it can be written to, before any work is done for it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path) as probe:  # without a name, where the system can
                probe.write(bytes(4096))
        except OSError as error:
            raise unwritable(self.path, error) from None


def settle(run_dir: str, stage: str, parameters: Mapping[str, Any], force: bool) -> tuple[RunFolder, Record | None]:
    """The folder that a stage works in, and its stored record when that was made with the same parameters.

    The published run is shown, never written: other parameters (or `force`) go to a folder of their own under `runs/`.
    Raises `ReportError` when any other folder holds a run of another recipe.
    """
    folder = RunFolder(run_dir)
    record = folder.record(stage)
    if folder.published and (force or record is None or record["parameters"] != parameters):
        digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:8]
        folder = RunFolder(f"runs/{stage}-{digest}")
        record = folder.record(stage)
    if record is None or force:
        return folder, None
    if record["parameters"] == parameters:
        return folder, record
    raise ReportError(
        f"{folder.name} holds a run of another recipe ({difference(record['parameters'], parameters)}); "
        "choose another run_dir, or add -p force True to replace it."
    )


def difference(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """The first few parameters in which two recipes differ, in words."""
    names = [n for n in {**stored, **asked} if stored.get(n) != asked.get(n)]
    shown = [f"{n} {short(stored.get(n))} there, {short(asked.get(n))} asked" for n in names[:4]]
    return "; ".join(shown) + ("; ..." if len(names) > 4 else "")


def provenance(compute: str, data: str, seconds: float, commit: str | None) -> dict[str, Any]:
    """When, on what and with which versions something was computed.

    `seconds` of wall time; `commit` as `commit()` told it at the start, for a checkout may move on during a training.
    """
    versions = {p: importlib.metadata.version(p) for p in ("torch", "torchvision", "torchcam", "numpy", "papermill")}
    return {
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "compute": compute,
        "data": data,
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), **versions},
        "commit": commit,
    }


def commit() -> str | None:
    """The checkout's commit, with "+" where files differ from it; None outside git."""
    try:
        git = ["git", "-C", str(project_root())]
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=10)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "") if head.returncode == 0 else None

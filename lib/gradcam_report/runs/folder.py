"""Run folders: a run's weights, history, predictions and provenance, each file written whole or not at all.

A run folder is the only thing that chapters pass to one another. `lr_find.json` (+ `lr_find.csv`) and `run.json` (+
`history.csv`, `metrics.json`, `model.safetensors`, `predictions.npz`, `features.npz`) each record the parameters that
made them, so that a rerun with the same parameters shows the stored result, and one with others does not overwrite it
by accident. Other seeds of the run are run folders `seed-<number>` within it.
"""

import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import PUBLISHED, PUBLISHED_SWEEP, PUBLISHED_VARIANTS, ReportError, field_names, parse_params, project_root, short
from .io import read_json, unwritable
from .plain import unreadable

Record = dict[str, Any]
STAGES = {"lr_find": "lr_finder", "run": "training"}  # the chapter that leaves each record
# What is only ever written by the holder of the folder's lock.
RESULTS = (
    "checkpoint.safetensors", "model.safetensors", "predictions.npz", "features.npz", "history.csv", "metrics.json",
    "run.json", "lr_find.csv", "lr_find.json", ".owner.json",
)  # fmt: skip


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


def other_seeds(folder: RunFolder, record: Record) -> dict[int, RunFolder]:
    """By seed, the finished runs `seed-<number>` in a run's folder that differ from its `record` in the seed alone."""
    found, own = {}, record["parameters"]
    for stored in map(RunFolder, folder.path.glob("seed-*")):
        other = stored.record("run")
        seed = other["parameters"]["seed"] if other else own["seed"]
        if other and seed != own["seed"] and other["parameters"] == own | {"seed": seed}:
            found[seed] = stored
    return dict(sorted(found.items()))


def difference(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """The first few parameters in which two recipes differ, in words."""
    names = [n for n in {**stored, **asked} if stored.get(n) != asked.get(n)]
    shown = [f"{n} {short(stored.get(n))} there, {short(asked.get(n))} asked" for n in names[:4]]
    return "; ".join(shown) + ("; ..." if len(names) > 4 else "")


def provenance(compute: str, data: str, seconds: float, commit: str | None) -> dict[str, Any]:
    """When, on what and with which versions something was computed.

    `seconds` of wall time, but of a training those of its steps alone; with evaluation, compiling and all else they are
    its record's `wall_seconds`. `commit` as `commit()` told it at the start, for a checkout may move on meanwhile.
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

"""Run folders: a run's weights, history, predictions and provenance, each file written whole or not at all.

A run folder is the only thing that chapters pass to one another. `lr_find.json` (+ `lr_find.csv`) and `run.json` (+
`history.csv`, `metrics.json`, `model.safetensors`, `predictions.npz`, `features.npz`, `layer4_maps.npz`) each record
the parameters that made them: the same parameters show the stored result, others never overwrite it by accident.
Other seeds of the run are run folders `seed-<number>` within it.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..config import PUBLISHED, PUBLISHED_SWEEP, PUBLISHED_VARIANTS, ReportError, project_root, short
from ..config.paths import is_checkout
from .io import digest, read_record, unwritable
from .records import Metrics, RangeTestRecipe, RangeTestRecord, RunRecord, TrainingRecipe

R = TypeVar("R", RunRecord, RangeTestRecord)


class RunFolder:
    """One run's files. `path` may be relative to the project's top folder; `name` is how messages call it.

    `published` is whether it is, or lies in, a folder that only publishing writes to.
    """

    def __init__(self, path: str | Path) -> None:
        root = project_root()
        self.path = root / path
        published = {(root / name).resolve() for name in (PUBLISHED, PUBLISHED_SWEEP, PUBLISHED_VARIANTS)}
        self.published = not published.isdisjoint([self.path.resolve(), *self.path.resolve().parents])
        self.name = os.path.relpath(self.path, root) if self.path.is_relative_to(root) else str(path)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def record(self, kind: type[R]) -> R | None:
        """The record of the folder's training or range test, None where there is none."""
        path = self.path / kind.FILE
        return read_record(path, kind) if path.exists() else None

    def run(self) -> RunRecord:
        """The record of the folder's training; raises `ReportError` where there is none."""
        return read_record(self.need(RunRecord.FILE, "training"), RunRecord)

    def range_test(self) -> RangeTestRecord:
        """The record of the folder's range test; raises `ReportError` where there is none."""
        return read_record(self.need(RangeTestRecord.FILE, "lr_finder"), RangeTestRecord)

    def metrics(self) -> Metrics:
        """The scores of the folder's training; raises `ReportError` where there is none."""
        return read_record(self.need(Metrics.FILE, "training"), Metrics)

    def need(self, file: str, chapter: str) -> Path:
        """The path of `file`; raises `ReportError` naming the chapter that makes it when it is missing."""
        path = self.path / file
        if self.published and not path.is_file():
            if not is_checkout(project_root()):
                raise ReportError(
                    f"{self.path} holds no {file}, for neither {Path.cwd()} nor a folder above it is a checkout of the "
                    "report; start from within one, or name a run_dir of your own."
                )
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
            with tempfile.TemporaryFile(dir=self.path) as probe:
                probe.write(bytes(4096))
        except OSError as error:
            raise unwritable(self.path, error) from None


def resolve_folder(
    run_dir: str, kind: type[R], requested: TrainingRecipe | RangeTestRecipe, force: bool
) -> tuple[RunFolder, R | None]:
    """The folder to compute `requested` in, and the record that it holds already if that is of the same recipe.

    The published run is shown, never written: another recipe (or `force`) gets a folder of its own under `runs/`.
    Raises `ReportError` when any other folder holds a record of another recipe.
    """
    folder = RunFolder(run_dir)
    record = folder.record(kind)
    if folder.published and (force or record is None or record.parameters != requested):
        slug = digest(requested.model_dump(exclude_defaults=True))
        folder = RunFolder(f"runs/{Path(kind.FILE).stem}-{slug}")
        record = folder.record(kind)
    if record is None or force:
        return folder, None
    if record.parameters == requested:
        return folder, record
    differs = difference(dict(record.parameters), dict(requested))
    raise ReportError(
        f"{folder.name} holds a run of another recipe ({differs}); choose another run_dir, or add -p force True to "
        "replace it."
    )


def other_seeds(folder: RunFolder, record: RunRecord) -> dict[int, RunFolder]:
    """By seed, the finished runs `seed-<number>` in a run's folder that differ from its `record` in the seed alone."""
    seeds, own = {}, record.parameters
    for stored in map(RunFolder, folder.path.glob("seed-*")):
        other = stored.record(RunRecord)
        seed = other.parameters.seed if other else own.seed
        if other and seed != own.seed and other.parameters == own.model_copy(update={"seed": seed}):
            seeds[seed] = stored
    return dict(sorted(seeds.items()))


def difference(stored: Mapping[str, Any], requested: Mapping[str, Any]) -> str:
    """The first few parameters in which two recipes differ, in words."""
    names = [n for n in {**stored, **requested} if stored.get(n) != requested.get(n)]
    shown = [f"{n} {short(stored.get(n))} there, {short(requested.get(n))} requested" for n in names[:4]]
    return "; ".join(shown) + ("; ..." if len(names) > 4 else "")

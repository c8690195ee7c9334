"""What `gradcam-report sweep` does, and what it prints."""

import sys
import time
from collections.abc import Sequence
from typing import Any

from ...formatting import duration
from ...runs import sweep as records
from ...runs.folder import RunFolder
from ...runs.io import write_json
from ...runs.lock import locked
from .. import parameters, runner
from . import engine, plan


def sweep(chapter: str, pairs: Sequence[str], file: str | None, out: str | None, **resources: Any) -> int:
    """Execute a chapter at every combination of the values in `pairs` and `file`, into the folder `out`.

    `resources` are the fields of `engine.Resources`. Returns 0 if every point is finished, 1 if one failed. Raises
    `ReportError` before any work for what cannot be swept, and `KeyboardInterrupt` after Ctrl-C.
    """
    requested = engine.Resources(**resources)
    folder = plan.folder_for(out or f"runs/sweep-{chapter}")
    runner.source_of(chapter)
    new = plan.request(chapter, pairs, parameters.gather(file, []), folder)
    slugs = [point.slug for point in new.points]
    with locked(folder, "--out"):
        record = plan.join(folder, new)
        write_json(folder / records.SWEEP, record)
        points = [point for point in record.points if point.slug in slugs]
        errors = _execute(folder, record, points, requested)
    for slug, error in errors.items():
        print(f"{slug} failed: {error}", file=sys.stderr)
    if errors:
        print(f"{len(errors)} of {len(points)} points failed; the same command tries them again.", file=sys.stderr)
    return int(bool(errors))


def _execute(
    folder: RunFolder,
    record: records.SweepRecord,
    points: Sequence[records.SweepPoint],
    resources: engine.Resources,
) -> dict[str, str]:
    """Execute the points that are not finished, with a line about each; returns slug -> error of those that failed."""
    rest = [point.slug for point in points if not record.mark(point, folder)]
    finished = f", {len(points) - len(rest)} of them finished" if len(rest) < len(points) else ""
    print(f"{record.chapter}: {len(points)} points in {folder.name}{finished}", flush=True)
    errors: dict[str, str] = {}
    started = time.monotonic()
    try:
        for number, (slug, error) in enumerate(engine.run(folder, record, rest, resources) if rest else (), 1):
            left = (time.monotonic() - started) / number * (len(rest) - number)
            state = f"failed: {error}" if error else f"is finished; about {duration(left)} left"
            print(f"[{number}/{len(rest)}] {slug} {state}", flush=True)
            if error:
                errors[slug] = error
    finally:
        print("\n" + "\n".join(_table(folder, record, points)), flush=True)
    return errors


def _table(folder: RunFolder, record: records.SweepRecord, points: Sequence[records.SweepPoint]) -> list[str]:
    """The lines of a table: each point, its seconds and main results, and how many are finished."""
    marks = {point.slug: record.mark(point, folder) for point in points}
    names = list(dict.fromkeys(name for mark in marks.values() if mark for name in mark.results))
    rows = [["point", "seconds", *names]]
    for slug, mark in marks.items():
        results = [f"{mark.results[name]:.4f}" if mark and name in mark.results else "" for name in names]
        rows.append([slug, f"{mark.seconds:.0f}" if mark else "-", *results])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    finished = sum(mark is not None for mark in marks.values())
    return [*lines, f"{finished} of {len(points)} points are finished, in {folder.name}"]

"""`gradcam-report sweep`: its options, and what it says on the terminal."""

import argparse
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...config import CHAPTERS
from ...formatting import duration

if TYPE_CHECKING:
    from ...runs.folder import RunFolder
    from ...runs.sweep import SweepPoint, SweepRecord
    from .engine import Resources

DESCRIPTION = """Execute a chapter once for every combination of some parameters' values.

-p NAME=A,B,C gives a parameter several values, -p NAME=0..4 the whole numbers from 0 to 4, and -p NAME=A one for all
points; [a, b] is one value, a list. The same command again executes what is not finished; more values add points.
"""
EXAMPLES = """examples:
  gradcam-report sweep training -p max_lr=0.05,0.1,0.2 -p seed=0..2 -p epochs=3 -p train_size=4000 -p val_size=2000
                                   nine short trainings into runs/sweep-training
  gradcam-report sweep gradcam -p method=gradcam,layercam -p run_dir=runs/mine --out runs/sweep-methods
  gradcam-report sweep training -p seed=0..99 -p val_size=2000 --address auto --gpus 1       on a Ray cluster
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand to those of `gradcam-report`."""
    sweep = commands.add_parser(
        "sweep",
        help="execute a chapter for every combination of some parameters' values",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = sweep.add_argument
    add("chapter", choices=list(CHAPTERS))
    add("-p", dest="set", metavar="NAME=VALUES", action="append", default=[], help="a parameter's values; repeatable")
    add("--params", metavar="FILE", help="YAML file of parameters that all points share")
    add("--out", help="folder of the sweep (default: runs/sweep-CHAPTER)")
    add("--workers", type=int, metavar="N", help="points at a time, on this machine (default: one a GPU, or a core)")
    add("--retries", type=int, default=3, metavar="N", help="further attempts at a point (default: %(default)s)")
    add("--cpus", type=int, metavar="C", help="cores for each point (default: its share; on a cluster one)")
    add("--gpus", type=float, metavar="G", help="GPUs for each point (default: its share; on a cluster one)")
    add("--address", "--ray", default="local", help="a Ray cluster: auto, or its address (default: Ray started here)")


def execute(arguments: argparse.Namespace) -> int:
    """Carry out the parsed command; returns 0 if every point is finished, 1 if one failed.

    Raises `ReportError` before any work for what cannot be swept, and `KeyboardInterrupt` after Ctrl-C or SIGTERM.
    """
    from ...runs import lock
    from ...runs import sweep as records
    from .. import parameters, runner
    from . import plan
    from .engine import Resources

    resources = Resources(**{name: getattr(arguments, name) for name in Resources.model_fields})
    folder = plan.folder_for(arguments.out or f"runs/sweep-{arguments.chapter}")
    values = parameters.gather(arguments.params, [])
    runner.source_of(arguments.chapter)
    new = plan.request(arguments.chapter, arguments.set, values, folder)
    slugs = [point.slug for point in new.points]
    with lock.locked(folder, "--out"):
        record = plan.join(folder, new)
        records.write(folder / records.SWEEP, record)
        points = [point for point in record.points if point.slug in slugs]
        errors = _run(folder, record, points, resources)
    for slug, error in errors.items():
        print(f"{slug} failed: {error}", file=sys.stderr)
    if errors:
        print(f"{len(errors)} of {len(points)} points failed; the same command tries them again.", file=sys.stderr)
    return int(bool(errors))


def _run(
    folder: "RunFolder", record: "SweepRecord", points: "Sequence[SweepPoint]", resources: "Resources"
) -> dict[str, str]:
    """Execute what is not finished of `points`, with a line about each; returns slug -> error of those that failed."""
    from . import engine

    rest = [point.slug for point in points if not record.mark(point, folder)]
    there = f", {len(points) - len(rest)} of them finished" if len(rest) < len(points) else ""
    print(f"{record.chapter}: {len(points)} points in {folder.name}{there}", flush=True)
    errors: dict[str, str] = {}
    started = time.monotonic()
    try:
        for number, outcome in enumerate(engine.run(folder, record, rest, resources) if rest else (), 1):
            left = (time.monotonic() - started) / number * (len(rest) - number)
            state = f"failed: {outcome.error}" if outcome.error else f"is finished; about {duration(left)} left"
            print(f"[{number}/{len(rest)}] {outcome.slug} {state}", flush=True)
            if outcome.error:
                errors[outcome.slug] = outcome.error
    finally:
        print("\n" + "\n".join(table(folder, record, points)), flush=True)
    return errors


def table(folder: "RunFolder", record: "SweepRecord", points: "Sequence[SweepPoint]") -> list[str]:
    """Return the lines of a table: each point, its seconds and main results, and how many are finished."""
    marks = {point.slug: record.mark(point, folder) for point in points}
    names = list(dict.fromkeys(name for mark in marks.values() if mark for name in mark.results))
    rows = [["point", "seconds", *names]]
    for slug, mark in marks.items():
        results = [f"{mark.results[n]:.4f}" if mark and n in mark.results else "" for n in names]
        rows.append([slug, f"{mark.seconds:.0f}" if mark else "-", *results])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    finished = sum(mark is not None for mark in marks.values())
    return [*lines, f"{finished} of {len(points)} points are finished, in {folder.name}"]

"""`gradcam-report sweep`: what it takes, and what it says on the terminal."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...config import CHAPTERS, ReportError

if TYPE_CHECKING:
    from .attempt import Outcome
    from .drive import Engine, Progress
    from .plan import Sweep

DESCRIPTION = """Execute a chapter once for every combination of some parameters' values.

-p NAME=A,B,C gives a parameter several values, -p NAME=0..4 the whole numbers from 0 to 4, and -p NAME=A one for all
points; [a, b] is one value, a list. The same command again executes what is not finished; more values add points.
"""
EXAMPLES = """examples:
  gradcam-report sweep training -p max_lr=0.05,0.1,0.2 -p seed=0..2 -p epochs=3 -p train_size=4000 -p val_size=2000
                                   nine short trainings into runs/sweep-training
  gradcam-report sweep gradcam -p method=gradcam,layercam -p run_dir=runs/mine --out runs/sweep-methods
  gradcam-report sweep training -p seed=0..99 --ray auto --gpus 1       on a Ray cluster
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
    sweep.add_argument("chapter", choices=list(CHAPTERS))
    sweep.add_argument(
        "-p", dest="set", metavar="NAME=VALUES", action="append", default=[], help="values of one parameter; repeatable"
    )
    sweep.add_argument("--params", metavar="FILE", help="YAML file of parameters that all points share")
    sweep.add_argument("--out", help="folder of the sweep (default: runs/sweep-CHAPTER)")
    sweep.add_argument("--workers", type=positive, metavar="N", help="points at a time (default: one a GPU, or a core)")
    sweep.add_argument(
        "--retries", type=natural, default=1, metavar="N", help="further attempts at a point (default: %(default)s)"
    )
    sweep.add_argument(
        "--cpus", type=positive, metavar="C", help="cores for each point (default: its share; with --ray one)"
    )
    sweep.add_argument(
        "--ray", metavar="ADDRESS", help="execute on a Ray cluster: auto, an address, or local to start Ray here"
    )
    sweep.add_argument("--gpus", type=share, metavar="G", help="GPUs for each point, with --ray")


def natural(text: str) -> int:
    """An argument that counts something, 0 or more."""
    if not text.isdecimal() or len(text) > 6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 or more")
    return int(text)


def positive(text: str) -> int:
    """An argument that counts something, 1 or more."""
    if natural(text) == 0:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return int(text)


def share(text: str) -> float:
    """A number of GPUs as Ray takes it: a fraction below 1, or a whole number."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not (0 <= value < 1 or (1 <= value <= 1e6 and value == int(value))):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number nor a fraction between 0 and 1")
    return value


def execute(arguments: argparse.Namespace) -> int:
    """Carry out the parsed command; returns 0 if every point is finished, 1 if one failed, 130 after Ctrl-C."""
    from ...runs import lock
    from .. import runner
    from . import plan
    from .drive import Progress, drive

    if arguments.ray and arguments.workers:
        raise ReportError("--workers is for this machine; with --ray say by --cpus and --gpus what a point needs.")
    if arguments.gpus is not None and not arguments.ray:
        raise ReportError("--gpus is for --ray; on this machine the GPUs are dealt out among the --workers.")
    folder = plan.folder_for(arguments.out or f"runs/sweep-{arguments.chapter}")
    values = runner.read_parameters(Path(arguments.params)) if arguments.params else {}
    runner.source_of(arguments.chapter)
    sweep = plan.asked(arguments.chapter, arguments.set, values, folder)
    wanted = list(sweep.points)
    with lock.held(folder, "--out"):
        sweep = plan.joined(sweep)
        sweep.save()
        rest = [slug for slug in wanted if not sweep.done(slug)]
        progress = Progress(len(rest))
        engine = _engine(sweep, arguments, len(rest)) if rest else None
        print(_beginning(sweep, wanted, rest, engine), flush=True)
        interrupted: KeyboardInterrupt | None = None
        try:
            if engine:
                drive(sweep, rest, engine, arguments.retries, Teller(progress, engine), progress)
        except KeyboardInterrupt as stop:
            interrupted = stop
        print("\n" + "\n".join(table(sweep, wanted, progress.outcomes)))
        for slug, outcome in progress.outcomes.items():
            if outcome.sentence:
                print(f"{slug} failed: {outcome.sentence}", file=sys.stderr)
    return _ending(sweep, wanted, progress, interrupted)


def _engine(sweep: "Sweep", arguments: argparse.Namespace, points: int) -> "Engine":
    """What executes the points: Ray where the command says so, else processes on this machine, no more than points."""
    if arguments.ray:
        from .on_ray import OnRay

        return OnRay(sweep, arguments.ray, arguments.cpus, arguments.gpus)
    from . import pool

    devices = pool.gpus() if sweep.machine.get("device", "cpu") in ("auto", "cuda") else []
    environments = pool.shares(arguments.workers, arguments.cpus, devices, points)
    return pool.Pool(sweep, environments)


def _beginning(sweep: "Sweep", wanted: Sequence[str], rest: Sequence[str], engine: "Engine | None") -> str:
    """The first line: what is to be done."""
    there = f", {len(wanted) - len(rest)} of them finished" if len(rest) < len(wanted) else ""
    others = f" ({len(sweep.points) - len(wanted)} more are in the folder)" if len(sweep.points) > len(wanted) else ""
    at_once = f"; {engine.capacity} at a time" if engine else ""
    return f"{sweep.chapter}: {len(wanted)} points in {sweep.folder.name}{there}{others}{at_once}"


def _ending(sweep: "Sweep", wanted: Sequence[str], progress: "Progress", interrupted: KeyboardInterrupt | None) -> int:
    """Say what came of it all; returns the exit status."""
    failed = sum(bool(outcome.sentence) for outcome in progress.outcomes.values())
    finished = sum(sweep.done(slug) is not None for slug in wanted)
    if interrupted:
        print(
            f"gradcam-report: interrupted; {finished} of {len(wanted)} points are finished and kept, as are the "
            "others' checkpoints; the same command goes on.",
            file=sys.stderr,
        )
        return 130 if type(interrupted) is KeyboardInterrupt else 143  # the latter after SIGTERM
    print(f"{finished} of {len(wanted)} points are finished, in {sweep.folder.name}", flush=True)
    if failed:
        print(
            f"gradcam-report: {failed} of {len(wanted)} points failed; the same command tries them again.",
            file=sys.stderr,
        )
    return int(failed > 0)


class Teller:
    """Writes a line when a point starts, and when it ends, with the time that is left."""

    def __init__(self, progress: "Progress", engine: "Engine") -> None:
        self.progress, self.engine = progress, engine

    def __call__(self, event: str, slug: str, outcome: "Outcome | None") -> None:
        """`event` is "started", "again" or "ended", the last two with the outcome of the attempt."""
        count = f"[{len(self.progress.outcomes)}/{self.progress.total}]"
        if outcome is None:
            attempts = self.progress.attempts[slug]
            line = f"{slug} ..." if attempts == 1 else f"{slug} ... attempt {attempts}"
        elif event == "again":
            line = f"{slug} will be tried again: {outcome.sentence}"
        elif outcome.sentence:
            line = f"{slug} failed: {outcome.sentence}"
        else:
            left = self.progress.seconds_left(self.engine.capacity) or 0.0
            line = f"{slug} took {outcome.seconds:.0f} s; about {left:.0f} s left"
        print(count, line, flush=True)


def table(sweep: "Sweep", wanted: Sequence[str], outcomes: "Mapping[str, Outcome]") -> list[str]:
    """Lines of a table: of each point its state, seconds and main results."""
    marks = {slug: sweep.done(slug) for slug in wanted}
    names = list(dict.fromkeys(name for mark in marks.values() if mark for name in mark["results"]))
    rows = [["point", "state", "seconds", *names]]
    for slug, mark in marks.items():
        state = "finished" if mark else "failed" if slug in outcomes else "waiting"
        results = mark["results"] if mark else {}
        seconds = f"{mark['seconds']:.0f}" if mark else ""
        rows.append([slug, state, seconds, *(f"{results[n]:.4f}" if n in results else "" for n in names)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(w) if n < 2 else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]

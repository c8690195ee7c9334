"""The command `gradcam-report`. Nothing heavy is imported before a subcommand needs it."""

import argparse
import contextlib
import os
import platform
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from .config import CHAPTERS, ReportError, project_root
from .execution.sweep import command as sweep_command

EXAMPLES = """examples:
  gradcam-report run --params params/quick.yaml --run-dir runs/quick
                                   every chapter in minutes on a CPU, then a site of them
  gradcam-report run --run-dir runs/quick --params params/quick.yaml --from training -p epochs=5 -p force=true
                                   train longer and redo what depends on it
  gradcam-report train --run-dir runs/long -p epochs=40
                                   train without a chapter; torchrun does it on several GPUs or hosts:
  torchrun --nproc-per-node 8 -m gradcam_report train --run-dir runs/long -p epochs=40
  gradcam-report sweep training -p max_lr=0.05,0.1,0.2 -p seed=0..2 -p epochs=3 -p train_size=4000 -p val_size=2000
                                   a chapter at every combination of values, several at a time
  gradcam-report build             the published site, as `make book` does
  gradcam-report publish runs/full make a finished run the published one, execute the chapters in book/
"""


class Terminated(KeyboardInterrupt):
    """SIGTERM, by which systems end a program."""


def parser() -> argparse.ArgumentParser:
    """The argument parser, with examples."""
    top = argparse.ArgumentParser(
        prog="gradcam-report",
        description="Run, build and publish the report Grad-CAM on ResNet-18.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="execute chapters through papermill into a run folder and build their site")
    run.add_argument(
        "--run-dir", default="runs/mine", help="folder for results, chapters and site (default: %(default)s)"
    )
    which = run.add_mutually_exclusive_group()
    which.add_argument("--from", dest="first", choices=list(CHAPTERS), help="start with this chapter")
    which.add_argument("--only", choices=list(CHAPTERS), help="run this chapter alone")
    run.add_argument("--no-site", action="store_true", help="execute the chapters without building a site")
    train = commands.add_parser("train", help="train without a chapter; with torchrun on several GPUs or hosts")
    train.add_argument("--run-dir", required=True, help="folder for the training, such as runs/mine")
    for command in (run, train):
        command.add_argument("--params", metavar="FILE", help="YAML file of parameters, such as params/quick.yaml")
        command.add_argument(
            "-p", dest="set", metavar="NAME=VALUE", action="append", default=[], help="one parameter; repeatable"
        )
    sweep_command.add_to(commands)
    commands.add_parser("build", help="build the published site into _build/html")
    publish = commands.add_parser("publish", help="make a finished run the published one")
    publish.add_argument("run_dir", help="the finished run's or sweep's folder, such as runs/full")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 1 after an error told in one sentence, 130 after Ctrl-C.

    SIGTERM is taken as Ctrl-C, with the status 143: kernels are ended, and what is half done is put back.
    """
    arguments = parser().parse_args(argv)
    try:
        with terminable():
            return dispatch(arguments)
    except ReportError as error:
        advice = re.sub(
            r"-p (\w+) ('[^']*'|[^\s.,;]\S*?)(?=[.,;]?(\s|$))", r"-p \1=\2", str(error)
        )  # papermill's way of writing
        sys.stderr.write(f"gradcam-report{_who()}: {advice}\n")  # at once: other processes write there too
        return 1
    except KeyboardInterrupt as stop:
        kept = (
            "nothing changed"
            if arguments.command in ("build", "publish")
            else "the last checkpoint is kept, the same command resumes"
        )
        print(f"gradcam-report{_who()}: interrupted; {kept}.", file=sys.stderr)
        return 143 if isinstance(stop, Terminated) else 130


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Within it SIGTERM raises `Terminated` in the main thread, as Ctrl-C does `KeyboardInterrupt`."""

    def stop(*args: object) -> None:
        raise Terminated

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _who() -> str:
    """Which process speaks, where torchrun started several: empty for the first or only one."""
    rank = os.environ.get("RANK", "0")
    return "" if rank == "0" else f" (process {rank} on {platform.node()})"


def dispatch(arguments: argparse.Namespace) -> int:
    """Carry out a parsed command."""
    from .execution import runner
    from .runs import plain

    root = project_root()
    if arguments.command == "build":
        runner.build(root / "book", root, root / "_config.yml", root / "_toc.yml")
        print(f"Open {root / '_build/html/index.html'}")
    elif arguments.command == "publish":
        from .execution import publish

        publish.publish_any(arguments.run_dir)
    elif arguments.command == "sweep":
        return sweep_command.execute(arguments)
    else:
        values = runner.read_parameters(Path(arguments.params)) if arguments.params else {}
        values |= plain.assignments(arguments.set)
        if arguments.command == "train":
            from .execution import train_command

            train_command.run(
                {k: v for k, v in values.items() if k != "run_dir"}, str(values.get("run_dir", arguments.run_dir))
            )
            return 0
        names = list(CHAPTERS)
        chosen = [arguments.only] if arguments.only else names[names.index(arguments.first or names[0]) :]
        run_dir = str(values.pop("run_dir", arguments.run_dir))  # -p run_dir=... names the same folder
        index = runner.run_all(values, run_dir, chosen, site=not arguments.no_site)
        if index:
            print(f"Open {index}")
    return 0

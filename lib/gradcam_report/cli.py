"""The command `gradcam-report`. Nothing heavy is imported before a subcommand needs it."""

import argparse
import contextlib
import os
import platform
import signal
import sys
from collections.abc import Iterator, Sequence

from .config import CHAPTERS, ReportError

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
  gradcam-report serve             the site that was built, in a browser on this machine
  gradcam-report publish runs/full
                                   make a finished run the published one, execute the chapters in book/
"""


SWEEP = """Execute a chapter once for every combination of some parameters' values.

-p NAME=A,B,C gives a parameter several values, -p NAME=0..4 the whole numbers from 0 to 4, and -p NAME=A one for all
points; [a, b] is one value, a list. The same command again executes what is not finished; more values add points.

  gradcam-report sweep training -p max_lr=0.05,0.1,0.2 -p seed=0..2 -p epochs=3 -p train_size=4000 -p val_size=2000
                                   nine short trainings into runs/sweep-training
  gradcam-report sweep gradcam -p method=gradcam,layercam -p run_dir=runs/mine --out runs/sweep-methods
  gradcam-report sweep training -p seed=0..99 -p val_size=2000 --address auto --gpus 1       on a Ray cluster
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
    _add_sweep(commands)
    commands.add_parser("build", help="build the published site into _build/html")
    serve = commands.add_parser("serve", help="show a built site in a browser on this machine")
    serve.add_argument("folder", nargs="?", default=".", help="a run or a site (default: the published one)")
    serve.add_argument("--port", type=int, default=8000, help="(default: %(default)s; 0: a free one)")
    publish = commands.add_parser("publish", help="make a finished run the published one")
    publish.add_argument("run_dir", help="the finished run's or sweep's folder, such as runs/full")
    return top


def _add_sweep(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    sweep = commands.add_parser(
        "sweep",
        help="execute a chapter for every combination of some parameters' values",
        description=SWEEP,
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 1 after an error told in one sentence, 130 after Ctrl-C.

    SIGTERM is taken as Ctrl-C, with the status 143: kernels are ended, and what is half done is put back.
    """
    arguments = parser().parse_args(joined(sys.argv[1:] if argv is None else argv))
    try:
        with terminable():
            return dispatch(arguments)
    except ReportError as error:
        sys.stderr.write(f"gradcam-report{_who()}: {error}\n")  # at once: other processes write there too
        return 1
    except KeyboardInterrupt as stop:
        kept = (
            "the last checkpoint is kept, the same command resumes"
            if arguments.command in ("run", "train", "sweep")
            else "the same command starts again"
        )
        print(f"gradcam-report{_who()}: interrupted; {kept}.", file=sys.stderr)
        return 143 if isinstance(stop, Terminated) else 130


def joined(words: Sequence[str]) -> list[str]:
    """The words of a command with papermill's `-p NAME VALUE`, as the chapters' messages advise, as `-p NAME=VALUE`."""
    done: list[str] = []
    for word in words:
        if len(done) > 1 and done[-2] == "-p" and "=" not in done[-1] and not word.startswith("--"):
            done[-1] += f"={word}"
        else:
            done.append(word)
    return done


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
    """Carry out a parsed command; returns its exit status."""
    from .execution import parameters

    if arguments.command in ("run", "train"):
        values = parameters.gather(arguments.params, arguments.set)
        run_dir = values.pop("run_dir", arguments.run_dir)  # -p run_dir=... names the same folder
    match arguments.command:
        case "run":
            from .execution import runner

            chapters = runner.choose_chapters(arguments.first, arguments.only)
            index = runner.run_all(values, run_dir, chapters, build_site=not arguments.no_site)
            if index:
                print(f"Open {index}")
        case "train":
            from .execution import train_command

            train_command.run(values, run_dir)
        case "sweep":
            from .execution.sweep.command import sweep

            resources = {name: getattr(arguments, name) for name in ("workers", "cpus", "gpus", "retries", "address")}
            return sweep(arguments.chapter, arguments.set, arguments.params, arguments.out, **resources)
        case "build":
            from .execution import site

            print(f"Open {site.build_published()}")
        case "serve":
            from .execution import serve

            serve.serve(arguments.folder, arguments.port)
        case "publish":
            from .execution import publish

            publish.publish_any(arguments.run_dir)
    return 0

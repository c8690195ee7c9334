"""Processes killed again and again: what they leave is whole or absent, and what they make in the end is the same.

Each start dies at a moment drawn at random: before or within any change to a file that it makes, or after some part of
a second. `KILLS=50 pytest tests/test_kills.py` kills more often, `KILLS_SEED=1` draws other moments.
"""

import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from multiprocessing import util
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from gradcam_report.runs import io as files

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL elsewhere")

KILLS, SEED = int(os.environ.get("KILLS", "5")), int(os.environ.get("KILLS_SEED", "0"))
FOLDER = Path("runs/x")
MEASURED = {"seconds", "wall_seconds", "images_per_second", "training_seconds", "warm_up_seconds", "finished"}
SMALL = {"dataset": "shapes", "train_size": 24, "test_size": 12, "batch_size": 12, "run_dir": str(FOLDER)}
SMALL |= {"precision": "fp32", "device": "cpu"}


# What the processes do


class InTwo:
    """A file whose content is written in two parts, with a moment to be killed at between them."""

    def __init__(self, file: Any, moment: Callable[[], None]) -> None:
        self.file, self.moment = file, moment
        self.flush, self.fileno = file.flush, file.fileno

    def __enter__(self) -> "InTwo":
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()

    def write(self, content: bytes) -> None:
        self.file.write(content[: len(content) // 2])
        self.file.flush()
        self.moment()
        self.file.write(content[len(content) // 2 :])


def dies_at(number: int) -> None:
    """Kill this process before its change to files of this number; of 0 it writes their kinds into the file `moments`.

    A letter each: "h" half-way through a file's content, "c" before any other change.
    """
    kinds: list[str] = []

    def moment(kind: str = "c") -> None:
        kinds.append(kind)
        if len(kinds) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        changes = event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod")
        if changes or (event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR)):
            moment()

    fdopen, fsync = os.fdopen, os.fsync
    sys.addaudithook(hook)
    os.fdopen = lambda *args, **kwargs: InTwo(fdopen(*args, **kwargs), lambda: moment("h"))
    os.fsync = lambda handle: (moment(), fsync(handle))
    if not number:
        util.Finalize(None, lambda: Path("moments").write_text("".join(kinds)), exitpriority=0)


def start(task: str, root: str, number: int) -> None:
    """The body of a process: do a task in the project at `root`, to the end or to the moment of this number."""
    os.chdir(root)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        import torch

        from gradcam_report import model
        from gradcam_report.config import RangeTestParams, TrainingParams
        from gradcam_report.training.lr_range_test import measure_or_load
        from gradcam_report.training.trained_run import train_or_load

        torch.set_num_threads(1)
        build = model.build
        model.build = lambda seed, classes=10, width=64: build(seed, classes, 8)
        dies_at(number)
        if task == "training":
            train_or_load(TrainingParams.parse({**SMALL, "epochs": 3}))
        else:
            measure_or_load(RangeTestParams.parse({**SMALL, "iterations": 10}))


@pytest.fixture(scope="module")
def nursery() -> ForkServerContext:
    """Where processes are born with everything imported, so that there is time to be killed in the work itself."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "torch._dynamo",
            "sklearn.decomposition",
            "gradcam_report.training.trained_run",
            "gradcam_report.training.lr_range_test",
            "nbformat",
        ]
    )
    first = context.Process()  # does nothing, when all is imported
    first.start()
    first.join()
    return context


def live(nursery: ForkServerContext, task: str, root: Path, number: int = 0, seconds: float = 900.0) -> int:
    """Do a task in a process that is killed at a moment or after some seconds; its status, -9 when it was killed."""
    process = nursery.Process(target=start, args=(task, str(root), number))
    process.start()
    process.join(seconds)
    process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), f"{task} failed by itself"
    return process.exitcode


# What they leave


def readable(folder: Path) -> set[str]:
    """Read whatever is in a folder by its name; the names."""
    readers = {
        ".json": files.read_json,
        ".csv": files.read_table,
        ".npz": files.read_arrays,
        ".safetensors": files.read_tensors,
    }
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    for name in names:
        if Path(name).suffix in readers and not name.startswith("."):
            readers[Path(name).suffix](folder / name)
    return {name for name in names if not name.startswith(".")}


def results(folder: Path) -> dict[str, Any]:
    """Everything that is in a finished folder, but for the times that it took."""
    found: dict[str, Any] = {}
    for name in readable(folder):
        if name.endswith(".json"):
            found[name] = without_times(files.read_json(folder / name))
        elif name.endswith(".npz"):
            found[name] = {
                key: (array.dtype, array.tobytes()) for key, array in files.read_arrays(folder / name).items()
            }
        elif name == "history.csv":
            found[name] = {k: v.tolist() for k, v in files.read_table(folder / name).items() if k not in MEASURED}
        elif name.endswith(".safetensors"):  # which orders its metadata at random
            tensors, metadata = files.read_tensors(folder / name)
            found[name] = {key: (tensor.dtype, tensor.numpy().tobytes()) for key, tensor in tensors.items()}
            found[name] |= without_times({k: json.loads(v) if k == "state" else v for k, v in metadata.items()})
        else:
            found[name] = (folder / name).read_bytes()
    return found


def without_times(value: Any) -> Any:
    """A JSON value without what was measured."""
    if isinstance(value, dict):
        return {key: without_times(inner) for key, inner in value.items() if key not in MEASURED}
    return value


@contextmanager
def moment_told(task: str, kill: int, moment: object) -> Iterator[None]:
    """Say at which moment of which kill a check failed."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"{task}: after kill {kill} (KILLS_SEED={SEED}) at {moment}")
        raise


@pytest.mark.parametrize("task", ["training", "range test"])
def test_what_is_killed_at_any_moment_comes_to_the_same_result(
    project: Path, nursery: ForkServerContext, task: str
) -> None:
    began = time.perf_counter()
    assert live(nursery, task, project) == 0
    lasted, kinds = time.perf_counter() - began, (project / "moments").read_text()
    halves, moments = [number for number, kind in enumerate(kinds, 1) if kind == "h"], len(kinds)
    straight = results(project / FOLDER)
    shutil.rmtree(project / FOLDER)
    assert moments > 10 and len(halves) >= 2 and len(straight) >= 2

    chance, kill, finishes = random.Random(f"{task} {SEED}"), 0, 0
    while kill < KILLS:
        number, seconds = chance.randint(1, moments), chance.uniform(0, lasted)
        number = chance.choice(halves) if kill % 3 == 0 else number
        by_time = kill % 3 == 2
        with moment_told(task, kill + 1, f"{seconds:.3f} s" if by_time else f"change {number}"):
            status = live(nursery, task, project, 10**9 if by_time else number, seconds if by_time else 900.0)
            readable(project / FOLDER)
            kill += status != 0
            if status == 0:
                finishes += 1
                assert results(project / FOLDER) == straight
                shutil.rmtree(project / FOLDER)
    print(f"{task}: {KILLS} kills among {moments} changes to files in {lasted:.2f} s; {finishes} other starts finished")
    assert live(nursery, task, project) == 0
    assert results(project / FOLDER) == straight
    left = {path.name for path in (project / FOLDER).iterdir()}
    assert left - {".lock"} == readable(project / FOLDER), "what killed processes half wrote is removed"

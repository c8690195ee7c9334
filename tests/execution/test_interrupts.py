"""Ctrl-C and SIGTERM: the work ends at once, the last checkpoint is kept, and no kernel goes on computing."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from gradcam_report.runs import folder as run_folder
from gradcam_report.runs import lock
from gradcam_report.training import checkpoint

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no such signals elsewhere")

TOP = Path(__file__).parents[2]
LONG = {"dataset": "shapes", "train_size": 24, "test_size": 12, "batch_size": 12, "epochs": 1000, "device": "cpu"}


def wait(process: subprocess.Popen[str], ready: Callable[[], bool], seconds: float = 600) -> None:
    """Wait until something is so, while the process lives."""
    until = time.monotonic() + seconds
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.05)


def epochs_done(folder: run_folder.RunFolder) -> int:
    return checkpoint.read_checkpoint(folder).state.epoch if (folder / checkpoint.CHECKPOINT).exists() else -1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "sign", "status"),
    [("run --only training --no-site", signal.SIGINT, 130), ("run --only training", signal.SIGTERM, 143),
     ("train", signal.SIGINT, 130)],
)  # fmt: skip
def test_an_interrupted_command_keeps_its_checkpoint_and_leaves_nothing_computing(
    project: Path, command: str, sign: signal.Signals, status: int
) -> None:
    shutil.copy(TOP / "book" / "training.ipynb", project / "book")
    folder = run_folder.RunFolder("runs/x")
    words = [sys.executable, "-m", "gradcam_report", *command.split(), "--run-dir", "runs/x"]
    words += [word for name, value in LONG.items() for word in ("-p", f"{name}={value}")]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait(process, lambda: epochs_done(folder) >= 1)
        kernels = psutil.Process(process.pid).children(recursive=True)
        assert bool(kernels) == command.startswith("run")
        process.send_signal(sign)
        _, said = process.communicate(timeout=300)  # a busy machine takes its time
    finally:
        process.kill()
    assert process.returncode == status
    assert said.endswith("gradcam-report: interrupted; the last checkpoint is kept, the same command resumes.\n")
    assert psutil.wait_procs(kernels, timeout=300)[1] == []
    assert 1 <= epochs_done(folder) < LONG["epochs"]
    with lock.locked(folder):  # nobody holds it any more
        pass
    assert not list(folder.path.glob("book/*.source.ipynb"))

"""Ctrl-C and SIGTERM: the work ends at once, the last checkpoint is kept, and what is said tells how to go on."""

import logging
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
from nbclient.exceptions import DeadKernelError

from gradcam_report.config import ReportError
from gradcam_report.execution import runner
from gradcam_report.runs import folder as run_folder
from gradcam_report.runs import lock
from gradcam_report.training import checkpoint

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no such signals elsewhere")

TOP = Path(__file__).parents[2]
LONG = {"dataset": "shapes", "train_size": 24, "test_size": 12, "batch_size": 12, "epochs": 1000, "device": "cpu"}
TRAINING = """
import sys, torch
from gradcam_report.training import trainer as train
from gradcam_report.config import parse_params
torch.set_num_threads(1)
train.in_run(parse_params("training", {**eval(sys.argv[1]), "run_dir": "runs/x"}), width=8)
"""


def interruptible() -> None:
    """In the new process: SIGINT has its usual effect, even where the tests run in the background, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait(process: subprocess.Popen[str], ready: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until something is so, while the process lives."""
    until = time.monotonic() + seconds
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.05)


def epochs_done(folder: run_folder.RunFolder) -> int:
    found = checkpoint.load(folder)
    return found.epoch if found else -1


def test_an_interrupted_training_ends_at_once_and_says_how_it_goes_on(project: Path) -> None:
    folder = run_folder.RunFolder("runs/x")
    command = [sys.executable, "-c", TRAINING, repr(LONG)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible)
    try:
        wait(process, lambda: epochs_done(folder) >= 1)
        asked = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert time.monotonic() - asked < 30
    finally:
        process.kill()
    last = said.strip().splitlines()[-1]
    assert process.returncode
    assert last == (
        "KeyboardInterrupt: Interrupted; runs/x keeps the checkpoint of the last epoch that was "
        "finished, and the same command goes on from there."
    )
    kept = checkpoint.load(folder)
    assert kept and 1 <= kept.epoch == len(kept.history["test_loss"]) < LONG["epochs"]
    assert not (folder / "run.json").exists()
    with lock.locked(folder):
        pass
    assert {path.name for path in folder.path.iterdir()} == {checkpoint.CHECKPOINT, ".lock"}


@pytest.mark.parametrize("name", ["papermill", "asyncio"])
def test_a_kernels_end_is_not_told_twice(project: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    """What nbclient and asyncio log of it, sooner or later, comes on top of the sentence that says what to do."""
    with pytest.raises(ReportError):
        runner.execute("training", project / "out.ipynb", {"epochs": 0})
    logger, died = logging.getLogger(name), DeadKernelError("Kernel died")
    logger.error("Kernel died while waiting for execute reply.")
    logger.error("Task exception was never retrieved", exc_info=died)
    logger.error("the disk is full", exc_info=OSError())
    logger.error("something else")
    assert [record.getMessage() for record in caplog.records] == ["the disk is full", "something else"]


@pytest.mark.slow
@pytest.mark.parametrize(("sign", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_run_leaves_no_kernel_computing(project: Path, sign: signal.Signals, status: int) -> None:
    shutil.copy(TOP / "book" / "training.ipynb", project / "book")
    folder = run_folder.RunFolder("runs/x")
    command = [sys.executable, "-m", "gradcam_report", "run", "--only", "training", "--no-site", "--run-dir", "runs/x"]
    command += [word for name, value in LONG.items() for word in ("-p", f"{name}={value}")]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible
    )
    try:
        wait(process, lambda: epochs_done(folder) >= 0)
        (kernel,) = [p.pid for p in psutil.Process(process.pid).children() if "ipykernel_launcher" in p.cmdline()]
        process.send_signal(sign)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, said) == (
        status, "gradcam-report: interrupted; the last checkpoint is kept, the same command resumes.\n"
    )  # fmt: skip
    with pytest.raises(ProcessLookupError):
        os.kill(kernel, 0)
    assert epochs_done(folder) >= 0
    with lock.locked(folder):  # nobody holds it any more
        pass
    assert not list((folder / "book").glob("*.source.ipynb"))

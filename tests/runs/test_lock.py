"""One computation at a time in a run folder, and a lock that dies with its process."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gradcam_report.config import ReportError, parse_params
from gradcam_report.runs import folder as run_folder
from gradcam_report.runs import io, lock
from gradcam_report.training import lr_range_test, trainer

HOLDER = """
import sys, time
from gradcam_report.runs import lock
from gradcam_report.runs import folder as run
with lock.held(run.RunFolder("runs/x")):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_in_use_is_refused_and_names_its_owner_until_that_is_killed(project: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        folder = run_folder.RunFolder("runs/x")
        sentence = rf"runs/x is in use by process {holder.pid} on .* since 20.*; wait .* or choose another run_dir\."
        with pytest.raises(ReportError, match=sentence), lock.held(folder):
            pass
        (folder / lock.OWNER).write_text("{")  # half a file tells no owner, and is no reason for another error
        with pytest.raises(ReportError, match="in use by another process"), lock.held(folder):
            pass
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        with lock.held(folder):
            assert io.read_json(folder / lock.OWNER)["process"] == os.getpid()
        assert not (folder / lock.OWNER).exists()
    finally:
        holder.kill()


def test_a_lock_is_released_when_the_work_fails(project: Path) -> None:
    folder = run_folder.RunFolder("runs/x")
    with pytest.raises(RuntimeError), lock.held(folder):
        raise RuntimeError
    with lock.held(folder):
        pass


@pytest.mark.parametrize("kind", [errno.ENOLCK, errno.EACCES])
def test_a_file_system_without_locks_goes_without_and_somebody_elses_file_is_refused(
    project: Path, monkeypatch: pytest.MonkeyPatch, kind: int
) -> None:
    def acquire(self: object, timeout: float) -> None:
        raise OSError(kind, os.strerror(kind))

    monkeypatch.setattr(io.FileLock, "acquire", acquire)
    if kind == errno.ENOLCK:
        with lock.held(run_folder.RunFolder("runs/x")):
            pass
    else:
        sentence = r"runs/x/\.lock cannot be opened \(Permission denied\); choose another run_dir\."
        with pytest.raises(ReportError, match=sentence), lock.held(run_folder.RunFolder("runs/x")):
            pass


@pytest.mark.parametrize("chapter", ["lr_finder", "training"])
def test_range_test_and_training_work_alone_in_their_folder(project: Path, narrow: None, chapter: str) -> None:
    small = {"dataset": "shapes", "train_size": 32, "test_size": 16, "batch_size": 16, "run_dir": "runs/x"}
    small |= {"iterations": 10} if chapter == "lr_finder" else {"epochs": 1}
    params = parse_params(chapter, small)
    work = lr_range_test.in_run if chapter == "lr_finder" else trainer.in_run
    with lock.held(run_folder.RunFolder("runs/x")), pytest.raises(ReportError, match="runs/x is in use by process"):
        work(params)
    assert not list((project / "runs" / "x").glob("*.json"))
    started = time.perf_counter()
    work(params)
    work(params)  # what is stored is shown, whoever computes
    assert time.perf_counter() - started < 60 and not (project / "runs" / "x" / lock.OWNER).exists()

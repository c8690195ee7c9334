"""One computation at a time in a run folder, and a lock that dies with its process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gradcam_report.config import parse_params
from gradcam_report.runs.folder import RunFolder
from gradcam_report.runs.lock import FolderInUse, locked
from gradcam_report.training.lr_range_test import measure_or_load
from gradcam_report.training.trained_run import train_or_load

HOLDER = """
import time
from gradcam_report.runs.folder import RunFolder
from gradcam_report.runs.lock import locked
with locked(RunFolder("runs/x")):
    print("locked", flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL elsewhere")
def test_a_folder_in_use_is_refused_until_the_other_process_is_killed(project: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout and holder.stdout.readline() == "locked\n"
        folder = RunFolder("runs/x")
        with pytest.raises(FolderInUse, match=r"runs/x is in use .* choose another --out"), locked(folder, "--out"):
            pass
        (folder / ".run.json.abcdefgh.tmp").touch()
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        with locked(folder):
            assert [path.name for path in folder.path.iterdir()] == [".lock"], "what was half written is removed"
    finally:
        holder.kill()


@pytest.mark.parametrize("chapter", ["lr_finder", "training"])
def test_range_test_and_training_work_alone_in_their_folder(project: Path, narrow: None, chapter: str) -> None:
    small = {"dataset": "shapes", "train_size": 32, "test_size": 16, "batch_size": 16, "run_dir": "runs/x"}
    small |= {"iterations": 10} if chapter == "lr_finder" else {"epochs": 1}
    params = parse_params(chapter, small)
    work = measure_or_load if chapter == "lr_finder" else train_or_load
    with locked(RunFolder("runs/x")), pytest.raises(FolderInUse):
        work(params)
    assert not list((project / "runs" / "x").glob("*.json"))
    work(params)
    with locked(RunFolder("runs/x")):
        work(params)  # what is stored is shown, whoever computes

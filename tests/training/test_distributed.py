"""Several processes train as one does: against PyTorch's own BatchNorm and a training in one process; a killed one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gradcam_report.config import ReportError
from gradcam_report.runs import io
from gradcam_report.training import distributed

pytestmark = pytest.mark.slow

# What each process runs: the command line, on networks an eighth as wide, and in float64, so that rounding is far
# below what a wrong gradient or statistic would do.
COMMAND = """
import os, sys, time
from pathlib import Path
from gradcam_report import cli, model
from gradcam_report.data.datasets import Normalizer
from gradcam_report.runs import folder, io
from gradcam_report.training import checkpoint
build, normalised = model.build, Normalizer.__call__
model.build = lambda seed, classes=10, width=64: build(seed, classes, 8).double()
Normalizer.__call__ = lambda self, images: normalised(self, images).double()
if os.environ.get("RANK", "0") != "0":  # the run folder is the first one's alone, be it on another host
    def forbidden(*args, **kwargs):
        raise AssertionError(f"not the first process: {args}")
    io.write_atomic = io.read_table = io.read_tensors = folder.RunFolder.prepare = folder.RunFolder.record = forbidden
if "PAUSE" in os.environ:  # time for the test to kill a process before the training is finished
    save = checkpoint.Checkpoints.save
    checkpoint.Checkpoints.save = lambda *args: (save(*args), time.sleep(float(os.environ["PAUSE"])))
Path(f"pid-{os.environ.get('RANK', 0)}").write_text(str(os.getpid()))
sys.exit(cli.main(sys.argv[1:]))
"""
BATCHNORM = """
import json, sys
from pathlib import Path
import torch
from torch import nn
from gradcam_report.training import distributed
with distributed.process_group("cpu") as group:
    found = []
    for count in (7, 1):  # of one image, the second process has none
        torch.manual_seed(count)
        x, g = torch.randn(2, count, 5, 4, 4, dtype=torch.float64) * 3 + 2
        whole = nn.BatchNorm2d(5).double()
        with torch.no_grad():
            whole.weight.uniform_()
        net = nn.Sequential(nn.Sequential(nn.BatchNorm2d(5).double()))
        net.load_state_dict({f"0.0.{k}": v for k, v in whole.state_dict().items()})
        distributed.share_batchnorm_statistics(net)
        mine, theirs = x[group.shard].clone().requires_grad_(), x.clone().requires_grad_()
        y, z = net(mine), whole(theirs)
        y.backward(g[group.shard])
        z.backward(g)
        pairs = [(y, z[group.shard]), (mine.grad, theirs.grad[group.shard])]
        pairs += [(group.sum(p.grad), q.grad) for p, q in zip(net.parameters(), whole.parameters())]
        pairs += list(zip(net.buffers(), whole.buffers()))
        found += [float((a - b).abs().max()) if a.numel() else 0.0 for a, b in pairs]
        net.eval(), whole.eval()
        found.append(float((net(x) - whole(x)).abs().max()))
    Path(f"found-{group.rank}.json").write_text(json.dumps(found))
"""
# 97 images in batches of 32: the last batch holds one, so that one process or more have nothing to do in it.
SMALL = "precision=fp32 dataset=shapes train_size=97 test_size=41 batch_size=32 epochs=6 optimizer=sgd max_lr=0.005"
TRAIN = ["train", *(word for pair in SMALL.split() for word in ("-p", pair))]


def command(size: int, script: str, *arguments: str) -> list[str]:
    """The words that run a script of `scripts` in `size` processes."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(size)] if size > 1 else []
    return [sys.executable, *launcher, script, *arguments]


def place(project: Path) -> Path:
    """Put the scripts into an empty project."""
    (project / "book").mkdir(parents=True, exist_ok=True)
    (project / "book/index.md").touch()
    (project / "pyproject.toml").write_text('[project]\nname = "gradcam-report"\n')
    (project / "command.py").write_text(COMMAND)
    (project / "batchnorm.py").write_text(BATCHNORM)
    return project


@pytest.fixture
def scripts(project: Path) -> Path:
    return place(project)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of the training in one process."""
    project = place(tmp_path_factory.mktemp("alone"))
    done = started(project, command(1, "command.py", *TRAIN, "--run-dir", "runs/x"))
    assert done.returncode == 0, done.stderr
    return project / "runs/x"


def started(project: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, timeout=900)


def assert_same(folder: Path, alone: Path) -> None:
    """The same loss curve: 1e-6 apart for the first two epochs, after which rounding has grown."""
    mine, theirs = (io.read_table(path / "history.csv") for path in (folder, alone))
    for column in theirs.keys() - {"seconds", "images_per_second"}:
        np.testing.assert_allclose(mine[column][:2], theirs[column][:2], rtol=1e-6, err_msg=column)
        np.testing.assert_allclose(mine[column], theirs[column], rtol=1e-2, err_msg=column)


def test_batchnorm_of_two_processes_is_that_of_the_whole_batch(scripts: Path) -> None:
    done = started(scripts, command(2, "batchnorm.py"))
    assert done.returncode == 0, done.stderr
    for rank in (0, 1):
        assert max(json.loads((scripts / f"found-{rank}.json").read_text())) < 1e-12


def test_three_processes_train_as_one_does(scripts: Path, alone: Path) -> None:
    done = started(scripts, command(3, "command.py", *TRAIN, "--run-dir", "runs/x"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("of the test images") == 1  # only the first process speaks
    assert_same(scripts / "runs/x", alone)
    mine, theirs = (load_file(folder / "model.safetensors") for folder in (scripts / "runs/x", alone))
    for name, weight in theirs.items():
        torch.testing.assert_close(mine[name], weight, rtol=1e-2, atol=1e-2)  # fp16 files


def test_a_killed_process_ends_the_job_and_another_number_of_them_goes_on(scripts: Path, alone: Path) -> None:
    words = [*TRAIN, "--run-dir", "runs/x"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PAUSE": "2"}
    two = subprocess.Popen(
        command(2, "command.py", *words), cwd=scripts, env=environment, stderr=subprocess.PIPE, text=True
    )
    wait_for_epochs(scripts / "runs/x", 2)
    os.kill(int((scripts / "pid-1").read_text()), signal.SIGKILL)
    _, errors = two.communicate(timeout=600)
    assert two.returncode != 0 and not (scripts / "runs/x/run.json").exists()
    assert "checkpoint" in errors and "the same command" in errors and 'command.py", line' not in errors
    done = started(scripts, command(1, "command.py", *words))
    assert done.returncode == 0, done.stderr
    assert_same(scripts / "runs/x", alone)


def wait_for_epochs(folder: Path, wanted: int) -> int:
    """Wait until the checkpoint is of `wanted` epochs or more; returns how many it is of."""
    started = time.perf_counter()
    while time.perf_counter() - started < 600:
        time.sleep(0.05)
        if (folder / "checkpoint.safetensors").exists():
            _, metadata = io.read_tensors(folder / "checkpoint.safetensors")
            if (epoch := json.loads(metadata["state"])["epoch"]) >= wanted:
                return epoch
    raise AssertionError("the training did not get that far")


def test_what_the_first_process_refuses_all_refuse_in_one_sentence(scripts: Path, alone: Path) -> None:
    words = command(2, "command.py", *TRAIN, "--run-dir", str(alone), "-p", "epochs=2")
    done = started(scripts, words)
    assert done.returncode != 0
    assert " holds a run of another recipe (epochs 6 there, 2 requested); choose another run_dir" in done.stderr
    assert 'command.py", line' not in done.stderr


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "4", "RANK": "2", "LOCAL_RANK": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with (
        pytest.raises(ReportError, match=r"process 3 on .*has 2 GPUs; use --nproc-per-node 2"),
        distributed.process_group("auto"),
    ):
        pass


def test_apple_gpus_train_one_process_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(ReportError, match=r"device is 'mps'.*2 processes.*use -p device cpu"),
        distributed.process_group("mps"),
    ):
        pass

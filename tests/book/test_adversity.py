"""A full disk, a read-only folder, a clock that goes backwards, a loss that is no number: a sentence, and nothing lost.

And what is the same every time: one seed on one device.
"""

import contextlib
import datetime
import itertools
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gradcam_report import cli
from gradcam_report.config import ReportError, parse_params
from gradcam_report.execution import runner
from gradcam_report.runs import folder as run_folder
from gradcam_report.runs import io, plain
from gradcam_report.training import checkpoint, lr_range_test, trainer
from gradcam_report.training import optimizer as optim

pytestmark = pytest.mark.usefixtures("few_threads", "narrow", "project")

SMALL = {"dataset": "shapes", "train_size": 24, "test_size": 12, "batch_size": 12, "precision": "fp32", "device": "cpu"}
TIMES = {"seconds", "images_per_second"}


def training(folder: str = "runs/x", **more: Any) -> dict[str, Any]:
    return parse_params("training", {**SMALL, "epochs": 3, "max_lr": 0.05, "run_dir": folder, **more})


def same(one: run_folder.RunFolder, other: run_folder.RunFolder) -> bool:
    """Whether two trainings are equal bit for bit: weights, momentum, predictions, and the history but for times."""
    ours, theirs = (checkpoint.load(folder) for folder in (one, other))
    assert ours and theirs
    columns = ours.history.keys() - TIMES
    tensors = [(found.net | found.momentum) for found in (ours, theirs)]
    arrays = [io.read_arrays(folder / "predictions.npz") for folder in (one, other)]
    weights = [io.read_tensors(folder / "model.safetensors")[0] for folder in (one, other)]
    return (
        columns == theirs.history.keys() - TIMES
        and all(ours.history[name] == theirs.history[name] for name in columns)
        and all(torch.equal(tensor, tensors[1][name]) for name, tensor in tensors[0].items())
        and all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
        and all(array.tobytes() == arrays[1][name].tobytes() for name, array in arrays[0].items())
    )


# What is the same every time


@pytest.mark.parametrize("optimizer", ["muon", "sgd"])
def test_one_seed_on_one_device_is_one_training_bit_for_bit_and_another_seed_another(optimizer: str) -> None:
    first, second, other = (
        trainer.in_run(training(f"runs/{name}", seed=seed, optimizer=optimizer))[0]
        for name, seed in (("first", 0), ("second", 0), ("other", 1))
    )
    assert same(first, second)
    assert not same(first, other)


def test_one_seed_on_one_device_is_one_range_test() -> None:
    tests = [
        lr_range_test.in_run(
            parse_params("lr_finder", {**SMALL, "iterations": 10, "run_dir": f"runs/{i}", "seed": i // 2})
        )[0]
        for i in range(3)
    ]
    assert tests[0].losses.tolist() == tests[1].losses.tolist() != tests[2].losses.tolist()


def test_a_clock_that_goes_backwards_changes_nothing_but_the_times_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    straight, _ = trainer.in_run(training("runs/straight"))
    ticks = itertools.count()

    class Backwards(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime.datetime:
            return datetime.datetime.fromtimestamp(10**9 - 3600 * next(ticks), tz)

    monkeypatch.setattr(time, "time", lambda: 10.0**9 - 3600 * next(ticks))
    monkeypatch.setattr(datetime, "datetime", Backwards)
    folder, record = trainer.in_run(training("runs/back"))
    assert record["provenance"]["finished"] < "2002"
    assert min(io.read_table(folder / "history.csv")["seconds"]) > 0 and record["provenance"]["seconds"] >= 0
    assert same(straight, folder)
    assert trainer.in_run(training("runs/back"))[1] == record  # still the stored result


# A full disk and a read-only folder


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: the system then fails to write as on a full disk, in other words."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_in_the_middle_loses_no_finished_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    straight, _ = trainer.in_run(training("runs/straight"))
    save, count = checkpoint.save, itertools.count()

    def full_after_two(*args: Any) -> None:
        with largest_file(10_000) if next(count) >= 2 else contextlib.nullcontext():
            save(*args)

    folder = run_folder.RunFolder("runs/x")
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", full_after_two)
        sentence = r"checkpoint\.safetensors could not be written \(File too large\); free some space there or choose"
        with pytest.raises(ReportError, match=sentence):
            trainer.in_run(training())
    kept = checkpoint.load(folder)
    assert kept and kept.epoch == 1
    assert {path.name for path in folder.path.iterdir()} == {checkpoint.CHECKPOINT, ".lock"}
    trainer.in_run(training())
    assert same(straight, folder)


@pytest.fixture
def small_disk(project: Path) -> Iterator[Path]:
    """A file system of 200 kB, where this process may make one."""
    place = project / "runs" / "disk"
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)]
    try:
        made = subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        made = False
    if not made:
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_stops_a_training_before_any_work(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer.Trainer, "fit", lambda *args: pytest.fail("work was done"))
    with pytest.raises(ReportError, match=r"could not be written \(No space left on device\); free some space there"):
        trainer.in_run(training("runs/disk/x"))
    assert {path.name for path in (small_disk / "x").iterdir()} == {".lock"}
    (small_disk / "filler").write_bytes(bytes((200 - 8) * 1024))
    with contextlib.suppress(OSError):
        (small_disk / "more").write_bytes(bytes(8192))
    with pytest.raises(ReportError, match=r"runs/disk/y could not be written \(No space left on device\)"):
        run_folder.RunFolder("runs/disk/y").prepare()


def test_a_read_only_folder_stops_a_run_before_any_work(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    monkeypatch.setattr(runner, "execute", lambda *args: pytest.fail("work was done"))
    monkeypatch.setattr(runner, "source_of", lambda chapter: None)
    for work in (lambda: trainer.in_run(training("runs/disk")), lambda: runner.run_all({}, "runs/disk")):
        with pytest.raises(ReportError, match=r"runs/disk could not be written \(Read-only file system\); .* another"):
            work()


# A loss that is no number


@pytest.fixture
def bursts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss is no number at rates above 0.03."""
    call = optim.Step.__call__

    def step(self: optim.Step, images: Tensor, labels: Tensor, whole: int) -> tuple[Tensor, Tensor]:
        loss, hits = call(self, images, labels, whole)
        return (loss * float("nan") if self.optimizer.param_groups[0]["lr"] > 0.03 else loss), hits

    monkeypatch.setattr(optim.Step, "__call__", step)


def test_the_advice_after_a_divergence_works(bursts: None, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    wild = {"max_lr": 0.05, "warmup": 0.5, "epochs": 4}
    with pytest.raises(trainer.Diverged) as caught:
        trainer.in_run(training(**wild))
    kept = checkpoint.load(run_folder.RunFolder("runs/x"))
    assert kept and kept.epoch == 1 and all(t.float().isfinite().all() for t in kept.net.values())
    with pytest.raises(
        ReportError, match=r"interrupted run of another recipe .*; choose another run_dir, or give it up"
    ):
        trainer.in_run(training(**{**wild, "max_lr": 0.005}))  # so a smaller rate alone would be no advice

    advised = dict(re.findall(r"-p (\w+) ([\w.]+\w)", str(caught.value)))
    assert advised.keys() == {"max_lr", "force"}

    def diverge(*args: object, **kwargs: object) -> None:
        raise caught.value

    monkeypatch.setattr(runner, "run_all", diverge)
    assert cli.main(["run"]) == 1
    assigned = plain.assignments(re.findall(r"-p (\w+=[\w.]+\w)", capsys.readouterr().err))
    assert assigned == {"max_lr": float(advised["max_lr"]), "force": True}
    _, record = trainer.in_run(training(**{**wild, **assigned}))
    assert record["parameters"]["max_lr"] == assigned["max_lr"] < 0.05


# A force that was killed between its last epoch and its results


def test_a_forced_training_killed_while_it_writes_its_results_is_not_done_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trainer.in_run(training())
    with monkeypatch.context() as patch:
        patch.setattr(io, "write_arrays", lambda *args, **kwargs: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            trainer.in_run(training(force=True))
    monkeypatch.setattr(trainer.Trainer, "train_epoch", lambda *args: pytest.fail("an epoch was trained again"))
    _, record = trainer.in_run(training(force=True))
    assert record["parameters"]["epochs"] == 3

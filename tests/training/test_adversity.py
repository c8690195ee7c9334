"""What goes wrong on a user's machine: no data, a loss that is not finite.

And what must not depend on anything: the result of one seed on one device.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

from gradcam_report.config import RangeTestParams, ReportError, TrainingParams
from gradcam_report.runs import io
from gradcam_report.runs.folder import RunFolder
from gradcam_report.training import checkpoint, trainer
from gradcam_report.training.lr_range_test import measure_or_load
from gradcam_report.training.trained_run import TrainedRun, train_or_load

pytestmark = pytest.mark.usefixtures("few_threads", "narrow", "project")

TOP = Path(__file__).parents[2]
SMALL = {"dataset": "shapes", "train_size": 24, "test_size": 12, "batch_size": 12, "precision": "fp32", "device": "cpu"}


def train(run_dir: str = "runs/x", **more: Any) -> TrainedRun:
    return train_or_load(TrainingParams.parse({**SMALL, "epochs": 3, "max_lr": 0.05, "run_dir": run_dir, **more}))


def same(one: RunFolder, other: RunFolder) -> bool:
    """Whether two trainings are equal bit for bit: weights, momentum, predictions, and the history but for times."""
    ours, theirs = checkpoint.read_checkpoint(one), checkpoint.read_checkpoint(other)
    history = [{k: v for k, v in c.state.history.items() if "second" not in k} for c in (ours, theirs)]
    arrays = [io.read_arrays(folder / "predictions.npz") for folder in (one, other)]
    weights = [io.read_tensors(folder / "model.safetensors")[0] for folder in (one, other)]
    return (
        history[0] == history[1]
        and all(torch.equal(tensor, theirs.tensors[name]) for name, tensor in ours.tensors.items())
        and all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
        and all(np.array_equal(array, arrays[1][name]) for name, array in arrays[0].items())
    )


# One seed on one device


@pytest.mark.parametrize("optimizer", ["muon", "sgd"])
def test_one_seed_is_one_training_bit_for_bit_and_another_seed_another(optimizer: str) -> None:
    first, second, other = (train(f"runs/{i}", seed=i // 2, optimizer=optimizer).folder for i in range(3))
    assert same(first, second)
    assert not same(first, other)


def test_one_seed_is_one_range_test() -> None:
    given = [{**SMALL, "iterations": 10, "run_dir": f"runs/{i}", "seed": i // 2} for i in range(3)]
    first, second, other = (measure_or_load(RangeTestParams.parse(g)).test.losses.tolist() for g in given)
    assert first == second != other


# No CIFAR-10


@pytest.mark.slow
def test_a_chapter_without_cifar10_names_the_folder_or_explains_the_readers_picture_alone(tmp_path: Path) -> None:
    Image.effect_noise((60, 40), 80).save(tmp_path / "mine.jpg")
    environment = {**os.environ, "CIFAR10_ROOT": str(tmp_path / "imagse")}
    program = [Path(sys.executable).with_name("papermill"), TOP / "book" / "gradcam.ipynb", "out.ipynb"]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*program, *more], cwd=tmp_path, env=environment, capture_output=True, text=True)

    sentence = f"CIFAR10_ROOT is '{tmp_path / 'imagse'}', but there is no such folder; correct it"
    refused = run()
    assert refused.returncode and f"{sentence} or name a run of shapes with -p run_dir." in refused.stderr
    explained = run("-p", "picture", "mine.jpg", "-p", "score_cam", "False")
    assert explained.returncode == 0, explained.stderr
    shown = str([cell.get("outputs") for cell in nbformat.read(tmp_path / "out.ipynb", 4).cells])
    assert sentence in shown.replace("\\'", "'") and 'id="your-picture"' in shown
    assert not (tmp_path / "imagse").exists()


# A loss that is not finite


def test_the_advice_after_a_divergence_works(monkeypatch: pytest.MonkeyPatch) -> None:
    set_lr = trainer.set_lr

    def burst(optimizer: torch.optim.Optimizer, lr: float) -> None:
        """Rates above 0.004 spoil a weight."""
        set_lr(optimizer, lr)
        if lr > 0.004:
            optimizer.param_groups[0]["params"][0].data.fill_(float("nan"))

    monkeypatch.setattr(trainer, "set_lr", burst)
    wild = {"max_lr": 0.05, "warmup": 0.5, "epochs": 4}
    with pytest.raises(trainer.Diverged) as caught:
        train(**wild)
    kept = checkpoint.read_checkpoint(RunFolder("runs/x"))
    assert kept.state.epoch == 1 and all(t.float().isfinite().all() for t in kept.tensors.values())
    with pytest.raises(ReportError, match=r"interrupted run of another recipe .*; choose another run_dir, or give it"):
        train(**{**wild, "max_lr": 0.005})  # so a smaller rate alone would be no advice
    advised = dict(re.findall(r"-p (\w+) ([\w.]+\w)", str(caught.value)))
    assert advised.keys() == {"max_lr", "force"}
    assert train(**{**wild, **advised}).record.parameters.max_lr == float(advised["max_lr"]) < 0.05

"""What a run folder holds after training, what is loaded instead of computed, and how an interrupted run goes on."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import accuracy_score, log_loss

from gradcam_report.analysis.predictions import softmax
from gradcam_report.config import DataConfig, ReportError, TrainingParams
from gradcam_report.data import datasets
from gradcam_report.runs.folder import RunFolder
from gradcam_report.runs.records import RunRecord
from gradcam_report.training import device, evaluation
from gradcam_report.training.checkpoint import Checkpoint, Checkpoints
from gradcam_report.training.device import Device
from gradcam_report.training.trained_run import TrainedRun, load_model, train_or_load
from gradcam_report.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("few_threads", "narrow")


def train(**more: object) -> TrainedRun:
    given = {"run_dir": "runs/try", "dataset": "shapes", "train_size": 32, "test_size": 20, "batch_size": 16}
    given |= {"epochs": 2, "max_lr": 0.05, "precision": "fp32", "device": "cpu"}
    return train_or_load(TrainingParams.parse({**given, **more}))


def never(*args: object, **kwargs: object) -> None:
    pytest.fail("trained again")


def test_a_run_stores_what_scikit_learn_computes(project: Path):
    folder = train(val_size=8).folder
    assert folder.path == project / "runs/try"
    metrics = json.loads((folder / "metrics.json").read_text())
    stored = np.load(folder / "predictions.npz")
    logits, labels = stored["logits"], stored["labels"]
    assert (logits.dtype, labels.dtype, stored["indices"].dtype) == (np.float32, np.int64, np.int64)
    expected = datasets.load(DataConfig(dataset="shapes", train_size=32, test_size=20, val_size=8)).test
    np.testing.assert_array_equal(labels, expected.labels)
    np.testing.assert_array_equal(stored["indices"], expected.indices)
    probabilities = softmax(logits.astype(np.float64))
    assert metrics["test_accuracy"] == pytest.approx(accuracy_score(labels, logits.argmax(1)))
    assert metrics["test_loss"] == pytest.approx(log_loss(labels, probabilities, labels=range(10)))
    assert metrics["errors"] == round((1 - accuracy_score(labels, logits.argmax(1))) * 20)
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [r["epoch"] for r in rows] == ["1", "2"]
    for name in ("train", "clean_train", "test", "val"):
        assert float(rows[-1][f"{name}_loss"]) == metrics[f"{name}_loss"]
    assert metrics["training_seconds"] == pytest.approx(sum(float(r["seconds"]) for r in rows))
    parameters = json.loads((folder / "run.json").read_text())["parameters"]
    assert parameters["max_lr"] == 0.05 and "data_root" not in parameters


def test_saved_weights_reproduce_the_stored_logits_exactly(project: Path):
    run = train()
    weights = load_file(run.folder / "model.safetensors")
    assert {t.dtype for n, t in weights.items() if "num_batches" not in n} == {torch.float16}
    net = run.load_model()
    assert not net.training and {p.dtype for p in net.parameters()} == {torch.float32}
    test = datasets.load(DataConfig(dataset="shapes", train_size=32, test_size=20)).test
    logits = evaluation.predict(net, test, datasets.NORMALIZERS["shapes"], Device(torch.device("cpu"), "fp32"))
    np.testing.assert_array_equal(logits, np.load(run.folder / "predictions.npz")["logits"])


def test_a_stored_run_is_loaded_and_never_overwritten_by_accident(project: Path, monkeypatch: pytest.MonkeyPatch):
    run = train()
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "fit", never)
        assert train(data_root="elsewhere").record == run.record
        with pytest.raises(ReportError, match=r"another recipe.*epochs 2 there, 3.*force True"):
            train(epochs=3)
    assert train(epochs=1, force=True).folder.path == run.folder.path
    assert json.loads((run.folder / "metrics.json").read_text())["epochs"] == 1


def killed_after(epoch: int, monkeypatch: pytest.MonkeyPatch, **more: object) -> None:
    """A training that is interrupted right after the checkpoint of `epoch`."""
    real = Checkpoints.save

    def save(self: Checkpoints, checkpoint: Checkpoint) -> None:
        real(self, checkpoint)
        if checkpoint.state.epoch == epoch:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt, match="the same command goes on"):
        patched.setattr(Checkpoints, "save", save)
        train(**more)


def epochs_at_the_start(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    began: list[int] = []
    real = Trainer.fit
    monkeypatch.setattr(Trainer, "fit", lambda self, *a: began.append(self.epoch) or real(self, *a))
    return began


@pytest.mark.parametrize("killed", [False, True])
def test_force_resumes_what_was_interrupted_and_repeats_what_was_finished(project, monkeypatch, killed: bool):
    train()
    if killed:
        killed_after(1, monkeypatch, force=True)
    began = epochs_at_the_start(monkeypatch)
    train(force=True)
    assert began == [1 if killed else 0]


def test_a_resumed_run_keeps_the_precision_that_auto_came_to(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(device, "has_fast_bf16", lambda name: True)
    killed_after(1, monkeypatch, precision="auto")
    monkeypatch.setattr(device, "has_fast_bf16", lambda name: False)
    assert train(precision="auto").record.provenance.compute.endswith("bf16")


def test_an_interrupted_run_of_another_recipe_is_not_overwritten(project: Path, monkeypatch: pytest.MonkeyPatch):
    killed_after(1, monkeypatch)
    kept = (project / "runs/try/checkpoint.safetensors").read_bytes()
    with pytest.raises(ReportError, match=r"interrupted run of another recipe.*epochs 2 there, 1.*force True"):
        train(epochs=1)
    assert (project / "runs/try/checkpoint.safetensors").read_bytes() == kept
    train(epochs=1, force=True)


def test_a_run_out_of_memory_keeps_its_checkpoint_and_gives_advice(project: Path, monkeypatch: pytest.MonkeyPatch):
    real = Trainer.train_epoch

    def starved(self: Trainer, batches: object) -> dict[str, float]:
        if self.epoch == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(self, batches)

    with monkeypatch.context() as patched, pytest.raises(ReportError, match="-p batch_size 8"):
        patched.setattr(Trainer, "train_epoch", starved)
        train()
    assert train().folder.record(RunRecord) is not None


def test_weights_of_another_network_are_refused(tmp_path: Path):
    folder, path = RunFolder(tmp_path), tmp_path / "model.safetensors"
    with pytest.raises(ReportError, match="run the chapter training"):
        load_model(folder)
    save_file({"weight": torch.zeros(2, 2)}, path)
    with pytest.raises(ReportError, match=r"weights of another network"):
        load_model(folder)
    path.write_bytes(b"not safetensors")
    with pytest.raises(ReportError, match=r"model\.safetensors cannot be read"):
        load_model(folder)

"""The schedule, the step and the score against PyTorch and scikit-learn; exact resume; what a run folder holds."""

import csv
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from sklearn.metrics import accuracy_score, log_loss
from torch import Tensor

from gradcam_report.analysis.predictions import softmax
from gradcam_report.config import AugmentConfig, DataConfig, OptimConfig, ReportError, ScheduleConfig, parse_params
from gradcam_report.data import datasets
from gradcam_report.runs import folder as run_folder
from gradcam_report.runs import io
from gradcam_report.training import evaluation, results, schedule
from gradcam_report.training import optimizer as optim
from gradcam_report.training import trainer as train
from gradcam_report.training.device import Compute

pytestmark = pytest.mark.usefixtures("few_threads", "narrow")

CPU = Compute(torch.device("cpu"), "fp32")
MEASURED = ("seconds", "images_per_second")
IDENTITY = {"seed": 0, "max_lr": 0.1}


@pytest.fixture(scope="module")
def dataset() -> datasets.Dataset:
    return datasets.load(DataConfig(dataset="shapes", train_size=40, test_size=20, val_size=8))


def trainer(
    dataset: datasets.Dataset, epochs: int = 3, max_lr: float = 0.1, compute: Compute = CPU, **optimizer: float
):
    optim_config = OptimConfig(**{"batch_size": 16, **optimizer})
    recipe = train.Recipe(AugmentConfig(), optim_config, ScheduleConfig(epochs=epochs, max_lr=max_lr), seed=0)
    return train.Trainer(dataset, recipe, compute, width=8)


def breaking_at(step: optim.Step, number: int, loss: float | None = None):
    """`step`, but its call of this number is interrupted, or spoils the weights and returns `loss`."""
    count = itertools.count(1)

    def call(images: Tensor, labels: Tensor, whole: int) -> tuple[Tensor, Tensor]:
        result = step(images, labels, whole)
        if next(count) != number:
            return result
        if loss is None:
            raise KeyboardInterrupt
        return torch.tensor(loss), result[1]

    return call


# --- schedule


def rates(total: int, max_lr: float, warmup: float) -> np.ndarray:
    return np.array([schedule.one_cycle(i, total, max_lr, warmup) for i in range(total)])


def test_one_cycle_by_hand():
    np.testing.assert_allclose(rates(10, 1.0, 0.2), [0.04, 0.52, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])
    np.testing.assert_allclose(rates(4, 0.5, 0.0), [0.5, 0.375, 0.25, 0.125])


@given(st.integers(1, 3000), st.floats(1e-6, 100), st.floats(0, 0.9))
def test_one_cycle_rises_to_its_peak_and_falls_to_almost_zero(total: int, max_lr: float, warmup: float):
    lrs, rising = rates(total, max_lr, warmup), round(warmup * total)
    assert (lrs > 0).all()
    assert lrs.max() <= max_lr * (1 + 1e-12)
    assert (np.diff(lrs[: rising + 1]) > 0).all()
    assert (np.diff(lrs[rising:]) < 0).all()
    if rising:
        assert lrs[0] == pytest.approx(max_lr / 25)
    if rising < total:
        assert lrs[rising] == pytest.approx(max_lr, rel=1e-12)
        assert lrs[-1] == pytest.approx(max_lr / (total - rising))


def test_one_cycle_is_stepped_every_iteration(dataset: datasets.Dataset, tmp_path: Path):
    subject, seen = trainer(dataset, epochs=2), []
    real = subject.step
    subject.step = lambda *batch: seen.append([g["lr"] for g in subject.optimizer.param_groups]) or real(*batch)
    subject.fit(run_folder.RunFolder(tmp_path), IDENTITY, progress=False)
    wanted = rates(2 * 3, 0.1, 0.2)  # 40 images in batches of 16 are 3 steps
    assert seen == [[rate, 2 * rate, 2 * rate] for rate in wanted]  # SGD's rates are sgd_lr_factor times Muon's
    assert subject.history["lr"] == [wanted[2], wanted[5]]


# --- one step


def plain_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> float:
    """Szegedy et al. 2016: the target is the true class with 1 - s, and s spread evenly over all classes."""
    target = np.full(logits.shape, smoothing / logits.shape[1]) + (1 - smoothing) * np.eye(logits.shape[1])[labels]
    return float(-(target * np.log(softmax(logits.numpy()))).sum(1).mean())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_step_returns_the_loss_and_the_hits_before_it(dataset: datasets.Dataset, smoothing: float):
    subject = trainer(dataset, label_smoothing=smoothing)
    images, labels = dataset.normalizer(dataset.train.images[:32]), dataset.train.labels[:32]
    with torch.no_grad():
        logits = subject.net.train()(images)
    loss, hits = subject.step(images, labels)
    assert loss.item() == pytest.approx(plain_cross_entropy(logits, labels, smoothing), rel=1e-5)
    assert loss.item() == pytest.approx(F.cross_entropy(logits, labels, label_smoothing=smoothing).item(), rel=1e-6)
    assert hits.item() == round(accuracy_score(labels, logits.argmax(1)) * 32)


# --- evaluation


def test_each_epoch_is_judged_on_clean_images(dataset: datasets.Dataset, tmp_path: Path):
    subject = trainer(dataset, epochs=1)
    subject.fit(run_folder.RunFolder(tmp_path), IDENTITY, progress=False)
    splits = {"clean_train": dataset.train.select(torch.arange(20)), "test": dataset.test, "val": dataset.val}
    for name, part in splits.items():
        with torch.no_grad():
            logits = subject.net.eval()(dataset.normalizer(part.images)).double()
        chances, found = softmax(logits.numpy()), subject.history
        assert found[f"{name}_loss"] == [pytest.approx(log_loss(part.labels, chances, labels=range(10)), rel=1e-5)]
        assert found[f"{name}_accuracy"] == [pytest.approx(accuracy_score(part.labels, chances.argmax(1)))]


def test_the_last_epoch_is_judged_in_fp32_on_the_published_weights(
    dataset: datasets.Dataset, tmp_path: Path, monkeypatch
):
    subject, used = trainer(dataset, epochs=2, compute=Compute(torch.device("cpu"), "bf16")), []
    real = evaluation.predict
    monkeypatch.setattr(
        train, "predict", lambda n, s, z, c: used.append((subject.epoch, c.precision)) or real(n, s, z, c)
    )
    subject.fit(run_folder.RunFolder(tmp_path), IDENTITY, progress=False)
    assert set(used) == {(0, "bf16"), (1, "fp32")}
    halves = [t.half().float() for t in subject.net.state_dict().values() if t.is_floating_point()]
    torch.testing.assert_close(
        halves, [t for t in subject.net.state_dict().values() if t.is_floating_point()], rtol=0, atol=0
    )
    exact, _ = evaluation.score(real(subject.net, dataset.test, dataset.normalizer, CPU), dataset.test.labels)
    rough, _ = evaluation.score(
        real(subject.net, dataset.test, dataset.normalizer, subject.compute), dataset.test.labels
    )
    assert subject.history["test_loss"][-1] == exact != rough


def test_training_learns(tmp_path: Path):
    """A narrow network learns a few dozen images by heart."""
    shapes = datasets.load(DataConfig(dataset="shapes", train_size=32, test_size=32))
    as_they_are = AugmentConfig(crop_padding=0, flip="none")
    optimizer = OptimConfig(batch_size=8, label_smoothing=0.0)
    recipe = train.Recipe(as_they_are, optimizer, ScheduleConfig(epochs=10, max_lr=0.05), seed=0)
    subject = train.Trainer(shapes, recipe, CPU, width=8)
    subject.fit(run_folder.RunFolder(tmp_path), IDENTITY, progress=False)
    history = subject.history
    assert history["train_loss"][0] > 2.0
    assert history["train_loss"][-1] < 0.5 * history["train_loss"][0]
    assert history["clean_train_loss"][-1] < 1.0
    assert history["clean_train_accuracy"][-1] > 0.8


# --- checkpoints


def same(one: train.Trainer, other: train.Trainer) -> None:
    """Weights, statistics and momentum bit for bit; history but for the clock."""
    torch.testing.assert_close(one.net.state_dict(), other.net.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(one._momentum(), other._momentum(), rtol=0, atol=0)
    assert one.epoch == other.epoch
    assert one.history.keys() == other.history.keys()
    for column in one.history.keys() - set(MEASURED):
        assert one.history[column] == other.history[column], column


@pytest.mark.parametrize(("killed_in", "momentum"), [(2, 0.9), (3, 0.9), (2, 0.0)])
def test_a_killed_run_resumes_exactly(dataset: datasets.Dataset, tmp_path: Path, killed_in: int, momentum: float):
    folder = run_folder.RunFolder(tmp_path)
    straight = trainer(dataset, momentum=momentum)
    straight.fit(run_folder.RunFolder(tmp_path / "straight"), IDENTITY, progress=False)

    killed = trainer(dataset, momentum=momentum)
    killed.step = breaking_at(killed.step, number=3 * (killed_in - 1) + 2)
    with pytest.raises(KeyboardInterrupt):
        killed.fit(folder, IDENTITY, progress=False)

    resumed = trainer(dataset, momentum=momentum)
    assert resumed.resume(folder, IDENTITY)
    assert resumed.epoch == killed_in - 1
    resumed.fit(folder, IDENTITY, progress=False)
    same(resumed, straight)


def test_a_checkpoint_of_another_recipe_is_left_alone(dataset: datasets.Dataset, tmp_path: Path):
    folder, first = run_folder.RunFolder(tmp_path), trainer(dataset, epochs=1)
    first.fit(folder, IDENTITY, progress=False)
    fresh = trainer(dataset, epochs=1)
    before = {k: v.clone() for k, v in fresh.net.state_dict().items()}
    assert not fresh.resume(folder, {**IDENTITY, "seed": 1}, finished=False)
    with pytest.raises(ReportError, match="seed 0 there, 1 requested"):
        fresh.resume(folder, {**IDENTITY, "seed": 1})
    assert fresh.epoch == 0 and fresh.history == {}
    torch.testing.assert_close(dict(fresh.net.state_dict()), before, rtol=0, atol=0)
    assert not fresh.resume(run_folder.RunFolder(tmp_path / "empty"), IDENTITY)
    assert fresh.resume(folder, IDENTITY)
    same(fresh, first)


def test_what_went_on_elsewhere_names_both_and_adds_up_the_time(
    dataset: datasets.Dataset, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_folder.RunFolder("runs/moved")
    folder.prepare()
    monkeypatch.setattr(train.Compute, "describe", lambda self: f"machine A, {self.precision}")
    one = trainer(dataset, epochs=2)
    one.save(folder, IDENTITY)  # nothing is computed yet
    real = one.save

    def killed(*args: object) -> None:
        real(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(one, "save", killed)
    monkeypatch.setattr(one, "began", one.began - 1000)
    with pytest.raises(KeyboardInterrupt):
        one.fit(folder, IDENTITY, progress=False)
    monkeypatch.setattr(train.Compute, "describe", lambda self: f"machine B, {self.precision}")
    for _ in range(2):  # a machine is named once, however often it goes on
        other = trainer(dataset, epochs=2)
        assert other.resume(folder, IDENTITY)
    assert other.machines == ["machine A, fp32", "machine B, fp32"]
    other.fit(folder, IDENTITY, progress=False)
    made = results.write(other, folder, IDENTITY, "a test", None)["provenance"]
    assert made["compute"] == "machine A, fp32 and machine B, fp32"
    assert 1000 < made["wall_seconds"] < 1600 and made["seconds"] < 600


def test_a_training_that_never_ran_on_a_machine_does_not_name_it(
    dataset: datasets.Dataset, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_folder.RunFolder("runs/moved")
    folder.prepare()
    monkeypatch.setattr(train.Compute, "describe", lambda self: "machine A")
    trainer(dataset).save(folder, IDENTITY)
    monkeypatch.setattr(train.Compute, "describe", lambda self: "machine B")
    other = trainer(dataset)
    assert other.resume(folder, IDENTITY) and other.machines == ["machine B"]


def test_a_damaged_checkpoint_is_named(dataset: datasets.Dataset, tmp_path: Path):
    (tmp_path / train.CHECKPOINT).write_bytes(b"truncated")
    with pytest.raises(ReportError, match=r"checkpoint\.safetensors cannot be read"):
        trainer(dataset).resume(run_folder.RunFolder(tmp_path), IDENTITY)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_divergence_stops_with_advice_and_keeps_the_checkpoint(dataset: datasets.Dataset, tmp_path: Path, loss: float):
    folder, subject = run_folder.RunFolder(tmp_path), trainer(dataset)
    subject.step = breaking_at(subject.step, number=5, loss=loss)
    with pytest.raises(train.Diverged, match=r"of epoch 2 at a rate of .*smaller max_lr than 0\.1,"):
        subject.fit(folder, IDENTITY, progress=False)
    fresh = trainer(dataset)
    assert fresh.resume(folder, IDENTITY) and fresh.epoch == 1
    assert all(t.isfinite().all() for t in fresh.net.state_dict().values())


@pytest.mark.parametrize("epochs", [1, 2])
def test_weights_spoiled_by_the_last_step_are_not_kept(dataset: datasets.Dataset, tmp_path: Path, epochs: int):
    """Its loss was still finite, so only the evaluation can tell."""
    folder, subject = run_folder.RunFolder(tmp_path), trainer(dataset, epochs=epochs)
    subject.save(folder, IDENTITY)
    real, count = subject.step, itertools.count(1)

    def step(images: Tensor, labels: Tensor, whole: int) -> tuple[Tensor, Tensor]:
        result = real(images, labels, whole)
        if next(count) == 3 * epochs:
            subject.net.linear.weight.data.fill_(1e30 if epochs == 1 else math.nan)  # fp16 has no 1e30
        return result

    subject.step = step
    with pytest.raises(train.Diverged, match=f"of epoch {epochs} "):
        subject.fit(folder, IDENTITY, progress=False)
    fresh = trainer(dataset, epochs=epochs)
    assert fresh.resume(folder, IDENTITY) and fresh.epoch == epochs - 1


def test_a_rate_far_too_high_diverges(dataset: datasets.Dataset, tmp_path: Path):
    subject = trainer(dataset)
    object.__setattr__(subject.recipe.schedule, "max_lr", 1e30)
    with pytest.raises(train.Diverged, match="use a smaller max_lr than 1e"):
        subject.fit(run_folder.RunFolder(tmp_path), IDENTITY, progress=False)


# --- published files


def asked(**more: object) -> dict:
    given = {"run_dir": "runs/try", "dataset": "shapes", "train_size": 32, "test_size": 20, "batch_size": 16}
    given |= {"epochs": 2, "max_lr": 0.05, "precision": "fp32", "device": "cpu"}
    return parse_params("training", {**given, **more})


def never(*args: object, **kwargs: object) -> None:
    pytest.fail("trained again")


def test_in_run_stores_what_scikit_learn_computes(project: Path):
    folder, record = train.in_run(asked(val_size=8))
    assert folder.path == project / "runs/try"
    metrics = json.loads((folder / "metrics.json").read_text())
    stored = np.load(folder / "predictions.npz")
    logits, labels = stored["logits"], stored["labels"]
    assert (logits.dtype, labels.dtype, stored["indices"].dtype) == (np.float32, np.int64, np.int64)
    expected = datasets.load(DataConfig(dataset="shapes", train_size=32, test_size=20, val_size=8)).test
    np.testing.assert_array_equal(labels, expected.labels)
    np.testing.assert_array_equal(stored["indices"], expected.indices)
    chances = softmax(logits.astype(np.float64))
    assert metrics["test_accuracy"] == pytest.approx(accuracy_score(labels, logits.argmax(1)))
    assert metrics["test_loss"] == pytest.approx(log_loss(labels, chances, labels=range(10)))
    assert metrics["errors"] == round((1 - accuracy_score(labels, logits.argmax(1))) * 20)
    assert (metrics["test_images"], metrics["train_images"], metrics["epochs"]) == (20, 32, 2)

    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [r["epoch"] for r in rows] == ["1", "2"]
    for name in ("train", "clean_train", "test", "val"):
        assert float(rows[-1][f"{name}_loss"]) == metrics[f"{name}_loss"]
        assert float(rows[-1][f"{name}_accuracy"]) == metrics[f"{name}_accuracy"]
    assert metrics["training_seconds"] == pytest.approx(sum(float(r["seconds"]) for r in rows))
    assert record == json.loads((folder / "run.json").read_text())
    assert record["parameters"]["max_lr"] == 0.05 and "data_root" not in record["parameters"]


def test_saved_weights_reproduce_the_stored_logits_exactly(project: Path):
    folder, _ = train.in_run(asked())
    weights = load_file(folder / "model.safetensors")
    assert {t.dtype for n, t in weights.items() if "num_batches" not in n} == {torch.float16}
    net = train.load_model(folder)
    assert not net.training and {p.dtype for p in net.parameters()} == {torch.float32}
    test = datasets.load(DataConfig(dataset="shapes", train_size=32, test_size=20)).test
    logits = evaluation.predict(net, test, datasets.NORMALIZERS["shapes"], CPU)
    np.testing.assert_array_equal(logits, np.load(folder / "predictions.npz")["logits"])


def test_in_run_shows_what_is_stored(project: Path, monkeypatch: pytest.MonkeyPatch):
    folder, record = train.in_run(asked())
    with monkeypatch.context() as patched:
        patched.setattr(train.Trainer, "fit", never)
        assert train.in_run(asked(data_root="elsewhere"))[1] == record
        with pytest.raises(ReportError, match=r"another recipe.*epochs 2 there, 3 requested.*force True"):
            train.in_run(asked(epochs=3))
    replaced, other = train.in_run(asked(epochs=1, force=True))
    assert replaced.path == folder.path and other["parameters"]["epochs"] == 1
    assert json.loads((folder / "metrics.json").read_text())["epochs"] == 1


def killed_after(epoch: int, monkeypatch: pytest.MonkeyPatch, **more: object) -> None:
    """A training that is interrupted right after the checkpoint of `epoch`."""
    real = train.Trainer.save

    def save(self: train.Trainer, *args: object) -> None:
        real(self, *args)
        if self.epoch == epoch:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(train.Trainer, "save", save)
        train.in_run(asked(**more))


def test_in_run_resumes_after_a_kill(project: Path, monkeypatch: pytest.MonkeyPatch):
    straight, _ = train.in_run(asked(run_dir="runs/straight"))
    for epoch in (1, 2):  # after the second all is trained, nothing is published
        killed_after(epoch, monkeypatch)
        assert not (project / "runs/try/run.json").exists()
    monkeypatch.setattr(train.Trainer, "train_epoch", never)
    folder, _ = train.in_run(asked())
    weights, expected = (load_file(f / "model.safetensors") for f in (folder, straight))
    torch.testing.assert_close(weights, expected, rtol=0, atol=0)
    one, other = (np.load(f / "predictions.npz") for f in (folder, straight))
    np.testing.assert_array_equal(one["logits"], other["logits"])


def test_in_run_with_force_resumes_what_was_interrupted(project: Path, monkeypatch: pytest.MonkeyPatch):
    train.in_run(asked())
    killed_after(1, monkeypatch, force=True)
    began: list[int] = []
    real = train.Trainer.fit
    monkeypatch.setattr(train.Trainer, "fit", lambda self, *a: began.append(self.epoch) or real(self, *a))
    train.in_run(asked(force=True))
    assert began == [1]


def test_an_interrupted_run_of_another_recipe_is_not_overwritten(project: Path, monkeypatch: pytest.MonkeyPatch):
    killed_after(1, monkeypatch)
    kept = (project / "runs/try/checkpoint.safetensors").read_bytes()
    with pytest.raises(
        ReportError, match=r"interrupted run of another recipe.*epochs 2 there, 1 requested.*force True"
    ):
        train.in_run(asked(epochs=1))
    assert (project / "runs/try/checkpoint.safetensors").read_bytes() == kept
    train.in_run(asked(epochs=1, force=True))


def test_in_run_with_force_starts_over(project: Path, monkeypatch: pytest.MonkeyPatch):
    train.in_run(asked())
    began = []
    real = train.Trainer.fit
    monkeypatch.setattr(train.Trainer, "fit", lambda self, *a: began.append(self.epoch) or real(self, *a))
    train.in_run(asked(force=True))
    assert began == [0]


def test_the_published_run_is_never_written(project: Path):
    folder, _ = train.in_run(asked(run_dir="artifacts/reference"))
    assert folder.path.parent == project / "runs"
    assert not (project / "artifacts").exists()


def test_load_model_refuses_the_weights_of_another_network(tmp_path: Path):
    folder = run_folder.RunFolder(tmp_path)
    with pytest.raises(ReportError, match="run the chapter training"):
        train.load_model(folder)
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.zeros(2, 2)}, path)
    with pytest.raises(ReportError, match=r"weights of another network \(.*\); choose another run_dir"):
        train.load_model(folder)
    save_file({"weight": torch.zeros(2, 2)}, path, metadata={"classes": "cat and dog", "width": "?"})
    with pytest.raises(ReportError, match="weights of another network"):
        train.load_model(folder)
    path.write_bytes(b"not safetensors")
    with pytest.raises(ReportError, match=r"model\.safetensors cannot be read"):
        train.load_model(folder)


# --- the peak rate


def range_test_in(folder: Path, onset: float | None, batch_size: int = 128, optimizer: str = "muon") -> None:
    folder.mkdir(parents=True)
    record = {
        "parameters": AugmentConfig().model_dump()
        | OptimConfig(batch_size=batch_size, optimizer=optimizer).model_dump()
        | {"dataset": "shapes"},
        "result": {"suggestions": {"divergence onset": onset, "steepest": 7.0}},
        "provenance": {},
    }
    (folder / "lr_find.json").write_text(json.dumps(record))


def test_peak_rate_is_the_parameter_first(project: Path):
    range_test_in(project / "runs/try", 0.03)
    rate, source = schedule.peak_lr(asked(max_lr=0.7))
    assert (rate, source) == (0.7, "the parameter max_lr")


def test_peak_rate_of_the_run_folder_goes_before_the_published_one(project: Path):
    range_test_in(project / "artifacts/reference", 0.04)
    rate, source = schedule.peak_lr(asked(max_lr=0.0, batch_size=128))
    assert rate == 0.04 and "the published range test" in source and "scaled" not in source
    range_test_in(project / "runs/try", 0.03)
    rate, source = schedule.peak_lr(asked(max_lr=0.0, batch_size=128))
    assert rate == 0.03 and "this run's range test" in source


def test_peak_rate_is_the_published_one_where_the_run_found_none_and_says_so(project: Path):
    range_test_in(project / "artifacts/reference", 0.04)
    range_test_in(project / "runs/try", None)
    rate, source = schedule.peak_lr(asked(max_lr=0.0, batch_size=128))
    assert rate == 0.04 and source == "the divergence onset of the published range test"


def test_peak_rate_of_a_range_test_with_other_settings_says_so(project: Path):
    range_test_in(project / "runs/try", 0.03)
    assert "another" not in schedule.peak_lr(asked(max_lr=0.0, batch_size=128))[1]
    source = schedule.peak_lr(asked(max_lr=0.0, batch_size=128, momentum=0.5, cutout=4))[1]
    assert source.endswith("which was made with another cutout and momentum")


def test_peak_rate_is_scaled_with_the_batch_size(project: Path):
    range_test_in(project / "runs/try", 0.03, batch_size=64, optimizer="sgd")
    rate, source = schedule.peak_lr(asked(max_lr=0.0, batch_size=512, optimizer="sgd"))
    assert rate == pytest.approx(0.24) and "scaled from batch size 64 to 512" in source
    assert schedule.peak_lr(asked(max_lr=0.0, batch_size=32, optimizer="sgd"))[0] == pytest.approx(0.015)
    with pytest.raises(ReportError, match="run the chapter lr_finder"):  # an onset of SGD says nothing about Muon
        schedule.peak_lr(asked(max_lr=0.0, batch_size=512))
    range_test_in(project / "runs/muon", 0.03, batch_size=64)
    rate, source = schedule.peak_lr(asked(max_lr=0.0, batch_size=512, run_dir="runs/muon"))
    assert rate == 0.03 and source.endswith("which was made with another batch_size")  # Muon's rate is relative


@pytest.mark.parametrize("tested", [False, True])
def test_without_a_peak_rate_the_chapter_is_named(project: Path, tested: bool):
    if tested:
        range_test_in(project / "runs/try", None)
    with pytest.raises(ReportError, match="run the chapter lr_finder"):
        schedule.peak_lr(asked(max_lr=0.0))


def test_in_run_trains_with_the_peak_rate_found(project: Path):
    range_test_in(project / "runs/try", 0.03, batch_size=64, optimizer="sgd")
    folder, record = train.in_run(asked(max_lr=0.0, epochs=1, optimizer="sgd"))
    assert record["parameters"]["max_lr"] == pytest.approx(0.0075)
    assert "scaled from batch size 64 to 16" in record["result"]["lr_source"]
    assert json.loads((folder / "metrics.json").read_text())["max_lr"] == pytest.approx(0.0075)


def test_where_the_step_is_compiled_it_is_warmed_up_before_the_first_epoch(
    dataset: datasets.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Compute, "compiles", property(lambda self: True))
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(
        optim.Step, "warm_up", lambda self, images, labels, rest: seen.append((len(images), rest)) or 12.5
    )
    subject, folder = trainer(dataset, epochs=1), run_folder.RunFolder(tmp_path)
    subject.fit(folder, IDENTITY, progress=False)
    again = trainer(dataset, epochs=1)
    again.resume(folder, IDENTITY)
    again.fit(folder, IDENTITY, progress=False)  # nothing is left to train
    assert seen == [(16, 8)] and (subject.warm_up_seconds, again.warm_up_seconds) == (12.5, 0.0)


def test_a_training_out_of_memory_keeps_its_checkpoint_and_gives_advice(
    project: Path, narrow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"dataset": "shapes", "train_size": 32, "test_size": 16, "batch_size": 16, "epochs": 3, "run_dir": "runs/x"}
    real = train.Trainer.train_epoch

    def starved(self: train.Trainer, bar: object) -> dict[str, float]:
        if self.epoch == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(self, bar)

    with monkeypatch.context() as patch:
        patch.setattr(train.Trainer, "train_epoch", starved)
        with pytest.raises(ReportError, match="as in -p batch_size 8"):
            train.in_run(parse_params("training", given))
    folder, _ = train.in_run(parse_params("training", given))
    assert io.read_table(folder / "history.csv")["epoch"].tolist() == [1, 2, 3]

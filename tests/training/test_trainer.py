"""The loop against plain PyTorch, evaluation against scikit-learn, exact resume, divergence."""

import itertools
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, log_loss
from torch import Tensor

from gradcam_report import model
from gradcam_report.analysis.predictions import softmax
from gradcam_report.config import AugmentConfig, DataConfig, OptimConfig, ScheduleConfig
from gradcam_report.data import datasets
from gradcam_report.runs.folder import RunFolder
from gradcam_report.runs.records import TrainingRecipe
from gradcam_report.training import checkpoint, evaluation, trainer
from gradcam_report.training.checkpoint import Checkpoints
from gradcam_report.training.device import Device
from gradcam_report.training.optimizer import build_optimizer
from gradcam_report.training.schedule import OneCycle
from gradcam_report.training.trainer import Diverged, Trainer, TrainingSettings, train_epoch

pytestmark = pytest.mark.usefixtures("few_threads", "narrow")

CPU = Device(torch.device("cpu"), "fp32")
MEASURED = ("seconds", "images_per_second")
RECIPE = TrainingRecipe(dataset="shapes", epochs=3)


@pytest.fixture(scope="module")
def dataset() -> datasets.Dataset:
    return datasets.load(DataConfig(dataset="shapes", train_size=40, test_size=20, val_size=8))


def make(dataset: datasets.Dataset, epochs: int = 3, max_lr: float = 0.1, device: Device = CPU, **optim: float):
    recipe = TrainingSettings(
        AugmentConfig(), OptimConfig(**{"batch_size": 16, **optim}), ScheduleConfig(epochs=epochs, max_lr=max_lr), 0
    )
    return Trainer(dataset, recipe, device, width=8)


def kept_in(folder: Path, epochs: int = 3) -> Checkpoints:
    return Checkpoints(RunFolder(folder), RECIPE.model_copy(update={"epochs": epochs}))


def interrupt(subject: Trainer, step: int) -> None:
    """Interrupt `subject` after its step of this number, counted from 1."""
    count = itertools.count(1)

    def stop(*_: object) -> None:
        if next(count) == step:
            raise KeyboardInterrupt

    subject.optimizer.register_step_post_hook(stop)


# --- the loop


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_an_epoch_is_the_plain_loop_of_pytorch(dataset: datasets.Dataset, smoothing: float):
    ours, plain = (model.build(seed=0, width=8) for _ in range(2))
    config = OptimConfig(optimizer="sgd")
    optimizer = build_optimizer(ours, config, CPU, lr=0.1)
    decayed = [p for p in plain.parameters() if p.ndim > 1]
    others = [p for p in plain.parameters() if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": 5e-4}, {"params": others}]
    sgd = torch.optim.SGD(groups, lr=0.1, momentum=0.9, nesterov=True)
    schedule = OneCycle(0.05, total_steps=6, warmup=0.5)
    images, labels = dataset.normalizer(dataset.train.images), dataset.train.labels
    batches = list(zip(images.split(16), labels.split(16), strict=True))

    result = train_epoch(ours, optimizer, batches, schedule, CPU, smoothing, first_step=3)

    plain.train()
    losses, correct = [], 0
    for step, (x, y) in enumerate(batches, 3):
        for group in sgd.param_groups:
            group["lr"] = schedule(step)
        logits = plain(x)
        loss = F.cross_entropy(logits, y, label_smoothing=smoothing)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item() * len(y))
        correct += int((logits.argmax(1) == y).sum())
    torch.testing.assert_close(ours.state_dict(), plain.state_dict(), rtol=1e-4, atol=1e-5)
    assert result["train_loss"] == pytest.approx(sum(losses) / 40, rel=1e-5)
    assert result["train_accuracy"] == correct / 40 and result["lr"] == schedule(5)


def test_the_schedule_is_stepped_at_every_step(dataset: datasets.Dataset, tmp_path: Path, monkeypatch):
    rates, real = [], trainer.set_lr
    monkeypatch.setattr(trainer, "set_lr", lambda optimizer, lr: rates.append(lr) or real(optimizer, lr))
    subject = make(dataset, epochs=2)
    subject.fit(kept_in(tmp_path, 2))
    wanted = [OneCycle(0.1, 6, 0.2)(step) for step in range(6)]  # 40 images in batches of 16 are 3 steps
    assert rates == wanted and subject.history["lr"] == [wanted[2], wanted[5]]


def test_training_learns(tmp_path: Path):
    """A narrow network learns a few dozen images by heart."""
    shapes = datasets.load(DataConfig(dataset="shapes", train_size=32, test_size=32))
    recipe = TrainingSettings(
        AugmentConfig(crop_padding=0, flip="none"), OptimConfig(batch_size=8, label_smoothing=0.0),
        ScheduleConfig(epochs=10, max_lr=0.075), 0,
    )  # fmt: skip
    subject = Trainer(shapes, recipe, CPU, width=8)
    subject.fit(kept_in(tmp_path, 10))
    history = subject.history
    assert history["train_loss"][0] > 2.0 and history["train_loss"][-1] < 0.5 * history["train_loss"][0]
    assert history["clean_train_loss"][-1] < 1.0 and history["clean_train_accuracy"][-1] > 0.8


@pytest.mark.realdata
@pytest.mark.slow
def test_a_small_try_is_clearly_above_chance(cifar10_folder: str, tmp_path: Path):
    """Eight steps on 512 images of CIFAR-10: guessing gives 10 % and a loss of 2.3."""
    small = DataConfig(data_root=cifar10_folder, train_size=512, test_size=500)
    settings = TrainingSettings(AugmentConfig(), OptimConfig(batch_size=64), ScheduleConfig(epochs=1), 0)
    subject = Trainer(datasets.load(small), settings, CPU, width=32)
    subject.fit(kept_in(tmp_path, 1))
    assert subject.history["test_accuracy"][-1] > 0.15 and subject.history["test_loss"][-1] < 3


# --- evaluation


def test_each_epoch_is_evaluated_on_clean_images(dataset: datasets.Dataset, tmp_path: Path):
    subject = make(dataset, epochs=1)
    subject.fit(kept_in(tmp_path, 1))
    splits = {"clean_train": dataset.train.select(torch.arange(20)), "test": dataset.test, "val": dataset.val}
    for name, part in splits.items():
        with torch.no_grad():
            logits = subject.net.eval()(dataset.normalizer(part.images)).double()
        probabilities, history = softmax(logits.numpy()), subject.history
        loss = log_loss(part.labels, probabilities, labels=range(10))
        assert history[f"{name}_loss"] == [pytest.approx(loss, rel=1e-5)]
        assert history[f"{name}_accuracy"] == [pytest.approx(accuracy_score(part.labels, probabilities.argmax(1)))]


def test_the_last_epoch_is_evaluated_in_fp32_on_the_published_weights(dataset, tmp_path: Path, monkeypatch):
    subject, precisions = make(dataset, epochs=2, device=Device(torch.device("cpu"), "bf16")), []
    real = evaluation.predict
    monkeypatch.setattr(
        trainer, "predict", lambda n, s, z, d: precisions.append((subject.epoch, d.precision)) or real(n, s, z, d)
    )
    subject.fit(kept_in(tmp_path, 2))
    assert set(precisions) == {(0, "bf16"), (1, "fp32")}
    weights = [t for t in subject.net.state_dict().values() if t.is_floating_point()]
    torch.testing.assert_close([t.half().float() for t in weights], weights, rtol=0, atol=0)
    exact, _ = evaluation.score(real(subject.net, dataset.test, dataset.normalizer, CPU), dataset.test.labels)
    assert subject.history["test_loss"][-1] == exact


def test_batchnorm_statistics_of_a_short_training_are_those_of_its_weights(dataset: datasets.Dataset, tmp_path: Path):
    """Running averages lag a few large steps; with them a try of one epoch would be evaluated at chance."""
    subject = make(dataset, epochs=1, max_lr=0.3)
    subject.fit(kept_in(tmp_path, 1))
    seen: list[Tensor] = []
    hook = subject.net.bn1.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    subject.epoch = 0
    with torch.no_grad():
        for images, _ in subject.batches():
            subject.net(images)
    hook.remove()
    means = torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0)
    torch.testing.assert_close(subject.net.bn1.running_mean, means, atol=1e-2, rtol=1e-2)


# --- checkpoints


def same(one: Trainer, other: Trainer) -> None:
    """Weights, statistics and momentum bit for bit; history but for the clock."""
    tensors = (checkpoint.tensors_of(t.net, t.optimizer) for t in (one, other))
    torch.testing.assert_close(*tensors, rtol=0, atol=0)
    assert one.epoch == other.epoch and one.history.keys() == other.history.keys()
    for column in one.history.keys() - set(MEASURED):
        assert one.history[column] == other.history[column], column


@pytest.mark.parametrize(("killed_in", "momentum"), [(2, 0.9), (3, 0.9), (2, 0.0)])
def test_a_killed_training_resumes_exactly(dataset, tmp_path: Path, killed_in: int, momentum: float):
    straight = make(dataset, momentum=momentum)
    straight.fit(kept_in(tmp_path / "straight"))
    killed, kept = make(dataset, momentum=momentum), kept_in(tmp_path)
    interrupt(killed, 3 * (killed_in - 1) + 2)
    with pytest.raises(KeyboardInterrupt):
        killed.fit(kept)
    resumed = make(dataset, momentum=momentum)
    resumed.restore(kept.load())
    assert resumed.epoch == killed_in - 1
    resumed.fit(kept)
    same(resumed, straight)


def test_a_training_resumed_elsewhere_names_both_machines_and_adds_up_the_time(dataset, tmp_path: Path, monkeypatch):
    kept = kept_in(tmp_path, 2)
    monkeypatch.setattr(Device, "describe", lambda self: "machine A")
    one = make(dataset, epochs=2)
    one.started -= 1000
    interrupt(one, 4)
    with pytest.raises(KeyboardInterrupt):
        one.fit(kept)
    monkeypatch.setattr(Device, "describe", lambda self: "machine B")
    other = make(dataset, epochs=2)
    other.restore(kept.load())
    assert other.machines == ["machine A", "machine B"] and 1000 < other.wall_seconds < 1600
    idle = make(dataset)
    kept.save(idle.state(kept.recipe))  # no epoch was computed there
    assert kept.load().state.machines == []


# --- divergence


@pytest.mark.parametrize(
    ("name", "value", "step"),
    [
        ("linear.weight", math.nan, 4),
        ("linear.weight", math.inf, 4),
        ("linear.weight", 1e30, 9),  # only the last evaluation can tell: fp16 has no 1e30
        ("layer1.0.bn1.running_var", math.inf, 6),  # with which every loss is finite
    ],
)
def test_divergence_stops_with_advice_and_keeps_the_checkpoint(
    dataset, tmp_path: Path, monkeypatch, name: str, value: float, step: int
):
    monkeypatch.setattr(trainer, "FEW_STEPS", 0)
    subject, kept, count = make(dataset), kept_in(tmp_path), itertools.count(1)

    def spoil(*_: object) -> None:
        if next(count) == step:
            subject.net.state_dict()[name].fill_(value)

    subject.optimizer.register_step_post_hook(spoil)
    with pytest.raises(Diverged, match=r"smaller max_lr than 0\.1, as in -p max_lr 0\.01"):
        subject.fit(kept)
    saved = kept.load()
    assert saved.state.epoch == (step - 1) // 3
    assert all(t.isfinite().all() for t in saved.tensors.values())


def test_compiling_is_part_of_no_epoch(dataset: datasets.Dataset, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(Device, "compiles", property(lambda self: True))
    sizes: list[list[int]] = []

    def compiled(net, optimizer, batches, device):
        sizes.append([len(labels) for _, labels in batches])
        return net, 12.5

    monkeypatch.setattr(trainer, "compiled", compiled)
    subject, kept = make(dataset, epochs=1), kept_in(tmp_path, 1)
    subject.fit(kept)
    again = make(dataset, epochs=1)
    again.restore(kept.load())
    again.fit(kept)  # nothing is left to train
    assert sizes == [[16, 16, 8]] and (subject.compile_seconds, again.compile_seconds) == (12.5, 0.0)

"""The range test: its rates, its end, what it puts back, its curve against torch-lr-finder and plain PyTorch."""

import copy
import csv
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torch_lr_finder import LRFinder

from gradcam_report import model
from gradcam_report.config import AugmentConfig, DataConfig, RangeTestConfig, RangeTestParams, ReportError
from gradcam_report.data import augmentation, datasets
from gradcam_report.training import lr_range_test, lr_rules
from gradcam_report.training.device import Device
from gradcam_report.training.lr_range_test import RangeTest, measure_or_load, range_test

pytestmark = pytest.mark.usefixtures("few_threads", "narrow")

CPU = Device(torch.device("cpu"), "fp32")


def scripted(monkeypatch: pytest.MonkeyPatch, losses: list[float], **config: float) -> tuple[RangeTest, list[float]]:
    """A range test whose losses are given, and the rates that its optimizer had."""
    net = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    rates: list[float] = []

    def loss(*args: object, **kwargs: object) -> Tensor:
        rates.append(optimizer.param_groups[0]["lr"])
        return torch.tensor(losses[len(rates) - 1], requires_grad=True)

    monkeypatch.setattr(lr_range_test.F, "cross_entropy", loss)
    batches = itertools.repeat((torch.zeros(2, 1), torch.zeros(2)))
    return range_test(net, optimizer, batches, RangeTestConfig(**config), CPU), rates


def test_rates_grow_geometrically_from_start_to_end(monkeypatch):
    test, rates = scripted(monkeypatch, [1.0] * 37, start_lr=1e-3, end_lr=2.0, iterations=37)
    np.testing.assert_allclose(test.lrs, np.geomspace(1e-3, 2.0, 37))
    assert test.lrs.tolist() == rates and test.losses.tolist() == [1.0] * 37 and test.ended == "reached end_lr"


def test_ends_when_the_smoothed_loss_exceeds_its_minimum(monkeypatch):
    losses = [2.0] * 30 + [1.0] * 10 + [9.0] * 60
    test, _ = scripted(monkeypatch, losses, iterations=100, smoothing=0.5, stop_factor=1.5)
    smoothed = lr_rules.smooth(np.array(losses), 0.5)
    first = int(np.argmax(smoothed > 1.5 * np.minimum.accumulate(smoothed)))
    assert len(test.lrs) == len(test.losses) == first + 1 and "1.5 times" in test.ended


def test_does_not_end_in_the_first_tenth_except_for_nan(monkeypatch):
    early = [1.0] + [9.0] * 9 + [1.0] * 90
    assert scripted(monkeypatch, early, iterations=100, smoothing=0.0)[0].ended == "reached end_lr"
    test, _ = scripted(monkeypatch, [1.0] * 3 + [math.nan] + [1.0] * 96, iterations=100)
    assert len(test.lrs) == 4 and np.isnan(test.losses[-1]) and "not finite" in test.ended


def worked_network() -> tuple[nn.Module, torch.optim.SGD]:
    """A network in the middle of its life: statistics, momentum, gradients, one missing gradient and mixed modes."""
    net = model.build(seed=0, width=8)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    images, labels = random_batch(1)
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()
    net.linear.bias.grad = None
    net.layer2.eval()
    net.layer4[1].bn2.eval()
    return net, optimizer


def random_batch(seed: int, count: int = 8) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, 32, 32, generator=random), torch.randint(10, (count,), generator=random)


def all_of(net: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, object]:
    return copy.deepcopy(
        {
            "weights": net.state_dict(),
            "optimizer": optimizer.state_dict(),
            "grads": {n: p.grad for n, p in net.named_parameters()},
            "modes": {n: m.training for n, m in net.named_modules()},
            "random": torch.get_rng_state(),
        }
    )


@pytest.mark.parametrize("accident", [None, RuntimeError, KeyboardInterrupt])
def test_everything_is_put_back(accident: type[BaseException] | None):
    net, optimizer = worked_network()
    before, modes = all_of(net, optimizer), set()

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for i in itertools.count():
            modes.update(m.training for m in net.modules())
            if i == 6 and accident:
                raise accident("in the middle")
            images, labels = random_batch(i)
            yield images + torch.rand(()), labels

    config = RangeTestConfig(iterations=10, start_lr=0.1, stop_factor=1e6)
    try:
        range_test(net, optimizer, batches(), config, CPU)
    except (RuntimeError, KeyboardInterrupt):
        assert accident
    assert modes == {True}
    torch.testing.assert_close(all_of(net, optimizer), before, rtol=0, atol=0)
    assert {n for n, p in net.named_parameters() if p.grad is None} == {"linear.bias"}


def test_records_the_same_curve_as_torch_lr_finder():
    images, labels = random_batch(3, count=24)
    loader = DataLoader(TensorDataset(images, labels), batch_size=8)
    steps, start, end = 20, 1e-4, 0.1
    settings = {"lr": start, "momentum": 0.9, "nesterov": True}

    theirs = model.build(seed=1, width=8)
    finder = LRFinder(theirs, torch.optim.SGD(theirs.parameters(), **settings), nn.CrossEntropyLoss(), device="cpu")
    finder.range_test(loader, start_lr=start, end_lr=end, num_iter=steps, smooth_f=0, diverge_th=1e9)

    ours = model.build(seed=1, width=8)
    optimizer = torch.optim.SGD(ours.parameters(), **settings)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    config = RangeTestConfig(start_lr=start, end_lr=end, iterations=steps, stop_factor=1e6)
    test = range_test(ours, optimizer, batches, config, CPU)

    np.testing.assert_allclose(test.lrs, finder.history["lr"], rtol=1e-9)
    np.testing.assert_allclose(test.losses, finder.history["loss"], rtol=1e-4)
    assert np.ptp(test.losses) > 0.5  # the curve says something


# --- in a run folder


def params(**more: object) -> RangeTestParams:
    given = {"run_dir": "runs/try", "dataset": "shapes", "train_size": 20, "test_size": 8, "batch_size": 8}
    given |= {"iterations": 10, "end_lr": 0.5, "precision": "fp32", "device": "cpu"}
    return RangeTestParams.parse({**given, **more})


def plain_losses() -> list[float]:
    """Plain PyTorch on the batches of the training's first epochs: what the losses should be."""
    dataset = datasets.load(DataConfig(dataset="shapes", train_size=20, test_size=8))
    net = model.build(0).train()
    weights = [p for n, p in net.named_parameters() if "conv" in n or "shortcut.0" in n or n == "linear.weight"]
    others = [p for p in net.parameters() if all(p is not w for w in weights)]
    sgd = torch.optim.SGD([{"params": weights, "weight_decay": 5e-4}, {"params": others}], 1.0, 0.9, nesterov=True)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for epoch in itertools.count():
            yield from augmentation.batches(dataset.train, 8, AugmentConfig(), dataset.normalizer, seed=0, epoch=epoch)

    losses = []
    for rate, (images, labels) in zip(np.geomspace(1e-4, 0.5, 10), batches(), strict=False):
        for group in sgd.param_groups:
            group["lr"] = rate
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)(net(images), labels)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    return losses


def test_a_runs_range_test_makes_the_steps_of_its_training(project: Path):
    wanted = params(optimizer="sgd", start_lr=1e-4)
    test, folder, record = measure_or_load(wanted)
    np.testing.assert_allclose(test.losses, plain_losses()[: len(test.losses)], rtol=1e-3)
    with (project / "runs/try/lr_find.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(r["lr"]) for r in rows] == test.lrs.tolist()
    assert [float(r["loss"]) for r in rows] == test.losses.tolist()
    assert record.result.suggestions == lr_rules.suggestions(test.lrs, test.losses)
    assert record.parameters.batch_size == 8 and folder.path == project / "runs/try"


def test_a_stored_range_test_is_loaded_and_never_overwritten_by_accident(project: Path, monkeypatch):
    first, _, record = measure_or_load(params())
    with monkeypatch.context() as patched:
        patched.setattr(lr_range_test, "range_test", lambda *args: pytest.fail("measured again"))
        again, _, stored = measure_or_load(params(data_root="elsewhere"))
        with pytest.raises(ReportError, match=r"another recipe.*momentum 0\.9 there, 0\.5"):
            measure_or_load(params(momentum=0.5))
    assert stored == record
    np.testing.assert_array_equal(again.losses, first.losses)
    replaced = measure_or_load(params(momentum=0.5, force=True)).test
    assert not np.array_equal(replaced.losses, first.losses)


def test_a_loss_that_is_not_finite_is_stored(project: Path, monkeypatch):
    real, count = F.cross_entropy, itertools.count()

    def spoiled(*args: object, **kwargs: object) -> Tensor:
        return real(*args, **kwargs) * (math.inf if next(count) == 5 else 1)

    monkeypatch.setattr(lr_range_test.F, "cross_entropy", spoiled)
    test = measure_or_load(params()).test
    assert len(test.lrs) == 6 and math.isnan(test.losses[-1])

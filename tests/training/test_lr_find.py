"""The rules on recorded and hand-made curves against pandas, torch-lr-finder and fastai's rule; what is put back."""

import copy
import csv
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torch_lr_finder import LRFinder

from gradcam_report import model
from gradcam_report.config import AugmentConfig, DataConfig, OptimConfig, RangeTestConfig, ReportError, parse_params
from gradcam_report.data import augmentation, datasets
from gradcam_report.training import lr_range_test, trainer
from gradcam_report.training import optimizer as optim
from gradcam_report.training.device import Compute
from gradcam_report.training.lr_range_test import Curve

pytestmark = pytest.mark.usefixtures("few_threads", "narrow")

CPU = Compute(torch.device("cpu"), "fp32")
RULES = (lr_range_test.divergence_onset, lr_range_test.steepest, lr_range_test.valley, lr_range_test.minimum_over_ten)


@pytest.fixture(scope="module")
def recorded() -> tuple[Curve, Curve]:
    """A test of ResNet-18 on CIFAR-10, 1e-4 to 10 in 400 steps: it spikes at 0.04, recovers, and diverges at 7."""
    table = np.loadtxt(Path(__file__).parent / "recorded" / "range_test.csv", delimiter=",", skiprows=1)
    return table[:, 0], table[:, 1]


def geometric(count: int, start: float = 1e-4, end: float = 10.0) -> Curve:
    return np.geomspace(start, end, count)


def descent(count: int = 400) -> tuple[Curve, Curve]:
    """Smooth: steepest at 0.002, lowest before 0.1, and then rising without end."""
    lrs = geometric(count)
    x = np.log10(lrs)
    return lrs, 2.3 - 0.8 / (1 + np.exp(-4 * (x - math.log10(0.002)))) + np.exp(6 * (x - math.log10(0.3)))


def averaged(losses: Curve, smoothing: float) -> Curve:
    """Pandas' adjusted average divides by the sum of the weights, which is Adam's correction of the bias."""
    return pd.Series(losses).ewm(alpha=1 - smoothing, adjust=True).mean().to_numpy()


# --- smoothing


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60),
    st.floats(0, 0.999),
)
def test_smooth_is_the_debiased_average(losses: list[float], smoothing: float):
    np.testing.assert_allclose(
        lr_range_test.smooth(np.array(losses), smoothing), averaged(losses, smoothing), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_smooth_ends_at_a_loss_that_is_not_finite(bad: float):
    smoothed = lr_range_test.smooth(np.array([2.0, 1.0, bad, 1.0]), 0.5)
    np.testing.assert_allclose(smoothed[:2], averaged([2.0, 1.0], 0.5))
    assert np.isnan(smoothed[2:]).all()


# --- divergence onset


def first_turn(losses: Curve, smoothing: float) -> int:
    """The onset by pandas: the first smoothed loss past the first tenth that exceeds the minimum there by a tenth."""
    later = pd.Series(averaged(losses, smoothing))[len(losses) // 10 :]
    return int((later > 1.1 * later.cummin()).idxmax())


def test_onset_of_the_recorded_curve(recorded: tuple[Curve, Curve]):
    lrs, losses = recorded
    assert lr_range_test.divergence_onset(lrs, losses) == lrs[first_turn(losses, 0.9)]
    assert lr_range_test.divergence_onset(lrs, losses) == pytest.approx(0.0371, rel=0.01)


def test_onset_is_at_the_spike_not_after_the_recovery():
    lrs = geometric(200)
    losses = np.concatenate([np.linspace(2.3, 1.5, 100), np.full(10, 3.0), np.linspace(2.0, 0.5, 90)])
    assert lr_range_test.divergence_onset(lrs, losses, smoothing=0) == lrs[100]
    assert lrs[100] <= lr_range_test.divergence_onset(lrs, losses) <= lrs[103]
    assert lr_range_test.minimum_over_ten(lrs, losses, smoothing=0) == pytest.approx(lrs[99] / 10)
    assert lr_range_test.steepest(lrs, losses) < lrs[100]
    assert lr_range_test.valley(lrs, losses) < lrs[100]


def test_a_rise_of_less_than_a_tenth_is_no_turn():
    lrs = geometric(50)
    losses = np.concatenate([np.linspace(2.0, 1.0, 25), np.full(25, 1.099)])
    with pytest.raises(ReportError, match="raise end_lr"):
        lr_range_test.divergence_onset(lrs, losses, smoothing=0)
    losses[40] = 1.101
    assert lr_range_test.divergence_onset(lrs, losses, smoothing=0) == lrs[40]


def test_a_curve_that_never_turns():
    lrs, losses = geometric(100), np.linspace(2.3, 1.0, 100)
    with pytest.raises(ReportError, match=r"up to a rate of 10;"):
        lr_range_test.divergence_onset(lrs, losses)
    found = lr_range_test.suggestions(lrs, losses)
    assert found["divergence onset"] is None
    assert found["minimum / 10"] == pytest.approx(1.0)
    assert all(found[name] is not None for name in ("steepest", "valley"))


@pytest.mark.parametrize("at", [4, 60])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_turns_the_curve(at: int, bad: float):
    """Also in the first tenth, where noise is forgiven; the other rules look to its left."""
    lrs, losses = geometric(100), np.linspace(2.3, 1.0, 100)
    losses[at] = bad
    assert lr_range_test.divergence_onset(lrs, losses) == lrs[at]
    for name, rate in lr_range_test.suggestions(lrs, losses).items():
        assert rate is not None and math.isfinite(rate) and rate <= lrs[at], name


def test_a_curve_that_turns_at_once_has_only_an_onset():
    lrs, losses = geometric(20), np.full(20, 2.3)
    losses[1:] = math.nan
    found = lr_range_test.suggestions(lrs, losses)
    assert found == {"divergence onset": lrs[1], "steepest": None, "valley": None, "minimum / 10": None}


# --- the other rules


def library_steepest(lrs: Curve, losses: Curve) -> float:
    """What torch-lr-finder suggests on this curve."""
    finder = LRFinder(nn.Linear(1, 1), torch.optim.SGD([torch.zeros(1)], lr=1.0), None)
    finder.history = {"lr": list(lrs), "loss": list(losses)}
    figure, axes = plt.subplots()
    try:
        return float(finder.plot(skip_start=len(lrs) // 10, skip_end=0, suggest_lr=True, ax=axes)[1])
    finally:
        plt.close(figure)


@pytest.mark.parametrize("smoothing", [0.0, 0.5])
def test_steepest_agrees_with_torch_lr_finder(smoothing: float):
    """Rates in geometric progression: the slope per step, which that library takes, is the slope per log(rate)."""
    lrs, losses = descent()
    assert lr_range_test.steepest(lrs, losses, smoothing) == library_steepest(lrs, averaged(losses, smoothing))
    assert lr_range_test.steepest(lrs, losses, 0) == pytest.approx(0.002, rel=0.05)


def test_steepest_is_per_log_rate():
    """Rates in arithmetic progression: the slope per step would favour large rates."""
    lrs = np.linspace(0.01, 1.0, 100)
    losses = 3 - np.sin(np.log(lrs / 0.01) / math.log(100) * math.pi / 2)  # steepest per log(rate) at the start
    assert lr_range_test.steepest(lrs, losses, 0) == lrs[10]
    assert lr_range_test.steepest(lrs, 3 - lrs**2, 0) == lrs[-1]


def test_steepest_is_not_fooled_by_early_noise():
    lrs, losses = descent()
    losses[:5] += [3.0, 1.0, 0.0, -1.0, 2.0]
    assert lr_range_test.steepest(lrs, losses) == lr_range_test.steepest(*descent())
    assert library_steepest(lrs[:300], averaged(losses, 0.9)[:300]) == lr_range_test.steepest(lrs, losses)


def test_an_early_lucky_batch_is_no_minimum():
    lrs, losses = descent()
    losses[0] = 1.4  # a tenth below all that follows
    assert lr_range_test.divergence_onset(lrs, losses) == lr_range_test.divergence_onset(*descent())
    assert lr_range_test.minimum_over_ten(lrs, losses) == lr_range_test.minimum_over_ten(*descent())


@pytest.mark.parametrize("rate", [0.003, 0.05])
def test_minimum_over_ten_of_a_parabola(rate: float):
    lrs = geometric(1001)
    assert lr_range_test.minimum_over_ten(lrs, 1 + np.log(lrs / rate) ** 2, 0) == pytest.approx(rate / 10, rel=0.012)


def valley_of_fastai(values: list[float]) -> int:
    """The double loop of https://docs.fast.ai/callback.schedule.html#valley; a start of -1 would wrap round, so 0."""
    lengths, first, last = [1] * len(values), 0, 0
    for i in range(1, len(values)):
        for j in range(i):
            if values[i] < values[j] and lengths[i] < lengths[j] + 1:
                lengths[i] = lengths[j] + 1
            if lengths[last] < lengths[i]:
                last, first = i, i - lengths[i]
    sections = (last - first) / 3
    return max(first + int(sections) + int(sections / 2), 0)


@given(st.lists(st.floats(0, 5) | st.integers(0, 5).map(float), min_size=1, max_size=40))
def test_middle_of_descent_is_counted_as_fastai_counts(values: list[float]):
    assert lr_range_test.middle_of_descent(np.array(values)) == valley_of_fastai(values)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 10, 31])
def test_middle_of_a_pure_descent(count: int):
    values = list(range(count, 0, -1))
    assert lr_range_test.middle_of_descent(np.array(values, dtype=float)) == valley_of_fastai(values)


def test_valley_of_the_recorded_curve_looks_left_of_the_spike(recorded: tuple[Curve, Curve]):
    lrs, losses = recorded
    smoothed = averaged(losses, 0.9)
    start, spike = len(lrs) // 10, first_turn(losses, 0.9)
    lowest = start + int(np.argmin(smoothed[start:spike]))
    assert lr_range_test.valley(lrs, losses) == lrs[valley_of_fastai(list(smoothed[: lowest + 1]))]
    assert lr_range_test.minimum_over_ten(lrs, losses) == pytest.approx(lrs[lowest] / 10)


@given(st.lists(st.floats(0.01, 10) | st.just(math.nan), min_size=1, max_size=50), st.floats(0, 0.99))
def test_rules_find_a_rate_of_the_curve_or_say_why_not(losses: list[float], smoothing: float):
    lrs, curve = geometric(len(losses)), np.array(losses)
    found = lr_range_test.suggestions(lrs, curve, smoothing)
    for rule, (name, rate) in zip(RULES, found.items(), strict=True):
        if rate is None:
            with pytest.raises(ReportError):
                rule(lrs, curve, smoothing)
        else:
            assert np.isclose(lrs, rate * 10 if name == "minimum / 10" else rate, rtol=1e-9).any()


# --- the range test itself


def quadratic(loss_at: Callable[[int, float], float]) -> tuple[SimpleNamespace, nn.Module, torch.optim.SGD]:
    """A one-weight network whose "losses" are scripted by step and rate; `seen.rates` are those the optimizer had."""
    net = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    seen = SimpleNamespace(rates=[])

    def step(images: Tensor, labels: Tensor) -> Tensor:
        rate = optimizer.param_groups[0]["lr"]
        seen.rates.append(rate)
        return torch.tensor(loss_at(len(seen.rates) - 1, rate))

    seen.step = step
    return seen, net, optimizer


def scripted(
    loss_at: Callable[[int, float], float], **config: float
) -> tuple[lr_range_test.RangeTest, SimpleNamespace]:
    seen, net, optimizer = quadratic(loss_at)
    blank = itertools.repeat((torch.zeros(2, 1), torch.zeros(2)))
    test = lr_range_test.range_test(net, optimizer, seen.step, blank, RangeTestConfig(**config), progress=False)
    return test, seen


def test_rates_grow_geometrically_from_start_to_end():
    test, seen = scripted(lambda i, rate: 1.0, start_lr=1e-3, end_lr=2.0, iterations=37)
    np.testing.assert_allclose(test.lrs, np.geomspace(1e-3, 2.0, 37))
    assert test.lrs.tolist() == seen.rates
    assert test.losses.tolist() == [1.0] * 37
    assert test.ended == "reached end_lr"


def test_ends_when_the_smoothed_loss_exceeds_its_minimum():
    losses = [2.0] * 30 + [1.0] * 10 + [9.0] * 60
    test, _ = scripted(lambda i, rate: losses[i], iterations=100, smoothing=0.5, stop_factor=1.5)
    smoothed = pd.Series(averaged(losses, 0.5))
    assert len(test.lrs) == len(test.losses) == int((smoothed > 1.5 * smoothed.cummin()).idxmax()) + 1
    assert "1.5 times" in test.ended and f"{test.lrs[-1]:.3g}" in test.ended


def test_does_not_end_in_the_first_tenth_except_for_nan():
    early = [1.0] + [9.0] * 9 + [1.0] * 90
    assert scripted(lambda i, rate: early[i], iterations=100, smoothing=0.0)[0].ended == "reached end_lr"
    test, _ = scripted(lambda i, rate: math.nan if i == 3 else 1.0, iterations=100)
    assert len(test.lrs) == 4 and np.isnan(test.losses[-1])
    assert test.ended == f"loss not finite at {test.lrs[3]:.3g}"


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


@pytest.mark.parametrize("accident", [None, RuntimeError, KeyboardInterrupt, "nan"])
def test_everything_is_put_back(accident: type[BaseException] | str | None):
    net, optimizer = worked_network()
    before, modes_inside = all_of(net, optimizer), set()
    real = optim.Step(net, optimizer, OptimConfig(), CPU)
    count = itertools.count()

    def step(images: Tensor, labels: Tensor) -> Tensor:
        modes_inside.update(m.training for m in net.modules())
        loss = real(images + torch.rand(()), labels)[0]
        if next(count) == 6 and accident:
            if accident == "nan":
                return loss * math.nan
            raise accident("in the middle")
        return loss

    def go() -> None:
        batches = (random_batch(i) for i in itertools.count())
        config = RangeTestConfig(iterations=10, start_lr=0.1, stop_factor=1e6)
        lr_range_test.range_test(net, optimizer, step, batches, config, progress=False)

    if accident in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(accident, match="in the middle"):
            go()
    else:
        go()
    assert next(count) > 6
    assert modes_inside == {True}
    torch.testing.assert_close(all_of(net, optimizer), before, rtol=0, atol=0)
    assert {n for n, p in net.named_parameters() if p.grad is None} == {"linear.bias"}


def test_an_optimizer_without_history_is_put_back_without_history():
    net = model.build(seed=0, width=8)
    optimizer = optim.build_optimizer(net, OptimConfig(), CPU, lr=0.3)
    before = all_of(net, optimizer)
    step = optim.Step(net, optimizer, OptimConfig(), CPU)
    batches = itertools.repeat(random_batch(0))
    lr_range_test.range_test(net, optimizer, lambda x, y: step(x, y)[0], batches, RangeTestConfig(iterations=10), False)
    torch.testing.assert_close(all_of(net, optimizer), before, rtol=0, atol=0)
    assert optimizer.state_dict()["state"] == {}


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
    step = optim.Step(ours, optimizer, OptimConfig(label_smoothing=0.0), CPU)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    config = RangeTestConfig(start_lr=start, end_lr=end, iterations=steps, stop_factor=1e6)
    test = lr_range_test.range_test(ours, optimizer, lambda x, y: step(x, y)[0], batches, config, progress=False)

    np.testing.assert_allclose(test.lrs, finder.history["lr"], rtol=1e-9)
    np.testing.assert_allclose(test.losses, finder.history["loss"], rtol=1e-4)
    assert np.ptp(test.losses) > 0.5  # the curve says something


# --- in a run folder


def asked(**more: object) -> dict:
    given = {"run_dir": "runs/try", "dataset": "shapes", "train_size": 20, "test_size": 8, "batch_size": 8}
    given |= {"iterations": 10, "end_lr": 0.5, "precision": "fp32", "device": "cpu"}
    return parse_params("lr_finder", {**given, **more})


def plain_range_test(params: dict) -> list[float]:
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


def test_in_run_tests_what_training_does(project: Path, monkeypatch: pytest.MonkeyPatch):
    settings = []
    real = lr_range_test.build_optimizer
    assert real is trainer.build_optimizer
    monkeypatch.setattr(
        lr_range_test, "build_optimizer", lambda net, c, on, lr: settings.append(c) or real(net, c, on, lr)
    )
    params = asked(optimizer="sgd", start_lr=1e-4)
    test, folder, record = lr_range_test.in_run(params)
    assert settings == [params.optim]
    np.testing.assert_allclose(test.losses, plain_range_test(params)[: len(test.losses)], rtol=1e-3)

    with (project / "runs/try/lr_find.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(r["lr"]) for r in rows] == test.lrs.tolist()
    assert [float(r["loss"]) for r in rows] == test.losses.tolist()
    assert record["result"]["suggestions"] == lr_range_test.suggestions(test.lrs, test.losses)
    assert record["parameters"]["batch_size"] == 8 and "data_root" not in record["parameters"]
    assert folder.path == project / "runs/try"


def test_in_run_shows_what_is_stored(project: Path, monkeypatch: pytest.MonkeyPatch):
    first, _, record = lr_range_test.in_run(asked())
    with monkeypatch.context() as patched:
        patched.setattr(lr_range_test, "range_test", lambda *args: pytest.fail("measured again"))
        again, _, stored = lr_range_test.in_run(asked(data_root="elsewhere"))
        with pytest.raises(ReportError, match=r"another recipe.*momentum 0\.9 there, 0\.5 requested"):
            lr_range_test.in_run(asked(momentum=0.5))
    assert stored == record
    np.testing.assert_array_equal(again.losses, first.losses)
    replaced, _, _ = lr_range_test.in_run(asked(momentum=0.5, force=True))
    assert not np.array_equal(replaced.losses, first.losses)


def test_in_run_stores_a_loss_that_is_not_finite(project: Path, monkeypatch: pytest.MonkeyPatch):
    count = itertools.count()

    def spoiled(self: optim.Step, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return torch.tensor(math.inf if next(count) == 5 else 2.0), torch.tensor(0)

    monkeypatch.setattr(optim.Step, "__call__", spoiled)
    test, _, record = lr_range_test.in_run(asked())
    assert len(test.lrs) == 6 and math.isnan(test.losses[-1])
    assert "not finite" in record["result"]["ended"]
    assert record["result"]["suggestions"]["divergence onset"] == test.lrs[5]

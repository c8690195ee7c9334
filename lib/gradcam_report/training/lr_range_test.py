"""The learning-rate range test (Smith 2015, https://arxiv.org/abs/1506.01186) and rules that read a rate off its curve.

`range_test` trains a while with a rate that grows exponentially and puts everything back. The rules are pure
functions of the recorded rates and losses. The one that a training takes when no rate is given is `divergence_onset`:
Smith's upper bound, where the loss stops falling and turns. Suggestions are rates per step for the batch size of the
test.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from .. import model
from ..config import RangeTestConfig, RangeTestParams, ReportError
from ..data import augmentation, datasets
from ..runs import folder as run_folder
from ..runs import io, lock
from .device import Compute, enough_memory, memory_kept, resolve
from .optimizer import Step, build_optimizer, restored, set_lr

Curve = np.ndarray
ONSET_FACTOR = 1.1  # the smoothed loss counts as turned when it exceeds its minimum by a tenth


@dataclass(frozen=True)
class RangeTest:
    """What a range test recorded: `lrs` and `losses`, float64 (K,), and in words why it ended."""

    lrs: Curve
    losses: Curve
    ended: str


def range_test(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: Callable[[Tensor, Tensor], Tensor],
    batches: Iterator[tuple[Tensor, Tensor]],
    config: RangeTestConfig,
    progress: bool = True,
) -> RangeTest:
    """Train on `batches` while the rate grows from start_lr to end_lr, then put everything back.

    `step(images, labels)` makes one optimizer step and returns the loss before it, a scalar tensor. The test ends
    early when the loss is not finite or its smoothed value exceeds `stop_factor` times the smoothed minimum:
    BatchNorm networks recover after the spike, so waiting for a larger multiple would wait in vain. It never ends in
    the first tenth.
    """
    growth = (config.end_lr / config.start_lr) ** (1 / max(config.iterations - 1, 1))
    rates: list[float] = []
    losses: list[float] = []
    average, best, ended = 0.0, math.inf, "reached end_lr"
    with restored(net, optimizer), tqdm(total=config.iterations, unit="step", disable=not progress) as bar:
        net.train()
        for i in range(config.iterations):
            rate = config.start_lr * growth**i
            set_lr(optimizer, rate)
            loss = float(step(*next(batches)))
            rates.append(rate)
            losses.append(loss)
            if not math.isfinite(loss):
                ended = f"loss not finite at {rate:.3g}"
                break
            average = config.smoothing * average + (1 - config.smoothing) * loss
            debiased = average / (1 - config.smoothing ** (i + 1))
            best = min(best, debiased)
            bar.update()
            bar.set_postfix(lr=f"{rate:.2e}", loss=f"{debiased:.3f}", refresh=False)
            if i >= config.iterations // 10 and debiased > config.stop_factor * best:
                ended = f"loss exceeded {config.stop_factor:g} times its minimum at {rate:.3g}"
                break
    return RangeTest(np.array(rates), np.array(losses), ended)


def smooth(losses: Curve, smoothing: float = 0.9) -> Curve:
    """Debiased exponential moving average of float (K,), as in Adam (Kingma & Ba 2014); nan after a nan or inf."""
    average, out = 0.0, np.full(len(losses), np.nan)
    for i, loss in enumerate(losses):
        if not math.isfinite(loss):
            break
        average = smoothing * average + (1 - smoothing) * float(loss)
        out[i] = average / (1 - smoothing ** (i + 1))
    return out


def spike(smoothed: Curve) -> int:
    """Index of the first smoothed loss, float (K,), that exceeds the minimum before it by a tenth; K where none does.

    The first tenth of the curve is not looked at, for an average of few losses is noise; but a loss that is not finite
    counts as exceeding wherever it is.
    """
    settled = np.arange(len(smoothed)) >= len(smoothed) // 10
    lowest = np.fmin.accumulate(np.where(settled, smoothed, np.inf))
    turned = np.flatnonzero((smoothed > ONSET_FACTOR * lowest) | ~np.isfinite(smoothed))
    return int(turned[0]) if len(turned) else len(smoothed)


def _falling(lrs: Curve, losses: Curve, smoothing: float) -> tuple[Curve, Curve]:
    """Rates and smoothed losses from the start to the minimum before the spike: BatchNorm networks recover after it."""
    smoothed = smooth(np.asarray(losses, dtype=np.float64), smoothing)
    stop = spike(smoothed)
    if stop < 3:
        raise ReportError(f"The loss turned after {stop} steps; lower start_lr or take more iterations.")
    start = min(len(smoothed) // 10, stop - 1)
    lowest = start + int(np.argmin(smoothed[start:stop])) + 1
    return np.asarray(lrs)[:lowest], smoothed[:lowest]


def divergence_onset(lrs: Curve, losses: Curve, smoothing: float = 0.9) -> float:
    """The first rate at which the smoothed loss exceeds its minimum so far by a tenth (`spike`).

    Smith's upper bound (https://arxiv.org/abs/1506.01186, section 3.3): where the loss stops falling and turns. A loss
    that is not finite counts as exceeding. Raises `ReportError` when the loss never turns.
    """
    at = spike(smooth(np.asarray(losses, dtype=np.float64), smoothing))
    if at == len(lrs):
        raise ReportError(f"The loss never turned up to a rate of {lrs[-1]:.3g}; raise end_lr or iterations.")
    return float(lrs[at])


def steepest(lrs: Curve, losses: Curve, smoothing: float = 0.9) -> float:
    """The rate before the minimum at which the smoothed loss falls fastest per log(rate), without the first tenth."""
    rates, smoothed = _falling(lrs, losses, smoothing)
    if len(rates) < 3:
        raise ReportError(f"The loss fell for {len(rates)} steps only; lower start_lr.")
    slopes = np.gradient(smoothed, np.log(rates))
    skip = min(len(lrs) // 10, len(rates) - 2)  # early noise fools the slope
    return float(rates[skip + int(np.argmin(slopes[skip:]))])


def valley(lrs: Curve, losses: Curve, smoothing: float = 0.9) -> float:
    """The middle of the longest descent of the smoothed loss before its spike: fastai's default rule.

    Raises `ReportError` when the loss turns within the first 3 steps.
    """
    rates, smoothed = _falling(lrs, losses, smoothing)
    return float(rates[middle_of_descent(smoothed)])


def middle_of_descent(values: Curve) -> int:
    """Index half-way through the longest decreasing subsequence of float (K,), counted as in fastai's `valley`."""
    length = np.ones(len(values), dtype=np.int64)
    for i in range(1, len(values)):
        length[i] += length[:i][values[:i] > values[i]].max(initial=0)
    end = int(np.argmax(length))
    third = int(length[end]) / 3
    return max(end - int(length[end]) + int(third) + int(third / 2), 0)


def minimum_over_ten(lrs: Curve, losses: Curve, smoothing: float = 0.9) -> float:
    """A tenth of the rate at which the smoothed loss is lowest, an old rule of thumb."""
    return float(_falling(lrs, losses, smoothing)[0][-1]) / 10


def suggestions(lrs: Curve, losses: Curve, smoothing: float = 0.9) -> dict[str, float | None]:
    """Every rule's rate by name; None where a rule finds nothing on this curve."""
    rules: dict[str, Callable[[], float]] = {
        "divergence onset": lambda: divergence_onset(lrs, losses, smoothing),
        "steepest": lambda: steepest(lrs, losses, smoothing),
        "valley": lambda: valley(lrs, losses, smoothing),
        "minimum / 10": lambda: minimum_over_ten(lrs, losses, smoothing),
    }
    found: dict[str, float | None] = {}
    for name, rule in rules.items():
        try:
            found[name] = rule()
        except ReportError:
            found[name] = None
    return found


def in_run(params: RangeTestParams) -> tuple[RangeTest, run_folder.RunFolder, run_folder.Record]:
    """The range test of a run folder: the stored one if made with the same parameters, else computed and stored.

    Raises `ReportError` for a folder of another
    recipe.
    """
    params = params.model_copy(update={"data": datasets.resolve(params.data)})
    concerns = (params.data, params.augment, params.optim, params.range_test)
    asked = {k: v for c in concerns for k, v in c.model_dump().items() if k not in ("data_root", "test_size")}
    folder, record = run_folder.settle(params.run.run_dir, "lr_find", asked, params.cache.force)
    if record is None:
        with lock.held(folder):
            compute = resolve(params.device.device, params.optim.precision)
            started, commit = time.perf_counter(), run_folder.commit()
            dataset = datasets.load(params.data).to(compute.device)
            with enough_memory(params.optim.batch_size), memory_kept():
                test = _measure(dataset, params, compute)
            record = {
                "parameters": asked,
                "result": {
                    "ended": test.ended,
                    "suggestions": suggestions(test.lrs, test.losses, params.range_test.smoothing),
                },
                "provenance": run_folder.provenance(
                    compute.describe(), dataset.source, time.perf_counter() - started, commit
                ),
            }
            finite = np.where(np.isfinite(test.losses), test.losses, np.nan)
            (folder / "lr_find.json").unlink(missing_ok=True)  # no record must speak of a file that is being replaced
            io.write_table(folder / "lr_find.csv", {"lr": test.lrs.tolist(), "loss": finite.tolist()})
            io.write_json(folder / "lr_find.json", record)
    table = io.read_table(folder.need("lr_find.csv", "lr_finder"))
    return RangeTest(table["lr"], table["loss"], record["result"]["ended"]), folder, record


def _measure(dataset: datasets.Dataset, params: RangeTestParams, compute: Compute) -> RangeTest:
    """A range test of a fresh network, on the batches that training would see."""
    seed, batch_size = params.data.seed, params.optim.batch_size
    net = compute.place(model.build(seed, len(dataset.classes)))
    optimizer = build_optimizer(net, params.optim, compute, lr=params.range_test.start_lr)
    step = Step(net, optimizer, params.optim, compute)

    def endless() -> Iterator[tuple[Tensor, Tensor]]:
        epoch = 0
        while True:
            yield from augmentation.batches(dataset.train, batch_size, params.augment, dataset.normalizer, seed, epoch)
            epoch += 1

    if compute.compiles:
        step.warm_up(*next(endless()))
    return range_test(net, optimizer, lambda x, y: step(x, y)[0], endless(), params.range_test)

"""The learning-rate range test (Smith 2015, https://arxiv.org/abs/1506.01186): the rate grows exponentially.

`lr_rules` reads rates off the curve.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from .. import formatting, model
from ..config import RangeTestConfig, RangeTestParams
from ..data import augmentation, datasets
from ..runs import io
from ..runs.folder import RunFolder, resolve_folder
from ..runs.lock import locked
from ..runs.provenance import current_commit, provenance
from ..runs.records import RangeTestRecipe, RangeTestRecord, RangeTestResult
from .compiling import compiled
from .device import Device, keep_memory, out_of_memory_advice, resolve
from .lr_rules import MovingAverage, suggestions
from .optimizer import build_optimizer, preserve_state, set_lr


@dataclass(frozen=True)
class RangeTest:
    """What a range test recorded: `lrs` and `losses`, float64 (K,), and in words why it ended."""

    lrs: NDArray[np.float64]
    losses: NDArray[np.float64]
    ended: str


class StoredRangeTest(NamedTuple):
    """A range test with the folder that holds it, and what the folder's lr_find.json records of it."""

    test: RangeTest
    folder: RunFolder
    record: RangeTestRecord


def range_test(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[tuple[Tensor, Tensor]],
    config: RangeTestConfig,
    device: Device,
    label_smoothing: float = 0.0,
    progress: bool = True,
) -> RangeTest:
    """Train on `batches` while the rate grows from start_lr to end_lr, then put network and optimizer back.

    Batches are images float32 (B, 3, 32, 32) and labels int64 (B,) on the device. The test ends early when the loss is
    not finite, or when its smoothed value exceeds `stop_factor` times the smoothed minimum: BatchNorm networks recover
    after the spike, so a `stop_factor` far above its default may never be reached. It never ends in the first tenth.
    """
    growth = (config.end_lr / config.start_lr) ** (1 / max(config.iterations - 1, 1))
    lrs: list[float] = []
    losses: list[float] = []
    average, best, ended = MovingAverage(config.smoothing), math.inf, "reached end_lr"
    bar = formatting.progress(total=config.iterations, unit="step", disable=not progress)
    with preserve_state(net, optimizer), bar:
        net.train()
        for i in range(config.iterations):
            lr = config.start_lr * growth**i
            set_lr(optimizer, lr)
            images, labels = next(batches)
            with device.autocast():
                logits = net(images)
            loss = F.cross_entropy(logits.float(), labels, label_smoothing=label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

            lrs.append(lr)
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                ended = f"loss not finite at {lr:.3g}"
                break
            smoothed = average.add(losses[-1])
            best = min(best, smoothed)
            bar.update()
            bar.set_postfix(lr=f"{lr:.2e}", loss=f"{smoothed:.3f}", refresh=False)
            if i >= config.iterations // 10 and smoothed > config.stop_factor * best:
                ended = f"loss exceeded {config.stop_factor:g} times its minimum at {lr:.3g}"
                break
    return RangeTest(np.array(lrs), np.array(losses), ended)


def measure_or_load(params: RangeTestParams) -> StoredRangeTest:
    """Load the run folder's range test if the same parameters made it, else make it and store it.

    Raises `ReportError` for a folder of another recipe.
    """
    params = params.model_copy(update={"data": datasets.resolve_auto(params.data)})
    recipe = RangeTestRecipe.of(params)
    folder, record = resolve_folder(params.run.run_dir, RangeTestRecord, recipe, params.cache.force)
    if record is None:
        with locked(folder):
            record = _measure_and_store(params, recipe, folder)
    table = io.read_table(folder.need("lr_find.csv", "lr_finder"))
    return StoredRangeTest(RangeTest(table["lr"], table["loss"], record.result.ended), folder, record)


def _measure_and_store(params: RangeTestParams, recipe: RangeTestRecipe, folder: RunFolder) -> RangeTestRecord:
    device = resolve(params.device.device, params.optim.precision)
    started, commit = time.perf_counter(), current_commit()
    dataset = datasets.load(params.data).to(device.torch_device)
    with out_of_memory_advice(params.optim.batch_size), keep_memory():
        test = _measure(dataset, params, device)
    record = RangeTestRecord(
        parameters=recipe,
        result=RangeTestResult(
            ended=test.ended, suggestions=suggestions(test.lrs, test.losses, params.range_test.smoothing)
        ),
        provenance=provenance(device.describe(), dataset.source, time.perf_counter() - started, commit),
    )
    finite = np.where(np.isfinite(test.losses), test.losses, np.nan)
    (folder / RangeTestRecord.FILE).unlink(missing_ok=True)  # no record must speak of a file that is being replaced
    io.write_table(folder / "lr_find.csv", {"lr": test.lrs.tolist(), "loss": finite.tolist()})
    io.write_json(folder / RangeTestRecord.FILE, record)
    return record


def _measure(dataset: datasets.Dataset, params: RangeTestParams, device: Device) -> RangeTest:
    """A range test of a fresh network, on the batches that training would see."""
    seed, batch_size = params.data.seed, params.optim.batch_size
    net: nn.Module = device.place(model.build(seed, len(dataset.classes)))
    optimizer = build_optimizer(net, params.optim, device, lr=params.range_test.start_lr)

    def endless() -> Iterator[tuple[Tensor, Tensor]]:
        epoch = 0
        while True:
            yield from augmentation.batches(dataset.train, batch_size, params.augment, dataset.normalizer, seed, epoch)
            epoch += 1

    forward = compiled(net, optimizer, [next(endless())] * 2, device)[0] if device.compiles else net
    return range_test(forward, optimizer, endless(), params.range_test, device, params.optim.label_smoothing)

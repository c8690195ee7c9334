"""The one-cycle schedule of the learning rate, and where its peak comes from."""

import math
from dataclasses import dataclass

from ..config import PUBLISHED, ReportError, TrainingParams
from ..runs.folder import RunFolder
from ..runs.records import RangeTestRecipe, RangeTestRecord

START = 1 / 25  # of max_lr, at the first step
FEW_STEPS = 60  # a training of fewer steps peaks lower, and recomputes BatchNorm's statistics before it is evaluated


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Number of batches of an epoch; the last one may be smaller."""
    return math.ceil(images / batch_size)


@dataclass(frozen=True)
class OneCycle:
    """One-cycle after Smith 2018 (https://arxiv.org/abs/1803.09820): linear up to `max_lr`, then linear down to 0.

    Rates are per step. The warm-up takes the share `warmup` of `total_steps` and begins at max_lr / 25. No step has
    rate 0. A training of fewer than `FEW_STEPS` steps peaks at a rate lower in proportion: the linear layer of a fresh
    network does not survive a high one.
    """

    max_lr: float
    total_steps: int
    warmup: float

    @property
    def peak(self) -> float:
        """The highest rate: `max_lr`, or less of it in a short training."""
        return self.max_lr * min(1, self.total_steps / FEW_STEPS)

    def __call__(self, step: int) -> float:
        """The rate of `step`, 0 to total_steps - 1."""
        warmup_steps = round(self.warmup * self.total_steps)
        if step < warmup_steps:
            return self.peak * (START + (1 - START) * step / warmup_steps)
        return self.peak * (self.total_steps - step) / (self.total_steps - warmup_steps)


def peak_lr(params: TrainingParams) -> tuple[float, str]:
    """(max_lr per step, where it comes from): the parameter, else the divergence onset of the run folder's range test.

    Where the run folder has no range test, or one that found no onset, the published one serves, and the words say so.
    For SGD a test made with another batch size is scaled linearly (Goyal et al. 2017, https://arxiv.org/abs/1706.02677).
    Raises `ReportError` when no range test found an onset.
    """
    if params.schedule.max_lr > 0:
        return params.schedule.max_lr, "the parameter max_lr"
    own, published = (RunFolder(path).record(RangeTestRecord) for path in (params.run.run_dir, PUBLISHED))
    for record, whose in ((own, "this run's range test"), (published, "the published range test")):
        if record and record.onset and record.parameters.optimizer == params.optim.optimizer:
            scale, remark = 1.0, ""
            tested, used = record.parameters.batch_size, params.optim.batch_size
            if params.optim.optimizer == "sgd" and tested != used:
                scale, remark = used / tested, f", scaled from batch size {tested} to {used}"
            if others := _differences(record.parameters, params):
                remark += f", which was made with another {' and '.join(others)}"
            return record.onset * scale, f"the divergence onset of {whose}{remark}"
    raise ReportError(
        f"max_lr is 0 and {params.run.run_dir} holds no range test that found an onset; run the chapter lr_finder "
        "first or give a rate, as in -p max_lr 0.1."
    )


def _differences(tested: RangeTestRecipe, params: TrainingParams) -> list[str]:
    """The parameters of data, augmentation and optimizer by which a training's steps differ from a range test's."""
    ignored = {"optimizer", "precision"}
    if params.optim.optimizer == "sgd":  # the rate is scaled with the batch size, and Muon's parameters have no effect
        ignored |= {"batch_size", "muon_momentum", "sgd_lr_factor"}
    stored, requested = dict(tested), {"dataset": params.data.dataset, **dict(params.augment), **dict(params.optim)}
    return [n for n, value in requested.items() if n not in ignored and value not in ("auto", stored[n])]

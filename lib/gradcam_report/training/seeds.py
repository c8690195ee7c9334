"""One recipe from several seeds: how much of a result is luck.

A run's own seed is in its folder; the others, only for comparison, are in folders `seed-<number>` within it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..config import RunConfig, TrainingParams
from ..runs.folder import RunFolder, other_seeds
from ..runs.records import Metrics
from .distributed import SINGLE_PROCESS, ProcessGroup
from .trained_run import TrainedRun, train_or_load


@dataclass(frozen=True)
class SeedResult:
    """What one seed gave: its metrics.json."""

    seed: int
    metrics: Metrics


def train_seeds(params: TrainingParams, run: TrainedRun, group: ProcessGroup = SINGLE_PROCESS) -> list[SeedResult]:
    """Train a run's recipe from the next seeds, `params.seeds.seeds` in all; returns the results, the run's own first.

    `run` is what `train_or_load` returned for `params`. A seed that the folder holds already is loaded, not trained;
    further seeds of the same recipe in the folder are among the results too.
    """
    own = params.data.seed
    schedule = params.schedule.model_copy(update={"max_lr": run.record.parameters.max_lr})  # found once, for all
    folders = {own: run.folder}
    for seed in range(own + 1, own + params.seeds.seeds):
        changes = {
            "data": params.data.model_copy(update={"seed": seed}),
            "schedule": schedule,
            "run": RunConfig(run_dir=f"{run.folder.name}/seed-{seed}"),
        }
        folders[seed] = train_or_load(params.model_copy(update=changes), group=group).folder
    return group.run_on_main(lambda: _stored(folders, run))


def _stored(folders: dict[int, RunFolder], run: TrainedRun) -> list[SeedResult]:
    """The results in `folders`, and of other seeds that the run's folder holds with the same recipe."""
    for seed, folder in other_seeds(run.folder, run.record).items():
        folders.setdefault(seed, folder)
    return [SeedResult(seed, folder.metrics()) for seed, folder in folders.items()]


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (divided by n - 1); no deviation for one value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def format_mean(results: list[SeedResult], metric: str, scale: float = 100, digits: int = 2) -> str:
    """A metric's mean over the seeds with its deviation, by default in per cent: "95.03 ± 0.12", or "94.81" of one."""
    mean, deviation = mean_and_deviation([getattr(result.metrics, metric) for result in results])
    spread = "" if deviation is None else f" ± {scale * deviation:.{digits}f}"
    return f"{scale * mean:.{digits}f}{spread}"


def format_count(results: list[SeedResult]) -> str:
    """What the numbers of `format_mean` are: "mean ± sd of 5 seeds" or "one seed"."""
    return f"mean ± sd of {len(results)} seeds" if len(results) > 1 else "one seed"

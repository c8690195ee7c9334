"""One recipe from several seeds: how much of a result is luck.

A run's own seed is in its folder; the others, only for comparison, are in folders `seed-<number>` within it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config import RunConfig, TrainingParams
from ..runs import folder as run_folder
from ..runs import io
from . import trainer
from .distributed import ALONE, Team


@dataclass(frozen=True)
class SeedResult:
    """What one seed gave: its metrics.json."""

    seed: int
    metrics: dict[str, Any]


def in_run(
    params: TrainingParams, folder: run_folder.RunFolder, record: run_folder.Record, team: Team = ALONE
) -> list[SeedResult]:
    """The results of every seed of a run, its own first; trains those of the next seeds that are asked for.

    `folder` and `record` are what `train.in_run` made
    of it. Seeds that an earlier call left in the folder are among the results if their recipe is otherwise the same.
    """
    own = params.data.seed
    schedule = params.schedule.model_copy(
        update={"max_lr": record["parameters"]["max_lr"]}
    )  # found once, for all of them
    found = {own: folder}
    for number in range(own + 1, own + params.seeds.seeds):
        others = {
            "data": params.data.model_copy(update={"seed": number}),
            "schedule": schedule,
            "run": RunConfig(run_dir=f"{folder.name}/seed-{number}"),
        }
        found[number], _ = trainer.in_run(params.model_copy(update=others), team=team)
    return team.agreed(lambda: _stored(found, folder, record))


def _stored(
    found: dict[int, run_folder.RunFolder], folder: run_folder.RunFolder, record: run_folder.Record
) -> list[SeedResult]:
    """The results of the seeds `found`, and of others that the folder holds with the same recipe."""
    for number, stored in run_folder.other_seeds(folder, record).items():
        found.setdefault(number, stored)
    return [SeedResult(number, io.read_json(where / "metrics.json")) for number, where in found.items()]


def mean_and_deviation(results: list[SeedResult], metric: str) -> tuple[float, float | None]:
    """Mean and sample standard deviation (divided by n - 1) of a metric; no deviation for one seed."""
    values = [result.metrics[metric] for result in results]
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def in_words(results: list[SeedResult], metric: str, scale: float = 100, digits: int = 2) -> str:
    """A metric's mean over the seeds with its deviation, by default in per cent: "95.03 ± 0.12", or "94.81" of one."""
    mean, deviation = mean_and_deviation(results, metric)
    spread = "" if deviation is None else f" ± {scale * deviation:.{digits}f}"
    return f"{scale * mean:.{digits}f}{spread}"


def count_in_words(results: list[SeedResult]) -> str:
    """What the numbers of `in_words` are: "mean ± sd of 5 seeds" or "one seed"."""
    return f"mean ± sd of {len(results)} seeds" if len(results) > 1 else "one seed"

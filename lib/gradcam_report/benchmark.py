"""What benchmarks/speed.py measured, as the benchmarks chapter shows it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import plain
from .chapter import duration
from .config import BenchmarkConfig, ReportError, project_root

Rate = tuple[float, float, float]  # median, least, greatest
# task -> the beginning of its names in the results, and what the ways are called there
TASKS = {
    "training": ("train", {"usual": "usual loop", "ours": "this report"}),
    "evaluation": ("test", {"usual": "usual loop", "ours": "this report", "ours_fp32": "this report, float32"}),
    "explanation": ("explain", {"usual": "pytorch-grad-cam", "ours": "this report"}),
}


def stored(config: BenchmarkConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """(measurements, provenance) of a results file; raises `ReportError` when it is missing or something else."""
    path = project_root() / config.results
    if not path.is_file():
        raise ReportError(f"{config.results} is missing; run python benchmarks/speed.py --out {config.results} first.")
    found = plain.json_object(path)
    if fault := plain.misfit(found, plain.SPEED):
        raise ReportError(
            f"{config.results} holds no measurements of speed ({fault}); name a file of benchmarks/speed.py."
        )
    return found["speed"], found["provenance"]


def side_by_side(speed: Mapping[str, Any]) -> dict[str, dict[str, Rate]]:
    """task -> way -> (median, least, greatest) in images a second, from `train_ours`, `test_usual` and so on."""
    tasks: dict[str, dict[str, Rate]] = {}
    for task, (beginning, ways) in TASKS.items():
        for key, words in ways.items():
            rate = speed["images_per_second"].get(f"{beginning}_{key}")
            if rate:
                tasks.setdefault(task, {})[words] = (rate["median"], rate["low"], rate["high"])
    return tasks


def power(config: BenchmarkConfig, compute: str) -> float:
    """The assumed power in watts of what trained, which `compute` describes as provenance does.

    By default 700 W where it is a GPU, the rated power of a large one, and 40 W where it is a few CPU threads.
    """
    return config.watts or (40.0 if "CPU thread" in compute else 700.0)


def time_to(history: Mapping[str, np.ndarray], accuracy: float) -> str:
    """When the test accuracy (0-1) was first reached, in words, from the columns `seconds` and `test_accuracy` (E,)."""
    reached = np.flatnonzero(np.asarray(history["test_accuracy"]) >= accuracy)
    if not len(reached):
        return "never"
    epoch = int(reached[0])
    return f"after {duration(float(np.sum(history['seconds'][: epoch + 1])))} (epoch {epoch + 1})"

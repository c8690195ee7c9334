"""What the programs in benchmarks/ measured of speed, as records, and numbers that follow from them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from ..config import BenchmarkConfig, ReportError, project_root
from ..runs import io
from ..runs.records import Provenance, Record

Positive = Annotated[float, Field(gt=0)]
Rate = tuple[float, float, float]  # median, least, greatest

# Task -> the beginning of its names in the results, and what the ways are called there.
TASKS = {
    "training": ("train", {"usual": "usual loop", "ours": "this report", "ours_fp32": "this report, float32"}),
    "evaluation": ("test", {"usual": "usual loop", "ours": "this report", "ours_fp32": "this report, float32"}),
    "explanation": ("explain", {"usual": "pytorch-grad-cam", "ours": "this report"}),
}

# NVIDIA's data sheets; Apple publishes none, its chips draw about as much as a laptop's charger gives.
RATED_WATTS = {
    "H200": 700.0, "H100": 700.0, "A100": 400.0, "V100": 300.0, "T4": 70.0, "L40": 300.0, "L4": 72.0, "Apple GPU": 60.0,
}  # fmt: skip


class Spread(Record):
    """Median, least and greatest of repeated measurements."""

    median: Positive
    low: Positive
    high: Positive


class SpeedSettings(Record):
    """Options of benchmarks/speed.py: images of a batch, steps of a block, blocks, images tested."""

    batch: int
    steps: int
    repeats: int
    test_images: int
    large_batch: int


class Speed(Record):
    """Of benchmarks/speed.py: images a second of each way, and ratios of neighbouring measurements.

    `share_of_peak` is training's share, 0-1, of `peak_flops`, the FLOP/s of one large matrix product. Keeping memory
    (`ratio_kept`, and the rates `train_kept` and `train_returned`) is measured on CPUs alone. `ratio_train_fp32` is the
    ratio in equal arithmetic; older files are without it.
    """

    settings: SpeedSettings
    images_per_second: dict[str, Spread]
    ratio_train: Spread
    ratio_train_fp32: Spread | None = None
    ratio_test: Spread
    ratio_explain: Spread
    ratio_kept: Spread | None = None
    test_set_seconds: dict[str, Positive]
    compile_seconds: float
    peak_flops: Positive
    share_of_peak: Positive

    def by_task(self) -> dict[str, dict[str, Rate]]:
        """task -> way -> (median, least, greatest) in images a second, for `plots.throughput`."""
        return {
            task: {
                words: (rate.median, rate.low, rate.high)
                for key, words in ways.items()
                if (rate := self.images_per_second.get(f"{beginning}_{key}"))
            }
            for task, (beginning, ways) in TASKS.items()
        }


class Costs(Record):
    """Of benchmarks/costs.py: images a second in augmentation, this report's and torchvision's."""

    augmentation: dict[str, Spread]
    ratio_augmentation: Spread
    provenance: Provenance


class StepParts(Record):
    """Seconds of a step that processes share, and of its parts measured apart.

    `part` is one process's share of the batch computed alone, `muon` of that the optimizer, `gradients` the sum of all
    gradients over the processes, `few` a sum of 64 numbers.
    """

    step: Spread
    part: Spread
    muon: Spread
    gradients: Spread
    few: Spread


class ProcessSettings(Record):
    """Options of benchmarks/scaling.py: cores of the machine, images of a shared batch, trainings side by side."""

    cores: int
    batch: int
    points: int


class Processes(Record):
    """Of benchmarks/scaling.py, by the number of processes: a shared step, and seconds of trainings side by side."""

    shared: dict[int, StepParts]
    side_by_side: dict[int, Positive]
    settings: ProcessSettings
    provenance: Provenance


class Results(Record):
    """A file of results: `speed` and its `provenance`; the other programs' parts where they have been run.

    `growth` is of benchmarks/costs.py: what is varied -> its points, each with "seconds", "gib" and its sizes.
    """

    speed: Speed
    provenance: Provenance
    costs: Costs | None = None
    growth: dict[str, list[dict[str, Positive]]] | None = None
    scaling: Processes | None = None


def read(path: Path) -> Results:
    """Read a file of results; raises `ReportError` for a file of something else."""
    return io.read_record(path, Results, "name a file of benchmarks/speed.py")


def load(config: BenchmarkConfig) -> Results:
    """The results that a chapter shows; raises `ReportError` where there are none."""
    path = project_root() / config.results
    if not path.is_file():
        raise ReportError(f"{config.results} is missing; run python benchmarks/speed.py --out {config.results} first.")
    return read(path)


def elsewhere() -> list[Results]:
    """The results of other machines, in benchmarks/elsewhere/."""
    return [read(path) for path in sorted((project_root() / "benchmarks" / "elsewhere").glob("*.json"))]


def on_gpu(compute: str) -> bool:
    """Whether something was computed on a GPU, from how provenance describes it."""
    return "CPU thread" not in compute


def power(config: BenchmarkConfig, compute: str) -> float:
    """The assumed power in watts of what trained, which `compute` describes as provenance does.

    By default the power that a GPU is rated for, where `RATED_WATTS` knows it (else as for a large one), and 40 W where
    it is a few CPU threads.
    """
    if config.watts or not on_gpu(compute):
        return config.watts or 40.0
    return next((watts for name, watts in RATED_WATTS.items() if name in compute), max(RATED_WATTS.values()))


def time_to(history: Mapping[str, np.ndarray], accuracy: float) -> tuple[float, int] | None:
    """(seconds of training, epoch) at which the test accuracy (0-1) was reached first; None where it never was.

    `history` has the columns `seconds` and `test_accuracy`, float (E,), of epochs 1 to E.
    """
    reached = np.flatnonzero(np.asarray(history["test_accuracy"]) >= accuracy)
    if not len(reached):
        return None
    epoch = int(reached[0]) + 1
    return float(np.sum(history["seconds"][:epoch])), epoch


def by_size(growth: Mapping[str, list[dict[str, float]]]) -> dict[str, dict[float, tuple[float, float]]]:
    """Quantity -> its value -> (seconds, GiB), for `plots.time_and_memory`; the quantity differs in all points."""
    found = {}
    for name, points in growth.items():
        sizes = [size for size in points[0] if size not in ("seconds", "gib")]
        varied = next(size for size in sizes if len({point[size] for point in points}) == len(points))
        found[name] = {point[varied]: (point["seconds"], point["gib"]) for point in points}
    return found

"""How long a training takes on more processes than were measured: arithmetic with its parts, each of them stated.

A step that `gpus` processes share consists of computing, which they divide among them, and of three things that they do
not: Muon, which each makes for all weights; adding up the gradients; and BatchNorm, which adds up a few numbers twice
for each of its layers, once forward and once backward.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import ReportError, ScalingConfig
from ..formatting import duration
from ..runs import forms, plain
from ..training.schedule import steps_per_epoch

IMAGES = 50_000
NORMS = 20  # BatchNorm layers, each with one collective forward and one backward
GRADIENT_BYTES = 4 * 11_173_962
TRAINING_FLOP = 3.35e9  # of one image, forward and backward
MUON_FLOP = 1.0373e11  # of one step, see `muon_flop`


@dataclass(frozen=True)
class Step:
    """Seconds of one step's parts."""

    computing: float
    muon: float
    gradients: float
    norms: float

    @property
    def seconds(self) -> float:
        """All of them, one after the other: what overlaps in fact makes this an upper bound."""
        return self.computing + self.muon + self.gradients + self.norms


def muon_flop(shapes: list[tuple[int, ...]]) -> float:
    """Operations of the five Newton-Schulz steps for filter banks (O, I, H, W), see `optim.orthogonalise`.

    Each step multiplies R x C by C x R, and R x R by R x R and by R x C, with R the smaller of O and I*H*W; an
    addition and a multiplication are two.
    """
    total = 0.0
    for out, *inner in shapes:
        small, large = sorted((out, math.prod(inner)))
        total += 5 * 2 * (2 * small * small * large + small**3)
    return total


def step(config: ScalingConfig, gpus: int, batch: int) -> Step:
    """The parts of a step on `batch` images shared by `gpus`, `gpus_per_node` in each node.

    Sums over all GPUs take a ring's time, 2 (g - 1) / g of the bytes at the bandwidth of the slowest link (Patarasuk &
    Yuan 2009, https://doi.org/10.1016/j.jpdc.2008.09.002), and a tree's latency, 2 log2(g) messages.
    """
    flops = 1e12 * config.peak_tflops * config.share_of_peak
    across = gpus > config.gpus_per_node
    bandwidth = 1e9 * (config.network_gbytes if across else config.link_gbytes)
    latency = 1e-6 * (config.network_microseconds if across else config.link_microseconds)
    hops = 2 * math.log2(gpus) if gpus > 1 else 0.0
    ring = 2 * (gpus - 1) / gpus * GRADIENT_BYTES / bandwidth
    return Step(
        computing=max(1e-3 * config.floor_milliseconds, math.ceil(batch / gpus) * TRAINING_FLOP / flops),
        muon=MUON_FLOP / flops,
        gradients=ring + hops * latency,
        norms=2 * NORMS * hops * latency,
    )


def training_seconds(config: ScalingConfig, gpus: int, batch: int, epochs: int) -> float:
    """Seconds of all epochs' steps on 50,000 images; evaluation and start are not in it."""
    full, rest = divmod(IMAGES, batch)
    last = step(config, gpus, rest).seconds if rest else 0.0
    return epochs * (full * step(config, gpus, batch).seconds + last)


def sweep_seconds(config: ScalingConfig, gpus: int, one_training: float) -> float:
    """Seconds of the configured number of trainings, one to a GPU: as many rounds as it takes, each with its start."""
    return math.ceil(config.trainings / gpus) * (one_training + config.start_seconds)


def pays_until(sizes: Sequence[int], seconds: Sequence[float], gain: float = 1.4) -> int:
    """The largest of `sizes`, each twice the one before, up to which every doubling is `gain` times as fast or more.

    1.4 is about the square root of 2: with less, more than half of what is added is lost.
    """
    best = sizes[0]
    for size, before, after in zip(sizes[1:], seconds, seconds[1:], strict=False):
        if before / after < gain:
            break
        best = size
    return best


@dataclass(frozen=True)
class Forecast:
    """For numbers of GPUs, increasing: a step's parts, and seconds of a shared training, of one whose batch grows with
    the GPUs (as far as it is smaller than the data set), and of the configured sweep; `doubled` are the powers of 2."""

    doubled: list[int]
    parts: dict[int, Step]
    shared: dict[int, float]
    growing: dict[int, float]
    sweep: dict[int, float]


def forecast(config: ScalingConfig, batch: int, epochs: int) -> Forecast:
    """What one GPU to all of them would take: powers of 2, one node, and all nodes."""
    most = config.gpus_per_node * config.nodes
    doubled = [2**power for power in range(most.bit_length()) if 2**power <= most]
    sizes = sorted({*doubled, config.gpus_per_node, most})
    shared = {size: training_seconds(config, size, batch, epochs) for size in sizes}
    return Forecast(
        doubled,
        {size: step(config, size, batch) for size in sizes},
        shared,
        {size: training_seconds(config, size, batch * size, epochs) for size in sizes if batch * size <= IMAGES},
        {size: sweep_seconds(config, size, shared[1]) for size in sizes},
    )


def in_words(config: ScalingConfig, found: Forecast, batch: int, watts: float, grams_per_kwh: float) -> dict[str, Any]:
    """What the prose of the chapter tells of a forecast; `watts` of each GPU."""
    node, most, large = config.gpus_per_node, max(found.shared), max(found.growing)
    kwh = config.trainings * (found.shared[1] + config.start_seconds) / 3.6e6 * watts
    return {
        "gpus_most": most,
        "gpus_node": node,
        "node_share": math.ceil(batch / node),
        "one_gpu": found.shared[1],
        "one_node": found.shared[node],
        "one_node_faster": found.shared[1] / found.shared[node],
        "one_node_muon": 100 * found.parts[node].muon / found.parts[node].seconds,
        "all_gpus": found.shared[most],
        "pays_until": pays_until(found.doubled, [found.shared[size] for size in found.doubled]),
        "large_batch": f"{batch * large:,}",
        "large_gpus": large,
        "large_fewer": steps_per_epoch(IMAGES, batch) / steps_per_epoch(IMAGES, batch * large),
        "large_faster": found.growing[1] / found.growing[large],
        "sweep_trainings": config.trainings,
        "sweep_one": duration(found.sweep[1]),
        "sweep_node": duration(found.sweep[node]),
        "sweep_all": duration(found.sweep[most]),
        "sweep_start": 100 * config.start_seconds / (config.start_seconds + found.shared[1]),
        "sweep_kwh": kwh,
        "sweep_kg": kwh * grams_per_kwh / 1000,
    }


def predicted(parts: Mapping[str, Mapping[str, Any]], size: int) -> float:
    """Seconds of a step of `size` processes from its parts measured apart, as benchmarks/scaling.py stores them."""
    median = {name: float(values["median"]) for name, values in parts.items()}
    sums = median["gradients"] + 2 * NORMS * median["few"] if size > 1 else 0.0
    return median["part"] + sums


def measured(path: Path) -> dict[str, Any]:
    """The part "scaling" of benchmarks/results.json; raises `ReportError` when it is not there or something else."""
    found = plain.json_object(path)
    if fault := plain.misfit(found, forms.SCALING):
        raise ReportError(f"{path} holds no measurement of scaling ({fault}); run python benchmarks/scaling.py first.")
    return found["scaling"]

"""What benchmarks/speed.py measured, as the benchmarks chapter shows it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..config import BenchmarkConfig, ReportError, project_root
from ..formatting import duration
from ..runs import forms, plain

Rate = tuple[float, float, float]  # median, least, greatest
# task -> the beginning of its names in the results, and what the ways are called there
TASKS = {
    "training": ("train", {"usual": "usual loop", "ours": "this report"}),
    "evaluation": ("test", {"usual": "usual loop", "ours": "this report", "ours_fp32": "this report, float32"}),
    "explanation": ("explain", {"usual": "pytorch-grad-cam", "ours": "this report"}),
}

# NVIDIA's data sheets; Apple tells none, its chips draw about as much as a laptop's charger gives.
RATED_WATTS = {
    "H200": 700.0,
    "H100": 700.0,
    "A100": 400.0,
    "V100": 300.0,
    "T4": 70.0,
    "L40": 300.0,
    "L4": 72.0,
    "Apple GPU": 60.0,
}


def path(config: BenchmarkConfig) -> Path:
    """The results file; raises `ReportError` when it is missing."""
    found = project_root() / config.results
    if not found.is_file():
        raise ReportError(f"{config.results} is missing; run python benchmarks/speed.py --out {config.results} first.")
    return found


def stored(config: BenchmarkConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """(measurements, provenance) of a results file; raises `ReportError` when it is missing or something else."""
    return _speed(path(config))


def _speed(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    found = plain.json_object(file)
    if fault := plain.misfit(found, forms.SPEED):
        name = file.relative_to(project_root()) if file.is_relative_to(project_root()) else file
        raise ReportError(f"{name} holds no measurements of speed ({fault}); name a file of benchmarks/speed.py.")
    return found["speed"], found["provenance"]


def elsewhere() -> list[list[str]]:
    """Rows of a table of the machines whose results of benchmarks/speed.py lie in benchmarks/elsewhere/.

    Machine, size of its batches, images a second in training, how many times the usual loop's that is, the same for
    evaluation and explanation, and seconds for the 10,000 test images. Raises `ReportError` for a file of something
    else.
    """
    rows = []
    for file in sorted((project_root() / "benchmarks" / "elsewhere").glob("*.json")):
        speed, made = _speed(file)
        times = [speed.get(f"ratio_{beginning}") for beginning, _ in TASKS.values()]
        ratios = [f"{found['median']:.2f} times" if found else "unknown" for found in times]
        trained = f"{speed['images_per_second']['train_ours']['median']:.0f}"
        seconds = f"{speed['test_set_seconds']['ours']:.1f} s"
        rows.append([made["compute"], f"{speed['settings']['batch']}", trained, *ratios, seconds])
    return rows


def side_by_side(speed: Mapping[str, Any]) -> dict[str, dict[str, Rate]]:
    """task -> way -> (median, least, greatest) in images a second, from `train_ours`, `test_usual` and so on."""
    tasks: dict[str, dict[str, Rate]] = {}
    for task, (beginning, ways) in TASKS.items():
        for key, words in ways.items():
            rate = speed["images_per_second"].get(f"{beginning}_{key}")
            if rate:
                tasks.setdefault(task, {})[words] = (rate["median"], rate["low"], rate["high"])
    return tasks


def memory_in_words(memory: Mapping[str, float]) -> str:
    """What `speed.peak_memory` found, in GiB: "3.1 GiB", "3.1 GiB, and 12.0 GiB of the GPU's"."""
    own = f"{memory['resident']:.1f} GiB"
    return f"{own}, and {memory['device']:.1f} GiB of the GPU's" if "device" in memory else own


def kept_in_words(speed: Mapping[str, Any]) -> str:
    """What keeping memory from step to step brought, in a sentence; empty where it was not measured."""
    rates = [speed["images_per_second"].get(f"train_{name}") for name in ("kept", "returned")]
    if "ratio_kept" not in speed or None in rates:
        return ""
    kept, returned = (rate["median"] for rate in rates)
    return (
        "On a CPU the C library gives large blocks back to the system after each use, to be handed out again page by "
        "page; this report's training keeps them. In batches of "
        f"{speed['settings'].get('large_batch', 'unknown')} that made {kept:.0f} images a second in the median, and "
        f"{returned:.0f} without; neighbouring measurements differ by a factor of {speed['ratio_kept']['median']:.2f}."
    )


def on_gpu(compute: str) -> bool:
    """Whether something was computed on a GPU, from how provenance describes it."""
    return "CPU thread" not in compute


def fp32_in_words(seconds: Mapping[str, float], compute: str) -> str:
    """How evaluation in float32 compares with the usual loop, from `test_set_seconds`.

    On a CPU both compute alike. On a GPU the usual loop leaves PyTorch's convolutions as they are, which on NVIDIA's
    round float32 to TF32's 11 bits first.
    """
    times = seconds["usual"] / seconds["ours_fp32"]
    if on_gpu(compute):
        than = f"{times:.2f} times as fast" if times >= 1 else f"{1 / times:.2f} times as slow"
        return f"though a GPU may round its convolutions to TF32; in full float32 this report is {than}"
    if times >= 1:
        return f"in the same arithmetic this report is {times:.2f} times as fast"
    return f"the gain is all bfloat16's, and in the same arithmetic this report takes {1 / times:.2f} times as long"


def power(config: BenchmarkConfig, compute: str) -> float:
    """The assumed power in watts of what trained, which `compute` describes as provenance does.

    By default the power that a GPU is rated for, where `RATED_WATTS` knows it (else as for a large one), and 40 W where
    it is a few CPU threads.
    """
    if config.watts or not on_gpu(compute):
        return config.watts or 40.0
    return next((watts for name, watts in RATED_WATTS.items() if name in compute), max(RATED_WATTS.values()))


def time_to(history: Mapping[str, np.ndarray], accuracy: float) -> str:
    """When, if at all, the test accuracy (0-1) was reached, from the columns `seconds` and `test_accuracy` (E,)."""
    reached = np.flatnonzero(np.asarray(history["test_accuracy"]) >= accuracy)
    if not len(reached):
        return "not at all"
    epoch = int(reached[0])
    return f"after {duration(float(np.sum(history['seconds'][: epoch + 1])))} (epoch {epoch + 1})"


def costs(config: BenchmarkConfig) -> dict[str, Any] | None:
    """What benchmarks/costs.py measured, None where it has not been run; raises `ReportError` for something else."""
    found = plain.json_object(path(config))
    if "costs" not in found:
        return None
    if fault := plain.misfit(found, forms.COSTS):
        raise ReportError(f"{config.results} holds no costs ({fault}); run python benchmarks/costs.py again.")
    return {"growth": found["growth"], **found["costs"]}


def chapter_rows(chapters: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    """Rows of a table: chapter, seconds of its execution, and of these papermill's share outside its cells."""
    rows = [[name, duration(row["seconds"]), f"{row['papermill']:.1f} s"] for name, row in chapters.items()]
    whole, around = (sum(row[part] for row in chapters.values()) for part in ("seconds", "papermill"))
    return [*rows, ["**all**", f"**{duration(whole)}**", f"**{around:.1f} s**"]]


def growing(growth: Mapping[str, list[Mapping[str, float]]]) -> dict[str, dict[float, tuple[float, float]]]:
    """What is varied -> its value -> (seconds, GiB), for `plots.growth`; raises `ReportError` where nothing varies."""
    found: dict[str, dict[float, tuple[float, float]]] = {}
    for name, points in growth.items():
        sizes = sorted(set(points[0]) - {"seconds", "gib"})
        varied = [key for key in sizes if len({point.get(key) for point in points}) == len(points)]
        if not varied or any(varied[0] not in point for point in points):
            raise ReportError(
                f"The growth with {name} is of points that do not differ; run python benchmarks/costs.py."
            )
        found[name] = {point[varied[0]]: (point["seconds"], point["gib"]) for point in points}
    return found


def costs_in_words(found: Mapping[str, Any] | None) -> dict[str, str]:
    """What `costs` returns, for prose; everything is said to be missing where it is None."""
    names = ("costs_compute", "augmented_rate", "ratio_augmentation", "ratio_range_test", "help_seconds")
    if found is None:
        return dict.fromkeys((*names, "python_seconds", "site_seconds"), "(not measured: python benchmarks/costs.py)")
    return {
        "costs_compute": found["provenance"]["compute"],
        "augmented_rate": f"{found['augmentation']['ours']['median']:,.0f}",
        "ratio_augmentation": f"{found['ratio_augmentation']['median']:.1f}",
        "ratio_range_test": f"{found['ratio_range_test']['median']:.2f}",
        "help_seconds": f"{found['help_seconds']['median']:.2f}",
        "python_seconds": f"{found['python_seconds']['median']:.2f}",
        "site_seconds": duration(found["site_seconds"]) if found["site_seconds"] else "a time that was not measured",
    }

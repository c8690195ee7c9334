"""What the benchmarks share: a trainer to time, timing, and a file of results that each of them adds its part to."""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gradcam_report.config import AugmentConfig, DataConfig, OptimConfig, ReportError, ScheduleConfig, project_root
from gradcam_report.data import datasets
from gradcam_report.runs import io
from gradcam_report.runs.provenance import current_commit, provenance
from gradcam_report.runs.records import Provenance
from gradcam_report.training.device import Device
from gradcam_report.training.distributed import SINGLE_PROCESS, ProcessGroup
from gradcam_report.training.trainer import Trainer, TrainingSettings

Work = Callable[[], Any]


def arguments(doc: str | None, **options: tuple[Any, str]) -> argparse.ArgumentParser:
    """A parser with --device, --out and the `options`: name -> default, and what it means."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results.json"))
    for name, (default, words) in options.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default, help=words)
    return parser


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """The options as results record them."""
    return {name: value for name, value in vars(args).items() if name not in ("out", "point", "worker")}


def synthetic(images: int) -> datasets.Dataset:
    """So many synthetic training images."""
    return datasets.load(DataConfig(dataset="shapes", train_size=images, test_size=16))


def build_trainer(
    dataset: datasets.Dataset, batch: int, device: Device, group: ProcessGroup = SINGLE_PROCESS
) -> Trainer:
    """The report's own training of the published recipe, with another batch size."""
    schedule = ScheduleConfig(epochs=1000, max_lr=0.01)  # long enough for any number of steps
    return Trainer(
        dataset, TrainingSettings(AugmentConfig(), OptimConfig(batch_size=batch), schedule, 0), device, group=group
    )


def timed(device: torch.device, work: Work) -> float:
    """Seconds that `work` takes, with what it started on a GPU."""
    wait = {"cuda": torch.cuda.synchronize, "mps": torch.mps.synchronize}.get(device.type, lambda: None)
    wait()
    started = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - started


@dataclass(frozen=True)
class Way:
    """A way to work: `work` is timed, `prepare` comes before it and is not, `context` is around both."""

    work: Work
    prepare: Work = lambda: None
    context: Callable[[], AbstractContextManager[Any]] = nullcontext


def in_turns(ways: dict[str, Way], device: torch.device, repeats: int) -> dict[str, list[float]]:
    """Seconds of each way, `repeats` times in turns, after one time each that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats + 1):
        for name, way in ways.items():
            with way.context():
                way.prepare()
                seconds[name].append(timed(device, way.work))
    return {name: values[1:] for name, values in seconds.items()}


def spread(values: list[float]) -> dict[str, Any]:
    """Median, least and greatest, and how many there were."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values), "repeats": len(values)}


def ratio(above: list[float], below: list[float]) -> dict[str, Any]:
    """The spread of the ratios of neighbouring measurements."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


def peak_memory(device: torch.device) -> dict[str, float]:
    """GiB: the peak so far of this process's resident memory and, on a GPU, of what it took of the device's."""
    unit = 2**30 if sys.platform == "darwin" else 2**20
    memory = {"resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit}
    with suppress(OSError):  # Linux counts the parent's peak in what getrusage says of a child
        memory["resident"] = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 2**20
    if device.type == "cuda":
        memory["device"] = torch.cuda.max_memory_allocated(device) / 2**30
    return memory


def output(*words: str, **environment: str) -> str:
    """What a command prints; raises `ReportError` with the last line of its errors when it fails."""
    try:
        done = subprocess.run(words, cwd=project_root(), env=os.environ | environment, capture_output=True, text=True)
    except OSError as error:
        raise ReportError(f"{words[0]} cannot be started ({error.strerror}); install the report with make.") from None
    lines = done.stderr.splitlines() or ["silently"]
    if done.returncode:
        raise ReportError(f"{' '.join(words)} failed: {([line for line in lines if 'Error' in line] or lines)[-1]}")
    return done.stdout


def begin(out: Path) -> Callable[[Device, str], Provenance]:
    """Prove that `out` can take results, before anything is measured.

    Returns what makes the provenance afterwards, of a device and a data set.
    """
    add(out)
    started, commit = time.perf_counter(), current_commit()
    return lambda device, data: provenance(device.describe(), data, time.perf_counter() - started, commit)


def add(out: Path, **parts: Any) -> None:
    """Put parts into a file of results, atomically; what other benchmarks measured stays in it."""
    try:
        io.write_json(out, (io.read_json(out) if out.exists() else {}) | parts)
    except ReportError as error:
        raise ReportError(f"{out} is damaged or cannot be written; name another file with --out.") from error


def start(name: str, main: Callable[[], None]) -> None:
    """Run a benchmark's `main`; an error of the user's ends it in one sentence."""
    try:
        main()
    except ReportError as error:
        raise SystemExit(f"{name}: {error}") from None
    except ModuleNotFoundError as error:
        raise SystemExit(f"{name}: {error.name} is missing; install it with pip install -e '.[test]'.") from None

"""What the benchmarks share: timing, commands, and a file of results that each of them adds its part to."""

import contextlib
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from gradcam_report.config import ReportError, project_root
from gradcam_report.runs import io

RESULTS = Path(__file__).parent / "results.json"


def wait(device: torch.device) -> None:
    """Let a GPU finish what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()


def timed(device: torch.device, work: Callable[[], Any]) -> float:
    """Seconds that `work` takes, with what it gave to a GPU."""
    wait(device)
    started = time.perf_counter()
    work()
    wait(device)
    return time.perf_counter() - started


def in_turns(ways: dict[str, Callable[[], Any]], device: torch.device, repeats: int) -> dict[str, list[float]]:
    """Seconds of each way, `repeats` times in turns, after one time each that is not counted."""
    for work in ways.values():
        work()
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, work in ways.items():
            found[name].append(timed(device, work))
    return found


def spread(values: list[float]) -> dict[str, Any]:
    """Median, least and greatest, and how many there were."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values), "repeats": len(values)}


def ratio(above: list[float], below: list[float]) -> dict[str, Any]:
    """The spread of the ratios of neighbouring measurements."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


def peak_memory(device: torch.device) -> dict[str, float]:
    """GiB: the peak so far of this process's resident memory and, on a GPU, of what it took of the device's."""
    found = {"resident": _resident()}
    if device.type == "cuda":
        found["device"] = torch.cuda.max_memory_allocated(device) / 2**30
    return found


def _resident() -> float:
    with contextlib.suppress(OSError):  # Linux counts the parent's peak in what getrusage tells of a child
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**30


def output(words: list[str], environment: dict[str, str] | None = None) -> str:
    """What a command writes; raises `ReportError` with the last line of its complaints when it fails."""
    try:
        done = subprocess.run(words, cwd=project_root(), env=environment, capture_output=True, text=True)
    except OSError as error:
        raise ReportError(f"{words[0]} cannot be started ({error.strerror}); install the report with make.") from None
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if "Error" in line or line.startswith("gradcam-report")]
        raise ReportError(f"{' '.join(words)} failed: {(told or done.stderr.splitlines() or ['silently'])[-1]}")
    return done.stdout


def seconds(words: list[str]) -> float:
    """How long a command takes; raises as `output` does."""
    started = time.perf_counter()
    output(words)
    return time.perf_counter() - started


def results(out: Path) -> dict[str, Any]:
    """What a file of results holds so far; raises `ReportError` when it, or its folder, would not take more.

    To be asked before anything is measured.
    """
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):  # it is replaced as a whole
        raise ReportError(f"{out} cannot be written; name another file with --out.")
    if not out.exists():
        return {}
    try:
        return io.read_json(out)
    except ReportError:
        raise ReportError(f"{out} is damaged; delete it or name another file with --out.") from None


def add(out: Path, **parts: Any) -> None:
    """Put parts into a file of results, atomically; what other benchmarks measured stays in it."""
    io.write_json(out, results(out) | parts)


def start(name: str, main: Callable[[], None]) -> None:
    """Run a benchmark's `main`; an error of the user's ends it in one sentence."""
    try:
        main()
    except ReportError as error:
        raise SystemExit(f"{name}: {error}") from None

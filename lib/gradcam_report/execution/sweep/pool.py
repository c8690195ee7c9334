"""The points of a sweep on this machine: so many processes at a time, each with its share of cores and GPUs."""

import os
import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait

from ...config import project_root
from .attempt import Outcome, attempt
from .plan import Sweep


def cores() -> int:
    """How many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """The CUDA devices of this machine, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named[:count] if named else list(map(str, range(count)))


def shares(workers: int | None, cpus: int | None, devices: list[str], points: int) -> list[dict[str, str]]:
    """The environment of each of the processes that run at a time.

    So many as `workers` says; else one for each of the `devices`, else one for each core, or each `cpus` cores; but not
    more than there are `points`. Each gets `cpus` threads, by default its share of the cores (or what OMP_NUM_THREADS
    says already); where there are several devices, they are dealt out.
    """
    count = min(points, workers or len(devices) or max(1, cores() // (cpus or 1)))
    threads = str(cpus) if cpus else os.environ.get("OMP_NUM_THREADS") or str(max(1, cores() // count))
    visible = [{"CUDA_VISIBLE_DEVICES": devices[n % len(devices)]} if len(devices) > 1 else {} for n in range(count)]
    return [{"OMP_NUM_THREADS": threads, **device} for device in visible]


class Pool:
    """Local processes as an engine of `drive`: a thread waits for each."""

    def __init__(self, sweep: Sweep, environments: list[dict[str, str]]) -> None:
        self.sweep, self.root, self.capacity = sweep, project_root(), len(environments)
        self.free: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        for environment in environments:
            self.free.put(environment)
        self.threads = ThreadPoolExecutor(self.capacity)
        self.ending = threading.Event()
        self.running: dict[Future[Outcome], str] = {}

    def submit(self, slug: str) -> None:
        """Begin an attempt at a point, in a process of its own."""
        self.running[self.threads.submit(self._attempt, slug)] = slug

    def _attempt(self, slug: str) -> Outcome:
        environment = self.free.get()
        try:
            return attempt(self.root, self.sweep.folder.name, slug, environment, self.ending)
        finally:
            self.free.put(environment)

    def finished(self, timeout: float) -> list[tuple[str, Outcome]]:
        """The attempts that have ended; waits for the first one, for `timeout` seconds at most."""
        done, _ = wait(self.running, timeout, "FIRST_COMPLETED")
        return [(self.running.pop(future), future.result()) for future in done]

    def stop(self) -> None:
        """End all processes, and wait until they have ended."""
        self.ending.set()
        self.threads.shutdown(wait=True, cancel_futures=True)

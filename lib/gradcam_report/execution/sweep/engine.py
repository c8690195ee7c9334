"""The points of a sweep as tasks of Ray, which starts them, shares out CPUs and GPUs, and repeats what is lost.

Ray is started here for the sweep alone, or joined at an address. Where it is not installed, the points are executed one
after another in this process. On a cluster, checkout and sweep folder must be on a file system that all nodes see.
"""

import logging
import os
import platform
import signal
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from pydantic import Field, model_validator

from ...config import Params, ReportError
from ...runs import io
from ...runs.folder import RunFolder
from ...runs.records import Metrics
from ...runs.sweep import DONE, SWEEP, Mark, SweepRecord, read_sweep
from .. import runner

MAIN_METRICS = ("val_accuracy", "test_accuracy", "test_loss")  # of metrics.json, kept in a point's mark
FORWARDED = ("PYTHONPATH", "CIFAR10_ROOT", "HUMAN_LABELS_ROOT")  # where a node finds code and data
INSTALL = "pip install -c constraints.txt -e '.[sweep]'"
HERE = "local"


class Resources(Params):
    """What the user asks of Ray; None leaves the choice to `_connect`. The address "local" starts Ray on this machine.

    `workers` is the number of points at a time, `cpus` and `gpus` are what each point takes, `retries` its further
    attempts after a failure that may pass. Ray takes whole GPUs, or a fraction of one.
    """

    workers: int | None = Field(None, ge=1)
    cpus: int | None = Field(None, ge=1)
    gpus: float | None = Field(None, ge=0)
    retries: int = Field(3, ge=0)
    address: str = HERE

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.workers and self.address != HERE:
            raise ReportError(
                "--workers is for this machine; with --address, --cpus and --gpus say what a point takes."
            )
        if self.gpus and self.gpus > 1 and self.gpus % 1:
            raise ReportError(f"gpus is {self.gpus}; it must be a whole number or a fraction below 1.")
        return self


def execute_point(cwd: str, out: str, slug: str, key: str) -> str:
    """Execute a point of the sweep `key` in the folder `out`, unless it is finished; `cwd` is the command's folder.

    Returns why the point cannot be executed: its node does not see the folder, or the chapter refuses its parameters;
    else "". Raises `ReportError` for a failure that may pass.
    """
    if Path(cwd).is_dir():
        os.chdir(cwd)  # a worker of Ray finds the checkout as the command does
    folder = RunFolder(out)
    if not (folder / SWEEP).is_file() or (record := read_sweep(folder)).key != key:
        shared = "put checkout and --out on a file system that all nodes share"
        return f"The node {platform.node()} does not see {folder.path} of this sweep; {shared}."
    point = next(point for point in record.points if point.slug == slug)
    if record.mark(point, folder):
        return ""
    place = RunFolder(folder / slug)
    try:
        seconds = runner.execute(record.chapter, place / f"{record.chapter}.ipynb", record.parameters(point, folder))
    except runner.Refused as error:
        if error.retryable:  # what is left of a lost attempt still computes in the folder
            raise
        return str(error)
    metrics = place.metrics().model_dump() if (place / Metrics.FILE).is_file() else {}
    mark = Mark(
        recipe=record.recipe(point),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 1),
        host=platform.node(),
        results={name: metrics[name] for name in MAIN_METRICS if name in metrics},
    )
    io.write_json(place / DONE, mark)
    return ""


def run(
    folder: RunFolder, record: SweepRecord, slugs: Sequence[str], resources: Resources
) -> Iterator[tuple[str, str]]:
    """Execute points; yields (slug, error) as each one ends, the error "" for a finished one. None stops another.

    Closing the iterator, or an exception, ends what is under way. Raises `ReportError` where there is no such cluster.
    """
    arguments = {slug: (str(Path.cwd()), folder.name, slug, record.key) for slug in slugs}
    ray = _import_ray(resources)
    if ray is None:
        print(f"Without Ray, the points run one after another; get it with {INSTALL}.", flush=True)
        for slug, given in arguments.items():
            try:
                yield slug, execute_point(*given)
            except (OSError, ReportError) as error:
                yield slug, str(error)
        return
    options = _connect(ray, record, len(slugs), resources)
    task = ray.remote(max_retries=resources.retries, retry_exceptions=True, **options)(execute_point)
    pending = {task.options(name=slug).remote(*given): slug for slug, given in arguments.items()}
    try:
        while pending:
            (ended,), _ = ray.wait(list(pending), num_returns=1)
            yield pending.pop(ended), _error(ray, ended)
    finally:
        for reference in pending:
            ray.cancel(reference, force=True)
        ray.shutdown()


def _import_ray(resources: Resources) -> ModuleType | None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ModuleNotFoundError:
        if resources.address != HERE:
            raise ReportError(f"--address needs Ray, which is not installed; install it with {INSTALL}.") from None
        return None
    return ray


def _connect(ray: Any, record: SweepRecord, points: int, resources: Resources) -> dict[str, Any]:
    """Start or join Ray; returns the options of a point's task: its share of CPUs and GPUs, and its environment.

    A Ray of our own has as many CPUs as there are `workers`, and each point takes one. On a cluster a point takes
    `cpus` CPUs and, where there are some, a GPU.
    """
    on_gpu = record.machine.get("device", "cpu") in ("auto", "cuda")
    if resources.address == HERE:
        workers, threads, share = divide(resources, points, _num_cores(), _num_gpus() if on_gpu else 0)
        _initialize(ray, HERE, num_cpus=workers, include_dashboard=False, object_store_memory=100 * 2**20)
        need = {"CPU": 1.0, "GPU": share}
    else:
        threads = resources.cpus or 1
        _initialize(ray, resources.address)
        need = {"CPU": float(threads), "GPU": float(on_gpu and "GPU" in ray.cluster_resources())}
    if resources.gpus is not None:
        need["GPU"] = resources.gpus
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(node.get(kind, 0) >= amount for kind, amount in need.items()) for node in nodes):
        ray.shutdown()
        amounts = f"{need['CPU']:g} CPUs and {need['GPU']:g} GPUs"
        raise ReportError(f"No node has {amounts} for a point; ask for less with --cpus and --gpus.")
    variables = {name: os.environ[name] for name in FORWARDED if name in os.environ}
    variables["OMP_NUM_THREADS"] = str(threads)
    return {"num_cpus": need["CPU"], "num_gpus": need["GPU"], "runtime_env": {"env_vars": variables}}


def divide(resources: Resources, points: int, cores: int, gpus: int) -> tuple[int, int, float]:
    """Divide this machine among points: how many at a time, and the threads and the share of a GPU for each.

    As many as there are GPUs, or else cores, but not more than `points`. OMP_NUM_THREADS goes before equal shares.
    """
    workers = min(points, resources.workers or gpus or max(1, cores // (resources.cpus or 1)))
    threads = resources.cpus or int(os.environ.get("OMP_NUM_THREADS") or max(1, cores // workers))
    return workers, threads, 1 / -(-workers // gpus) if gpus else 0.0


def _initialize(ray: Any, address: str, **start: Any) -> None:
    """Start Ray, or join it at `address`; SIGTERM keeps its meaning, which Ray would change."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **start)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        if address == HERE:
            raise ReportError(f"Ray could not be started ({reason}); give the command again.") from None
        remedy = "start one with 'ray start --head', or leave --address out to use this machine"
        raise ReportError(f"There is no Ray cluster at {address!r} ({reason}); {remedy}.") from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _error(ray: Any, reference: Any) -> str:
    """Return why a task failed, after Ray's own retries; "" if it did not."""
    try:
        return str(ray.get(reference))
    except ray.exceptions.RayTaskError as error:
        return " ".join(str(error.cause).split())
    except ray.exceptions.RayError as error:  # a worker or node that died, too often
        reason = " ".join(str(error).split())[:200]
        return f"Its process was lost ({reason}); if memory ran out, use fewer --workers or more --cpus."


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _num_gpus() -> int:
    import torch

    return torch.cuda.device_count()

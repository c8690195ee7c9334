"""The points of a sweep as tasks of a Ray cluster, or of Ray on this machine; Ray is an extra, imported only here.

Every task starts the process that the local pool would start, so a point is the same wherever it is executed. Ray
itself starts a task again when its node is lost. The sweep's folder and the checkout must be on a file system that all
nodes see.
"""

import logging
import os
import platform
from pathlib import Path
from typing import Any

from ...config import ReportError, project_root
from ...runs import io
from .attempt import Outcome, attempt
from .plan import SWEEP, Sweep

HANDED_ON = ("PYTHONPATH", "CIFAR10_ROOT", "HUMAN_LABELS_ROOT")  # where a node finds code and data, as the sweep does
LOST_NODES = 5  # how many nodes may be lost under a point before it fails
INSTALL = "pip install -c constraints.txt -e '.[ray]'"


def task(root: str, out: str, slug: str, key: str, environment: dict[str, str]) -> Outcome:
    """What runs on a node: an attempt at a point of the sweep `key` in the folder `out`, if the node sees it."""

    here = Path(root) / out / SWEEP
    try:
        seen = io.read_json(here).get("key") == key
    except ReportError:
        seen = False
    if not seen:
        return Outcome(
            f"The node {platform.node()} does not see {here} of this sweep; put checkout and --out on a file system "
            "that all nodes share."
        )
    os.chdir(root)  # the project's top folder is found from the working directory
    return attempt(Path(root), out, slug, environment)


def connect(address: str) -> Any:
    """Ray, connected to the cluster at `address` ("auto": the one of this machine) or, for "local", started here.

    Raises `ReportError` when Ray is not installed or there is no such cluster.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ModuleNotFoundError:
        raise ReportError(f"--ray needs Ray, which is not installed; install it with {INSTALL}.") from None
    options: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ReportError(
            f"There is no Ray cluster at {address!r} ({reason}); start one with 'ray start --head', or use --ray local."
        ) from None
    return ray


class OnRay:
    """A Ray cluster as an engine of `drive`; each point takes `cpus` cores and `gpus` GPUs of one node."""

    def __init__(self, sweep: Sweep, address: str, cpus: float | None, gpus: float | None) -> None:
        self.sweep, self.ray = sweep, connect(address)
        devices = self._most("GPU") >= 1 and sweep.machine.get("device", "cpu") != "cpu"
        need = {"CPU": cpus or 1.0, "GPU": float(devices) if gpus is None else gpus}
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        if not any(all(node.get(kind, 0) >= amount for kind, amount in need.items()) for node in nodes):
            self.ray.shutdown()
            raise ReportError(
                f"No node of the Ray cluster has {need['CPU']:g} CPUs and {need['GPU']:g} GPUs for a point; ask for "
                "less with --cpus and --gpus."
            )
        threads = {"OMP_NUM_THREADS": str(max(1, int(need["CPU"])))}
        self.environment = threads | {name: os.environ[name] for name in HANDED_ON if name in os.environ}
        self.remote = self.ray.remote(task).options(
            num_cpus=need["CPU"], num_gpus=need["GPU"], max_retries=LOST_NODES, retry_exceptions=False
        )
        self.need, self.running = need, dict[Any, str]()

    @property
    def capacity(self) -> int:
        """How many points the cluster can execute at a time, which changes as nodes come and go."""
        total = self.ray.cluster_resources()
        fits = [total.get(kind, 0) / amount for kind, amount in self.need.items() if amount]
        return max(1, int(min(fits)))

    def _most(self, kind: str) -> float:
        return max((node["Resources"].get(kind, 0.0) for node in self.ray.nodes() if node["Alive"]), default=0.0)

    def submit(self, slug: str) -> None:
        """Hand a point to the cluster."""
        out, key = self.sweep.folder.name, self.sweep.key
        future = self.remote.remote(str(project_root()), out, slug, key, self.environment)
        self.running[future] = slug

    def finished(self, timeout: float) -> list[tuple[str, Outcome]]:
        """The attempts that have ended; waits for the first one, for `timeout` seconds at most."""
        done, _ = self.ray.wait(list(self.running), num_returns=1, timeout=timeout) if self.running else ([], [])
        return [(self.running.pop(future), self._outcome(future)) for future in done]

    def _outcome(self, future: Any) -> Outcome:
        """What became of a task; one that Ray gave up is tried again as others are."""
        try:
            found: Outcome = self.ray.get(future)
            return found
        except self.ray.exceptions.RayError as error:
            reason = " ".join(str(error).split())[-300:]
            return Outcome(
                f"Ray could not execute it ({reason}); see that every node has what this checkout has.", True
            )

    def stop(self) -> None:
        """End all tasks and leave the cluster."""
        for future in self.running:
            self.ray.cancel(future, force=True)
        self.ray.shutdown()

"""Sweeps on Ray, started by the command and on a cluster of two nodes: what is lost is done again, and only that."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sweeping import COMMAND, WAITING, journal, until, write_chapter

from gradcam_report import cli

pytestmark = pytest.mark.slow
FAILING = """print("start", watts, file=open("journal", "a"))
from gradcam_report.config import ReportError
if watts == 1:
    raise ReportError("watts is 1; it must be something else.")
if watts == 2:
    1 / 0
"""


@pytest.fixture
def start(project: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start the command as a user does; it is killed at the end of the test."""
    write_chapter(project, WAITING)
    begun: list[subprocess.Popen[str]] = []

    def begin(pair: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "gradcam_report", *COMMAND, pair, "--workers", "2"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        begun.append(subprocess.Popen(command, start_new_session=True, **pipes))
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def workers(pid: int) -> list[psutil.Process]:
    """Of the processes that this one started: Ray's workers that execute a point, each followed by its kernel."""

    def is_kernel(process: psutil.Process) -> bool:
        try:
            return any("ipykernel" in word for word in process.cmdline())
        except psutil.NoSuchProcess:  # it ended meanwhile, or is a zombie
            return False

    kernels = filter(is_kernel, psutil.Process(pid).children(recursive=True))
    return [one for kernel in kernels for one in (kernel.parent(), kernel) if one]


def test_a_point_that_fails_stops_no_other_and_a_refusal_is_not_repeated(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write_chapter(project, FAILING)
    assert cli.main([*COMMAND, "watts=0..3", "--workers", "2", "--retries", "1"]) == 1
    out, err = capfd.readouterr()
    assert journal(project) == {"start 0.0": 1, "start 1.0": 1, "start 2.0": 2, "start 3.0": 1}
    assert re.search(r"^watts-1\.0 failed: The chapter .*: watts is 1; it must be something else\.$", err, re.M)
    assert re.search(r"^watts-2\.0 failed: .* ZeroDivisionError: division by zero$", err, re.M)
    assert "2 of 4 points failed" in err and "2 of 4 points are finished" in out


def test_a_killed_point_is_done_again_and_no_worker_outlives_a_killed_command(
    project: Path, start: Callable[[str], subprocess.Popen[str]]
) -> None:
    command = start("watts=0,1")
    until(lambda: journal(project).total() == 2)
    workers(command.pid)[0].kill()
    until(lambda: journal(project).total() == 3)
    working = workers(command.pid)
    assert len(working) >= 4
    command.kill()
    assert psutil.wait_procs(working, timeout=60)[1] == []
    (project / "go").touch()
    again = start("watts=0,1")
    out, err = again.communicate(timeout=600)
    assert again.returncode == 0, out + err
    ends = {line: count for line, count in journal(project).items() if line.startswith("end")}
    assert ends == {"end 0.0": 1, "end 1.0": 1} and journal(project).total() == 7


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_ends_its_points(
    project: Path, start: Callable[[str], subprocess.Popen[str]], how: signal.Signals
) -> None:
    command = start("watts=0,1")
    until(lambda: journal(project).total() == 2)
    family = psutil.Process(command.pid).children(recursive=True)
    (os.killpg if how == signal.SIGINT else os.kill)(command.pid, how)  # a terminal sends Ctrl-C to the whole group
    out, err = command.communicate(timeout=600)  # a busy machine takes its time
    assert command.returncode in (130, 143) and "interrupted" in err and "Traceback" not in err
    assert "0 of 2 points are finished" in out
    assert psutil.wait_procs(family, timeout=300)[1] == []


def test_a_cluster_that_loses_a_node_finishes_every_point_once(
    project: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    write_chapter(project, WAITING)
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)

    def lose_node() -> None:
        try:
            until(lambda: journal(project).total() == 2)  # both nodes are at work
            working = workers(os.getpid())
            cluster.remove_node(second, allow_graceful=False)
            until(lambda: len(psutil.wait_procs(working, timeout=0.1)[0]) == 2)  # its worker and that one's kernel
        finally:
            (project / "go").touch()

    try:
        second = cluster.add_node(**node)
        cluster.wait_for_nodes()
        thread = threading.Thread(target=lose_node)
        thread.start()
        status = cli.main([*COMMAND, "watts=0..3", "--address", cluster.address])
        thread.join()
        too_large = cli.main([*COMMAND, "watts=0..4", "--address", cluster.address, "--cpus", "64"])
    finally:
        cluster.shutdown()
    out, err = capfd.readouterr()
    assert status == 0 and "4 of 4 points are finished" in out, out + err
    counts = journal(project)
    assert [counts[f"end {n}.0"] for n in range(4)] == [1, 1, 1, 1] and counts.total() == 9
    assert too_large == 1 and "No node has 64 CPUs and 0 GPUs" in err

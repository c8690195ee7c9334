"""Sweeps at work, on local processes and on a Ray cluster of two nodes: what is killed is done again, and only that.

The chapter is a stub: a line in `journal` when it begins and when it ends, and between it waits for the file `go`.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import psutil
import pytest
from test_report import first_cell, new_code_cell, write

from gradcam_report import cli
from gradcam_report.execution.sweep import drive, on_ray, plan
from gradcam_report.runs import folder as run_folder
from gradcam_report.runs import io

WAITING = """import os, time
with open("journal", "a") as journal:
    print("start", watts, file=journal, flush=True)
    while not os.path.exists("go"):
        time.sleep(0.05)
    print("end", watts, file=journal, flush=True)
"""
FAILING = """from gradcam_report.config import ReportError
if watts == 1:
    raise ReportError("watts is 1; it must be something else.")
if watts == 2:
    1 / 0
"""
COMMAND = [sys.executable, "-m", "gradcam_report", "sweep", "benchmarks", "--out", "runs/x", "-p"]


def chapter(project: Path, *sources: str) -> None:
    write(project / "book" / "benchmarks.ipynb", first_cell("benchmarks"), *map(new_code_cell, sources))


def journal(project: Path) -> Counter[str]:
    path = project / "journal"
    return Counter(path.read_text().splitlines() if path.exists() else [])


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def started(slug: str) -> int:
    """The process that executes a point."""
    return int(io.read_json(Path("runs/x") / slug / plan.STARTED)["process"])


@pytest.fixture
def waiting(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(drive, "PAUSE", 0.5)
    chapter(project, WAITING)
    return project


@pytest.fixture
def sweeping(waiting: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start the command as a user does; it is killed at the end of the test."""
    begun: list[subprocess.Popen[str]] = []

    def start(pair: str) -> subprocess.Popen[str]:
        begun.append(
            subprocess.Popen(
                [*COMMAND, pair, "--workers", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )
        )  # fmt: skip
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def test_points_are_executed_once_and_new_values_add_to_them(waiting: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (waiting / "go").touch()
    assert cli.main([*COMMAND[3:], "watts=0,1", "--workers", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "benchmarks: 2 points in runs/x; 2 at a time" and "2 of 2 points are finished" in lines[-1]
    assert len([x for x in lines if re.fullmatch(r"\[\d/2\] watts-[01]\.0 took \d+ s; about \d+ s left", x)]) == 2
    assert len([x for x in lines if re.fullmatch(r"watts-[01]\.0 +finished +\d+", x)]) == 2
    assert cli.main([*COMMAND[3:], "watts=0..2"]) == 0
    assert "3 points in runs/x, 2 of them finished; 1 at a time" in capsys.readouterr().out
    assert journal(waiting) == Counter(f"{what} {n}.0" for n in range(3) for what in ("start", "end"))
    executed = nbformat.read(waiting / "runs/x/watts-2.0/benchmarks.ipynb", as_version=4)
    assert "watts = 2.0" in executed.cells[1].source and executed.metadata.papermill.exception is None
    assert cli.main([*COMMAND[3:], "watts=0..2"]) == 0 and journal(waiting).total() == 6


@pytest.mark.slow
def test_a_point_that_fails_stops_no_other_and_a_refusal_is_not_repeated(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drive, "PAUSE", 0.1)
    chapter(project, "print('start', watts, file=open('journal', 'a'))", FAILING)
    assert cli.main([*COMMAND[3:], "watts=0..3", "--workers", "2"]) == 1
    told = capsys.readouterr()
    assert journal(project) == {"start 0.0": 1, "start 1.0": 1, "start 2.0": 2, "start 3.0": 1}
    assert re.search(r"^watts-1\.0 failed: The chapter .*: watts is 1; it must be something else\.$", told.err, re.M)
    assert re.search(r"^watts-2\.0 failed: .* ZeroDivisionError: division by zero$", told.err, re.M)
    assert "2 of 4 points failed" in told.err and "2 of 4 points are finished" in told.out
    assert Counter(re.findall(r"^watts-\S+ +(\w+)", told.out, re.M)) == {"finished": 2, "failed": 2}


@pytest.mark.slow
def test_a_killed_point_is_tried_again_and_costs_no_other(
    waiting: Path, sweeping: Callable[[str], subprocess.Popen[str]]
) -> None:
    sweep = sweeping("watts=0,1")
    until(lambda: journal(waiting).total() == 2)
    os.kill(started("watts-1.0"), signal.SIGKILL)
    until(lambda: journal(waiting)["start 1.0"] == 2)
    time.sleep(1.5)  # the killed one's kernel ends itself
    (waiting / "go").touch()
    out, err = sweep.communicate(timeout=60)
    assert sweep.returncode == 0, out + err
    assert "watts-1.0 will be tried again: Its process was killed (SIGKILL)" in out
    assert journal(waiting) == {"start 0.0": 1, "end 0.0": 1, "start 1.0": 2, "end 1.0": 1}


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_a_sweep_that_is_ended_and_the_same_command_goes_on(
    waiting: Path, sweeping: Callable[[str], subprocess.Popen[str]], how: signal.Signals
) -> None:
    sweep = sweeping("watts=0,1")
    until(lambda: journal(waiting).total() == 2)
    family = psutil.Process(sweep.pid).children(recursive=True)
    assert len(family) >= 4  # a process and a kernel for each point
    os.kill(sweep.pid, how)
    _, err = sweep.communicate(timeout=30)
    assert psutil.wait_procs(family, timeout=10)[1] == []
    if how == signal.SIGINT:
        assert sweep.returncode == 130 and "interrupted; 0 of 2 points are finished and kept" in err
        assert "Traceback" not in err
    (waiting / "go").touch()
    out, err = (again := sweeping("watts=0,1")).communicate(timeout=60)
    assert again.returncode == 0, out + err
    assert journal(waiting) == {"start 0.0": 2, "end 0.0": 1, "start 1.0": 2, "end 1.0": 1}


def test_without_ray_the_remedy_is_told(
    waiting: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert cli.main([*COMMAND[3:], "watts=0,1", "--ray", "auto"]) == 1
    assert "--ray needs Ray, which is not installed; install it with pip install" in capsys.readouterr().err


def test_a_node_that_does_not_see_the_sweep_says_so(project: Path, tmp_path: Path) -> None:
    sweep = plan.asked("benchmarks", ["watts=0,1"], {}, run_folder.RunFolder("runs/x"))
    sweep.save()
    for root, key in ((project, "of another"), (tmp_path / "elsewhere", sweep.key)):
        outcome = on_ray.task(str(root), "runs/x", "watts-0.0", key, {})
        assert re.fullmatch(
            r"The node .* does not see .*sweep\.json of this sweep; put .* nodes share\.", outcome.sentence
        )
        assert not outcome.again and not (project / "runs/x/watts-0.0").exists()


@pytest.mark.slow
def test_a_cluster_that_loses_a_node_finishes_every_point_exactly_once(
    waiting: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        second = cluster.add_node(**node)
        cluster.wait_for_nodes()
        killer = threading.Thread(target=kill_midway, args=(waiting, cluster, second))
        killer.start()
        status = cli.main([*COMMAND[3:], "watts=0..3", "--ray", cluster.address])
        killer.join()
        refused = cli.main([*COMMAND[3:], "watts=0..4", "--ray", cluster.address, "--cpus", "64"])
    finally:
        cluster.shutdown()
    told = capsys.readouterr()
    assert status == 0, told
    assert "4 of 4 points are finished" in told.out
    found = journal(waiting)
    assert {line: n for line, n in found.items() if line.startswith("end")} == {f"end {n}.0": 1 for n in range(4)}
    assert sum(n for line, n in found.items() if line.startswith("start")) == 5, "one point was interrupted"
    assert refused == 1 and "No node of the Ray cluster has 64 CPUs and 0 GPUs" in told.err


def kill_midway(project: Path, cluster: object, node: object) -> None:
    """Lose a node once both have a point at work, and let the points go on when the other half of it is gone too."""
    until(lambda: journal(project).total() == 2)
    cluster.remove_node(node, allow_graceful=False)  # type: ignore[attr-defined]
    time.sleep(3)
    (project / "go").touch()


@pytest.mark.slow
def test_two_trainings_on_drawn_shapes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = Path(__file__).parents[2] / "book" / "training.ipynb"
    (project / "book" / "training.ipynb").write_bytes(source.read_bytes())
    small = ["dataset=shapes", "train_size=64", "val_size=32", "test_size=32", "batch_size=32", "epochs=1"]
    options = [word for pair in small for word in ("-p", pair)]
    assert cli.main(["sweep", "training", *options, "-p", "seed=0,1", "--workers", "1"]) == 0
    table = capsys.readouterr().out.splitlines()[-4:-1]
    assert table[0].split() == ["point", "state", "seconds", "val_accuracy", "test_accuracy", "test_loss"]
    for line, seed in zip(table[1:], (0, 1), strict=True):
        folder = run_folder.RunFolder(f"runs/sweep-training/seed-{seed}")
        record, metrics = folder.record("run"), io.read_json(folder / "metrics.json")
        assert record and record["parameters"]["seed"] == seed
        assert line.split()[0] == f"seed-{seed}" and line.split()[3] == f"{metrics['val_accuracy']:.4f}"
        cells = nbformat.read(folder / "training.ipynb", as_version=4).cells
        assert any("train.in_run" in cell.source and cell.outputs for cell in cells if cell.cell_type == "code")

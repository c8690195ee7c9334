"""scripts/gpu.sh, which has one attempt: what it does when a part fails, when the time is up, and the second time.

A stand-in for Python notes what it is asked to do.
"""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

TOP = Path(__file__).parents[1]
STAND_IN = """#!/usr/bin/env bash
echo "$@" >> asked.txt
[[ -z "${FAIL:-}" || "$*" != *$FAIL* ]] || exit 7
[[ -z "${SLOW:-}" || "$*" != *$SLOW* ]] || exec sleep 60
[[ "$*" != *study.py* ]] || echo '{}' > "${@: -1}"
[[ "$*" != *publish* ]] || echo new > artifacts/reference/metrics.json
"""
ALL = [
    "gpu_ready",
    "--only lr_finder",
    "--only training",
    "speed.py",
    "study.py max_lr",
    "study.py ablation",
    "publish",
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for folder in ("scripts", "benchmarks", "artifacts/reference", "book"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(TOP / "scripts" / "gpu.sh", tmp_path / "scripts")
    (tmp_path / "benchmarks" / "results.json").write_text("{}")
    (tmp_path / "book" / "training.ipynb").write_text("{}")
    (tmp_path / "python").write_text(STAND_IN)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def called(checkout: Path, **environment: str) -> tuple[int, list[str]]:
    """(exit status, the parts that were asked of Python, in their order)."""
    (checkout / "asked.txt").unlink(missing_ok=True)
    clean = {k: v for k, v in os.environ.items() if k not in ("REHEARSE", "LIMIT", "STUDY_SEEDS")}
    command = ["bash", "scripts/gpu.sh", "out"]
    done = subprocess.run(command, cwd=checkout, env=clean | {"PYTHON": "./python"} | environment, capture_output=True)
    lines = (checkout / "asked.txt").read_text().splitlines() if (checkout / "asked.txt").exists() else []
    return done.returncode, [next(part for part in ALL if part in line) for line in lines]


def packed(checkout: Path) -> set[str]:
    """The files in the pieces that the script left."""
    whole = checkout / "whole.tar"
    whole.write_bytes(b"".join(piece.read_bytes() for piece in sorted((checkout / "out").glob("results.tar.*"))))
    with tarfile.open(whole) as archive:
        return {member.name for member in archive if member.isfile()}


def test_all_parts_are_done_in_order_and_packed_and_none_is_done_twice(checkout: Path) -> None:
    assert called(checkout) == (0, ALL)
    found = packed(checkout)
    assert {"artifacts/reference/metrics.json", "book/training.ipynb", "benchmarks/max_lr-full.json"} <= found
    assert called(checkout) == (0, [])


def test_what_fails_on_the_way_costs_nothing_but_itself(checkout: Path) -> None:
    assert called(checkout, FAIL="speed.py") == (0, ALL)
    assert "artifacts/reference/metrics.json" in packed(checkout)


def test_a_machine_without_all_that_is_needed_is_refused_at_once(checkout: Path) -> None:
    assert called(checkout, FAIL="gpu_ready") == (7, ["gpu_ready"])


def test_when_training_fails_nothing_is_published_and_the_same_command_goes_on(checkout: Path) -> None:
    assert called(checkout, FAIL="--only training") == (7, ALL[:3])
    assert called(checkout) == (0, [ALL[0], *ALL[2:]])


def test_when_the_time_is_up_what_there_is_is_packed_and_the_same_command_goes_on(checkout: Path) -> None:
    status, parts = called(checkout, SLOW="study.py ablation", LIMIT="23")
    assert (status, parts) == (3, ALL[:6])
    assert "runs/gpu/max_lr-full.json" in packed(checkout) and "book/training.ipynb" not in packed(checkout)
    assert called(checkout) == (0, [ALL[0], *ALL[5:]])


def test_a_machine_without_a_gpu_is_told_so() -> None:
    words = [sys.executable, "scripts/gpu_ready.py"]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(words, cwd=TOP, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("gpu_ready: PyTorch finds no GPU; use a machine with one")

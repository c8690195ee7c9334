"""scripts/gpu.sh, which has one attempt: what it does when a part fails, when the time is up, and the second time.

A stand-in for Python notes what it is asked to do.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
STAND_IN = """#!/usr/bin/env bash
echo "$@" >> asked.txt
[[ "$*" != *study.py* ]] || echo '{}' > "${@: -1}"
[[ -z "${FAIL:-}" || "$*" != *$FAIL* ]] || exit 7
[[ -z "${SLOW:-}" || "$*" != *$SLOW* ]] || exec sleep 60
[[ "$*" != *publish* ]] || echo new > artifacts/reference/metrics.json
if [[ "$*" == *"--only training"* ]]; then
  mkdir -p runs/gpu/reference/seed-1
  for name in model.safetensors features.npz history.csv; do
    echo "$name" | tee runs/gpu/reference/$name > runs/gpu/reference/seed-1/$name
  done
fi
"""
TRAINED = ["gpu_ready", "--only lr_finder", "--only training"]
STUDIES = ["study.py max_lr", "study.py ablation"]
ALL = [*TRAINED, "speed.py", *STUDIES, "publish"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the script needs Linux")


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


def packed(checkout: Path, name: str) -> dict[str, bytes]:
    """The files in the pieces `name` that the script handed over."""
    whole = checkout / "whole.tar"
    whole.write_bytes(b"".join(piece.read_bytes() for piece in sorted((checkout / "out").glob(f"{name}.tar.*"))))
    with tarfile.open(whole) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}


def sent_anew(checkout: Path) -> None:
    """What a machine does that copies the checkout before each command: only ignored folders stay as they are."""
    shutil.rmtree(checkout / "out", ignore_errors=True)
    (checkout / "artifacts/reference/metrics.json").write_text("old")
    for path in (checkout / "benchmarks").glob("*-full.json"):
        path.unlink()


def test_all_parts_are_done_in_order_and_none_is_done_twice_and_every_call_hands_over_all(checkout: Path) -> None:
    assert called(checkout) == (0, ALL)
    for _ in range(2):
        found = packed(checkout, "published")
        assert {"book/training.ipynb", "benchmarks/max_lr-full.json", "benchmarks/ablation-full.json"} <= found.keys()
        assert found["artifacts/reference/metrics.json"] == b"new\n"
        sent_anew(checkout)
        assert called(checkout) == (0, [])


def test_no_network_is_handed_over_twice_and_of_other_seeds_only_what_is_shown(checkout: Path) -> None:
    assert called(checkout)[0] == 0
    found = packed(checkout, "measured")
    assert "runs/gpu/reference/seed-1/history.csv" in found and "runs/gpu/reference/history.csv" in found
    assert not [name for name in found if name.endswith((".safetensors", "features.npz"))]


@pytest.mark.parametrize("part", ["speed.py", *STUDIES])
def test_what_fails_on_the_way_costs_nothing_but_itself(checkout: Path, part: str) -> None:
    assert called(checkout, FAIL=part) == (0, ALL)
    found = packed(checkout, "published")
    assert found["artifacts/reference/metrics.json"] == b"new\n"
    assert ("benchmarks/ablation-full.json" in found) == (part != "study.py ablation"), "half a study is none"


def test_a_machine_without_all_that_is_needed_is_refused_at_once(checkout: Path) -> None:
    assert called(checkout, FAIL="gpu_ready") == (7, TRAINED[:1])


def test_when_training_fails_nothing_is_published_and_the_same_command_goes_on(checkout: Path) -> None:
    assert called(checkout, FAIL="--only training") == (7, TRAINED)
    assert "runs/gpu/lr_finder.done" in packed(checkout, "measured")
    sent_anew(checkout)
    assert called(checkout) == (0, [ALL[0], *ALL[2:]])


def test_when_the_time_is_up_what_there_is_is_handed_over_and_the_same_command_goes_on(checkout: Path) -> None:
    status, parts = called(checkout, SLOW="study.py ablation", LIMIT="30")
    assert (status, parts) == (3, ALL[:6])
    measured = packed(checkout, "measured")
    assert "runs/gpu/max_lr-full.json" in measured
    assert {"runs/gpu/reference/model.safetensors", "runs/gpu/reference/features.npz"} <= measured.keys()
    sent_anew(checkout)
    assert called(checkout) == (0, [ALL[0], *ALL[5:]])
    assert "benchmarks/ablation-full.json" in packed(checkout, "published")


def test_a_part_that_the_system_kills_is_no_end_of_the_time(checkout: Path) -> None:
    (checkout / "python").write_text(STAND_IN.replace("exit 7", "kill -9 $$"))
    assert called(checkout, FAIL="speed.py") == (0, ALL)


def test_a_machine_without_a_gpu_is_told_so() -> None:
    words = [sys.executable, "scripts/gpu_ready.py"]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(words, cwd=TOP, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("gpu_ready: PyTorch finds no GPU; use a machine with one")


def test_all_that_the_report_depends_on_is_asked_for() -> None:
    spec = importlib.util.spec_from_file_location("gpu_ready", TOP / "scripts" / "gpu_ready.py")
    ready = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ready)
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[<>=]", line)[0].lower() for line in project["dependencies"]}
    imported = {"pyyaml": "yaml", "scikit-learn": "sklearn"}
    asked = {imported.get(name, name) for name in names} - {"torch", "numpy"}  # these come with torchvision
    assert asked <= set(ready.MODULES)

"""What the workflows may do: pinned actions, least privileges, limits, and the commands that people use too."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

TOP = Path(__file__).parents[2]
FILES = sorted((TOP / ".github" / "workflows").glob("*.yml"))
each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def load(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    found["on"] = found.pop(True)  # YAML 1.1 takes the key `on` for a truth value
    return found


@each
def test_nobody_elses_code_reaches_the_gpu_runner(path: Path) -> None:
    found = load(path)
    assert not {"pull_request_target", "workflow_run"} & set(found["on"])
    if any("self-hosted" in job.get("runs-on", "") for job in found["jobs"].values()):
        assert set(found["on"]) == {"workflow_dispatch"}


def test_the_site_is_published_only_when_its_tests_pass() -> None:
    jobs = load(TOP / ".github/workflows/pages.yml")["jobs"]
    assert jobs["test"]["uses"] == "./.github/workflows/ci.yml"
    assert jobs["build"]["needs"] == "test" and jobs["deploy"]["needs"] == "build"


@each
def test_the_commands_are_makes_targets(path: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (TOP / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", path.read_text(encoding="utf-8"))) <= targets


def test_zizmor_finds_nothing() -> None:
    program = Path(sys.executable).with_name("zizmor")
    done = subprocess.run([program, "--offline", "--no-progress", TOP / ".github"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

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
def test_actions_are_pinned_by_commit_and_name_their_version(path: Path) -> None:
    for action, comment in re.findall(r"uses: (?!\./)(\S+)(.*)", path.read_text(encoding="utf-8")):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) and re.search(r"# v\d+\.\d+\.\d+$", comment), action


@each
def test_privileges_are_least_and_runs_are_limited(path: Path) -> None:
    found = load(path)
    assert found["permissions"] in ({}, {"contents": "read"}) and found["concurrency"]["group"]
    for name, job in found["jobs"].items():
        assert "uses" in job or job["timeout-minutes"] <= 240
        writes = {key for key, value in job.get("permissions", {}).items() if value == "write"}
        assert writes == {"deploy": {"pages", "id-token"}, "propose": {"contents", "pull-requests"}}.get(name, set())


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

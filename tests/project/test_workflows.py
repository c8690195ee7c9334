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


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in load(path)["jobs"].values() for step in job.get("steps", [])]


def test_the_workflows_are_there() -> None:
    assert [path.stem for path in FILES] == ["ci", "pages", "report", "weekly"]


@each
def test_actions_are_pinned_by_commit_and_name_their_version(path: Path) -> None:
    lines = re.findall(r"uses: (?!\./)(\S+)(.*)", path.read_text(encoding="utf-8"))
    assert lines
    for action, comment in lines:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) and re.search(r"# v\d+\.\d+\.\d+$", comment), action


@each
def test_privileges_are_least_and_runs_are_limited(path: Path) -> None:
    found = load(path)
    assert found["permissions"] in ({}, {"contents": "read"}) and found["concurrency"]["group"]
    for name, job in found["jobs"].items():
        assert "uses" in job or job["timeout-minutes"] <= 240
        writes = {key for key, value in job.get("permissions", {}).items() if value == "write"}
        assert writes == {"deploy": {"pages", "id-token"}, "propose": {"contents", "pull-requests"}}.get(name, set())
    for step in steps(path):
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_nobody_elses_code_reaches_the_gpu_runner() -> None:
    assert set(load(TOP / ".github/workflows/report.yml")["on"]) == {"workflow_dispatch"}
    for path in FILES:
        assert not {"pull_request_target", "workflow_run"} & set(load(path)["on"])
        for name, job in load(path)["jobs"].items():
            if (path.stem, name) != ("report", "run"):
                assert job.get("runs-on", "ubuntu-24.04") == "ubuntu-24.04"


def test_the_site_is_published_only_when_its_tests_pass() -> None:
    jobs = load(TOP / ".github/workflows/pages.yml")["jobs"]
    assert jobs["test"]["uses"] == "./.github/workflows/ci.yml" and "workflow_call" in load(FILES[0])["on"]
    assert jobs["build"]["needs"] == "test" and jobs["deploy"]["needs"] == "build"


@each
def test_the_commands_are_makes_targets(path: Path) -> None:
    makefile = (TOP / "Makefile").read_text(encoding="utf-8")
    called = re.findall(r"\bmake ([a-z]+)", "\n".join(step.get("run", "") for step in steps(path)))
    assert called or path.stem == "report"
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in called)


def test_zizmor_finds_nothing() -> None:
    program = Path(sys.executable).with_name("zizmor")
    done = subprocess.run([program, "--offline", "--no-progress", TOP / ".github"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

"""The files that say the same thing say it: pins, extras, tables of contents, parameter files, Makefile."""

import os
import re
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from gradcam_report.config import CHAPTERS, field_names, parse_params

TOP = Path(__file__).parents[2]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def lines(name: str) -> list[str]:
    """The lines of a requirements file that are neither empty nor comments."""
    return [line for line in (TOP / name).read_text().splitlines() if line.strip() and not line.startswith("#")]


def pins() -> dict[str, str]:
    """Canonical name -> version of constraints.txt."""
    found = {}
    for line in lines("constraints.txt"):
        requirement = Requirement(line)
        (pin,) = requirement.specifier
        assert pin.operator == "==", line
        found[canonicalize_name(requirement.name)] = pin.version
    return found


def load(name: str):
    return yaml.safe_load((TOP / name).read_text())


def direct() -> list[Requirement]:
    every = PROJECT["dependencies"] + [text for extra in EXTRAS.values() for text in extra]
    return [r for r in map(Requirement, every) if r.name != PROJECT["name"]]


def extra(name: str) -> list[Requirement]:
    return [Requirement(text) for text in EXTRAS[name]]


def test_every_direct_dependency_has_a_pin_it_allows():
    pinned = pins()
    for requirement in direct():
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier


def test_pins_are_public_versions_each_stated_once():
    names = [canonicalize_name(Requirement(line).name) for line in lines("constraints.txt")]
    assert sorted(names) == sorted(set(names))
    assert not [version for version in pins().values() if Version(version).local]


def test_everything_that_the_project_pulls_in_is_pinned_and_installed_as_pinned():
    pinned, seen = pins(), set()
    waiting = [r for r in direct() if r.name != "pre-commit"]  # a developer's tool, not part of the tests
    seen.add(("pip", frozenset()))  # pip-audit needs it: what installs is not what is installed
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in seen or not installed(name):
            continue
        seen.add(key)
        assert Version(metadata.version(name)).public == pinned.get(name), f"{name}: installed, and in constraints.txt"
        for text in metadata.requires(name) or []:
            needed = Requirement(text)
            if not needed.marker or any(needed.marker.evaluate({"extra": e}) for e in ("", *requirement.extras)):
                waiting.append(needed)
    assert len(seen) > 100


def installed(name: str) -> bool:
    """Whether a distribution is there; only those of `direct()` must be, others may belong to another platform."""
    try:
        return bool(metadata.version(name))
    except metadata.PackageNotFoundError:
        if name in {canonicalize_name(r.name) for r in direct()} - {"jupytext"} - {r.name for r in extra("audit")}:
            raise
        return False


def test_conda_takes_its_packages_from_the_same_pins():
    environment = load("environment.yml")
    assert environment["name"] == PROJECT["name"] and environment["channels"] == ["conda-forge", "nodefaults"]
    python, pip, packages = environment["dependencies"]
    constraint, project = packages["pip"]
    assert (pip, constraint, len(packages)) == ("pip", "-c constraints.txt", 1)
    assert set(re.fullmatch(r"-e \.\[(.*)\]", project)[1].split(",")) <= set(EXTRAS)
    # As repo2docker, which Binder builds with, finds the version; only such a one is its own environment made for.
    version = re.match(r"python\s*=+\s*([\d\.]*)", python)[1]
    tested = load(".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert version in SpecifierSet(PROJECT["requires-python"]) and version in tested


def test_the_site_is_built_from_the_book_extra_without_torch():
    assert lines("requirements/book.txt") == EXTRAS["book"]
    assert "torch" not in " ".join(EXTRAS["book"])


def test_the_tools_for_the_pins_are_those_of_the_audit_extra():
    assert lines("requirements/audit.txt") == EXTRAS["audit"]


def test_pre_commit_runs_the_ruff_that_is_pinned():
    revisions = {repo["repo"].rsplit("/", 1)[1]: repo["rev"] for repo in load(".pre-commit-config.yaml")["repos"]}
    assert revisions["ruff-pre-commit"] == "v" + pins()["ruff"]


def test_citation_names_the_released_version_and_licence():
    citation = load("CITATION.cff")
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])


def test_both_tables_of_contents_are_one():
    assert load("book/_toc.yml") == load("_toc.yml")


def test_table_of_contents_names_what_is_there_in_the_order_of_the_pipeline():
    toc = load("_toc.yml")
    pages = [toc["root"], *(chapter["file"] for chapter in toc["chapters"])]
    found = {path.stem: path.suffix for path in (TOP / "book").iterdir() if path.suffix in {".md", ".ipynb"}}
    assert sorted(pages) == sorted(found)
    assert [page for page in pages if found[page] == ".ipynb"] == list(CHAPTERS)


@pytest.mark.parametrize("name", ["quick", "full"])
def test_parameter_files_name_parameters_that_some_chapter_has(name):
    values = load(f"params/{name}.yaml")
    assert set(values) <= {field for chapter in CHAPTERS for field in field_names(chapter)}
    for chapter in CHAPTERS:
        parse_params(chapter, {field: values[field] for field in field_names(chapter) if field in values})


def test_full_parameters_are_the_defaults_all_of_them():
    values = load("params/full.yaml")
    of_the_machine = {"run_dir", "data_root", "human_root", "device", "force"}
    for chapter in CHAPTERS:
        for field, default in parse_params(chapter, {}).flat().items():
            assert field in of_the_machine or values[field] == default, field


def test_without_a_supported_python_make_says_so_in_one_sentence(tmp_path):
    shutil.copy(TOP / "Makefile", tmp_path)
    command = [shutil.which("make"), "PYTHON=no-such-python", ".venv/bin/python"]
    done = subprocess.run(command, cwd=tmp_path, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    sentence, *rest = done.stderr.splitlines()
    assert done.returncode and sentence.startswith("No Python 3.11, 3.12 or 3.13") and sentence.endswith(".")
    assert len(rest) == 1  # make's own line


def test_ci_runs_the_same_command_as_a_maintainer():
    script = TOP / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-1] == "exec make test"

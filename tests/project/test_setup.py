"""The files that say the same thing agree: pins, extras, tables of contents, parameter files, Makefile."""

import shutil
import subprocess
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gradcam_report.config import CHAPTERS, parse_params

TOP = Path(__file__).parents[2]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def requirements(name: str) -> list[str]:
    return [line for line in (TOP / name).read_text().splitlines() if line.strip() and not line.startswith("#")]


def load(name: str):
    return yaml.safe_load((TOP / name).read_text())


def test_every_direct_dependency_has_a_pin_that_it_allows():
    pins = {canonicalize_name(pin.name): pin for pin in map(Requirement, requirements("constraints.txt"))}
    for text in PROJECT["dependencies"] + [text for extra in EXTRAS.values() for text in extra]:
        requirement = Requirement(text)
        if requirement.name == PROJECT["name"]:
            continue
        (exact,) = pins[canonicalize_name(requirement.name)].specifier
        assert exact.operator == "==" and exact.version in requirement.specifier, text


def test_the_site_is_built_from_the_book_extra_without_torch():
    assert requirements("requirements/book.txt") == EXTRAS["book"]
    assert "torch" not in " ".join(EXTRAS["book"])


def test_both_tables_of_contents_name_the_chapters_in_the_order_of_the_pipeline():
    toc = load("_toc.yml")
    assert load("book/_toc.yml") == toc  # a link, where the system has links
    pages = [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]
    found = {path.stem: path.suffix for path in (TOP / "book").iterdir() if path.suffix in {".md", ".ipynb"}}
    assert sorted(pages) == sorted(found)
    assert [page for page in pages if found[page] == ".ipynb"] == list(CHAPTERS)


def test_full_parameters_are_the_defaults_all_of_them():
    values = load("params/full.yaml")
    of_the_machine = {"run_dir", "data_root", "human_root", "device", "force"}
    for chapter in CHAPTERS:
        for field, default in parse_params(chapter, {}).flat().items():
            assert field in of_the_machine or values[field] == default, field


def test_without_a_supported_python_make_names_what_it_needs(tmp_path):
    shutil.copy(TOP / "Makefile", tmp_path)
    command = [shutil.which("make"), "PYTHON=no-such-python", ".venv/bin/python"]
    done = subprocess.run(command, cwd=tmp_path, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode and done.stderr.startswith("No Python 3.11 to 3.14")

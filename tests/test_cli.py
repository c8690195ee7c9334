"""The command line: what it says, what it hands on, and how it fails."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcam_report import cli
from gradcam_report.config import CHAPTERS, ReportError
from gradcam_report.execution import runner
from gradcam_report.runs import plain


class Asked:
    """Stands for `report.run_all` and remembers what it was given."""

    def __call__(self, values: dict[str, Any], run_dir: str, chapters: list[str], site: bool) -> Path | None:
        self.values, self.run_dir, self.chapters, self.site = values, run_dir, list(chapters), site
        return Path("index.html") if site else None


@pytest.fixture
def asked(project: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    stand_in = Asked()
    monkeypatch.setattr(runner, "run_all", stand_in)
    return stand_in


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("1e-3", 0.001),
        ("5.0e-4", 0.0005),
        ("true", True),
        ("[layer3, layer4]", ["layer3", "layer4"]),
        ("[3, 14]", [3, 14]),
        ("layer4", "layer4"),
        ("none", "none"),
        ("", ""),
        ("C:\\images", "C:\\images"),
        ("a=b", "a=b"),
        ("[3, 14", "[3, 14"),
    ],
)
def test_a_value_is_read_as_yaml(text: str, value: object) -> None:
    read = plain.assignments([f"name={text}"])["name"]
    assert read == value and type(read) is type(value)


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**9), 10**9))
def test_every_number_comes_back(number: float) -> None:
    assert plain.assignments([f"max_lr={number!r}"]) == {"max_lr": number}


@settings(deadline=None)
@given(st.text())
def test_no_text_makes_it_crash(text: str) -> None:
    assert list(plain.assignments([f"name={text}"])) == ["name"]


@pytest.mark.parametrize("pair", ["epochs", "=5", ""])
def test_what_is_no_assignment_is_quoted(pair: str) -> None:
    with pytest.raises(ReportError, match="write -p NAME=VALUE") as caught:
        plain.assignments([pair])
    assert repr(pair) in str(caught.value)


def test_a_parameter_file_gives_way_to_p_and_the_last_p_wins(asked: Asked, project: Path) -> None:
    (project / "some.yaml").write_text("epochs: 3\nseed: 1\n")
    assert cli.main(["run", "--params", "some.yaml", "-p", "epochs=5", "-p", "epochs=7", "--run-dir", "runs/x"]) == 0
    assert asked.values == {"epochs": 7, "seed": 1} and asked.run_dir == "runs/x"


@pytest.mark.parametrize(
    ("options", "chapters"),
    [
        ([], list(CHAPTERS)),
        (["--from", "training"], list(CHAPTERS)[list(CHAPTERS).index("training") :]),
        (["--only", "model"], ["model"]),
    ],
)
def test_from_and_only_choose_chapters(asked: Asked, options: list[str], chapters: list[str]) -> None:
    assert cli.main(["run", *options]) == 0
    assert asked.chapters == chapters and asked.run_dir == "runs/mine"


def test_the_site_is_built_and_pointed_to_unless_refused(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run"]) == 0 and asked.site
    assert capsys.readouterr().out == "Open index.html\n"
    assert cli.main(["run", "--no-site"]) == 0 and not asked.site
    assert capsys.readouterr().out == ""


def test_the_run_folder_may_also_be_named_by_its_parameter(asked: Asked) -> None:
    assert cli.main(["run", "-p", "run_dir=runs/other"]) == 0
    assert asked.run_dir == "runs/other" and asked.values == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("run --run-dir artifacts/reference", "never writes"),
        ("run --run-dir .", "never writes"),
        ("run -p run_dir=", "never writes"),
        ("run -p epohcs=5", "'epohcs'"),
        ("run -p epochs", "NAME=VALUE"),
        ("run -p epochs=many", "epochs is 'many'"),
        ("run -p epochs=0", "at least 1"),
        ("run -p dataset=shapes", "data.ipynb is missing"),
        ("run --params nowhere.yaml", "nowhere.yaml cannot be read"),
        ("train --run-dir artifacts/reference", "never writes"),
        ("train --run-dir runs/x -p epohcs=5", "'epohcs'"),
        ("train --run-dir runs/x -p epochs=0", "at least 1"),
        ("publish runs/none", "runs/none holds no lr_find.json; run the chapter lr_finder"),
    ],
)
def test_an_error_is_one_line_and_nothing_is_left_behind(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: str, words: str
) -> None:
    assert cli.main(arguments.split()) == 1
    out, err = capsys.readouterr()
    assert not out and err.startswith("gradcam-report: ") and err.count("\n") == 1 and words in err
    assert [path.name for path in project.rglob("*")] == ["book", "pyproject.toml", "index.md"]


def test_interrupting_is_no_error_of_the_program(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "run_all", interrupt)
    assert cli.main(["run"]) == 130
    assert "the same command resumes" in capsys.readouterr().err


def test_help_shows_examples_that_parse(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert done.value.code == 0
    examples = [line.split("  ")[1].split() for line in text.splitlines() if line.startswith("  gradcam-report ")]
    assert len(examples) >= 4
    for _, *arguments in examples:
        arguments = arguments[: arguments.index("make")] if "make" in arguments else arguments
        parsed = cli.parser().parse_args(arguments)
        if parsed.command in ("run", "train"):
            runner.check_names(plain.assignments(parsed.set))


@pytest.mark.parametrize(
    "arguments", [["run", "--help"], ["train", "--help"], ["publish", "--help"], ["build", "--help"]]
)
def test_every_command_has_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        cli.main(arguments)
    assert done.value.code == 0 and "usage: gradcam-report" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["run", "--from", "nowhere"], ["run", "--from", "data", "--only", "model"], [], ["rnu"], ["publish"]]
)
def test_a_malformed_command_ends_with_status_2_and_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as done:
        cli.main(arguments)
    assert done.value.code == 2 and capsys.readouterr().err.startswith("usage: gradcam-report")


def test_parsing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from gradcam_report import cli; from gradcam_report.runs import plain; "
        "cli.parser().parse_args(['run', '-p', 'epochs=5']); "
        "plain.assignments(['epochs=5']); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "matplotlib", "IPython", "papermill"} & set(done.stdout.split())


def test_the_installed_command_fails_without_traceback(project: Path) -> None:
    command = Path(sys.executable).with_name("gradcam-report")
    done = subprocess.run([command, "run", "-p", "epohcs=5"], capture_output=True, text=True)
    assert done.returncode == 1 and not done.stdout
    assert (
        done.stderr.startswith("gradcam-report: No chapter has a parameter 'epohcs'") and done.stderr.count("\n") == 1
    )


def test_advice_is_given_as_this_command_takes_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def refuse(*args: object, **kwargs: object) -> None:
        raise ReportError("give a rate, as in -p max_lr 0.1, or add -p force True to replace it.")

    monkeypatch.setattr(runner, "run_all", refuse)
    assert cli.main(["run"]) == 1
    assert "as in -p max_lr=0.1, or add -p force=True to replace it." in capsys.readouterr().err

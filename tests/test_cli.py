"""The command line: what it hands on, and how it fails."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gradcam_report import cli
from gradcam_report.config import CHAPTERS
from gradcam_report.execution import parameters, runner


class Asked:
    """Stands for `runner.run_all` and remembers what it was given."""

    def __call__(self, values: dict[str, Any], run_dir: str, chapters: list[str], build_site: bool) -> Path | None:
        self.values, self.run_dir, self.chapters, self.site = values, run_dir, list(chapters), build_site
        return Path("index.html") if build_site else None


@pytest.fixture
def asked(project: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    stand_in = Asked()
    monkeypatch.setattr(runner, "run_all", stand_in)
    return stand_in


def test_parameters_come_from_a_file_and_from_p_as_here_or_as_papermill_writes_them(
    asked: Asked, project: Path
) -> None:
    (project / "some.yaml").write_text("epochs: 3\nseed: 1\n")
    assert (
        cli.main(["run", "--params", "some.yaml", "-p", "epochs=5", "-p", "max_lr", "1e-2", "-p", "run_dir=007"]) == 0
    )
    assert asked.values == {"epochs": "5", "seed": "1", "max_lr": "1e-2"} and asked.run_dir == "007"


@pytest.mark.parametrize(
    ("options", "chapters", "said"),
    [
        ([], list(CHAPTERS), "Open index.html\n"),
        (["--from", "training"], list(CHAPTERS)[list(CHAPTERS).index("training") :], "Open index.html\n"),
        (["--only", "model", "--no-site"], ["model"], ""),
    ],
)
def test_from_and_only_choose_chapters_and_the_site_is_pointed_to(
    asked: Asked, capsys: pytest.CaptureFixture[str], options: list[str], chapters: list[str], said: str
) -> None:
    assert cli.main(["run", *options]) == 0
    assert asked.chapters == chapters and asked.run_dir == "runs/mine" and capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("run -p epochs", "NAME=VALUE"),
        ("run -p epochs=many", "epochs is 'many'"),
        ("run -p dataset=shapes", "data.ipynb is missing"),
        ("run --params nowhere.yaml", "nowhere.yaml cannot be read"),
        ("train --run-dir artifacts/reference", "never writes"),
        ("train --run-dir runs/x -p epochs=0", "at least 1"),
        ("publish runs/none", "runs/none holds no lr_find.json; run the chapter lr_finder"),
        ("serve", "holds no built site"),
    ],
)
def test_an_error_is_one_line_and_nothing_is_left_behind(
    project: Path, capsys: pytest.CaptureFixture[str], arguments: str, words: str
) -> None:
    before = list(project.rglob("*"))
    assert cli.main(arguments.split()) == 1
    out, err = capsys.readouterr()
    assert not out and err.startswith("gradcam-report: ") and err.count("\n") == 1 and words in err
    assert list(project.rglob("*")) == before


def test_the_examples_of_the_help_parse(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        cli.main(["--help"])
    examples = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  gradcam-report ")]
    assert done.value.code == 0 and len(examples) >= 4
    for line in examples:
        parsed = cli.parser().parse_args(line.strip().split("  ")[0].split()[1:])
        if parsed.command in ("run", "train"):
            parameters.check_names(parameters.assignments(parsed.set))


def test_parsing_imports_nothing_heavy() -> None:
    lines = "import sys; from gradcam_report import cli; from gradcam_report.execution import parameters"
    code = f"{lines}; cli.parser().parse_args(['run']); parameters.gather(None, ['epochs=5']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "matplotlib", "IPython", "papermill"} & set(done.stdout.split())

"""What a user gives to the commands: the parameter's type decides what a value means, on every route."""

from pathlib import Path

import pytest

from gradcam_report.config import RETIRED, ReportError
from gradcam_report.execution import parameters


def by_command(chapter: str, name: str, text: str) -> object:
    return parameters.parameters_for(chapter, parameters.assignments([f"{name}={text}"]))[name]


def by_file(chapter: str, name: str, text: str, folder: Path) -> object:
    (folder / "some.yaml").write_text(f"{name}: {text}\n")
    return parameters.parameters_for(chapter, parameters.read_file(str(folder / "some.yaml")))[name]


@pytest.mark.parametrize(
    ("chapter", "name", "text", "value"),
    [
        ("training", "epochs", "5", 5),
        ("training", "weight_decay", "5e-4", 0.0005),
        ("training", "force", "true", True),
        ("training", "force", "no", False),
        ("training", "run_dir", "007", "007"),
        ("training", "run_dir", "2024-01-01", "2024-01-01"),
        ("gradcam", "layers", "[layer3, layer4]", ["layer3", "layer4"]),
        ("gradcam", "indices", "[3, 14]", [3, 14]),
    ],
)
def test_a_value_means_the_same_in_a_file_and_in_a_command(
    tmp_path: Path, chapter: str, name: str, text: str, value: object
) -> None:
    for read in (by_command(chapter, name, text), by_file(chapter, name, text, tmp_path)):
        assert read == value and type(read) is type(value)


@pytest.mark.parametrize("pair", ["epochs", "=5", ""])
def test_what_is_no_assignment_is_quoted(pair: str) -> None:
    with pytest.raises(ReportError, match="write -p NAME=VALUE") as caught:
        parameters.assignments([pair])
    assert repr(pair) in str(caught.value)


def test_a_file_gives_way_to_p_and_the_last_p_wins(tmp_path: Path) -> None:
    (tmp_path / "some.yaml").write_text("epochs: 3  # passes\nseed: 1\n")
    gathered = parameters.gather(str(tmp_path / "some.yaml"), ["epochs=5", "epochs=7"])
    assert gathered == {"epochs": "7", "seed": "1"}
    (tmp_path / "empty.yaml").write_text("# nothing yet\n")
    assert parameters.gather(str(tmp_path / "empty.yaml"), []) == {}


@pytest.mark.parametrize("content", [b"- epochs", b"a: [", None])
def test_a_file_that_is_no_mapping_is_refused_in_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "some.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ReportError, match=r"some\.yaml") as caught:
        parameters.read_file(str(path))
    assert "\n" not in str(caught.value)


def test_a_name_that_no_chapter_knows_is_refused_and_a_retired_one_left_aside(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(RETIRED, "gone", "it did nothing")
    parameters.check_names({"epochs": 1, "method": "gradcam", "gone": 3})
    assert "gone is left aside" in capsys.readouterr().out
    with pytest.raises(ReportError, match="'epohcs'; did you mean epochs"):
        parameters.check_names({"epochs": 1, "epohcs": 1})

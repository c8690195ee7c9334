"""Parameters as papermill delivers them: right ones arrive unchanged, wrong ones stop with a sentence that helps."""

import json
import math
from pathlib import Path
from typing import Any

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcam_report.config import (
    CHAPTERS,
    ReportError,
    TrainingParams,
    field_names,
    for_chapter,
    input_path,
    known_names,
    parse_params,
    project_root,
    user_path,
)

EVERY = [(chapter, name) for chapter in CHAPTERS for name in field_names(chapter)]


def parsed(chapter: str, **given: Any) -> dict[str, Any]:
    """Every value that the chapter gets, flat."""
    return parse_params(chapter, given).flat()


def refusal(chapter: str, **given: Any) -> str:
    with pytest.raises(ReportError) as caught:
        parse_params(chapter, given)
    text = str(caught.value)
    assert text.endswith((".", "?")) and "\n" not in text
    return text


def test_values_reach_their_own_group() -> None:
    params = TrainingParams.parse({"seed": 7, "epochs": 3, "batch_size": 64, "run_dir": "runs/try", "force": True})
    assert (params.data.seed, params.schedule.epochs, params.optim.batch_size) == (7, 3, 64)
    assert (params.run.run_dir, params.cache.force) == ("runs/try", True)
    with pytest.raises(pydantic.ValidationError):
        params.data.seed = 8  # type: ignore[misc]


@settings(max_examples=50)
@given(st.sampled_from(EVERY), st.data())
def test_a_slip_of_the_pen_is_answered_with_the_right_name(place: tuple[str, str], data: st.DataObject) -> None:
    chapter, name = place
    at = data.draw(st.integers(0, len(name) - 1))
    slip = data.draw(st.sampled_from([name[:at] + name[at + 1 :], name[: at + 1] + name[at:], name.upper()[:1] + name]))
    if slip not in known_names():
        assert f"did you mean {name}?" in refusal(chapter, **{slip: 1})


def test_names_of_other_chapters_are_left_aside_and_unknown_ones_refused() -> None:
    own, aside = for_chapter("gradcam", {"dataset": "auto", "n_images": 3, "epochs": 2})
    assert (own, aside) == ({"n_images": 3}, ["dataset", "epochs"])
    assert for_chapter("benchmarks", {"watts": 5.0, "nodes": 64}) == ({"watts": 5.0}, ["nodes"]), "nodes is retired"
    assert "'zzzzzz'" in refusal("gradcam", dataset="auto", zzzzzz=1)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


@given(st.sampled_from(EVERY), json_like)
def test_any_value_arrives_as_the_parameters_type_or_is_refused_by_name(place: tuple[str, str], value: Any) -> None:
    chapter, name = place
    default = parsed(chapter)[name]
    try:
        got = parsed(chapter, **{name: value})[name]
    except ReportError as error:
        assert name in str(error)
    else:
        assert type(got) is type(default)
        if isinstance(value, str) and isinstance(default, bool):
            assert got == (value.lower() in {"true", "yes", "on", "t", "y", "1"})
        elif isinstance(value, str) and isinstance(default, int | float):
            assert got == float(value)
        elif not isinstance(value, str):
            assert got == value and (isinstance(default, bool) or not isinstance(value, bool))


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("weight_decay", "5e-4", 0.0005),
        ("max_lr", 1, 1.0),
        ("epochs", 3.0, 3),
        ("epochs", "3", 3),
        ("force", "true", True),
        ("run_dir", "007", "007"),
    ],
)
def test_the_parameters_type_decides(name: str, value: Any, right: Any) -> None:
    got = parsed("training", **{name: value})[name]
    assert (got, type(got)) == (right, type(right))


@pytest.mark.parametrize(
    ("chapter", "name", "value", "words"),
    [
        # out of range
        ("training", "epochs", 0, "epochs is 0; it must be at least 1."),
        ("training", "epochs", 1001, "epochs is 1001; it must be at most 1000."),
        ("training", "max_lr", "-0.1", "max_lr is -0.1; it must be at least 0.0."),
        ("lr_finder", "start_lr", 0.0, "start_lr is 0.0; it must be greater than 0.0."),
        ("gradcam", "n_images", 101, "n_images is 101; it must be at most 100."),
        ("training", "max_lr", math.nan, "max_lr is nan; it must be a finite number."),
        ("training", "momentum", math.inf, "momentum is inf"),
        ("training", "weight_decay", 10**400, "weight_decay is 1000"),
        # something would be lost
        ("training", "seed", "1.5", "seed is '1.5', which is str; it must be a whole number."),
        ("training", "seed", 1.5, "whole number"),
        ("training", "seed", True, "whole number"),
        ("training", "seed", None, "whole number"),
        ("training", "max_lr", "ten", "a number"),
        ("training", "max_lr", True, "a number"),
        ("training", "force", 2, "True or False"),
        ("training", "run_dir", 7, "-r run_dir 7"),
        # no such choice
        ("data", "dataset", "cifar100", "'cifar100'; choose one of 'auto', 'cifar10', 'shapes'."),
        ("data", "dataset", 10, "dataset is 10"),
        ("gradcam", "layers", ["layer1", "layer5"], "'layer5'; choose one of 'layer1', 'layer2', 'layer3', 'layer4'."),
        # no list, or a wrong item in one
        *(("gradcam", "indices", value, "write it as '[3, 14, 159]'") for value in ("", "3,4", "[3, ", "{}", 3, None)),
        *(("gradcam", "indices", value, "indices") for value in ("[3.5]", "[true]", "[[3]]", "[null]", "[-1]")),
    ],
)
def test_what_a_parameter_cannot_be_is_named_with_what_is_allowed(
    chapter: str, name: str, value: Any, words: str
) -> None:
    assert words in refusal(chapter, **{name: value})


@given(st.lists(st.integers(0, 9_999), min_size=1, max_size=20), st.sampled_from([None, 0, 2]))
def test_a_list_may_come_as_json_text(indices: list[int], indent: int | None) -> None:
    text = " " + json.dumps(indices, indent=indent)
    assert parsed("gradcam", selection="index", indices=text)["indices"] == indices
    assert parsed("gradcam", selection="index", indices=indices)["indices"] == indices


def test_parameters_that_contradict_one_another() -> None:
    assert "start_lr is 2.0 and end_lr 1.0" in refusal("lr_finder", start_lr=2.0, end_lr=1.0)
    assert "leave out one of them" in refusal("gradcam", indices=[3], selection="stratified")
    assert parsed("gradcam", indices=[3], selection="representative")["selection"] == "index", "as full.yaml says it"
    for indices in ([3], " [\n 3]", (3,)):
        assert parsed("gradcam", indices=indices)["selection"] == "index", "naming images is enough"
    for indices in ([], "[]", " [ ] "):
        assert parsed("gradcam", indices=indices)["selection"] == "representative"
    assert "indices is empty" in refusal("gradcam", selection="index")
    assert "layers is empty" in refusal("gradcam", layers=[])
    assert "run_dir is empty" in refusal("model", run_dir=" ")


def checkout(folder: Path) -> Path:
    (folder / "book").mkdir(parents=True)
    (folder / "book" / "index.md").touch()
    (folder / "pyproject.toml").write_text('[project]\nname = "gradcam-report"\n')
    return folder


def test_the_nearest_checkout_is_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def root_from(folder: Path) -> Path:
        monkeypatch.chdir(folder)
        return project_root()

    outer = checkout(tmp_path.resolve() / "outer")
    inner = checkout(outer / "inner")
    run = inner / "runs" / "mine" / "book"
    run.mkdir(parents=True)
    (run / "index.md").touch()  # a run's folder has a copy of the book, but is no checkout
    assert root_from(run) == root_from(inner / "book") == inner
    other = tmp_path / "another"  # a project with a Jupyter Book of its own
    checkout(other)
    (other / "pyproject.toml").write_text('[project]\nname = "another"\n')
    assert root_from(other) == Path(__file__).parents[1]
    assert root_from(tmp_path) == Path(__file__).parents[1], "outside every checkout, the one that is installed"


def test_paths_start_at_home_here_or_in_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = checkout(tmp_path.resolve() / "top")
    (top / "book" / "cat.jpg").touch()
    (top / "dog.jpg").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(top / "book")
    assert user_path("~/x") == tmp_path / "home" / "x" and user_path("runs/x") == top / "runs" / "x"
    assert input_path("cat.jpg") == top / "book" / "cat.jpg" and input_path("dog.jpg") == top / "dog.jpg"
    assert parsed("training", run_dir="~/x")["run_dir"] == str(tmp_path / "home" / "x")

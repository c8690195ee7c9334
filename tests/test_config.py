"""Parameters as papermill delivers them: right ones arrive unchanged, wrong ones stop with a sentence that helps."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcam_report.config import (
    CHAPTERS,
    LAYERS,
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
FLOATS = [(c, n) for c, n in EVERY if isinstance(parse_params(c, {}).flat()[n], float)]

# chapter, parameter, smallest and largest allowed, just too small and just too large (None: no such limit)
EDGES = [
    ("data", "train_size", 0, 50_000, -1, 50_001),
    ("data", "seed", 0, 2**31 - 1, -1, 2**31),
    ("data", "crop_padding", 0, 16, -1, 17),
    ("data", "cutout", 0, 31, -1, 32),
    ("training", "batch_size", 2, 10_000, 1, 10_001),
    ("training", "momentum", 0.0, 0.999, -1e-9, 1.0),
    ("training", "weight_decay", 0.0, 1.0, -1e-9, 1.01),
    ("training", "label_smoothing", 0.0, 0.9, -0.1, 1.0),
    ("training", "epochs", 1, 1000, 0, 1001),
    ("training", "max_lr", 0.0, 100.0, -0.1, 101.0),
    ("training", "warmup", 0.0, 0.9, -0.1, 1.0),
    ("lr_finder", "start_lr", 1e-12, 0.9, 0.0, 101.0),
    ("lr_finder", "end_lr", 1e-2, 1000.0, 0.0, 1001.0),
    ("lr_finder", "iterations", 10, 100_000, 9, 100_001),
    ("lr_finder", "smoothing", 0.0, 0.999, -0.1, 1.0),
    ("lr_finder", "stop_factor", 1.2, 1e6, 1.1, 2e6),
    ("gradcam", "n_images", 1, 100, 0, 101),
]


def parsed(chapter: str, **given: Any) -> dict[str, Any]:
    """Every value that the chapter gets, flat."""
    return parse_params(chapter, given).flat()


def refusal(chapter: str, **given: Any) -> str:
    with pytest.raises(ReportError) as caught:
        parse_params(chapter, given)
    text = str(caught.value)
    assert text.endswith((".", "?")) and "\n" not in text
    return text


def test_values_reach_their_own_concern() -> None:
    params = TrainingParams.parse({"seed": 7, "epochs": 3, "batch_size": 64, "run_dir": "runs/try", "force": True})
    assert (params.data.seed, params.schedule.epochs, params.optim.batch_size) == (7, 3, 64)
    assert (params.run.run_dir, params.cache.force) == ("runs/try", True)
    with pytest.raises(pydantic.ValidationError):
        params.data.seed = 8  # type: ignore[misc]


def test_unknown_chapter_lists_the_known_ones() -> None:
    assert all(chapter in refusal("trainin") for chapter in ("'trainin'", *CHAPTERS))


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
            assert got == (value.lower() == "true")
        elif isinstance(value, str) and isinstance(default, int | float):
            assert got == float(value)
        elif not isinstance(value, str):
            assert got == value and isinstance(value, bool) == isinstance(default, bool)


@pytest.mark.parametrize(("chapter", "name", "smallest", "largest", "below", "beyond"), EDGES)
def test_limits_are_where_they_should_be(chapter, name, smallest, largest, below, beyond) -> None:
    for allowed in (smallest, largest):
        assert parsed(chapter, **{name: allowed})[name] == allowed
    for outside in (below, beyond):
        text = refusal(chapter, **{name: outside})
        assert f"{name} is {outside}" in text and "must be" in text


@pytest.mark.parametrize(("chapter", "name"), FLOATS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400])
def test_what_is_no_finite_number_is_refused(chapter: str, name: str, value: float) -> None:
    assert f"{name} is {str(value)[:100]}" in refusal(chapter, **{name: value})


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("seed", "1.5", "whole number"),
        ("seed", 1.5, "whole number"),
        ("seed", True, "whole number"),
        ("seed", None, "whole number"),
        ("max_lr", "ten", "a number"),
        ("max_lr", True, "a number"),
        ("force", 1, "True or False"),
        ("run_dir", 7, "-r run_dir 7"),
    ],
)
def test_a_value_that_would_lose_something_is_refused(name: str, value: Any, words: str) -> None:
    text = refusal("training", **{name: value})
    assert f"{name} is {value!r}" in text and words in text


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
    ("chapter", "name", "value"),
    [
        ("data", "dataset", "cifar100"),
        ("data", "dataset", 10),
        ("data", "flip", "Random"),
        ("training", "precision", "fp16"),
        ("gradcam", "method", "gradcam++"),
        ("gradcam", "layers", ["layer1", "layer5"]),
    ],
)
def test_choices_are_listed(chapter: str, name: str, value: Any) -> None:
    text = refusal(chapter, **{name: value})
    kind = CHAPTERS[chapter].model_fields[field_names(chapter)[name]].annotation.model_fields[name].annotation
    choices = get_args(get_args(kind)[0]) if isinstance(value, list) else get_args(kind)
    assert repr(value[-1] if isinstance(value, list) else value) in text
    assert all(repr(choice) in text for choice in choices)


@given(st.lists(st.integers(0, 9_999), min_size=1, max_size=20), st.sampled_from([None, 0, 2]))
def test_a_list_may_come_as_json_text(indices: list[int], indent: int | None) -> None:
    text = " " + json.dumps(indices, indent=indent)
    assert parsed("gradcam", selection="index", indices=text)["indices"] == indices
    assert parsed("gradcam", selection="index", indices=indices)["indices"] == indices


@pytest.mark.parametrize("value", ["", "3", "3,4", "[3, ", "{}", '"[3]"', "null", "layer1", 3, None, "[" * 200_000])
def test_what_is_no_list_is_refused_with_an_example(value: Any) -> None:
    assert "'[3, 14, 159]'" in refusal("gradcam", selection="index", indices=value)


@pytest.mark.parametrize("value", ["[3.5]", "[true]", "[[3]]", "[null]", "[NaN]", "[1e999]", "[-1]", "[10000]"])
def test_every_item_of_a_list_is_validated(value: str) -> None:
    assert "indices" in refusal("gradcam", selection="index", indices=value)


def test_parameters_that_contradict_one_another() -> None:
    assert "start_lr is 2.0 and end_lr 1.0" in refusal("lr_finder", start_lr=2.0, end_lr=1.0)
    assert "leave out one of them" in refusal("gradcam", indices=[3], selection="stratified")
    assert parsed("gradcam", indices=[3])["selection"] == "index", "naming images is enough"
    assert "indices is empty" in refusal("gradcam", selection="index")
    assert "layers is empty" in refusal("gradcam", layers=[])


def test_lists_are_not_shared() -> None:
    parse_params("gradcam", {}).cam.layers.clear()  # type: ignore[attr-defined]
    assert parsed("gradcam")["layers"] == list(LAYERS)


def test_errors_are_shown_as_one_line_without_traceback() -> None:
    assert ReportError("seed is -1; it must be at least 0.")._render_traceback_() == [
        "ReportError: seed is -1; it must be at least 0."
    ]


def test_configuration_needs_neither_torch_nor_numpy() -> None:
    code = "import sys, gradcam_report.config; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def checkout(folder: Path) -> Path:
    (folder / "book").mkdir(parents=True)
    (folder / "book" / "index.md").touch()
    (folder / "pyproject.toml").write_text('[project]\nname = "gradcam-report"\n')
    return folder


def test_the_nearest_checkout_is_the_project(tmp_path: Path) -> None:
    outer = checkout(tmp_path.resolve() / "outer")
    inner = checkout(outer / "inner")
    run = inner / "runs" / "mine" / "book"
    run.mkdir(parents=True)
    (run / "index.md").touch()  # a run's folder has a copy of the book, but is no checkout
    assert project_root(run) == project_root(inner / "book") == inner
    other = tmp_path / "another"  # a project with a Jupyter Book of its own
    checkout(other)
    (other / "pyproject.toml").write_text('[project]\nname = "another"\n')
    assert project_root(other) == Path(__file__).parents[1]
    assert project_root(tmp_path) == Path(__file__).parents[1], "outside every checkout, the one that is installed"


def test_paths_start_at_home_here_or_in_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = checkout(tmp_path.resolve() / "top")
    (top / "book" / "cat.jpg").touch()
    (top / "dog.jpg").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(top / "book")
    assert user_path("~/x") == tmp_path / "home" / "x" and user_path("runs/x") == top / "runs" / "x"
    assert input_path("cat.jpg") == top / "book" / "cat.jpg" and input_path("dog.jpg") == top / "dog.jpg"
    assert parsed("training", run_dir="~/x")["run_dir"] == str(tmp_path / "home" / "x")

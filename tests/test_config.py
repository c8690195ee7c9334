"""Parameters as papermill delivers them: right ones arrive unchanged, wrong ones stop with a sentence that helps."""

import contextlib
import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcam_report.config import CHAPTERS, CONCERNS, LAYERS, ReportError, field_names, parse_params, project_root

EVERY = [(chapter, name) for chapter in CHAPTERS for name in field_names(chapter)]
FLOATS = [(c, n) for c, n in EVERY if isinstance(getattr(parse_params(c, {})[field_names(c)[n]], n), float)]

# chapter, parameter, smallest and largest allowed, just too small and just too large (None: no such limit)
EDGES = [
    ("data", "train_size", 0, 50_000, -1, 50_001),
    ("data", "test_size", 0, 10_000, -1, 10_001),
    ("data", "val_size", 0, 25_000, -1, 25_001),
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
    return {k: v for part in parse_params(chapter, given).values() for k, v in dataclasses.asdict(part).items()}


def refusal(chapter: str, **given: Any) -> str:
    with pytest.raises(ReportError) as caught:
        parse_params(chapter, given)
    text = str(caught.value)
    assert text.endswith((".", "?")) and "\n" not in text
    return text


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_nothing_given_means_every_default_once(chapter: str) -> None:
    parts = parse_params(chapter, {})
    assert parts == {concern: CONCERNS[concern]() for concern in CHAPTERS[chapter]}
    names = [f.name for part in parts.values() for f in dataclasses.fields(part)]
    assert list(field_names(chapter)) == names
    assert len(set(names)) == len(names)


def test_values_reach_their_own_concern() -> None:
    parts = parse_params("training", {"seed": 7, "epochs": 3, "batch_size": 64, "run_dir": "runs/try", "force": True})
    assert (parts["data"].seed, parts["schedule"].epochs, parts["optim"].batch_size) == (7, 3, 64)
    assert (parts["run"].run_dir, parts["cache"].force) == ("runs/try", True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        parts["data"].seed = 8


def test_unknown_chapter_lists_the_known_ones() -> None:
    assert "'trainin'" in refusal("trainin")
    assert all(chapter in refusal("trainin") for chapter in CHAPTERS)


@settings(max_examples=50)
@given(st.sampled_from(EVERY), st.data())
def test_a_slip_of_the_pen_is_answered_with_the_right_name(place: tuple[str, str], data: st.DataObject) -> None:
    chapter, name = place
    at = data.draw(st.integers(0, len(name) - 1))
    slip = data.draw(st.sampled_from([name[:at] + name[at + 1 :], name[: at + 1] + name[at:], name.upper()[:1] + name]))
    if slip not in field_names(chapter):
        text = refusal(chapter, **{slip: 1})
        assert repr(slip) in text and chapter in text
        assert f"did you mean {name}?" in text


@settings(max_examples=30)
@given(st.sampled_from(list(CHAPTERS)), st.text(max_size=20), st.integers())
def test_no_unknown_name_is_accepted(chapter: str, name: str, value: int) -> None:
    if name not in field_names(chapter):
        assert repr(name) in refusal(chapter, **{name: value})


def test_a_name_like_no_other_is_answered_with_all_of_them() -> None:
    text = refusal("gradcam", zzzzzz=1)
    assert all(name in text for name in field_names("gradcam"))


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


@given(st.sampled_from(EVERY), json_like)
def test_any_value_arrives_as_it_was_or_is_refused_by_name(place: tuple[str, str], value: Any) -> None:
    chapter, name = place
    default = parsed(chapter)[name]
    try:
        got = parsed(chapter, **{name: value})[name]
    except ReportError as error:
        assert name in str(error)
    else:
        assert type(got) is type(default)
        assert got == (json.loads(value) if isinstance(default, list) and isinstance(value, str) else value)
        assert isinstance(value, bool) == isinstance(default, bool)


@pytest.mark.parametrize(("chapter", "name", "smallest", "largest", "below", "beyond"), EDGES)
def test_limits_are_where_they_should_be(chapter, name, smallest, largest, below, beyond) -> None:
    for allowed in (smallest, largest):
        assert parsed(chapter, **{name: allowed})[name] == allowed
    for outside in (below, beyond):
        text = refusal(chapter, **{name: outside})
        assert name in text and str(outside) in text
        assert "must be" in text


@pytest.mark.parametrize(("chapter", "name"), FLOATS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_not_a_number_and_infinity_are_refused(chapter: str, name: str, value: float) -> None:
    text = refusal(chapter, **{name: value})
    assert name in text and str(value) in text and "finite" in text


def test_a_whole_number_too_large_for_a_float_is_refused() -> None:
    assert "end_lr" in refusal("lr_finder", end_lr=10**400)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("seed", "1", "whole number"),
        ("seed", 1.5, "whole number"),
        ("seed", True, "whole number"),
        ("seed", None, "whole number"),
        ("seed", math.nan, "whole number"),
        ("max_lr", "0.1", "a number"),
        ("max_lr", True, "a number"),
        ("force", 1, "True or False"),
        ("force", "True", "True or False"),
        ("dataset", 10, "text"),
    ],
)
def test_wrong_types_are_named(name: str, value: Any, words: str) -> None:
    text = refusal("training", **{name: value})
    assert f"{name} is {value!r}" in text and words in text


def test_numbers_change_type_where_that_loses_nothing() -> None:
    got = parsed("training", epochs=3.0, max_lr=1)
    assert (got["epochs"], type(got["epochs"])) == (3, int)
    assert (got["max_lr"], type(got["max_lr"])) == (1.0, float)


@pytest.mark.parametrize(
    ("chapter", "name", "value"),
    [
        ("data", "dataset", "cifar100"),
        ("data", "flip", "Random"),
        ("training", "device", "gpu"),
        ("training", "precision", "fp16"),
        ("gradcam", "method", "gradcam++"),
        ("gradcam", "selection", "worst"),
        ("gradcam", "layers", ["layer1", "layer5"]),
    ],
)
def test_choices_are_listed(chapter: str, name: str, value: Any) -> None:
    text = refusal(chapter, **{name: value})
    choices = next(f for f in dataclasses.fields(CONCERNS[field_names(chapter)[name]]) if f.name == name).metadata
    assert repr(value[-1] if isinstance(value, list) else value) in text
    assert all(repr(choice) in text for choice in choices["choices"])


@given(st.lists(st.integers(0, 9_999), min_size=1, max_size=20), st.sampled_from([None, 0, 2]))
def test_a_list_may_come_as_json_text(indices: list[int], indent: int | None) -> None:
    text = " " + json.dumps(indices, indent=indent)
    assert parsed("gradcam", selection="index", indices=text)["indices"] == indices
    assert parsed("gradcam", selection="index", indices=indices)["indices"] == indices


@given(st.lists(st.sampled_from(LAYERS), min_size=1, max_size=4, unique=True))
def test_layers_may_come_as_json_text(layers: list[str]) -> None:
    assert parsed("gradcam", layers=json.dumps(layers))["layers"] == layers


@pytest.mark.parametrize(
    "value", ["", "3", "3,4", "[3, ", "[3; 4]", "{}", '{"3": 4}', '"[3]"', "null", "layer1", 3, None]
)
def test_what_is_no_list_is_quoted_back_with_an_example(value: Any) -> None:
    text = refusal("gradcam", selection="index", indices=value)
    with contextlib.suppress(ValueError, TypeError):
        value = json.loads(value)
    assert f"indices is {value!r}, which is not a list" in text
    assert "'[3, 14, 159]'" in text


@pytest.mark.parametrize(
    "value", ["[3.5]", "[true]", '["3"]', "[[3]]", "[null]", "[NaN]", "[1e999]", "[-1]", "[10000]"]
)
def test_every_item_of_a_list_is_checked(value: str) -> None:
    assert "indices" in refusal("gradcam", selection="index", indices=value)


def test_json_nested_beyond_reason_is_refused() -> None:
    assert "indices" in refusal("gradcam", selection="index", indices="[" * 200_000)


def test_parameters_that_contradict_one_another() -> None:
    assert "start_lr is 2.0 and end_lr 1.0" in refusal("lr_finder", start_lr=2.0, end_lr=1.0)
    assert "start_lr" in refusal("lr_finder", start_lr=10.0)
    assert "leave out one of them" in refusal("gradcam", indices=[3], selection="stratified")
    assert parsed("gradcam", indices=[3])["selection"] == "index", "naming images is enough"
    assert "indices is empty" in refusal("gradcam", selection="index")
    assert "layers is empty" in refusal("gradcam", layers=[])


def test_lists_are_not_shared() -> None:
    parse_params("gradcam", {})["cam"].layers.clear()
    assert parsed("gradcam")["layers"] == list(LAYERS)


def test_errors_are_shown_as_one_line_without_traceback() -> None:
    assert ReportError("seed is -1; it must be at least 0.")._render_traceback_() == [
        "ReportError: seed is -1; it must be at least 0."
    ]


def test_configuration_needs_neither_torch_nor_numpy() -> None:
    code = "import sys, gradcam_report.config; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_the_project_is_found_from_anywhere_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = tmp_path.resolve()
    inner = top / "runs" / "copy"
    deep = inner / "book" / "_static"
    deep.mkdir(parents=True)
    assert project_root(deep) == deep  # no project here at all
    (top / "book").mkdir()
    (top / "book" / "index.md").touch()
    assert project_root(deep) == project_root(top / "book") == project_root(top) == top
    (inner / "book" / "index.md").touch()  # a run folder with its own copy of the book is no project
    assert project_root(deep) == top
    monkeypatch.chdir(inner / "book")
    assert project_root() == top

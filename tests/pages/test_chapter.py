"""What every chapter does first, and what it writes onto its page."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.display import HTML
from IPython.utils.capture import RichOutput, capture_output
from myst_nb import glue as reference_glue
from myst_nb.core.variables import format_plain_text

from gradcam_report.config import CHAPTERS, ModelParams, ReportError, parse_params
from gradcam_report.pages import notebook as chapter
from gradcam_report.runs import folder as run_folder


@pytest.fixture(autouse=True)
def style() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context():
        yield


@pytest.fixture
def shell() -> Iterator[None]:
    """An IPython shell, without which nothing is displayed."""
    from IPython.core.interactiveshell import InteractiveShell

    InteractiveShell.instance()
    yield
    InteractiveShell.clear_instance()


def defaults(name: str) -> dict[str, Any]:
    """The variables of a chapter's first cell."""
    return parse_params(name, {}).flat()


def shown(call: Any, *args: Any, **kwargs: Any) -> list[RichOutput]:
    with capture_output() as caught:
        call(*args, **kwargs)
    return caught.outputs


def words(outputs: list[RichOutput]) -> str:
    return "\n".join(output.data["text/markdown"] for output in outputs)


@pytest.mark.parametrize("name", CHAPTERS)
def test_begin_takes_the_plain_variables_and_nothing_else(shell: None, name: str) -> None:
    notebook = {"In": ["", "x"], "Out": {}, "_": 3, "_i1": "x", "__name__": "__main__", "pytest": pytest, "exit": exit}
    with capture_output() as caught:
        assert chapter.begin(name, notebook | defaults(name)) == parse_params(name, {})
    assert not caught.outputs


def test_begin_refuses_a_variable_that_is_no_parameter() -> None:
    with pytest.raises(ReportError, match="has no parameter 'epohcs'; did you mean epochs"):
        chapter.begin("training", defaults("training") | {"epohcs": 3})


def test_begin_can_be_called_again_in_a_live_notebook(shell: None) -> None:
    params = chapter.begin("model", defaults("model"))
    later = {**defaults("model"), "params": params, "rows": [1], "trained": True, "run_dir": "runs/other"}
    assert chapter.begin("model", later).run.run_dir == "runs/other"


@pytest.mark.parametrize(
    ("value", "sentence"), [("ten", "must be a whole number"), (0, "at least 1"), (2000, "at most 1000")]
)
def test_begin_refuses_a_value(value: object, sentence: str) -> None:
    with pytest.raises(ReportError, match=f"epochs is .*{sentence}"):
        chapter.begin("training", defaults("training") | {"epochs": value})


def test_begin_says_which_defaults_serve_where_the_first_cell_lacks_a_parameter(shell: None) -> None:
    given = {k: v for k, v in defaults("model").items() if k != "run_dir"}
    with capture_output() as caught:
        assert chapter.begin("model", given) == ModelParams()
    assert words(caught.outputs) == "*Defaults are used for run_dir.*"


@pytest.mark.parametrize("value", [89.42, 3, "CIFAR-10", "it's", True, float("nan"), None, [1, 2]])
def test_glue_writes_what_myst_nb_writes(shell: None, value: object) -> None:
    (ours,) = shown(chapter.glue, number=value)
    (theirs,) = shown(reference_glue, "number", value, display=False)
    assert ours.metadata == theirs.metadata
    assert (
        ours.data["application/papermill.record/text/plain"] == theirs.data["application/papermill.record/text/plain"]
    )


def test_a_glued_block_is_what_myst_nb_writes_of_it(shell: None) -> None:
    block, html = HTML("<figure>seen</figure>"), "application/papermill.record/text/html"
    (ours,) = shown(chapter.glue_block, "glance", block, "told")
    (theirs,) = shown(reference_glue, "glance", block, display=False)
    assert ours.metadata == theirs.metadata and ours.data[html] == theirs.data[html] == block.data
    assert format_plain_text(ours.data["application/papermill.record/text/plain"], "") == "told"


def test_glue_records_each_value_under_its_name(shell: None) -> None:
    outputs = shown(chapter.glue, accuracy=91.256, compute="2 CPU threads")
    records = {o.metadata["scrapbook"]["name"]: o.data["application/papermill.record/text/plain"] for o in outputs}
    assert format_plain_text(records["accuracy"], ".2f") == "91.26"
    assert format_plain_text(records["compute"], "") == "2 CPU threads"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (42, "42 s"),
        (89.4, "89 s"),
        (90, "1.5 min"),
        (738, "12.3 min"),
        (5399, "90.0 min"),
        (5400, "1 h 30 min"),
        (5220, "87.0 min"),
        (7199, "2 h 0 min"),
        (7200, "2 h 0 min"),
        (86_400, "24 h 0 min"),
    ],
)
def test_duration_in_words(seconds: float, text: str) -> None:
    assert chapter.duration(seconds) == text


@settings(deadline=None)
@given(st.floats(0, 1e6))
def test_duration_is_right_to_its_last_digit(seconds: float) -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    text = chapter.duration(seconds).split()
    told = sum(float(number) * units[unit] for number, unit in zip(text[::2], text[1::2], strict=True))
    assert abs(told - seconds) <= {"s": 0.5, "min": 3 if len(text) == 2 else 30}[text[-1]] + 1e-6
    assert len(text) == 2 or int(text[2]) < 60


def record(dataset: str) -> dict[str, Any]:
    made = {
        "finished": "2026-03-01T12:30:00+00:00",
        "seconds": 738.0,
        "compute": "NVIDIA T4, bf16",
        "data": "CIFAR-10 (Krizhevsky 2009)",
        "versions": {"torch": "2.11.0", "python": "3.12.1"},
    }
    return {"parameters": {"dataset": dataset}, "result": {}, "provenance": made}


def test_told_says_when_on_what_and_where(shell: None, project: Path) -> None:
    text = words(shown(chapter.told, run_folder.RunFolder("runs/try"), record("cifar10")))
    for part in (
        "2026-03-01 12:30:00 UTC",
        "12.3 min",
        "NVIDIA T4, bf16",
        "2.11.0",
        "3.12.1",
        "CIFAR-10",
        "`runs/try`",
    ):
        assert part in text
    assert "Not CIFAR-10" not in text and str(project) not in text and "evaluation" not in text
    whole = record("cifar10")
    whole["provenance"]["wall_seconds"] = 5400.0
    text = words(shown(chapter.told, run_folder.RunFolder("runs/try"), whole))
    assert "in 12.3 min (1 h 30 min with evaluation and all else) on NVIDIA T4" in text


def test_a_page_on_drawn_shapes_says_so(shell: None, project: Path) -> None:
    assert "**Not CIFAR-10.**" in words(shown(chapter.told, run_folder.RunFolder("runs/try"), record("shapes")))
    assert not shown(chapter.notice, "cifar10")


def test_table_is_markdown() -> None:
    made = chapter.table(["rule", "rate"], [["onset", 0.037], ["valley", "none"]])
    assert made.data == "| rule | rate |\n| --- | --- |\n| onset | 0.037 |\n| valley | none |"


def test_the_confusion_tables_mistakes_link_to_their_cases() -> None:
    confusion = np.array([[8, 2, 0], [1, 9, 0], [0, 4, 6]])
    page = chapter.confusion_table(confusion, ["a cat", "b&b", "c"]).data
    links = dict(re.findall(r'href="([^"]+)" aria-label="([^"]+)"', page))
    assert links == {
        "explorer.html#true=a+cat&amp;predicted=b%26b": "2 of a cat taken for b&amp;b",
        "explorer.html#true=b%26b&amp;predicted=a+cat": "1 of b&amp;b taken for a cat",
        "explorer.html#true=c&amp;predicted=b%26b": "4 of c taken for b&amp;b",
    }
    assert re.findall(r'<td class="hits">(\d+)<', page) == ["8", "9", "6"] and page.count('class="none"') == 3
    assert "--share: 1.00" in page and "--share: 0.25" in page

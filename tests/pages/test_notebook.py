"""What every chapter does first, and what it writes onto its page."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import HTML
from IPython.utils.capture import RichOutput, capture_output
from myst_nb import glue as reference_glue
from myst_nb.core.variables import format_plain_text
from sample_records import provenance, run_record

from gradcam_report import formatting
from gradcam_report.config import CHAPTERS, ReportError, parse_params
from gradcam_report.pages import notebook
from gradcam_report.runs import folder as run_folder
from gradcam_report.runs.records import RunRecord

GLUED = "application/papermill.record/text/"


@pytest.fixture(autouse=True)
def shell() -> Iterator[None]:
    """An IPython shell, without which nothing is displayed; figure settings are restored."""
    InteractiveShell.instance()
    with matplotlib.rc_context():
        yield
    InteractiveShell.clear_instance()


def defaults(name: str) -> dict[str, Any]:
    """The variables of a chapter's first cell."""
    return parse_params(name, {}).flat()


def shown(call: Callable[..., Any], *args: Any, **kwargs: Any) -> list[RichOutput]:
    with capture_output() as caught:
        call(*args, **kwargs)
    return caught.outputs


def text(outputs: list[RichOutput]) -> str:
    return "\n".join(output.data["text/markdown"] for output in outputs)


@pytest.mark.parametrize("name", CHAPTERS)
def test_begin_takes_the_plain_variables_and_nothing_else(name: str) -> None:
    session = {"In": ["", "x"], "Out": {}, "_": 3, "_i1": "x", "__name__": "__main__", "pytest": pytest, "exit": exit}
    with capture_output() as caught:
        assert notebook.begin(name, session | defaults(name)) == parse_params(name, {})
    assert not caught.outputs


def test_begin_refuses_unknown_names_and_names_what_it_sets_aside() -> None:
    with pytest.raises(ReportError, match="has no parameter 'epohcs'; did you mean epochs"):
        notebook.begin("training", defaults("training") | {"epohcs": 3})
    assert "epochs" in text(shown(notebook.begin, "model", defaults("model") | {"epochs": 3}))


def test_begin_can_be_called_again_in_a_live_notebook() -> None:
    params = notebook.begin("model", defaults("model"))
    later = {**defaults("model"), "params": params, "rows": [1], "trained": True, "run_dir": "runs/other"}
    assert notebook.begin("model", later).run.run_dir == "runs/other"


def test_begin_names_the_parameters_that_the_first_cell_lacks() -> None:
    with capture_output() as caught:
        assert notebook.begin("model", {}) == parse_params("model", {})
    assert "run_dir" in text(caught.outputs)


@pytest.mark.parametrize("value", [89.42, 3, "CIFAR-10", "it's", True, float("nan"), None, [1, 2]])
def test_glue_writes_what_myst_nb_writes(value: object) -> None:
    ours, other = shown(notebook.glue, number=value, other=91.256)
    (theirs,) = shown(reference_glue, "number", value, display=False)
    assert ours.metadata == theirs.metadata
    assert ours.data[f"{GLUED}plain"] == theirs.data[f"{GLUED}plain"]
    assert format_plain_text(other.data[f"{GLUED}plain"], ".2f") == "91.26"


def test_glued_html_is_what_myst_nb_writes_of_it() -> None:
    block = HTML("<figure>seen</figure>")
    (ours,) = shown(notebook.glue_html, "glance", block, "text")
    (theirs,) = shown(reference_glue, "glance", block, display=False)
    assert ours.metadata == theirs.metadata and ours.data[f"{GLUED}html"] == theirs.data[f"{GLUED}html"] == block.data
    assert format_plain_text(ours.data[f"{GLUED}plain"], "") == "text"


def test_source_is_folded_under_its_names_as_one_block_of_python() -> None:
    summary, code = text(shown(notebook.show_source, notebook.glue, run_folder.RunFolder.need)).split("\n\n", 1)
    assert summary.endswith("<summary>Source of <code>glue</code>, <code>RunFolder.need</code></summary>")
    assert code.startswith("````python\ndef glue(") and code.endswith("\n````\n\n</details>")
    assert inspect.getsource(notebook.glue) in code and "\n\n\ndef need(self" in code


def record(dataset: str) -> RunRecord:
    facts = provenance(seconds=738.0, wall_seconds=5400.0, compute="NVIDIA T4, bf16")
    return run_record(dataset=dataset).model_copy(update={"provenance": facts})


def test_provenance_is_shown_without_paths_of_the_machine(project: Path) -> None:
    line = text(shown(notebook.show_provenance, run_folder.RunFolder("runs/try"), record("cifar10")))
    for part in ("2026-01-02 03:04:05 UTC", "12.3 min", "1 h 30 min", "NVIDIA T4, bf16", "2.11.0", "`runs/try`"):
        assert part in line
    assert "Not CIFAR-10" not in line and str(project) not in line


def test_a_page_on_synthetic_images_carries_a_notice(project: Path) -> None:
    assert "Not CIFAR-10" in text(shown(notebook.show_provenance, run_folder.RunFolder("runs/try"), record("shapes")))
    assert not shown(notebook.notice, "cifar10")


@given(st.floats(0, 1e6))
def test_a_duration_is_right_to_its_last_digit(seconds: float) -> None:
    units = {"s": 1, "min": 60, "h": 3600}
    parts = formatting.duration(seconds).split()
    total = sum(float(number) * units[unit] for number, unit in zip(parts[::2], parts[1::2], strict=True))
    assert abs(total - seconds) <= {"s": 0.5, "min": 3 if len(parts) == 2 else 30}[parts[-1]] + 1e-6
    assert len(parts) == 2 or int(parts[2]) < 60

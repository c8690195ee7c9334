"""Bookkeeping of a chapter: validate its parameters, glue its numbers, show where its results come from.

from gradcam_report.pages import notebook
params = notebook.begin("training", globals())
"""

import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from IPython.display import HTML, Markdown, display

from .. import plots
from ..config import ChapterParams, field_names, for_chapter, params_class
from ..formatting import duration
from ..runs.folder import RunFolder
from ..runs.records import RangeTestRecord, RunRecord

_GLUE = "application/papermill.record/"
_SHELL = {"In", "Out"}
_PLAIN = (bool, int, float, str, list, tuple, dict, type(None))


def begin(chapter: str, namespace: Mapping[str, Any]) -> ChapterParams:
    """Return a chapter's validated parameters from the variables that its first cell and papermill set.

    Call it before any other variable is assigned, so that a misspelt parameter is found as an unknown variable.
    Parameters of other chapters are set aside, and a line on the page names them. Sets the figure style.

    Raises:
        ReportError: a name is unknown, a type is wrong or a value is out of range.
    """
    given = {
        name: value
        for name, value in namespace.items()
        if isinstance(value, _PLAIN) and not name.startswith(("_", "PAPERMILL_")) and name not in _SHELL
    }
    if isinstance(namespace.get("params"), ChapterParams):  # a second call: other variables are the chapter's own
        given = {k: v for k, v in given.items() if k in field_names(chapter)}
    own, set_aside = for_chapter(chapter, given)
    params = params_class(chapter).parse(own)
    if set_aside:
        display(Markdown(f"*Left aside, for this chapter does not take them: {', '.join(set_aside)}.*"))
    if missing := [n for n in field_names(chapter) if n not in own]:  # the chapter's first cell was edited
        display(Markdown(f"*Defaults are used for {', '.join(missing)}.*"))
    plots.use_style()
    return params


def notice(dataset: str) -> None:
    """Show a warning on pages that were computed on `shapes` instead of CIFAR-10."""
    if dataset == "shapes":
        display(
            Markdown(
                "> **Not CIFAR-10.** This page was computed on *shapes*, a set of synthetic images. Its numbers "
                "say nothing about photographs."
            )
        )


def show_provenance(folder: RunFolder, record: RunRecord | RangeTestRecord, what: str = "Computed") -> None:
    """Show when, on what and in which time a result was computed, where it is stored, and `notice` if it applies.

    `what` begins the sentence: "Network trained" on a page that only uses a training.
    """
    provenance = record.provenance
    finished = provenance.finished.replace("T", " ").replace("+00:00", " UTC")
    versions, wall_seconds = provenance.versions, provenance.wall_seconds
    whole = f" ({duration(wall_seconds)} with evaluation and all else)" if wall_seconds is not None else ""
    display(
        Markdown(
            f"*{what} {finished} in {duration(provenance.seconds)}{whole} on {provenance.compute} "
            f"(PyTorch {versions['torch']}, Python {versions['python']}) from {provenance.data}; "
            f"stored in `{folder.name}`.*"
        )
    )
    notice(record.parameters.dataset)


def show_source(*objects: Callable[..., Any] | type) -> None:
    """Show the source code of functions and classes of the library, folded under their names."""
    source = "\n\n\n".join(textwrap.dedent(inspect.getsource(part)).rstrip() for part in objects)
    names = ", ".join(f"<code>{part.__qualname__}</code>" for part in objects)
    summary = f'<details class="source"><summary>Source of {names}</summary>'
    display(Markdown(f"{summary}\n\n````python\n{source}\n````\n\n</details>"))


def glue(**values: object) -> None:
    """Record values under their names for `{glue:text}` in the prose of any page.

    Writes what `myst_nb.glue(name, value, display=False)` writes, which would need Sphinx where a chapter is executed.
    """
    for name, value in values.items():
        _record(name, {"text/plain": repr(value)})


def glue_html(name: str, block: HTML, text: str) -> None:
    """Record a block of HTML and its plain text for `{glue}` on another page; this page does not show it."""
    _record(name, {"text/html": str(block.data), "text/plain": repr(text)})


def _record(name: str, data: Mapping[str, str]) -> None:
    metadata = {"scrapbook": {"name": name, "mime_prefix": _GLUE}}
    display({f"{_GLUE}{kind}": value for kind, value in data.items()}, raw=True, metadata=metadata)

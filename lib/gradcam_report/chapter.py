"""What every chapter does at its start and with its results: check parameters, say what is shown, glue numbers.

from gradcam_report import chapter
params = chapter.begin("training", globals())
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from IPython.display import Markdown, display

from . import plots
from .config import Checked, field_names, parse_params
from .run import Record, RunFolder

_NOT_PARAMETERS = {"In", "Out"}
_PLAIN = (bool, int, float, str, list, tuple, dict, type(None))


def begin(name: str, namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The chapter's checked parameters by concern, from the variables that its first cell and papermill set.

    Called before any other variable is assigned, so that a misspelt parameter is an unknown plain variable. Raises
    `ReportError` for unknown names, wrong types and values out of range. Sets the figure style.
    """
    given = {
        k: v
        for k, v in namespace.items()
        if isinstance(v, _PLAIN) and not k.startswith("_") and k not in _NOT_PARAMETERS
    }
    if is_parsed(namespace.get("params")):  # a second call in a live notebook: other variables are the chapter's own
        given = {k: v for k, v in given.items() if k in field_names(name)}
    missing = [n for n in field_names(name) if n not in given]
    params = parse_params(name, given)
    if missing:  # the chapter's first cell was edited; defaults serve
        display(Markdown(f"*Defaults are used for {', '.join(missing)}.*"))
    plots.use_style()
    return params


def is_parsed(value: object) -> bool:
    """Whether `value` is what `begin` returns."""
    return isinstance(value, dict) and bool(value) and all(isinstance(v, Checked) for v in value.values())


def notice(dataset: str) -> None:
    """Say on the page that its images are drawn, where they are not CIFAR-10."""
    if dataset == "shapes":
        display(
            Markdown(
                "> **Not CIFAR-10.** This page was computed on *shapes*, the embedded set of drawn images. Its numbers "
                "say nothing about photographs."
            )
        )


def told(folder: RunFolder, record: Record, what: str = "Computed") -> None:
    """Say on the page when, on what and how long a result was computed, and where it is stored.

    `what` begins the sentence: "Network trained" on a page that only uses a training.
    """
    made = record["provenance"]
    when = made["finished"].replace("T", " ").replace("+00:00", " UTC")
    versions = made["versions"]
    display(
        Markdown(
            f"*{what} {when} in {duration(made['seconds'])} on {made['compute']} (PyTorch {versions['torch']}, "
            f"Python {versions['python']}) from {made['data']}; stored in `{folder.name}`.*"
        )
    )
    notice(record["parameters"]["dataset"])


def duration(seconds: float) -> str:
    """Seconds in words of the right size: "42 s", "12.3 min", "1 h 27 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def glue(**values: object) -> None:
    """Record values under their names for `{glue:text}` in prose, on any page of the book.

    Writes what `myst_nb.glue(name, value, display=False)` writes, without needing Sphinx where a chapter is executed.
    """
    prefix = "application/papermill.record/"
    for name, value in values.items():
        metadata = {"scrapbook": {"name": name, "mime_prefix": prefix}}
        display({f"{prefix}text/plain": repr(value)}, raw=True, metadata=metadata)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Markdown:
    """A Markdown table; numbers and everything else are written as `str` does."""
    lines = [header, ["---"] * len(header), *rows]
    return Markdown("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines))

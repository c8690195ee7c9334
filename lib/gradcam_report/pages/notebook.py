"""What every chapter does at its start and with its results: check parameters, say what is shown, glue numbers.

from gradcam_report import chapter
params = chapter.begin("training", globals())
"""

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import numpy as np
from IPython.display import HTML, Markdown, display
from numpy.typing import ArrayLike, NDArray

from .. import plots
from ..config import ChapterParams, field_names, for_chapter, params_class
from ..formatting import duration
from ..runs.folder import Record, RunFolder

_NOT_PARAMETERS = {"In", "Out"}
_PLAIN = (bool, int, float, str, list, tuple, dict, type(None))


def begin(name: str, namespace: Mapping[str, Any]) -> ChapterParams:
    """The chapter's validated parameters, from the variables that its first cell and papermill set.

    Called before any other variable is assigned, so that a misspelt parameter is an unknown plain variable. Parameters
    of other chapters are left aside, and a line on the page names them. Raises `ReportError` for unknown names, wrong
    types and values out of range. Sets the figure style.
    """
    given = {
        name: value
        for name, value in namespace.items()
        if isinstance(value, _PLAIN) and not name.startswith(("_", "PAPERMILL_")) and name not in _NOT_PARAMETERS
    }
    if isinstance(namespace.get("params"), ChapterParams):  # a second call: other variables are the chapter's own
        given = {k: v for k, v in given.items() if k in field_names(name)}
    own, aside = for_chapter(name, given)
    params = params_class(name).parse(own)
    if aside:
        display(Markdown(f"*Left aside, for this chapter does not take them: {', '.join(aside)}.*"))
    if missing := [n for n in field_names(name) if n not in own]:  # the chapter's first cell was edited
        display(Markdown(f"*Defaults are used for {', '.join(missing)}.*"))
    plots.use_style()
    return params


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
    whole = f" ({duration(made['wall_seconds'])} with evaluation and all else)" if "wall_seconds" in made else ""
    display(
        Markdown(
            f"*{what} {when} in {duration(made['seconds'])}{whole} on {made['compute']} (PyTorch {versions['torch']}, "
            f"Python {versions['python']}) from {made['data']}; stored in `{folder.name}`.*"
        )
    )
    notice(record["parameters"]["dataset"])


def glue(**values: object) -> None:
    """Record values under their names for `{glue:text}` in prose, on any page of the book.

    Writes what `myst_nb.glue(name, value, display=False)` writes, without needing Sphinx where a chapter is executed.
    """
    prefix = "application/papermill.record/"
    for name, value in values.items():
        metadata = {"scrapbook": {"name": name, "mime_prefix": prefix}}
        display({f"{prefix}text/plain": repr(value)}, raw=True, metadata=metadata)


def glue_block(name: str, block: HTML, words: str) -> None:
    """Record a block of HTML, `words` in plain text, for `{glue}` on another page; this one does not show it."""
    prefix = "application/papermill.record/"
    metadata = {"scrapbook": {"name": name, "mime_prefix": prefix}}
    display({f"{prefix}text/html": block.data, f"{prefix}text/plain": repr(words)}, raw=True, metadata=metadata)


def captioned(
    figure: plots.ReportFigure,
    name: str,
    caption: str,
    description: str,
    link: tuple[str, str] | None = None,
    narrow: plots.ReportFigure | None = None,
) -> HTML:
    """A figure of its own with caption and alternative text, for pages that show a number of them known only when run.

    `name` is its anchor on the page, `description` says to those who cannot see it what is seen, `link` is the words
    and the address of a link at the caption's end, `narrow` the same figure drawn for a telephone.
    """
    image = f'<img alt="{html.escape(description)}" {_pixels(figure, "src")}>'
    if narrow is not None:
        image = f'<picture><source media="(max-width: 600px)" {_pixels(narrow, "srcset")}>{image}</picture>'
    more = f' <a href="{html.escape(link[1])}">{html.escape(link[0])}</a>' if link else ""
    words = f"<figcaption>{html.escape(caption)}{more}</figcaption>"
    return HTML(f'<figure class="case" id="{html.escape(name)}">{image}{words}</figure>')


def _pixels(figure: plots.ReportFigure, attribute: str) -> str:
    """The attributes of an image element: a figure's size in CSS pixels, and itself."""
    width, height = (round(float(inches) * plots.SCREEN_DPI) for inches in figure.get_size_inches())
    encoded = base64.b64encode(figure.webp()).decode("ascii")
    return f'width="{width}" height="{height}" {attribute}="data:image/webp;base64,{encoded}"'


def history_table(history: Mapping[str, ArrayLike], figure: str) -> HTML:
    """Losses and accuracies (0-1) after each epoch as a table to unfold, from which the page draws curves to read off.

    `history` has the columns, float (E,), that `plots.curves` draws; the curves replace the picture with the anchor
    `figure` on a screen, by `book/_static/curves.js`.
    """
    kinds, names = [kind for kind, *_ in plots.SERIES], [name for _, name, *_ in plots.SERIES]
    columns = [np.asarray(history[kind.format("loss")], np.float64) for kind in kinds]
    columns += [100 * np.asarray(history[kind.format("accuracy")], np.float64) for kind in kinds]
    group = '<th scope="colgroup" colspan="{}" data-quantity="{}" data-unit="{}">{}</th>'
    groups = [("loss", "cross-entropy in nats", "loss"), ("accuracy", "%", "accuracy (%)")]
    head = "".join(group.format(len(kinds), *words) for words in groups)
    series = 2 * "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    rows = []
    for epoch, values in enumerate(zip(*columns, strict=True), 1):
        written = [f"{v:.4f}" for v in values[: len(kinds)]] + [f"{v:.2f}" for v in values[len(kinds) :]]
        cells = "".join(f"<td>{value}</td>" for value in written)
        rows.append(f'<tr><th scope="row">{epoch}</th>{cells}</tr>')
    whole = f'<thead><tr><td></td>{head}</tr><tr><th scope="col">epoch</th>{series}</tr></thead>'
    table = f"<table>{whole}<tbody>{''.join(rows)}</tbody></table>"
    return HTML(
        f'<details class="history" data-figure="{html.escape(figure)}"><summary>The same numbers as a table</summary>'
        f'<div tabindex="0">{table}</div></details>'
    )


def confusion_table(confusion: NDArray[np.int64], classes: Sequence[str]) -> HTML:
    """A confusion matrix int64 (C, C), rows being true classes, as a table whose mistakes link to the error explorer.

    The more images, the darker a mistake's cell.
    """
    mistakes = np.where(np.eye(len(classes), dtype=bool), 0, confusion)
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in classes)
    rows = []
    for true, name in enumerate(classes):
        cells = []
        for predicted, count in enumerate(confusion[true].tolist()):
            if true == predicted or not count:
                cells.append(f'<td class="{"hits" if true == predicted else "none"}">{count}</td>')
                continue
            address = "explorer.html#" + urlencode({"true": name, "predicted": classes[predicted]})
            words = f"{count} of {name} taken for {classes[predicted]}"
            shade = f"--share: {count / mistakes.max():.2f}"
            link = f'<a href="{html.escape(address)}" aria-label="{html.escape(words)}">{count}</a>'
            cells.append(f'<td style="{shade}">{link}</td>')
        rows.append(f'<tr><th scope="row">{html.escape(name)}</th>{"".join(cells)}</tr>')
    corner = '<td class="corner">true \\ predicted</td>'
    whole = f"<thead><tr>{corner}{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return HTML(f'<div class="confusion-table" tabindex="0"><table>{whole}</table></div>')


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Markdown:
    """A Markdown table; numbers and everything else are written as `str` does."""
    lines = [header, ["---"] * len(header), *rows]
    return Markdown("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines))


def sortable_table(
    header: Sequence[str], rows: Iterable[Sequence[tuple[object, float | str]]], label: str, by: tuple[int, bool]
) -> HTML:
    """A table that readers sort by clicking a column's name, with `book/_static/sortable.js`; as it is without that.

    A cell is (what is shown, what it is sorted by): numbers by size, text by its letters. `label` says what it holds;
    `by` is the column that the rows come sorted by, and whether upwards.
    """
    column, rising = by
    rows = list(rows)
    classes = ["" if any(isinstance(row[n][1], str) for row in rows) else ' class="number"' for n in range(len(header))]
    head = ""
    for n, name in enumerate(header):
        order = f' aria-sort="{"ascending" if rising else "descending"}"' if n == column else ""
        head += f'<th scope="col"{classes[n]}{order}>{html.escape(name)}</th>'
    body = ""
    for row in rows:
        cells = [
            f'<td{kind} data-key="{html.escape(str(key))}">{html.escape(str(shown))}</td>'
            for kind, (shown, key) in zip(classes, row, strict=True)
        ]
        body += f"<tr>{''.join(cells)}</tr>"
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return HTML(f'<section class="sortable-table" aria-label="{html.escape(label)}" tabindex="0">{whole}</section>')

"""Tables: Markdown where a table is only read, HTML where readers sort it, unfold it or follow its links."""

import html
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlencode

import numpy as np
from IPython.display import HTML, Markdown
from numpy.typing import ArrayLike, NDArray

from .. import plots


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Markdown:
    """Return a Markdown table; every value is written as `str` does."""
    lines = [header, ["---"] * len(header), *rows]
    return Markdown("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines))


def sortable_table(
    header: Sequence[str], rows: Iterable[Sequence[tuple[object, float | str]]], label: str, by: tuple[int, bool]
) -> HTML:
    """Return a table that readers sort by a click on a column's name (`book/_static/sortable.js`).

    Args:
        header: the columns' names.
        rows: cells as (what is shown, the sort key); a column with text keys sorts by letters, others by size.
        label: what the table holds, for screen readers.
        by: the column by which the rows are sorted already, and whether in ascending order.
    """
    rows = list(rows)
    kinds = ["" if any(isinstance(row[n][1], str) for row in rows) else ' class="number"' for n in range(len(header))]
    orders = [""] * len(header)
    orders[by[0]] = f' aria-sort="{"ascending" if by[1] else "descending"}"'
    head = "".join(
        f'<th scope="col"{kind}{order}>{html.escape(name)}</th>'
        for name, kind, order in zip(header, kinds, orders, strict=True)
    )
    body = ""
    for row in rows:
        cells = [
            f'<td{kind} data-key="{html.escape(str(key))}">{html.escape(str(shown))}</td>'
            for kind, (shown, key) in zip(kinds, row, strict=True)
        ]
        body += f"<tr>{''.join(cells)}</tr>"
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return HTML(f'<section class="sortable-table" aria-label="{html.escape(label)}" tabindex="0">{table}</section>')


def history_table(history: Mapping[str, ArrayLike], figure: str) -> HTML:
    """Return losses and accuracies after each epoch as a folded table, from which the page draws interactive curves.

    Args:
        history: the columns of `plots.training_curves`, float (E,).
        figure: anchor of the picture that `book/_static/curves.js` replaces with the curves on a screen.
    """
    kinds, names = [kind for kind, *_ in plots.SERIES], [name for _, name, *_ in plots.SERIES]
    losses = [np.asarray(history[kind.format("loss")], np.float64) for kind in kinds]
    accuracies = [100 * np.asarray(history[kind.format("accuracy")], np.float64) for kind in kinds]
    group = f'<th scope="colgroup" colspan="{len(kinds)}" data-quantity="{{}}" data-unit="{{}}">{{}}</th>'
    groups = group.format("loss", "cross-entropy in nats", "loss") + group.format("accuracy", "%", "accuracy (%)")
    series = 2 * "".join(f'<th scope="col">{html.escape(name)}</th>' for name in names)
    rows = ""
    for epoch, values in enumerate(zip(*losses, *accuracies, strict=True), 1):
        texts = [f"{v:.4f}" for v in values[: len(kinds)]] + [f"{v:.2f}" for v in values[len(kinds) :]]
        rows += f'<tr><th scope="row">{epoch}</th>{"".join(f"<td>{text}</td>" for text in texts)}</tr>'
    head = f'<thead><tr><td></td>{groups}</tr><tr><th scope="col">epoch</th>{series}</tr></thead>'
    return HTML(
        f'<details class="history" data-figure="{html.escape(figure)}"><summary>The same numbers as a table</summary>'
        f'<div tabindex="0"><table>{head}<tbody>{rows}</tbody></table></div></details>'
    )


def confusion_table(confusion: NDArray[np.int64], classes: Sequence[str]) -> HTML:
    """Return a confusion matrix whose mistakes link to their images in the error explorer.

    Args:
        confusion: int64 (C, C), rows are true classes. The more images a mistake has, the darker its cell.
        classes: C names.
    """
    most = np.where(np.eye(len(classes), dtype=bool), 0, confusion).max()
    rows = ""
    for true, name in enumerate(classes):
        cells = ""
        for predicted, count in enumerate(confusion[true].tolist()):
            if true == predicted or not count:
                cells += f'<td class="{"hits" if true == predicted else "none"}">{count}</td>'
                continue
            address = "explorer.html#" + urlencode({"true": name, "predicted": classes[predicted]})
            label = f"{count} of {name} taken for {classes[predicted]}"
            link = f'<a href="{html.escape(address)}" aria-label="{html.escape(label)}">{count}</a>'
            shade = f"background: rgb(213 94 0 / {0.6 * (count / most) ** 0.5:.2f})"
            cells += f'<td style="{shade}">{link}</td>'
        rows += f'<tr><th scope="row">{html.escape(name)}</th>{cells}</tr>'
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in classes)
    head = f'<thead><tr><td class="corner">true \\ predicted</td>{head}</tr></thead>'
    return HTML(f'<div class="confusion-table" tabindex="0"><table>{head}<tbody>{rows}</tbody></table></div>')

"""The chapters' tables: cells, links and sort keys."""

import re

import numpy as np

from gradcam_report import plots
from gradcam_report.pages import tables


def rows(page: str) -> list[list[str]]:
    return [re.findall(r"<t[hd][^>]*>(?:<a [^>]*>)?([^<]*)<", row) for row in re.findall(r"<tr>(.*?)</tr>", page)]


def test_a_markdown_table() -> None:
    table = tables.markdown_table(["rule", "rate"], [["onset", 0.037], ["valley", "none"]])
    assert table.data == "| rule | rate |\n| --- | --- |\n| onset | 0.037 |\n| valley | none |"


def test_a_sortable_table_carries_its_keys_its_order_and_escapes_text() -> None:
    cells = [[("<b>", "b"), ("1.5 %", 0.015)], [("a", "a"), ("2 %", 0.02)]]
    page = str(tables.sortable_table(["name", "share"], cells, "a <label>", by=(1, True)).data)
    assert rows(page) == [["name", "share"], ["&lt;b&gt;", "1.5 %"], ["a", "2 %"]]
    assert re.findall(r'<td( class="number")? data-key="([^"]*)"', page)[:2] == [
        ("", "b"),
        (' class="number"', "0.015"),
    ]
    assert re.findall(r'<th scope="col"([^>]*)>', page) == ["", ' class="number" aria-sort="ascending"']
    assert 'aria-label="a &lt;label&gt;"' in page


def test_the_history_table_holds_the_history() -> None:
    parts, quantities = ("train", "clean_train", "test"), ("loss", "accuracy")
    history = {f"{part}_{quantity}": np.array([0.5, np.nan]) for part in parts for quantity in quantities}
    page = str(tables.history_table(history | {"test_accuracy": np.array([0.12345, 1.0])}, "fig-x").data)
    head, series, *epochs = rows(page)
    assert head == ["", "loss", "accuracy (%)"] and series == ["epoch", *(2 * [name for _, name, *_ in plots.SERIES])]
    assert epochs == [["1", *["0.5000"] * 3, "50.00", "50.00", "12.35"], ["2", *["nan"] * 5, "100.00"]]
    assert 'data-figure="fig-x"' in page


def test_the_confusion_tables_mistakes_link_to_their_cases() -> None:
    confusion = np.array([[8, 2, 0], [1, 9, 0], [0, 4, 6]])
    page = str(tables.confusion_table(confusion, ["a cat", "b&b", "c"]).data)
    assert dict(re.findall(r'href="([^"]+)" aria-label="([^"]+)"', page)) == {
        "explorer.html#true=a+cat&amp;predicted=b%26b": "2 of a cat taken for b&amp;b",
        "explorer.html#true=b%26b&amp;predicted=a+cat": "1 of b&amp;b taken for a cat",
        "explorer.html#true=c&amp;predicted=b%26b": "4 of c taken for b&amp;b",
    }
    assert [row[1:] for row in rows(page)[1:]] == [["8", "2", "0"], ["1", "9", "0"], ["0", "4", "6"]]
    assert "213 94 0 / 0.60" in page and "213 94 0 / 0.30" in page

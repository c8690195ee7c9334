"""The explorer's data: which images, what is told of them, and that its pictures hold them and their maps."""

import base64
import html
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gradcam_report import model
from gradcam_report.analysis import selection
from gradcam_report.analysis.predictions import Predictions
from gradcam_report.config import LAYERS, ReportError, parse_params
from gradcam_report.data import datasets, human_labels
from gradcam_report.explain import cam
from gradcam_report.pages import explorer

pytestmark = pytest.mark.usefixtures("few_threads")


@pytest.fixture
def net() -> model.ResNet18:
    return model.build(0, width=8).eval()


@pytest.fixture
def chosen(six_errors: Path) -> selection.Examples:
    return selection.choose_rows("runs/six", lambda found: explorer.rows(found, 2))


@pytest.fixture
def found(net: model.ResNet18, chosen: selection.Examples) -> explorer.Explorer:
    return explorer.collect(net, chosen, parse_params("explorer", {"run_dir": "runs/six"}))


def picture(page: str, name: str) -> np.ndarray:
    (address,) = re.findall(rf'<img class="{name}" src="data:image/webp;base64,([^"]+)"', page)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address))))


def test_all_errors_come_first_and_some_right_answers_of_each_class(chosen: selection.Examples) -> None:
    assert chosen.indices[:6].tolist() == [31, 23, 17, 11, 5, 2]
    right = chosen.true[6:]
    assert (chosen.true[6:] == chosen.predicted[6:]).all() and np.bincount(right, minlength=10).max() == 2
    predictions = chosen.predictions
    assert np.array_equal(explorer.rows(predictions, 2), explorer.rows(predictions, 2))
    assert len(explorer.rows(predictions, 0)) == 6
    assert set(explorer.rows(predictions, 50)) == set(range(40))


def test_the_table_says_what_the_network_said(found: explorer.Explorer, chosen: selection.Examples) -> None:
    assert [row["i"] for row in found.table] == chosen.indices.tolist()
    for number, row in enumerate(found.table):
        shares = chosen.predictions.probabilities[chosen.rows[number]]
        assert (row["t"], row["p"]) == (chosen.true[number], chosen.predicted[number])
        np.testing.assert_allclose(np.array(row["q"]) / 1000, shares, atol=5e-4)
        assert row["o"] == (row["t"] if row["t"] != row["p"] else np.argsort(-shares, kind="stable")[1])
        assert sum(row["c"]) == pytest.approx(row["m"], abs=0.1) and len(row["c"]) == 16
        assert "v" not in row and "k" not in row and "people" not in row["s"]  # nobody was asked about drawn shapes
        shown = chosen.classes[row["p"]]
        assert row["n"].startswith(f"number {row['i']}, {shown} ") and f"The network answers “{shown}”" in row["s"]
    assert "no human labels for synthetic images" in found.note
    assert all(len(part) == 0 for part in explorer.against_people(found))


def test_the_pages_pictures_hold_images_and_maps(
    found: explorer.Explorer, chosen: selection.Examples, net: model.ResNet18
) -> None:
    page = explorer.page(found)
    sprite, tiles = picture(page, "sprite"), picture(page, "maps")[..., 0]
    images = datasets.NORMALIZERS["shapes"](torch.from_numpy(chosen.images))
    targets = {
        name: torch.tensor([row[key] for row in found.table]) for name, key in (("predicted", "p"), ("contrast", "o"))
    }
    maps = cam.explain(net, images, targets, LAYERS, shared=True)
    kept = json.loads(
        html.unescape(re.findall(r'<script type="application/json" class="data">(.*?)</script>', page)[0])
    )
    columns = kept["columns"]
    for number in range(len(found.table)):
        top, left = number // columns, number % columns
        np.testing.assert_array_equal(
            sprite[32 * top : 32 * top + 32, 32 * left : 32 * left + 32].transpose(2, 0, 1), chosen.images[number]
        )
        for half, target in enumerate(("predicted", "contrast")):
            for layer in LAYERS:
                row, column, side = kept["places"][layer]
                y, x = 32 * top + row, 2 * kept["half"] * left + half * kept["half"] + column
                stored = tiles[y : y + side, x : x + side] / 255
                np.testing.assert_allclose(
                    stored, maps[target][layer][number], atol=0.5 / (explorer.LEVELS - 1) + 0.5 / 255 + 1e-4
                )


def test_without_a_script_the_surest_errors_lead_to_their_cards(found: explorer.Explorer) -> None:
    page = explorer.page(found, shown=3)
    assert re.findall(r'href="([^"]+)"', page) == [f"gradcam.html#case-{i}" for i in (31, 23, 17)]
    assert f"Here are 3 of {len(found.table)} cases" in page
    words = html.unescape(re.findall(r'alt="([^"]+)"', page)[0])
    assert words == found.table[0]["n"] and words.startswith("number 31, ")
    everything = explorer.page(found, shown=100)
    assert len(re.findall("href=", everything)) == 6, "right answers have no card"


def test_nothing_in_the_data_can_end_the_script_element(found: explorer.Explorer) -> None:
    hostile = explorer.Explorer(["</script><b>"] * 10, "x", found.images, found.tiles, found.table, note="<i>")
    page = explorer.page(hostile)
    assert page.count("</script>") == 1 and "<b>" not in page and "<i>" not in page


def test_kinds_and_votes_of_errors_are_set_against_each_other() -> None:
    table = [
        {"i": 1, "t": 0, "p": 1, "q": [100, 900], "v": [30, 20], "k": 1},
        {"i": 2, "t": 1, "p": 1, "q": [100, 900], "v": [0, 50], "k": 2},
    ]
    blank = np.zeros((2, 3, 32, 32), np.uint8)
    found = explorer.Explorer(["a", "b"], "x", blank, np.zeros((2, 32, 96), np.uint8), table)
    confidence, shares, kinds = explorer.against_people(found)
    assert confidence.tolist() == [0.9] and shares.tolist() == [0.6] and kinds.tolist() == [1]


def test_a_run_without_errors_shows_right_answers(chosen: selection.Examples) -> None:
    labels = np.arange(10).repeat(3)
    perfect = Predictions(np.eye(10, dtype=np.float32)[labels], labels, np.arange(30))
    assert len(explorer.rows(perfect, 2)) == 20
    with pytest.raises(ReportError, match="contrast is 0; show right answers with -p contrast 5"):
        explorer.rows(perfect, 0)


def test_votes_and_kinds_are_told_where_people_were_asked(
    net: model.ResNet18, chosen: selection.Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    votes = np.zeros((10_000, 10), np.int64)
    votes[:, 3] = 50
    people = human_labels.HumanLabels(votes, np.zeros(10_000, dtype=bool))
    monkeypatch.setattr(human_labels, "load", lambda dataset, root: people)
    found = explorer.collect(net, chosen, parse_params("explorer", {"run_dir": "runs/six"}))
    for row in found.table:
        assert row["v"] == votes[0].tolist() and row["k"] == (2 if row["t"] == 3 else 0)
        assert "Of 50 people asked, 50 said “" in row["s"]
    assert found.note == "" and len(explorer.against_people(found)[0]) == 6

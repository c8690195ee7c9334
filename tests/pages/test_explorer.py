"""The explorer's data: which images it holds, their table, and the pictures of images and maps."""

import base64
import html
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gradcam_report import model
from gradcam_report.analysis import features, selection
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
def examples(six_errors: Path) -> selection.Examples:
    return selection.choose_rows("runs/six", lambda predictions: explorer.select_rows(predictions, 2))


def build(net: model.ResNet18, examples: selection.Examples) -> explorer.Explorer:
    params: Any = parse_params("explorer", {"run_dir": "runs/six"})
    return explorer.build(net, examples, params)


def picture(page: str, name: str) -> np.ndarray:
    (address,) = re.findall(rf'<img class="{name}" src="data:image/webp;base64,([^"]+)"', page)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address))))


def test_all_errors_come_first_and_some_right_answers_of_each_class(examples: selection.Examples) -> None:
    assert examples.indices[:6].tolist() == [31, 23, 17, 11, 5, 2]
    right = examples.true[6:]
    assert (right == examples.predicted[6:]).all() and np.bincount(right, minlength=10).max() == 2
    predictions = examples.predictions
    assert np.array_equal(explorer.select_rows(predictions, 2), explorer.select_rows(predictions, 2))
    assert len(explorer.select_rows(predictions, 0)) == 6
    assert set(explorer.select_rows(predictions, 50)) == set(range(40))


def test_a_run_without_errors_shows_right_answers() -> None:
    labels = np.arange(10).repeat(3)
    perfect = Predictions(np.eye(10, dtype=np.float32)[labels], labels, np.arange(30))
    assert len(explorer.select_rows(perfect, 2)) == 20
    with pytest.raises(ReportError, match="-p contrast 5"):
        explorer.select_rows(perfect, 0)


def test_table_and_pictures_hold_predictions_images_and_maps(net: model.ResNet18, examples: selection.Examples) -> None:
    built = build(net, examples)
    page = explorer.to_html(built)
    sprite, tiles = picture(page, "sprite"), picture(page, "maps")[..., 0]
    (script,) = re.findall(r'<script type="application/json" class="data">(.*?)</script>', page)
    data = json.loads(script)
    targets = {
        name: torch.tensor([row[key] for row in built.table])
        for name, key in (("predicted", "predicted"), ("contrast", "other"))
    }
    images = datasets.NORMALIZERS["shapes"](torch.from_numpy(examples.images))
    maps = cam.explain(net, images, targets, LAYERS, shared=True)
    assert data["cases"] == built.table and [row["index"] for row in built.table] == examples.indices.tolist()
    for number, row in enumerate(built.table):
        probabilities = examples.predictions.probabilities[examples.rows[number]]
        assert (row["true"], row["predicted"]) == (examples.true[number], examples.predicted[number])
        np.testing.assert_allclose(np.array(row["percent"]) / 100, probabilities, atol=5.1e-5)
        runner_up = np.argsort(-probabilities, kind="stable")[1]
        assert row["other"] == (row["true"] if row["true"] != row["predicted"] else runner_up)
        assert sum(row["cells"]) == pytest.approx(row["margin"], abs=0.1) and len(row["cells"]) == 16
        assert "votes" not in row and "kind" not in row  # nobody was asked about drawn shapes
        top, left = number // data["columns"], number % data["columns"]
        shown = sprite[32 * top : 32 * top + 32, 32 * left : 32 * left + 32]
        np.testing.assert_array_equal(shown.transpose(2, 0, 1), examples.images[number])
        for half, target in enumerate(("predicted", "contrast")):
            for layer in LAYERS:
                expected = maps[target][layer][number]
                if layer != "layer4":  # before it two classes' heights do not compare
                    expected = expected / expected.max().clamp(min=1e-12)
                y, x, side = data["places"][layer]
                y, x = 32 * top + y, (2 * left + half) * data["half"] + x
                stored, tolerance = tiles[y : y + side, x : x + side] / 255, 0.5 / (explorer.LEVELS - 1) + 0.5 / 255
                np.testing.assert_allclose(stored, expected, atol=tolerance + 1e-4)
    assert built.note and all(len(part) == 0 for part in explorer.human_agreement(built))


def test_the_nearest_training_images_are_those_of_the_features(
    net: model.ResNet18, examples: selection.Examples, six_errors: Path
) -> None:
    built = build(net, examples)
    train, known = features.load_train(examples.folder, examples.record)
    rows, _ = features.nearest(features.load_test(examples.folder)[examples.rows], known, features.NEIGHBOURS)
    assert built.near is not None
    for number, row in enumerate(built.table):
        assert row["near"] == train.labels[rows[number]].tolist()
        np.testing.assert_array_equal(built.near[number], np.concatenate(train.images[rows[number]].numpy(), axis=2))
    assert picture(explorer.to_html(built), "near").shape[1] == features.NEIGHBOURS * 32 * explorer.COLUMNS
    (six_errors / "features.npz").unlink()
    without = build(net, examples)
    assert without.near is None and "features.npz" in without.note and "near" not in without.table[0]


def test_without_a_script_the_most_confident_errors_are_shown_and_text_is_escaped(
    net: model.ResNet18, examples: selection.Examples
) -> None:
    built = build(net, examples)
    page = explorer.to_html(built, shown=3)
    assert html.unescape("".join(re.findall(r'<li><img [^>]*alt="([^"]+)"', page)[:1])) == built.table[0]["name"]
    assert page.count("<li>") == 3
    hostile = explorer.Explorer(["</script><b>"] * 10, "x", built.images, built.tiles, built.table, note="<i>")
    page = explorer.to_html(hostile)
    assert page.count("</script>") == 1 and "<b>" not in page and "<i>" not in page


def test_votes_and_kinds_of_errors_are_those_of_the_people_asked(
    net: model.ResNet18, examples: selection.Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    votes = np.zeros((10_000, 10), np.int64)
    votes[:, 3] = 50
    people = human_labels.HumanLabels(votes, np.zeros(10_000, dtype=bool))
    monkeypatch.setattr(human_labels, "load", lambda dataset, root: people)
    built = build(net, examples)
    for row in built.table:
        assert row["votes"] == votes[0].tolist() and row["kind"] == (2 if row["true"] == 3 else 0)
    confidence, shares, kinds = explorer.human_agreement(built)
    errors = built.table[:6]
    assert confidence.tolist() == [row["percent"][row["predicted"]] / 100 for row in errors]
    assert shares.tolist() == [float(row["true"] == 3) for row in errors]
    assert kinds.tolist() == [r["kind"] for r in errors]
    assert not built.note

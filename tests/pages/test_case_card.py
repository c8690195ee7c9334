"""Cards hold what the analyses they come from say, and their texts and figures hold what the cards say."""

import dataclasses
import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from IPython.display import HTML
from matplotlib.text import Text

from gradcam_report import model, plots
from gradcam_report.analysis import features, selection
from gradcam_report.analysis.predictions import Predictions
from gradcam_report.config import SelectionConfig, parse_params
from gradcam_report.data import datasets
from gradcam_report.explain import cam, contrast
from gradcam_report.pages import case_card
from gradcam_report.runs.folder import RunFolder

pytestmark = pytest.mark.usefixtures("few_threads")


def card(**changes: object) -> plots.Card:
    maps = {"layer3": np.eye(8, dtype=np.float32), "layer4": np.zeros((4, 4), np.float32)}
    made = plots.Card(
        image=np.zeros((3, 32, 32), np.uint8),
        classes=("bird", "cat", "dog"),
        probabilities=np.array([0.1, 0.7, 0.2]),
        predicted=1,
        contrast=2,
        label=2,
        maps={"predicted": maps, "contrast": maps},
        cells=np.array([[0.5, -0.25], [1.0, 0.75]], np.float32),
        margin=2.0,
        votes=np.array([40, 1, 9]),
        neighbours=np.zeros((3, 3, 32, 32), np.uint8),
        neighbour_labels=np.array([1, 2, 1]),
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


BARE: dict[str, Any] = {"votes": None, "neighbours": None, "neighbour_labels": None}


def test_the_sentence_holds_the_cards_numbers() -> None:
    text = case_card.sentence(card())
    for part in ("“cat” with 70.0 %", "“dog”, which it gives 20.0 %", "Of 50 people asked, 40 said “bird”"):
        assert part in text
    for part in ("3 of the 4 cells", "row 2 and column 1", "+1.00", "+2.00", "2 “cat” and 1 “dog”"):
        assert part in text
    assert "none said “cat”" in case_card.sentence(card(votes=np.array([0, 0, 50])))
    against = case_card.sentence(card(cells=-np.ones((2, 2), np.float32), margin=-4.0))
    assert "None of the 4 cells" in against and "biases decided" in against
    assert "−0.10: the biases decided" in case_card.sentence(card(margin=-0.1))
    assert "biases" not in text


@pytest.mark.parametrize(("label", "ending"), [(None, ""), (1, "rightly"), (2, "labelled dog")])
def test_texts_leave_out_what_is_not_known(label: int | None, ending: str) -> None:
    plain = card(label=label, **BARE)
    assert case_card.title(plain) == f"cat 70.0 %{', ' * bool(ending)}{ending}"
    for text in (case_card.sentence(plain), case_card.alt_text(plain)):
        assert "people" not in text and "nearest" not in text and "below" not in text


def test_the_alternative_texts_name_classes_layers_and_sum() -> None:
    text, glance = case_card.alt_text(card()), case_card.glance_alt_text(card(label=1), card())
    assert all(part in text for part in ("cat, dog, bird", "layer3, layer4", "+2.00", "people", "3 training images"))
    assert all(part in glance for part in ("cat 70.0 %, rightly", "cat 70.0 %, labelled dog", "+2.00"))


def test_a_figure_as_html_is_escaped_linked_and_drawn_again_for_dark_pages_and_telephones() -> None:
    glance, links = plots.at_a_glance(card(label=1), card()), [("more", "x.html#a&b"), ("most", "y.html")]
    page = str(case_card.figure_html(glance, "case-7", "a <b>", "seen & heard", links).data)
    assert page.startswith('<figure class="case" id="case-7">') and page.count('alt="seen &amp; heard"') == 2
    assert 'a &lt;b&gt; <a href="x.html#a&amp;b">more</a> <a href="y.html">most</a></figcaption>' in page
    opened, closed = (str(case_card.folded(HTML("<p>x</p>"), "7 & 8", is_open).data) for is_open in (True, False))
    assert opened == '<details class="folded" open><summary>7 &amp; 8</summary><p>x</p></details>'
    assert closed == opened.replace(" open", "")
    source = re.search(r'<source media="\(max-width: 600px\)" width="310" [^>]*srcset="data:image/webp;base64,', page)
    assert source and source.start() < page.index('<img class="only-light"') < page.index('<img class="only-dark"')


def test_the_error_that_a_stranger_sees_best_is_one_that_people_agree_on_and_that_was_contested(
    six_errors: Path,
) -> None:
    chosen = selection.choose("runs/six", SelectionConfig(n_images=6))
    contested = selection.margins(chosen.predictions)[chosen.rows].argsort()
    assert case_card.recognisable_error(chosen, None) == contested[0]
    votes = np.ones((chosen.predictions.indices.max() + 1, 10), np.int64)
    votes[chosen.indices[contested[1:3]], chosen.true[contested[1:3]]] = 41
    assert case_card.recognisable_error(chosen, votes) == contested[1]
    rows = np.append(np.flatnonzero(~chosen.predictions.wrong)[:1], chosen.rows)
    assert case_card.recognisable_error(chosen.at(rows), None) == contested[0] + 1, "an error before a right answer"


def test_the_right_answer_is_the_surest_of_its_class_that_all_agree_on_or_what_comes_nearest() -> None:
    logits = np.array([[3, 0, 0], [9, 0, 0], [0, 2, 0], [0, 5, 0], [8, 0, 0]], np.float32)
    answers = Predictions(logits, np.array([0, 0, 1, 2, 1]), np.arange(5) + 1)
    votes = np.array([[0, 0, 0], [7, 0, 0], [6, 1, 0], [0, 7, 0], [0, 0, 7], [0, 7, 0]])
    assert [case_card.right_answer(answers, c, votes) for c in (0, 1)] == [0, 2]
    assert case_card.right_answer(answers, 0, None) == 1
    assert case_card.right_answer(answers, 2, votes) == 1, "no right answer of this class"
    never = Predictions(logits, np.array([1, 1, 0, 0, 1]), np.arange(5) + 1)
    assert case_card.right_answer(never, 0, votes) == 1


def chosen_by(params: Any) -> selection.Examples:
    return selection.choose(params.run.run_dir, params.selection)


def make_cards(**params: Any) -> tuple[model.ResNet18, selection.Examples, list[plots.Card], str]:
    """A network, the chosen images, their cards and the note, put together as the chapter does it."""
    parsed: Any = parse_params("gradcam", {"run_dir": "runs/six", "layers": ["layer3", "layer4"]} | params)
    net, chosen = model.build(0, width=8).eval(), chosen_by(parsed)
    explanation = contrast.explain_examples(net, chosen, parsed.cam.layers, parsed.cam.method)
    votes, note = case_card.load_votes("shapes", "")
    assert votes is None and note  # nobody was asked about synthetic images
    return net, chosen, *case_card.make_cards(chosen, explanation, votes, "")


def test_cards_hold_the_maps_the_margin_and_the_nearest_training_images(six_errors: Path) -> None:
    net, chosen, cards, note = make_cards()
    assert len(cards) == 6 and not note
    images = datasets.NORMALIZERS["shapes"](torch.from_numpy(chosen.images))
    targets = {"predicted": torch.from_numpy(chosen.predicted), "contrast": torch.from_numpy(chosen.true)}
    maps = cam.explain(net, images, targets, ["layer4"], shared=True)
    alone = cam.explain(net, images, targets, ["layer3"], shared=True)
    train, known = features.load_train(chosen.folder, chosen.record)
    near, _ = features.nearest(features.load_test(chosen.folder)[chosen.rows], known, 5)
    for row, one in enumerate(cards):
        assert (one.predicted, one.contrast, one.label) == (chosen.predicted[row], chosen.true[row], chosen.true[row])
        np.testing.assert_array_equal(one.image, chosen.images[row])
        for target, layers in one.maps.items():
            np.testing.assert_allclose(layers["layer4"], maps[target]["layer4"][row], atol=1e-5)
            heat = alone[target]["layer3"][row]
            np.testing.assert_allclose(layers["layer3"], heat / heat.max().clamp(min=1e-12), atol=1e-4)
        assert one.cells.sum() == pytest.approx(one.margin, abs=1e-4)
        np.testing.assert_array_equal(one.neighbours, train.images.numpy()[near[row]])
        np.testing.assert_array_equal(one.neighbour_labels, train.labels.numpy()[near[row]])


def test_a_right_answer_is_compared_with_the_runner_up_and_cards_go_without_what_is_missing(six_errors: Path) -> None:
    (six_errors / "features.npz").unlink()
    _, _, (one,), note = make_cards(selection="index", indices=[3])
    assert one.label == one.predicted != one.contrast and one.contrast == one.top()[1]
    assert one.neighbours is None and "features.npz" in note


def test_a_readers_picture_is_compared_with_the_runner_up(six_errors: Path) -> None:
    params: Any = parse_params("gradcam", {"run_dir": "runs/six"})
    net, own = model.build(0, width=8).eval(), torch.full((1, 3, 32, 32), 200, dtype=torch.uint8)
    one = case_card.picture_card(net, own, RunFolder("runs/six").run(), params)
    logits = net(datasets.NORMALIZERS["shapes"](own))[0].detach()
    assert one.label is None and [one.predicted, one.contrast] == logits.argsort(descending=True)[:2].tolist()
    np.testing.assert_allclose(one.probabilities, logits.softmax(0), rtol=1e-4)
    assert list(one.maps["contrast"]) == params.cam.layers


def test_the_figures_show_the_cards_numbers() -> None:
    classes, shares = ("bird", "cat", "dog", "frog"), np.array([0.15, 0.7, 0.1, 0.05])
    one = card(classes=classes, probabilities=shares, contrast=3, label=3, votes=np.array([1, 2, 0, 47]))
    cards = plots.case_card(one, "# 7: cat"), plots.at_a_glance(card(label=1), one)
    for figure in (cards[0], *cards[1].versions().values()):
        shown = {text.get_text() for text in figure.findobj(Text)}
        assert {"+0.50", "−0.25"} <= shown and any("+2.00" in text for text in shown)
    # The unlikely contrast class is among the bars.
    shown = {text.get_text() for text in cards[0].findobj(Text)}
    assert {"70.0 %", "5.0 %", "94 % of people", "layer3", "Grad-CAM\nfor frog", "no\npositive\nevidence"} <= shown
    shown = {text.get_text() for text in cards[1].findobj(Text)}
    assert {"An error: frog taken for cat", "Network: cat 70.0 %, frog 5.0 %    People: 47 of 50 say frog"} <= shown
    bare = {text.get_text() for text in plots.case_card(card(**BARE), "x").findobj(Text)}
    assert not [text for text in bare if "people" in text or "nearest" in text]


def test_the_overview_has_room_for_long_class_names_on_a_telephone() -> None:
    names = ("striped disc", "striped triangle", "checked triangle")
    phone = plots.at_a_glance(card(label=1, classes=names), card(classes=names)).versions()["light-narrow"]
    phone.draw_without_rendering()
    boxes = [text.get_window_extent() for text in phone.findobj(Text) if text.get_text()]
    assert all(box.x0 >= 0 and box.x1 <= phone.bbox.width for box in boxes)
    free = [box for box in boxes if box.width > phone.bbox.width / 6]  # all but the numbers in the cells
    assert not [pair for pair in itertools.combinations(free, 2) if pair[0].overlaps(pair[1])]

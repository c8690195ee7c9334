"""Cards hold what the analyses they come from say, and their texts and figures hold what the cards say."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.text import Text

from gradcam_report import model, plots
from gradcam_report.analysis import features, selection
from gradcam_report.config import parse_params
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
    for part in ("3 of the 4 cells", "lower left", "+1.00", "+2.00", "2 “cat” and 1 “dog”"):
        assert part in text
    assert "none said “cat”" in case_card.sentence(card(votes=np.array([0, 0, 50])))
    against = case_card.sentence(card(cells=-np.ones((2, 2), np.float32), margin=-4.0))
    assert "None of the 4 cells" in against and "biases decided" in against


@pytest.mark.parametrize(("label", "ending"), [(None, ""), (1, "rightly"), (2, "labelled dog")])
def test_texts_leave_out_what_is_not_known(label: int | None, ending: str) -> None:
    plain = card(label=label, **BARE)
    assert case_card.title(plain) == f"cat 70.0 %{', ' * bool(ending)}{ending}"
    for text in (case_card.sentence(plain), case_card.alt_text(plain)):
        assert "people" not in text and "nearest" not in text and "below" not in text


@pytest.mark.parametrize("at_a_glance", [False, True])
def test_the_alternative_text_names_classes_layers_and_sum(at_a_glance: bool) -> None:
    text = case_card.alt_text(card(), at_a_glance)
    assert "cat, dog, bird" in text and "layer3, layer4" in text and "+2.00" in text and "people" in text
    assert ("3 training images" in text) != at_a_glance


def test_a_figure_as_html_is_escaped_linked_and_drawn_again_for_dark_pages_and_telephones() -> None:
    glance, link = plots.at_a_glance(card()), ("more", "x.html#a&b")
    page = str(case_card.figure_html(glance, "case-7", "a <b>", "seen & heard", link).data)
    assert page.startswith('<figure class="case" id="case-7">') and page.count('alt="seen &amp; heard"') == 2
    assert '<figcaption>a &lt;b&gt; <a href="x.html#a&amp;b">more</a></figcaption>' in page
    source = re.search(r'<source media="\(max-width: 600px\)" width="360" [^>]*srcset="data:image/webp;base64,', page)
    assert source and source.start() < page.index('<img class="only-light"') < page.index('<img class="only-dark"')


def test_the_error_whose_label_most_people_chose_is_representative() -> None:
    doubted = card(votes=np.array([0, 45, 5]), probabilities=np.array([0.0, 0.9, 0.1]))
    clear, surer = card(votes=np.array([0, 5, 45])), card(votes=np.array([0, 5, 45]), probabilities=np.array([0, 1, 0]))
    right = card(label=1, votes=np.array([0, 50, 0]), probabilities=np.array([0, 1, 0]))

    def chosen(cards: list[plots.Card], *shared: int) -> int:
        return case_card.representative(cards, np.isin(np.arange(len(cards)), shared or range(len(cards))))

    assert chosen([doubted, clear, right]) == 1
    assert chosen([doubted, clear, surer, right]) == 2
    assert chosen([doubted, clear, surer, right], 0, 1, 3) == 1  # other networks do not make the third one's error
    assert chosen([card(**BARE), card(votes=None, probabilities=np.array([0, 0.8, 0.2]))]) == 1
    assert chosen([right]) == 0


def chosen_by(params: Any) -> selection.Examples:
    return selection.choose(params.run.run_dir, params.selection)


def make_cards(**params: Any) -> tuple[model.ResNet18, selection.Examples, list[plots.Card], str]:
    """A network, the chosen images, their cards and the note, put together as the chapter does it."""
    parsed: Any = parse_params("gradcam", {"run_dir": "runs/six", "layers": ["layer3", "layer4"]} | params)
    net, chosen = model.build(0, width=8).eval(), chosen_by(parsed)
    explanation = contrast.explain_examples(net, chosen, parsed.cam.layers, parsed.cam.method)
    return net, chosen, *case_card.make_cards(chosen, explanation, parsed)


def test_cards_hold_the_maps_the_margin_and_the_nearest_training_images(six_errors: Path) -> None:
    net, chosen, cards, note = make_cards()
    assert len(cards) == 6 and note and all(one.votes is None for one in cards)  # nobody was asked about drawn shapes
    images = datasets.NORMALIZERS["shapes"](torch.from_numpy(chosen.images))
    targets = {"predicted": torch.from_numpy(chosen.predicted), "contrast": torch.from_numpy(chosen.true)}
    maps = cam.explain(net, images, targets, ["layer3", "layer4"], shared=True)
    train, known = features.load_train(chosen.folder, chosen.record)
    near, _ = features.nearest(features.load_test(chosen.folder)[chosen.rows], known, 5)
    for row, one in enumerate(cards):
        assert (one.predicted, one.contrast, one.label) == (chosen.predicted[row], chosen.true[row], chosen.true[row])
        np.testing.assert_array_equal(one.image, chosen.images[row])
        for target, layers in one.maps.items():
            for layer, heat in layers.items():
                np.testing.assert_allclose(heat, maps[target][layer][row], atol=1e-5)
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
    figures = plots.case_card(one, "# 7: cat"), plots.at_a_glance(one), plots.at_a_glance(one, narrow=True)
    assert [float(figure.get_figwidth()) for figure in figures] == [7.2, 7.2, 3.6]
    for figure in figures:
        shown = {text.get_text() for text in figure.findobj(Text)}
        # The unlikely contrast class is among the bars.
        assert {"70.0 %", "5.0 %", "94 % of people", "+0.50", "−0.25", "layer3", "Grad-CAM\nfor frog"} <= shown
        assert "no\npositive\nevidence" in shown and any("+2.00" in text for text in shown)
    bare = {text.get_text() for text in plots.case_card(card(**BARE), "x").findobj(Text)}
    assert not [text for text in bare if "people" in text or "nearest" in text]

"""Cards: what they hold agrees with the measures they come from, and the sentence with what they hold."""

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

pytestmark = pytest.mark.usefixtures("few_threads")

NAMES = ("bird", "cat", "dog")


def card(**changes: object) -> case_card.Card:
    made = case_card.Card(
        image=np.zeros((3, 32, 32), np.uint8),
        classes=NAMES,
        probabilities=np.array([0.1, 0.7, 0.2]),
        predicted=1,
        other=2,
        true=2,
        maps={
            t: {"layer3": np.eye(8, dtype=np.float32), "layer4": np.zeros((4, 4))} for t in ("predicted", "contrast")
        },
        cells=np.array([[0.5, -0.25], [1.0, 0.75]], np.float32),
        margin=2.0,
        votes=np.array([40, 1, 9]),
        near_images=np.zeros((3, 3, 32, 32), np.uint8),
        near_labels=np.array([1, 2, 1]),
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def test_the_sentence_says_what_the_numbers_say() -> None:
    assert case_card.sentence(card()) == (
        "The network answers “cat” with 70.0 %; the label says “dog”, which it gives 20.0 %. "
        "Of 50 people asked, 40 said “bird”, 9 said “dog” and 1 said “cat”. "
        "3 of the 4 cells of layer4 favour “cat” over “dog”; the strongest, lower left of the middle, adds +1.00 to a "
        "sum of +2.00. Of the 3 nearest training images, 2 “cat” and 1 “dog” by their labels."
    )
    other = card(votes=np.array([0, 0, 50]), near_labels=np.array([2, 2]), cells=np.array([[-1.0, 3.0]], np.float32))
    assert "Of 50 people asked, 50 said “dog” and none said “cat”." in case_card.sentence(other)
    assert "One of the 2 cells of layer4 favours “cat” over “dog”;" in case_card.sentence(other)
    assert case_card.sentence(other).endswith("All 2 nearest training images are labelled “dog”.")
    assert "All of the 2 cells of layer4 favour “cat”" in case_card.sentence(card(cells=np.ones((1, 2), np.float32)))


def test_where_no_cell_speaks_for_the_answer_the_sentence_says_so() -> None:
    assert "None of the 4 cells of layer4 favours “cat” over “dog”: the biases decided." in case_card.sentence(
        card(cells=-np.ones((2, 2), np.float32), margin=-4.0)
    )


def test_the_description_says_what_is_drawn() -> None:
    whole, bare = case_card.description(card()), case_card.description(card(votes=None, near_labels=None))
    assert "above the share of people" in whole and "3 training images below" in whole and "the sum +2.00" in whole
    assert "people" not in bare and "training" not in bare


def chosen_by(params: Any) -> selection.Examples:
    return selection.choose(params.run.run_dir, params.selection)


def of_cases(params: Any) -> tuple[model.ResNet18, selection.Examples, list[case_card.Card], str]:
    """A network, the chosen cases, their cards and the note, put together as the chapter does it."""
    net, chosen = model.build(0, width=8).eval(), chosen_by(params)
    found = contrast.explain_examples(net, chosen, params.cam.layers, params.cam.method)
    return net, chosen, *case_card.of_cases(chosen, found, params)


def test_cards_go_without_what_cannot_be_had(six_errors: Path) -> None:
    (six_errors / "features.npz").unlink()
    params = parse_params("gradcam", {"run_dir": "runs/six", "n_images": 1})
    _, _, (one,), note = of_cases(params)
    assert one.near_images is None and "without the nearest training images" in note and "holds no features.npz" in note


def test_the_sentence_leaves_out_what_is_not_known() -> None:
    plain = card(votes=None, near_labels=None, near_images=None, true=None)
    assert "people" not in case_card.sentence(plain) and "nearest" not in case_card.sentence(plain)
    assert "answers “cat” with 70.0 %; next comes “dog” with 20.0 %." in case_card.sentence(plain)
    assert "which is right; next comes “dog”" in case_card.sentence(card(true=1))
    assert [case_card.title(card(true=t)) for t in (None, 1, 2)] == [
        "cat 70.0 %",
        "cat 70.0 %, rightly",
        "cat 70.0 %, labelled dog",
    ]


def test_a_cards_figure_shows_its_numbers() -> None:
    figure = plots.case_card(card(), "# 7: cat")
    shown = {text.get_text() for text in figure.findobj(Text)}
    assert {"# 7: cat", "+0.50", "−0.25", "70.0 %", "18 % of people", "cat minus\ndog: sum +2.00", "layer3"} <= shown
    assert "no\npositive\nevidence" in shown and "Grad-CAM\nfor cat" in shown
    assert float(figure.get_figwidth()) == 7.2
    smaller = plots.case_card(card(votes=None, near_images=None, near_labels=None), "x")
    assert not [t for t in smaller.findobj(Text) if "people" in t.get_text() or "nearest" in t.get_text()]


def test_a_figure_with_caption_can_be_found_read_and_seen() -> None:
    page = case_card.figure_html(plots.case_card(card(), "x"), "case-7", 'a "caption" <b>', "what is & seen").data
    assert (
        page.startswith('<figure class="case" id="case-7">') and "<figcaption>a &quot;caption&quot; &lt;b&gt;<" in page
    )
    linked = case_card.figure_html(plots.case_card(card(), "x"), "case-7", "told", "seen", ("more", "x.html#a&b")).data
    assert '<figcaption>told <a href="x.html#a&amp;b">more</a></figcaption>' in linked and "<a " not in page
    assert 'alt="what is &amp; seen"' in page and re.search(r'width="720" height="\d+"', page)


def test_the_whole_at_a_glance_shows_both_classes_in_question_even_an_unlikely_one() -> None:
    shares, one_hot = np.array([0.15, 0.7, 0.1, 0.05]), np.array([1, 2, 0, 47])
    one = card(classes=(*NAMES, "frog"), probabilities=shares, other=3, true=3, votes=one_hot)
    for narrow, width in ((False, 7.2), (True, 3.6)):
        figure = plots.at_a_glance(one, narrow=narrow)
        shown = {text.get_text() for text in figure.findobj(Text)}
        assert {"70.0 %", "5.0 %", "94 % of people", "speaks for frog", "in all +2.00", "+1.00"} <= shown
        assert "32 × 32 pixels, labelled frog" in shown and "Grad-CAM\nfor frog" in shown
        assert float(figure.get_figwidth()) == width
    told = case_card.description_at_a_glance(one)
    assert "probabilities for cat, bird, frog, and the share of people" in told and "the sum +2.00" in told


def test_the_error_whose_label_most_people_chose_stands_for_all() -> None:
    doubted = card(votes=np.array([0, 45, 5]), probabilities=np.array([0.0, 0.9, 0.1]))
    clear, surer = card(votes=np.array([0, 5, 45])), card(votes=np.array([0, 5, 45]), probabilities=np.array([0, 1, 0]))
    right = card(true=1, votes=np.array([0, 50, 0]), probabilities=np.array([0, 1, 0]))

    def telling(made: list[case_card.Card], *shared: int) -> int:
        return case_card.telling(made, np.isin(np.arange(len(made)), shared or range(len(made))))

    assert telling([doubted, clear, right]) == 1
    assert telling([doubted, clear, surer, right]) == 2
    assert telling([doubted, clear, surer, right], 0, 1, 3) == 1  # the others do not make the third one's error
    assert telling([card(votes=None), card(votes=None, probabilities=np.array([0, 0.8, 0.2]))]) == 1
    assert telling([right]) == 0


def test_a_figure_for_telephones_stands_beside_the_wide_one() -> None:
    wide, narrow = (plots.at_a_glance(card(), narrow=narrow) for narrow in (False, True))
    page = case_card.figure_html(wide, "glance", "told", "seen", narrow=narrow).data
    (source,) = re.findall(
        r'<source media="\(max-width: 600px\)" width="360" [^>]*srcset="data:image/webp;base64,', page
    )
    assert page.index(source) < page.index('<img alt="seen" width="720"') < page.index("</picture><figcaption>")


@pytest.fixture
def made(six_errors: Path) -> tuple[model.ResNet18, selection.Examples, list[case_card.Card], str]:
    return of_cases(parse_params("gradcam", {"run_dir": "runs/six", "layers": ["layer3", "layer4"]}))


def test_cards_of_cases_hold_what_the_measures_say(
    made: tuple[model.ResNet18, selection.Examples, list[case_card.Card], str],
) -> None:
    net, chosen, found, note = made
    assert len(found) == 6 and "no human labels" in note and all(c.votes is None for c in found)
    images = datasets.NORMALIZERS["shapes"](torch.from_numpy(chosen.images))
    targets = {"predicted": torch.from_numpy(chosen.predicted), "contrast": torch.from_numpy(chosen.true)}
    maps = cam.explain(net, images, targets, ["layer3", "layer4"], shared=True)
    train, known = features.load_train(chosen.folder, chosen.record)
    near, _ = features.nearest(features.load_test(chosen.folder)[chosen.rows], known, 5)
    for row, one in enumerate(found):
        assert (one.predicted, one.other, one.true) == (chosen.predicted[row], chosen.true[row], chosen.true[row])
        np.testing.assert_array_equal(one.image, chosen.images[row])
        for target, layers in one.maps.items():
            for layer, heat in layers.items():
                np.testing.assert_allclose(heat, maps[target][layer][row], atol=1e-5)
        assert one.cells.sum() == pytest.approx(one.margin, abs=1e-4)
        np.testing.assert_array_equal(one.near_images, train.images.numpy()[near[row]])
        np.testing.assert_array_equal(one.near_labels, train.labels.numpy()[near[row]])


def test_a_right_answer_is_set_against_the_runner_up(six_errors: Path) -> None:
    params = parse_params("gradcam", {"run_dir": "runs/six", "selection": "index", "indices": [3]})
    _, _, (one,), _ = of_cases(params)
    assert one.true == one.predicted != one.other and one.other == one.top()[1]


def test_a_readers_picture_is_set_against_the_runner_up(six_errors: Path) -> None:
    params = parse_params("gradcam", {"run_dir": "runs/six"})
    net, own = model.build(0, width=8).eval(), torch.full((1, 3, 32, 32), 200, dtype=torch.uint8)
    one = case_card.of_picture(net, own, chosen_by(params), params)
    logits = net(datasets.NORMALIZERS["shapes"](own))[0].detach()
    assert one.true is None and [one.predicted, one.other] == logits.argsort(descending=True)[:2].tolist()
    np.testing.assert_allclose(one.probabilities, logits.softmax(0), rtol=1e-4)
    assert list(one.maps["contrast"]) == params.cam.layers

"""Case cards: one image with its prediction, people's votes, its explanation and its nearest training images.

cards, note = case_card.make_cards(examples, explanation, votes, data_root)
case_card.sentence(cards[0])
"""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from IPython.display import HTML
from numpy.typing import NDArray
from torch import Tensor

from .. import plots
from ..analysis import features
from ..analysis.predictions import Predictions, most_confident, softmax
from ..analysis.selection import Examples, margins
from ..config import GradCamParams, ReportError
from ..data import datasets, human_labels
from ..explain import cam
from ..explain.contrast import Explanation, apart_before_layer4, contrast_classes, explain_images
from ..formatting import percent, signed
from ..model import ResNet18
from ..plots import Card
from ..runs.records import RunRecord


def from_explanation(
    images: NDArray[np.uint8],
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64] | None,
    classes: Sequence[str],
    explanation: Explanation,
) -> list[Card]:
    """Return the cards of N images, without votes and neighbours.

    Args:
        images: uint8 (N, 3, 32, 32), 0-255.
        probabilities: float64 (N, C), predicted by the network.
        labels: the true classes, int64 (N,), or None if they are unknown.
        classes: C names.
        explanation: of the same images, for the predicted and the contrast class.
    """
    predicted, contrast = contrast_classes(probabilities, labels)
    maps = apart_before_layer4(explanation.maps)
    return [
        Card(
            image=images[i],
            classes=classes,
            probabilities=probabilities[i],
            predicted=int(predicted[i]),
            contrast=int(contrast[i]),
            label=None if labels is None else int(labels[i]),
            maps={target: {layer: m[i].numpy() for layer, m in maps[target].items()} for target in maps},
            cells=explanation.cells[i].numpy(),
            margin=float(explanation.margin[i]),
        )
        for i in range(len(images))
    ]


def make_cards(
    examples: Examples, explanation: Explanation, votes: NDArray[np.int64] | None, data_root: str
) -> tuple[list[Card], str]:
    """Return a card for each example, and a note about what the cards lack (empty if nothing).

    `explanation` is of the same images; `votes` are those of `load_votes`. Neighbours are left out where the training
    images cannot be had.
    """
    cards = from_explanation(examples.images, examples.probabilities, examples.true, examples.classes, explanation)
    if votes is not None:
        cards = [replace(card, votes=counts) for card, counts in zip(cards, votes[examples.indices], strict=True)]
    try:
        neighbours = features.neighbours(examples.folder, examples.record, examples.rows, data_root)
    except ReportError as error:
        return cards, f"The cards go without the nearest training images. {error}"
    return [
        replace(card, neighbours=images, neighbour_labels=labels)
        for card, images, labels in zip(cards, *neighbours, strict=True)
    ], ""


def load_votes(dataset: str, human_root: str) -> tuple[NDArray[np.int64] | None, str]:
    """Return people's votes on all test images, int64 (N, C), or None and a sentence that says why there are none."""
    try:
        return human_labels.load(dataset, human_root).votes, ""
    except ReportError as error:
        return None, str(error)


def picture_card(net: ResNet18, image: Tensor, record: RunRecord, params: GradCamParams) -> Card:
    """Return the card of a reader's picture, uint8 (1, 3, 32, 32), explained with the chapter's layers and method."""
    normalised = datasets.NORMALIZERS[record.parameters.dataset](image)
    probabilities = softmax(picture_logits(net, normalised))
    classes = contrast_classes(probabilities, None)
    explanation = explain_images(net, normalised, *classes, params.cam.layers, params.cam.method)
    return from_explanation(image.numpy(), probabilities, None, record.result.classes, explanation)[0]


def picture_logits(net: ResNet18, normalised: Tensor) -> NDArray[np.float32]:
    """Return the network's logits, float32 (1, C), of a normalised picture, float32 (1, 3, 32, 32)."""
    with cam.float32_eval(net), torch.no_grad():
        return net(normalised.to(next(net.parameters()).device)).cpu().numpy()


def recognisable_error(examples: Examples, votes: NDArray[np.int64] | None) -> int:
    """Return the position of the example whose error a stranger sees best.

    The criteria, in this order: an error; one whose label most of the people asked chose; one that was contested, of a
    small margin. `votes` are those of `load_votes`.
    """
    agreed = np.zeros(len(examples))
    if votes is not None:
        counts = votes[examples.indices]
        agreed = counts[np.arange(len(examples)), examples.true] / counts.sum(1)
    return int(np.lexsort((margins(examples.predictions)[examples.rows], -agreed, ~examples.wrong))[0])


def right_answer(predictions: Predictions, predicted: int, votes: NDArray[np.int64] | None) -> int:
    """Return the row of the surest right answer of a class, among those on which all people asked agree.

    What cannot be had is left out: the people, the class, in the end that the answer is right.
    """
    unanimous = np.ones(len(predictions.labels), bool)
    if votes is not None:
        counts = votes[predictions.indices]
        unanimous = counts.max(1) == counts.sum(1)
    right, of_class = ~predictions.wrong, predictions.predicted == predicted
    for candidates in (right & of_class & unanimous, right & of_class, right, np.ones_like(right)):
        if candidates.any():
            break
    return int(most_confident(predictions, np.flatnonzero(candidates))[0])


def title(card: Card) -> str:
    """Return the prediction in a line: "dog 97.1 %, labelled cat"."""
    answer = f"{card.classes[card.predicted]} {percent(float(card.probabilities[card.predicted]))}"
    if card.label is None:
        return answer
    return f"{answer}, rightly" if card.label == card.predicted else f"{answer}, labelled {card.classes[card.label]}"


def sentence(card: Card) -> str:
    """Return a card's numbers as prose: the prediction, the votes, the cells and the neighbours."""
    parts = [_prediction_sentence(card), _votes_sentence(card), cells_sentence(card), _neighbours_sentence(card)]
    return " ".join(filter(None, parts))


def _prediction_sentence(card: Card) -> str:
    predicted, contrast = (f"“{card.classes[c]}”" for c in (card.predicted, card.contrast))
    first, second = (percent(float(card.probabilities[c])) for c in (card.predicted, card.contrast))
    if card.label is None:
        return f"The network answers {predicted} with {first}; next comes {contrast} with {second}."
    if card.label == card.predicted:
        return f"The network answers {predicted} with {first}, which is right; next comes {contrast} with {second}."
    return f"The network answers {predicted} with {first}; the label says {contrast}, which it gives {second}."


def _votes_sentence(card: Card) -> str:
    if (votes := card.votes) is None:
        return ""
    shown = dict.fromkeys([card.contrast, card.predicted, int(votes.argmax())])
    counts = [f"{votes[c] or 'none'} said “{card.classes[c]}”" for c in sorted(shown, key=lambda c: -votes[c])]
    return f"Of {votes.sum()} people asked, {_listed(counts)}."


def cells_sentence(card: Card) -> str:
    """Say how many cells favour the prediction, what the one that does so most adds, and the sum of all."""
    cells, sides = card.cells, f"“{card.classes[card.predicted]}” over “{card.classes[card.contrast]}”"
    count = int((cells > 0).sum())
    if not count:
        return f"None of the {cells.size} cells of layer4 favours {sides}: the biases decided."
    row, column = divmod(int(cells.argmax()), cells.shape[1])
    how_many = {1: "One of the", cells.size: "All"}.get(count, f"{count} of the")
    decided = ": the biases decided" if card.margin <= 0 else ""
    return (
        f"{how_many} {cells.size} cells of layer4 favour{'s' * (count == 1)} {sides}. The one that does so most, in "
        f"row {row + 1} and column {column + 1}, adds {signed(cells.max())}; all add up to "
        f"{signed(card.margin)}{decided}."
    )


def _neighbours_sentence(card: Card) -> str:
    if (labels := card.neighbour_labels) is None:
        return ""
    kinds = sorted(set(labels.tolist()), key=lambda c: -int((labels == c).sum()))
    if len(kinds) == 1:
        return f"All {len(labels)} nearest training images are labelled “{card.classes[kinds[0]]}”."
    counts = [f"{(labels == c).sum()} “{card.classes[c]}”" for c in kinds]
    return f"Of the {len(labels)} nearest training images, {_listed(counts)} by their labels."


def _listed(parts: Sequence[str]) -> str:
    """Join parts as "a", "a and b" or "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def alt_text(card: Card) -> str:
    """Return the alternative text of `plots.case_card`."""
    shown = ", ".join(card.classes[c] for c in card.shown_classes())
    pair = " and for ".join(card.classes[c] for c in (card.predicted, card.contrast))
    people = "" if card.votes is None else " above the share of people who chose the class"
    parts = [
        f"Card of one small picture with bars for {shown}: the network's probability{people}",
        f"heat maps at {', '.join(card.maps['predicted'])} for {pair}",
        f"a table of signed numbers, one for each cell of layer4, with the sum {signed(card.margin)}",
    ]
    if card.neighbour_labels is not None:
        parts.append(f"{len(card.neighbour_labels)} training images below")
    return "; ".join(parts) + "."


def glance_alt_text(first: Card, case: Card) -> str:
    """Return the alternative text of `plots.at_a_glance`."""
    predicted, contrast = case.classes[case.predicted], case.classes[case.contrast]
    return (
        f"Two rows. Above: a small photograph, {title(first)}, and its heat map. Below: another, {title(case)}; its "
        f"heat maps for {predicted} and for {contrast}; a table of signed numbers, one for each cell, with the sum "
        f"{signed(case.margin)}."
    )


def figure_html(
    figure: plots.ReportFigure, anchor: str, caption: str, alt: str, links: Sequence[tuple[str, str]] = ()
) -> HTML:
    """Return a figure with its caption, for pages whose number of figures is known only when they run.

    The page shows the figure's version for its theme and its width.

    Args:
        figure: what is shown.
        anchor: id of the figure on its page.
        caption: text under the figure.
        alt: alternative text, for readers who cannot see the figure.
        links: text and address of each link at the caption's end.
    """
    versions = figure.versions()
    pictures = "".join(_picture(versions, theme, alt) for theme in ("light", "dark") if theme in versions)
    more = "".join(f' <a href="{html.escape(address)}">{html.escape(text)}</a>' for text, address in links)
    words = f"<figcaption>{html.escape(caption)}{more}</figcaption>"
    return HTML(f'<figure class="case" id="{html.escape(anchor)}"><div>{pictures}</div>{words}</figure>')


def folded(figure: HTML, summary: str, is_open: bool = False) -> HTML:
    """Return a block, such as a figure with its caption, under a summary that opens it.

    A link to an anchor in the block opens it too, and on paper it is open.
    """
    opened = " open" * is_open
    return HTML(f'<details class="folded"{opened}><summary>{html.escape(summary)}</summary>{figure.data}</details>')


def _picture(versions: Mapping[str, plots.ReportFigure], theme: str, alt: str) -> str:
    """Return the versions of one theme as an element that shows the one that fits the window."""
    only = f' class="only-{theme}"' if "dark" in versions else ""
    image = f'<img{only} alt="{html.escape(alt)}" loading="lazy" {_image_attributes(versions[theme], "src")}>'
    if narrow := versions.get(f"{theme}-narrow"):
        source = f'<source media="(max-width: 600px)" {_image_attributes(narrow, "srcset")}>'
        return f"<picture>{source}{image}</picture>"
    return image


def _image_attributes(figure: plots.ReportFigure, source: str) -> str:
    """Return a figure's size in CSS pixels and, under the name `source`, its pixels as a data address."""
    width, height = figure.css_size
    encoded = base64.b64encode(figure.webp()).decode("ascii")
    return f'width="{width}" height="{height}" {source}="data:image/webp;base64,{encoded}"'

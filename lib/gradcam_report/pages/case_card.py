"""One image on one card: what the network answered, what people see, where the evidence lies, what resembles it.

made, note = cards.of_cases(chosen, contrast.explain_examples(net, chosen, layers), params)
cards.sentence(made[0])
"""

import base64
import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from IPython.display import HTML
from numpy.typing import NDArray
from torch import Tensor

from .. import plots
from ..analysis import features, selection
from ..analysis.predictions import softmax
from ..config import GradCamParams, ReportError
from ..data import datasets, human_labels
from ..explain import cam, contrast
from ..formatting import percent, signed
from ..model import ResNet18


@dataclass(frozen=True, eq=False)
class Card:
    """All that is known of one image; `other` is the class that the answer is set against.

    That is the true class, or where the answer is right or the truth unknown (`true` is None) the runner-up.
    """

    image: NDArray[np.uint8]
    """uint8 (3, 32, 32), 0-255."""
    classes: Sequence[str]
    probabilities: NDArray[np.float64]
    """float64 (C,), the network's."""
    predicted: int
    other: int
    true: int | None
    maps: dict[str, dict[str, NDArray[np.float32]]]
    """"predicted" and "contrast" -> layer -> float32 (h, w), 0-1 on one scale for both."""
    cells: NDArray[np.float32]
    """float32 (h, w): what each cell of layer4 adds to `margin`."""
    margin: float
    """logit(predicted) - logit(other) without the biases."""
    votes: NDArray[np.int64] | None = None
    """int64 (C,): how many people chose each class, if any were asked."""
    near_images: NDArray[np.uint8] | None = None
    """uint8 (K, 3, 32, 32): the nearest training images, nearest first, if they are known."""
    near_labels: NDArray[np.int64] | None = None
    """int64 (K,)."""

    def top(self, count: int = 3) -> list[int]:
        """The most probable classes, the first one first."""
        return [int(c) for c in np.argsort(-self.probabilities, kind="stable")[:count]]

    def in_question(self, count: int = 3) -> list[int]:
        """The answer, what it is set against, and the most probable of the other classes; the most probable first."""
        asked = list(dict.fromkeys([self.predicted, self.other, *self.top(count)]))[:count]
        return [c for c in self.top(len(self.classes)) if c in asked]


def of_images(
    images: NDArray[np.uint8],
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64] | None,
    classes: Sequence[str],
    found: contrast.Explanation,
) -> list[Card]:
    """Cards of images uint8 (N, 3, 32, 32) with the network's `probabilities`, float64 (N, C), and what was found.

    `labels` are the true classes, int64 (N,), None where nobody knows them; `found` is of the classes that
    `contrast.contrast_classes` names.
    """
    predicted, other = contrast.contrast_classes(probabilities, labels)
    return [
        Card(
            image=images[i],
            classes=classes,
            probabilities=probabilities[i],
            predicted=int(predicted[i]),
            other=int(other[i]),
            true=None if labels is None else int(labels[i]),
            maps={target: {layer: m[i].numpy() for layer, m in maps.items()} for target, maps in found.maps.items()},
            cells=found.cells[i].numpy(),
            margin=float(found.margin[i]),
        )
        for i in range(len(images))
    ]


def sentence(card: Card) -> str:
    """What the numbers of a card say, in plain words and nothing beyond them."""
    said = [_answer(card)]
    if card.votes is not None:
        said.append(_people(card))
    said.append(_cells(card))
    if card.near_labels is not None:
        said.append(_neighbours(card))
    return " ".join(said)


def _answer(card: Card) -> str:
    """What was answered, and what instead of it."""
    predicted, other = (f"“{card.classes[c]}”" for c in (card.predicted, card.other))
    sure, less = (percent(float(card.probabilities[c])) for c in (card.predicted, card.other))
    if card.true is None:
        return f"The network answers {predicted} with {sure}; next comes {other} with {less}."
    if card.true == card.predicted:
        return f"The network answers {predicted} with {sure}, which is right; next comes {other} with {less}."
    return f"The network answers {predicted} with {sure}; the label says {other}, which it gives {less}."


def _people(card: Card) -> str:
    """How many people chose the classes in question, and any class that more of them chose."""
    votes = card.votes
    assert votes is not None
    asked = dict.fromkeys([card.other, card.predicted, int(votes.argmax())])
    counts = [f"{votes[c] or 'none'} said “{card.classes[c]}”" for c in sorted(asked, key=lambda c: -votes[c])]
    return f"Of {votes.sum()} people asked, {_listed(counts)}."


def _cells(card: Card) -> str:
    """How many of layer4's cells spoke for the answer, and the one that spoke most for it."""
    cells = card.cells
    height, width = cells.shape
    row, column = divmod(int(cells.argmax()), width)
    where = f"{'upper' if row < height / 2 else 'lower'} {'left' if column < width / 2 else 'right'}"
    sides = f"“{card.classes[card.predicted]}” over “{card.classes[card.other]}”"
    count = int((cells > 0).sum())
    if not count:
        return f"None of the {cells.size} cells of layer4 favours {sides}: the biases decided."
    how_many = {1: "One", cells.size: "All"}.get(count, str(count))
    return (
        f"{how_many} of the {cells.size} cells of layer4 favour{'s' * (count == 1)} {sides}; the strongest, {where} of "
        f"the middle, adds {signed(cells.max())} to a sum of {signed(card.margin)}."
    )


def _neighbours(card: Card) -> str:
    """What the nearest training images are."""
    labels = card.near_labels
    assert labels is not None
    kinds = sorted(set(labels.tolist()), key=lambda c: -int((labels == c).sum()))
    if len(kinds) == 1:
        return f"All {len(labels)} nearest training images are labelled “{card.classes[kinds[0]]}”."
    counts = [f"{(labels == c).sum()} “{card.classes[c]}”" for c in kinds]
    return f"Of the {len(labels)} nearest training images, {_listed(counts)} by their labels."


def _listed(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def title(card: Card) -> str:
    """The answer in a line: "dog 97.1 %, labelled cat"."""
    answer = f"{card.classes[card.predicted]} {percent(float(card.probabilities[card.predicted]))}"
    if card.true is None:
        return answer
    return f"{answer}, rightly" if card.true == card.predicted else f"{answer}, labelled {card.classes[card.true]}"


def description(card: Card) -> str:
    """What is seen on a card as `plots.case_card` draws it, for those who cannot see it."""
    people = "" if card.votes is None else " above the share of people who chose the class"
    asked = _names(card, card.in_question())
    parts = [
        f"Card of one small picture with bars for {asked}: the network's probability{people}",
        *_evidence(card),
    ]
    if card.near_labels is not None:
        parts.append(f"{len(card.near_labels)} training images below")
    return "; ".join(parts) + "."


def description_at_a_glance(card: Card) -> str:
    """What is seen of it as `plots.at_a_glance` draws it."""
    people = "" if card.votes is None else ", and the share of people who chose each"
    answer = f"the network's probabilities for {_names(card, card.in_question())}{people}"
    return "; ".join(["Four numbered parts: one picture of 32 by 32 pixels, enlarged", answer, *_evidence(card)]) + "."


def _names(card: Card, classes: Sequence[int]) -> str:
    return ", ".join(card.classes[c] for c in classes)


def _evidence(card: Card) -> list[str]:
    """What is seen of the evidence."""
    layers, pair = ", ".join(card.maps["predicted"]), (card.classes[card.predicted], card.classes[card.other])
    return [
        f"heat maps at {layers} for {' and for '.join(pair)}",
        f"a table of signed numbers, one for each cell of layer4, with the sum {signed(card.margin)}",
    ]


def of_cases(chosen: selection.Examples, found: contrast.Explanation, params: GradCamParams) -> tuple[list[Card], str]:
    """(a card for each chosen test image, a note about what is missing on them, empty if nothing is).

    `found` is of the same images, `params` are the chapter's. Cards go without votes and neighbours that cannot be had.
    """
    made = of_images(chosen.images, chosen.probabilities, chosen.true, chosen.classes, found)
    missing = []
    try:
        made = [
            replace(card, near_images=images, near_labels=labels)
            for card, (images, labels) in zip(made, _near(chosen, params.images.data_root), strict=True)
        ]
    except ReportError as error:
        missing.append(f"The cards go without the nearest training images. {error}")
    try:
        votes = human_labels.load(chosen.dataset, params.human.human_root).votes[chosen.indices]
        made = [replace(card, votes=counts) for card, counts in zip(made, votes, strict=True)]
    except ReportError as error:
        missing.append(str(error))
    return made, " ".join(missing)


def _near(
    chosen: selection.Examples, data_root: str, count: int = 5
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """For each chosen image the training images, uint8 (5, 3, 32, 32), whose features are nearest, and their labels."""
    train, known = features.load_train(chosen.folder, chosen.record, data_root)
    rows, _ = features.nearest(features.load_test(chosen.folder)[chosen.rows], known, count)
    return zip(train.images.numpy()[rows], train.labels.numpy()[rows], strict=True)


def of_picture(net: ResNet18, image: Tensor, chosen: selection.Examples, params: GradCamParams) -> Card:
    """The card of a reader's own picture, uint8 (1, 3, 32, 32), explained with the layers and method of the chapter."""
    normalised = datasets.NORMALIZERS[chosen.dataset](image)
    with cam.float32_eval(net), torch.no_grad():
        logits = net(normalised.to(next(net.parameters()).device)).cpu().numpy()
    wanted, probabilities = params.cam, softmax(logits)
    classes = contrast.contrast_classes(probabilities, None)
    found = contrast.explain_images(net, normalised, *classes, wanted.layers, wanted.method)
    return of_images(image.numpy(), probabilities, None, chosen.classes, found)[0]


def telling(made: Sequence[Card], shared: NDArray[np.bool_]) -> int:
    """Which card stands for all: of the errors the one whose label most people chose, between equals the surest.

    Errors that are `shared`, bool (N,), as other networks make them too, go first. Where nobody was asked it is the
    surest error; where nothing is wrong, the surest answer.
    """

    def weight(card: Card, common: bool) -> tuple[bool, bool, float, float]:
        wrong = card.true not in (None, card.predicted)
        agreed = float(card.votes[card.other] / card.votes.sum()) if wrong and card.votes is not None else 0.0
        return wrong, common, agreed, float(card.probabilities[card.predicted])

    return max(range(len(made)), key=lambda at: weight(made[at], bool(shared[at])))


def figure_html(
    figure: plots.ReportFigure,
    anchor: str,
    caption: str,
    alt: str,
    link: tuple[str, str] | None = None,
    narrow: plots.ReportFigure | None = None,
) -> HTML:
    """Return a figure with its caption, for pages whose number of figures is known only when they run.

    Args:
        figure: what is shown.
        anchor: id of the figure on its page.
        caption: text under the figure.
        alt: alternative text, for readers who cannot see the figure.
        link: words and address of a link at the caption's end.
        narrow: the same figure drawn for a telephone.
    """
    image = f'<img alt="{html.escape(alt)}" {_image_attributes(figure, "src")}>'
    if narrow is not None:
        source = f'<source media="(max-width: 600px)" {_image_attributes(narrow, "srcset")}>'
        image = f"<picture>{source}{image}</picture>"
    more = f' <a href="{html.escape(link[1])}">{html.escape(link[0])}</a>' if link else ""
    words = f"<figcaption>{html.escape(caption)}{more}</figcaption>"
    return HTML(f'<figure class="case" id="{html.escape(anchor)}">{image}{words}</figure>')


def _image_attributes(figure: plots.ReportFigure, source: str) -> str:
    """Size in CSS pixels and, under the name `source`, the pixels of a figure as a data address."""
    width, height = (round(float(inches) * plots.SCREEN_DPI) for inches in figure.get_size_inches())
    encoded = base64.b64encode(figure.webp()).decode("ascii")
    return f'width="{width}" height="{height}" {source}="data:image/webp;base64,{encoded}"'

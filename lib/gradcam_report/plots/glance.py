"""The front page's overview: a right answer and an error, with their maps."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..formatting import percent, signed
from .cards import Card, draw_margin, place, write
from .heatmaps import blended_colours, overlay
from .style import LABEL, SMALL, ReportFigure, is_narrow, palette, styled, width, wrap

HEADING = 10.5  # points


class Block(NamedTuple):
    """A card's part of the figure: its texts, and where it and each of its tiles begin, in inches from the top left."""

    card: Card
    top: float
    heading: str
    answers: str
    titles: list[str]
    corners: list[tuple[float, float]]
    bottom: float


@styled
def at_a_glance(first: Card, case: Card, method: str = "Grad-CAM") -> ReportFigure:
    """Draw a right answer with its map, and an error with the maps of two classes and the shares of its cells.

    `method` is the maps' name.
    """
    predicted, contrast = case.classes[case.predicted], case.classes[case.contrast]
    titles = ["the image", f"{method} for {first.classes[first.predicted]}"]
    upper = arrange(first, titles, 0.05)
    key = (0.05, upper.bottom + 0.11) if is_narrow() else (3.69, upper.corners[0][1] + 0.02)
    titles = ["the image", f"{method} for {predicted}", f"{method} for {contrast}"]
    titles.append(f"{predicted} minus {contrast}: {signed(case.margin)}")
    lower = arrange(case, titles, key[1] + 1.14 if is_narrow() else upper.bottom + 0.26)
    figure = ReportFigure(figsize=(width(), lower.bottom + 0.5))
    for block in (upper, lower):
        draw_block(figure, block)
    last = max(first.maps["predicted"])
    where = "layer4, the network’s last stage," if last == "layer4" else last
    explain_maps(figure, *key, f"{method} colours the cells of {where} by how much they speak for one class.")
    name_sides(figure, lower.corners[3][0], lower.bottom + 0.08, case)
    return figure


def side() -> float:
    """Return the side of a tile in inches."""
    return 1.45 if is_narrow() else 1.64


def height(text: str, size: float = LABEL) -> float:
    """Return the height of a text in inches, at `size` points."""
    return (text.count("\n") + 1) * size / 60


def arrange(card: Card, titles: list[str], top: float) -> Block:
    """Arrange a card's heading and answers at `top` inches, and below them a tile for each title."""
    columns, step = (2, 1.55) if is_narrow() else (4, 1.82)
    above, answer = wrap(heading(card), width() - 0.1, HEADING), wrap(answers(card), width() - 0.1)
    titles = [wrap(title, side() + 0.16) for title in titles]
    below, corners = top + 0.05 + height(above, HEADING) + height(answer) + 0.11, []
    for start in range(0, len(titles), columns):
        row = titles[start : start + columns]
        below += 0.11 + max(map(height, row))
        corners += [(0.05 + step * column, below) for column in range(len(row))]
        below += side()
    return Block(card, top, above, answer, titles, corners, below)


def draw_block(figure: ReportFigure, block: Block) -> None:
    """Draw a card's texts, its image and the last layer's maps; where there is a fourth tile, the cells' shares."""
    write(figure, 0.05, block.top, block.heading, va="top", fontsize=HEADING, fontweight="bold")
    below = block.top + 0.05 + height(block.heading, HEADING)
    write(figure, 0.05, below, block.answers, va="top", linespacing=1.3)
    image = block.card.image.transpose(1, 2, 0)
    layers = [block.card.maps[target] for target in ("predicted", "contrast")]
    pictures: list[ArrayLike] = [image, *(overlay(image, heats[max(heats)]) for heats in layers)]
    tiles = [place(figure, *corner, side(), side()) for corner in block.corners]
    for ax, picture, title in zip(tiles, pictures, block.titles, strict=False):
        ax.imshow(picture)
        ax.set_title(title, **SMALL, pad=3)
    if len(tiles) > 3:
        draw_margin(tiles[3], block.card, block.titles[3])


def heading(card: Card) -> str:
    """Say in a few words what the network made of an image."""
    answer = card.classes[card.predicted]
    if card.label is None or card.label == card.predicted:
        return f"A right answer: {answer}"
    return f"An error: {card.classes[card.label]} taken for {answer}"


def answers(card: Card) -> str:
    """Say how the network's probability and people's votes fall on the classes that are compared."""
    wrong = card.label not in (None, card.predicted)
    classes = [card.predicted, *([card.contrast] if wrong else [])]
    network = ", ".join(f"{card.classes[c]} {percent(float(card.probabilities[c]))}" for c in classes)
    if card.votes is None:
        return f"Network: {network}"
    asked = classes[-1]
    gap = "\n" if is_narrow() else "    "
    return f"Network: {network}{gap}People: {card.votes[asked]} of {card.votes.sum()} say {card.classes[asked]}"


def explain_maps(figure: ReportFigure, left: float, top: float, words: str) -> None:
    """Explain the colours of the maps."""
    across = width() - left - 0.1
    write(figure, left, top, wrap(words, across), va="top", linespacing=1.35)
    bar = place(figure, left, top + 0.52, across, 0.13)
    bar.imshow(np.linspace(0, 1, 256)[None], cmap=blended_colours(), aspect="auto")
    write(figure, left, top + 0.7, "not at all", va="top")
    write(figure, left + across, top + 0.7, "most", va="top", ha="right")


def name_sides(figure: ReportFigure, left: float, top: float, case: Card) -> None:
    """Name the colours of the shares, below each other, for names may be long."""
    for colour, kind in ((palette().vermillion, case.predicted), (palette().blue, case.contrast)):
        place(figure, left, top, 0.13, 0.13).set_facecolor(colour)
        write(figure, left + 0.18, top + 0.065, case.classes[kind], va="center")
        top += 0.2

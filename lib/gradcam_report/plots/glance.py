"""The front page's overview: a right answer and an error, with their maps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..formatting import percent, signed
from .cards import Card, draw_margin, place, write
from .heatmaps import blended_colours, overlay
from .style import LABEL, SMALL, ReportFigure, is_narrow, palette, styled, wrap

HEADING = 10.5  # points
Corner = tuple[float, float]  # inches from the left and from the top


@dataclass(frozen=True)
class Layout:
    """Where everything stands, in inches."""

    size: Corner
    side: float
    """Of a tile."""
    headings: tuple[float, ...]
    """Top of each row's heading."""
    first: tuple[Corner, ...]
    """The right answer: its image and its map."""
    case: tuple[Corner, ...]
    """The error: its image, the maps of the predicted and of the contrast class, and the cells' shares."""
    key: Corner
    shares_key: Corner

    @property
    def across(self) -> float:
        """Width of the text."""
        return self.size[0] - 0.1

    def moved(self, below: float, by: float) -> "Layout":
        """Return the layout with all that stands lower than `below` moved down."""

        def down(*corners: Corner) -> tuple[Corner, ...]:
            return tuple((x, y + by * (y > below)) for x, y in corners)

        return Layout(
            size=(self.size[0], self.size[1] + by),
            side=self.side,
            headings=tuple(top + by * (top > below) for top in self.headings),
            first=down(*self.first),
            case=down(*self.case),
            key=down(self.key)[0],
            shares_key=down(self.shares_key)[0],
        )


WIDE = Layout(
    size=(7.2, 5.3), side=1.64, headings=(0.05, 2.68), first=((0.05, 0.78), (1.87, 0.78)),
    case=((0.05, 3.41), (1.87, 3.41), (3.69, 3.41), (5.51, 3.41)), key=(3.69, 0.8), shares_key=(5.51, 5.08),
)  # fmt: skip
PHONE = Layout(
    size=(3.1, 8.15), side=1.45, headings=(0.05, 3.6), first=((0.05, 0.9), (1.6, 0.9)),
    case=((0.05, 4.45), (1.6, 4.45), (0.05, 6.15), (1.6, 6.15)), key=(0.05, 2.46), shares_key=(1.6, 7.68),
)  # fmt: skip


@styled
def at_a_glance(first: Card, case: Card, method: str = "Grad-CAM") -> ReportFigure:
    """Draw a right answer with its map, and an error with the maps of two classes and the shares of its cells.

    `method` is the maps' name.
    """
    layout = with_room(PHONE, first, case, method) if is_narrow() else WIDE
    figure = ReportFigure(figsize=layout.size)
    for card, top, places in zip((first, case), layout.headings, (layout.first, layout.case[:3]), strict=True):
        title, answer = wrap(heading(card), layout.across, HEADING), wrap(answers(card), layout.across)
        write(figure, 0.05, top, title, va="top", fontsize=HEADING, fontweight="bold")
        write(figure, 0.05, top + 0.05 + line_height(HEADING) * lines(title), answer, va="top", linespacing=1.3)
        image = card.image.transpose(1, 2, 0)
        shown: list[tuple[ArrayLike, str]] = [(image, "the image")]
        for target, number in (("predicted", card.predicted), ("contrast", card.contrast)):
            last = max(card.maps[target])
            shown.append((overlay(image, card.maps[target][last]), f"{method} for {card.classes[number]}"))
        for corner, (picture, title) in zip(places, shown, strict=False):  # the right answer has room for one map
            ax = place(figure, *corner, layout.side, layout.side)
            ax.imshow(picture)
            ax.set_title(wrap(title, layout.side + 0.16), **SMALL, pad=3)

    predicted, contrast = case.classes[case.predicted], case.classes[case.contrast]
    title = wrap(f"{predicted} minus {contrast}: {signed(case.margin)}", layout.side + 0.16)
    draw_margin(place(figure, *layout.case[3], layout.side, layout.side), case, title)
    where = "layer4, the network’s last stage," if last == "layer4" else last
    explain_maps(figure, layout, f"{method} colours the cells of {where} by how much they speak for one class.")
    name_sides(figure, layout, case)
    return figure


def line_height(size: float) -> float:
    """Return the height of a line of text in inches, at `size` points."""
    return size / 60


def lines(text: str) -> int:
    """Return the number of lines of a text."""
    return text.count("\n") + 1


def with_room(layout: Layout, first: Card, case: Card, method: str) -> Layout:
    """Return a telephone's layout with more room where long names of classes take further lines."""
    names, across, side = case.classes, layout.across, layout.side + 0.16
    predicted, contrast = names[case.predicted], names[case.contrast]
    titles = [f"{method} for {contrast}", f"{predicted} minus {contrast}: {signed(case.margin)}"]
    more = max(lines(wrap(title, side)) for title in titles) - 1
    layout = layout.moved(layout.case[0][1] + 0.1, line_height(LABEL) * more)
    for card, row in ((case, layout.case), (first, layout.first)):  # from below, so that what is above has not moved
        more = (
            lines(wrap(answers(card), across))
            - 2
            + lines(wrap(f"{method} for {card.classes[card.predicted]}", side))
            - 1
        )
        room = line_height(LABEL) * max(0, more) + line_height(HEADING) * (
            lines(wrap(heading(card), across, HEADING)) - 1
        )
        layout = layout.moved(row[0][1] - 0.1, room)
    return layout


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


def explain_maps(figure: ReportFigure, layout: Layout, words: str) -> None:
    """Explain the colours of the maps."""
    left, top = layout.key
    across = layout.size[0] - left - 0.1
    write(figure, left, top, wrap(words, across), va="top", linespacing=1.35)
    bar = place(figure, left, top + 0.52, across, 0.13)
    bar.imshow(np.linspace(0, 1, 256)[None], cmap=blended_colours(), aspect="auto")
    write(figure, left, top + 0.7, "not at all", va="top")
    write(figure, left + across, top + 0.7, "most", va="top", ha="right")


def name_sides(figure: ReportFigure, layout: Layout, case: Card) -> None:
    """Name the colours of the shares."""
    left, top = layout.shares_key
    colours = palette()
    right, down = (0.0, 0.2) if is_narrow() else (0.82, 0.0)  # a telephone has room for whole names below each other
    sides = ((colours.vermillion, case.predicted), (colours.blue, case.contrast))
    for number, (colour, kind) in enumerate(sides):
        x, y = left + right * number, top + down * number
        place(figure, x, y, 0.13, 0.13).set_facecolor(colour)
        name = case.classes[kind] if is_narrow() else case.classes[kind].replace(" ", "\n")
        write(figure, x + 0.18, y + 0.065, name, va="center", linespacing=1.0)

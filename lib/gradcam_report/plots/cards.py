"""One image with everything known about it, as a card of the Grad-CAM chapter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ..formatting import percent, signed
from .heatmaps import label_empty, overlay, signed_colours
from .images import to_hwc
from .style import (
    LABEL,
    PHONE_LABEL,
    SMALL,
    ReportFigure,
    bare,
    is_narrow,
    new_figure,
    palette,
    readable_on,
    styled,
    width,
    wrap,
)

TOP = 0.55  # inches below a card's heading
NEIGHBOURS = 5  # in a row


@dataclass(frozen=True, eq=False)
class Card:
    """One image, its prediction and its explanation."""

    image: NDArray[np.uint8]
    """uint8 (3, 32, 32), 0-255."""
    classes: Sequence[str]
    probabilities: NDArray[np.float64]
    """float64 (C,), predicted by the network."""
    predicted: int
    contrast: int
    """The class that the prediction is compared with: the true class, or the runner-up of a right prediction."""
    label: int | None
    """The true class; None if it is unknown."""
    maps: Mapping[str, Mapping[str, NDArray[np.float32]]]
    """"predicted" and "contrast" -> layer -> float32 (h, w), 0-1: a pair at layer4 on one scale, others each alone."""
    cells: NDArray[np.float32]
    """float32 (h, w): what each cell of layer4 adds to `margin`."""
    margin: float
    """logit(predicted) - logit(contrast) without the biases."""
    votes: NDArray[np.int64] | None = None
    """int64 (C,): number of people who chose each class, if any were asked."""
    neighbours: NDArray[np.uint8] | None = None
    """uint8 (K, 3, 32, 32): the nearest training images, nearest first, if they are known."""
    neighbour_labels: NDArray[np.int64] | None = None
    """int64 (K,)."""

    def top(self, count: int = 3) -> list[int]:
        """Return the `count` most probable classes, the first one first."""
        return [int(c) for c in np.argsort(-self.probabilities, kind="stable")[:count]]

    def shown_classes(self) -> list[int]:
        """Return the predicted class, the contrast class and the likeliest third one, the most probable first."""
        shown = list(dict.fromkeys([self.predicted, self.contrast, *self.top(3)]))[:3]
        return [c for c in self.top(len(self.classes)) if c in shown]


def place(figure: ReportFigure, left: float, top: float, width: float, height: float) -> Axes:
    """Return bare axes of that size at that distance from the figure's left and top edge, all in inches."""
    across, down = figure.get_size_inches()
    ax = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
    bare(ax)
    return ax


def write(figure: ReportFigure, left: float, top: float, text: str, **style: Any) -> None:
    """Write a text at that distance from the figure's left and top edge, in inches."""
    across, down = figure.get_size_inches()
    figure.text(left / across, 1 - top / down, text, **style)


def draw_probabilities(ax: Axes, card: Card) -> None:
    """Draw the classes' probabilities as bars, the highest on top, and people's votes below each if there are any."""
    shown = card.shown_classes()
    rows, probabilities = np.arange(len(shown)), card.probabilities[shown]
    height, shift = (0.6, 0.0) if card.votes is None else (0.36, 0.2)
    ax.barh(rows - shift, probabilities, height, color=palette().blue)
    for row, value in zip(rows, probabilities, strict=True):
        ax.text(value + 0.03, row - shift, percent(value), va="center")
    if card.votes is not None:
        shares = card.votes[shown] / card.votes.sum()
        ax.barh(rows + shift, shares, height, color=palette().pale, edgecolor=palette().grey, linewidth=0.6)
        for row, value in zip(rows, shares, strict=True):
            ax.text(value + 0.03, row + shift, f"{percent(value, 0)} of people", va="center")
    ax.set_yticks(rows, [card.classes[c] for c in shown])
    ax.tick_params(length=0)
    ax.set(xlim=(0, 2.1), ylim=(len(shown) - 0.4, -0.6))


def draw_margin(ax: Axes, card: Card, title: str = "") -> None:
    """Draw the signed contributions of the cells, each with its number."""
    reach = float(np.abs(card.cells).max()) or 1.0
    drawn = ax.imshow(card.cells, cmap=signed_colours(), vmin=-reach, vmax=reach)
    size = PHONE_LABEL if is_narrow() else LABEL
    for (row, column), value in np.ndenumerate(card.cells):
        colour = readable_on(drawn.to_rgba(np.array(value)))
        ax.text(column, row, signed(float(value)), ha="center", va="center", fontsize=size, color=colour)
    ax.set_title(title, **SMALL, pad=3)
    bare(ax)


def draw_maps(figure: ReportFigure, card: Card, left: float, top: float, tile: float, method: str) -> None:
    """Draw each layer's maps, above for the predicted and below for the contrast class, as squares of `tile` inches."""
    picture = to_hwc(card.image[None])[0]
    for row, (target, number) in enumerate((("predicted", card.predicted), ("contrast", card.contrast))):
        for column, (layer, heat) in enumerate(card.maps[target].items()):
            ax = place(figure, left + column * (tile + 0.06), top + row * (tile + 0.06), tile, tile)
            ax.imshow(overlay(picture, heat), extent=(0, 1, 1, 0))
            if not heat.any():
                label_empty(ax, 0, 0)
            if row == 0:
                ax.set_title(layer, **SMALL, pad=3)
            if column == 0:
                name = card.classes[number] if is_narrow() else f"{method}\nfor {card.classes[number]}"
                ax.set_ylabel(name, fontsize=LABEL, labelpad=3)


@styled
def case_card(card: Card, heading: str, method: str = "Grad-CAM") -> ReportFigure:
    """Draw one image with everything known about it.

    Args:
        card: what is drawn; parts that are None are left out.
        heading: a line above everything, such as the image's number.
        method: the maps' name.
    """
    narrow = is_narrow()
    figure = new_figure(7.3 if narrow else 3.5)
    figure.set_layout_engine("none")  # everything has its place
    write(figure, 0.05, 0.06, wrap(heading, width() - 0.1, 10), ha="left", va="top", fontsize=10, fontweight="bold")
    side, top = (1.3, 0.8) if narrow else (1.5, TOP)
    place(figure, 0.05, top, side, side).imshow(to_hwc(card.image[None])[0])
    corner = (0.8, 2.5, 2.2, 1.0) if narrow else (0.75, TOP + 1.65, 1.75, 1.1)
    draw_probabilities(place(figure, *corner), card)
    draw_maps(figure, card, *((0.42, 3.75, 0.6) if narrow else (2.05, TOP, 0.8)), method)
    predicted, contrast = card.classes[card.predicted], card.classes[card.contrast]
    title = f"{predicted} minus\n{contrast}: sum {signed(card.margin)}"
    corner = (1.45, top, 1.6, 1.6) if narrow else (5.47, TOP, 1.68, 1.68)
    draw_margin(place(figure, *corner), card, title)
    draw_neighbours(figure, card)
    return figure


def draw_neighbours(figure: ReportFigure, card: Card) -> None:
    """Draw the nearest training images with their labels, on a phone three in a row."""
    if card.neighbours is None or card.neighbour_labels is None:
        return
    left, top, step, columns = (0.25, 5.55, 0.95, 3) if is_narrow() else (3.42, TOP + 2.06, 0.75, NEIGHBOURS)
    for number, (image, label) in enumerate(zip(to_hwc(card.neighbours), card.neighbour_labels, strict=True)):
        row, column = divmod(number, columns)
        ax = place(figure, left + column * step, top + 0.9 * row, 0.7, 0.7)
        ax.imshow(image)
        ax.set_title(card.classes[label], **SMALL, pad=2, loc="center")
    if is_narrow():
        write(figure, 0.05, top - 0.36, "nearest training images", va="top")
    else:
        write(figure, 3.34, TOP + 2.41, "nearest\ntraining\nimages", ha="right", va="center")

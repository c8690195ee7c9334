"""One image on one card."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ..formatting import percent, signed
from .heatmaps import SIGNED, label_empty, overlay
from .images import to_hwc
from .style import BLUE, GREY, PALE, WIDTH, ReportFigure, new_figure, styled

TOP, TILE = 0.55, 0.82  # inches: below the heading; a map
TITLE: dict[str, Any] = {"fontsize": 8, "fontweight": "normal", "pad": 3}


def bare(ax: Axes) -> None:
    """Take ticks, grid and frame away, keeping room for labels."""
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)


def bars(ax: Axes, card: Any, top: list[int]) -> None:
    """Draw classes, the first on top, with the network's probability, and people's share of votes if there are any."""
    rows = np.arange(len(top))
    sure = [card.probabilities[c] for c in top]
    human = None if card.votes is None else card.votes / card.votes.sum()
    height = 0.36 if human is not None else 0.6
    shift = 0.2 if human is not None else 0
    ax.barh(rows - shift, sure, height, color=BLUE)
    for row, value in zip(rows, sure, strict=True):
        ax.text(value + 0.03, row - shift, percent(value), va="center", fontsize=8)
    if human is not None:
        ax.barh(rows + shift, human[top], height, color=PALE, edgecolor=GREY, linewidth=0.6)
        for row, c in zip(rows, top, strict=True):
            ax.text(human[c] + 0.03, row + shift, f"{percent(human[c], 0)} of people", va="center", fontsize=8)
    bare(ax)
    ax.set_yticks(rows, [card.classes[c] for c in top], fontsize=8)
    ax.tick_params(length=0)
    ax.set(xlim=(0, 2.1), ylim=(len(top) - 0.4, -0.6))


def margin(ax: Axes, card: Any, title: str) -> None:
    """Draw the signed contributions of the cells, each with its number."""
    reach = float(np.abs(card.cells).max()) or 1.0
    ax.imshow(card.cells, cmap=SIGNED, vmin=-reach, vmax=reach, interpolation="nearest")
    for (row, column), value in np.ndenumerate(card.cells):
        colour = "white" if value < -0.65 * reach else "black"
        ax.text(column, row, signed(value), ha="center", va="center", fontsize=8, color=colour)
    ax.set_title(title, **TITLE)
    bare(ax)


def place(figure: ReportFigure, left: float, top: float, width: float, height: float) -> Axes:
    """Return bare axes of that size at that distance from the figure's left and top edge, all in inches."""
    across, down = figure.get_size_inches()
    ax = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
    bare(ax)
    return ax


def heat_maps(figure: ReportFigure, card: Any, left: float, top: float, tile: float, method: str) -> None:
    """Draw the maps of each layer, above for the answer and below for the other class, as squares of `tile` inches."""
    picture = to_hwc(card.image[None])[0]
    for row, target in enumerate(("predicted", "contrast")):
        name = card.classes[card.predicted if target == "predicted" else card.other]
        for column, (layer, heat) in enumerate(card.maps[target].items()):
            ax = place(figure, left + column * (tile + 0.06), top + row * (tile + 0.06), tile, tile)
            ax.imshow(overlay(picture, heat), interpolation="nearest", extent=(0, 1, 1, 0))
            if not heat.any():
                label_empty(ax, 0, 0)
            if row == 0:
                ax.set_title(layer, **TITLE)
            if column == 0:
                ax.set_ylabel(f"{method}\nfor {name}", fontsize=8, labelpad=3)


@styled
def case_card(card: Any, heading: str, method: str = "Grad-CAM") -> ReportFigure:
    """Draw one image with all that is known of it.

    Args:
        card: a `cards.Card`, or anything with its attributes.
        heading: a line above everything, such as the image's number.
        method: the maps' name.
    """
    figure = new_figure(3.5)
    figure.set_layout_engine("none")  # everything has its place
    figure.text(0.05 / WIDTH, 1 - 0.06 / 3.5, heading, ha="left", va="top", fontsize=10, fontweight="bold")
    picture = to_hwc(card.image[None])[0]
    place(figure, 0.05, TOP, 1.5, 1.5).imshow(picture, interpolation="nearest")
    bars(place(figure, 0.75, TOP + 1.65, 1.75, 1.1), card, card.in_question())
    heat_maps(figure, card, 2.05, TOP, TILE, method)
    title = f"{card.classes[card.predicted]} minus\n{card.classes[card.other]}: sum {signed(card.margin)}"
    margin(place(figure, 5.6, TOP, 1.55, 1.55), card, title)
    if card.near_images is not None:
        for column, (image, label) in enumerate(zip(to_hwc(card.near_images), card.near_labels, strict=True)):
            ax = place(figure, 3.2 + column * 0.8, TOP + 2.06, 0.7, 0.7)
            ax.imshow(image, interpolation="nearest")
            ax.set_title(card.classes[label], fontsize=8, fontweight="normal", pad=2, loc="center")
        words = "nearest\ntraining\nimages"
        figure.text(3.1 / WIDTH, 1 - (TOP + 2.41) / 3.5, words, ha="right", va="center", fontsize=8)
    return figure

"""The whole report in one picture: one error, what was answered, where the evidence lay, what tipped the balance."""

from dataclasses import dataclass
from typing import Any

from ..formatting import signed
from .card import bars, heat_maps, margin, place
from .images import to_hwc
from .style import BLUE, GREY, VERMILLION, ReportFigure, styled

Corner = tuple[float, float]  # left and top, in inches


@dataclass(frozen=True)
class Layout:
    """Where the four parts begin on a figure of `size`, and the side of a heat map, all in inches."""

    size: tuple[float, float]
    picture: Corner
    answer: Corner
    maps: Corner
    balance: Corner
    tile: float


WIDE = Layout((7.2, 4.72), (0.05, 0.06), (0.05, 3.0), (2.85, 0.06), (2.85, 2.74), 0.93)
NARROW = Layout((3.6, 9.25), (0.05, 0.06), (0.05, 3.1), (0.05, 4.95), (0.05, 7.3), 0.74)  # a telephone's width


def heading(figure: ReportFigure, corner: Corner, text: str, line: str = "") -> None:
    """Write a heading with its upper left corner there, and a line in grey below it."""
    width, height = (float(inches) for inches in figure.get_size_inches())
    left, top = corner
    figure.text(left / width, 1 - top / height, text, va="top", fontsize=9.5, fontweight="bold")
    figure.text(left / width, 1 - (top + 0.19) / height, line, va="top", fontsize=8.5, color=GREY)


def balance(figure: ReportFigure, corner: Corner, card: Any) -> None:
    """Draw the margin map, and beside it what its colours mean and what it adds up to."""
    width, height = (float(inches) for inches in figure.get_size_inches())
    left, top = corner
    answer, other = card.classes[card.predicted], card.classes[card.other]
    margin(place(figure, left, top, 1.5, 1.5), card, "")
    for number, (colour, words) in enumerate(
        [(VERMILLION, f"speaks for {answer}"), (BLUE, f"speaks for {other}"), ("none", f"in all {signed(card.margin)}")]
    ):
        line = top + 0.32 + 0.3 * number
        place(figure, left + 1.68, line, 0.17, 0.17).set_facecolor(colour)
        figure.text((left + 1.93) / width, 1 - (line + 0.085) / height, words, va="center", fontsize=8.5)


@styled
def at_a_glance(card: Any, method: str = "Grad-CAM", narrow: bool = False) -> ReportFigure:
    """Draw one image with the answer, the heat maps and the margin map, in the order in which the report comes to them.

    Args:
        card: a `cards.Card`, or anything with its attributes.
        method: the maps' name.
        narrow: in one column, for a telephone, instead of two.
    """
    to = NARROW if narrow else WIDE
    figure = ReportFigure(figsize=to.size)
    left, top = to.picture
    label = "" if card.true is None else f", labelled {card.classes[card.true]}"
    heading(figure, to.picture, "1  What the network sees", f"32 × 32 pixels{label}")
    place(figure, left, top + 0.42, 2.4, 2.4).imshow(to_hwc(card.image[None])[0], interpolation="nearest")
    left, top = to.answer
    heading(figure, to.answer, "2  What it answers", "" if card.votes is None else "and what people say")
    bars(place(figure, left + 0.78, top + 0.36, 1.75, 1.3), card, card.in_question())
    left, top = to.maps
    heading(figure, to.maps, "3  Where the evidence lies", "layer by layer, for two classes; yellow is most")
    heat_maps(figure, card, left + 0.4, top + 0.6, to.tile, method)
    left, top = to.balance
    heading(figure, to.balance, "4  What tipped the balance", "each cell of layer4 has its share in the decision")
    balance(figure, (left, top + 0.42), card)
    return figure

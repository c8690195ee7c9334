"""The one style sheet, the colours, and the figure class that every plot returns."""

import base64
import io
import textwrap
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

WIDTH = 7.2  # inches: 1440 pixels at 200 dpi, shown 720 CSS pixels wide, so crisp on dense screens
DPI = 200
SCREEN_DPI = 100  # CSS pixels per inch of figure

# Okabe & Ito (2008), "Color Universal Design": told apart with every common colour vision deficiency.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
VERMILLION_TEXT = "#A84A00"  # darkened to 5:1 on white
GREY = "#595959"  # 7:1 on white, for what matters less
PALE = "#C9CED3"

SMALL: dict[str, Any] = {"fontsize": 8, "fontweight": "normal"}  # titles of tiles
STYLE: dict[Any, Any] = {
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    # Opaque white, so that text and axes stay legible on a dark page.
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.08,
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same figure on every machine
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "axes.prop_cycle": cycler(color=[BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK]),
}

styled = matplotlib.rc_context(STYLE)  # decorator: a figure looks the same whatever the session's own settings


class ReportFigure(Figure):
    """A figure outside pyplot that encodes itself for notebooks, whatever backend is active.

    Without pyplot nothing has to be closed and no figure is shown twice.
    """

    def png(self) -> bytes:
        """Return the figure as PNG of `DPI` dots per inch, exactly its own width and height."""
        return self._encoded("PNG", optimize=True, dpi=(DPI, DPI))

    def webp(self) -> bytes:
        """Return the same pixels as lossless WebP: half the size, for pages that hold many figures."""
        return self._encoded("WEBP", lossless=True, method=6)

    def _encoded(self, kind: str, **options: Any) -> bytes:
        """Draw the figure and encode it without its alpha channel, which is opaque everywhere."""
        drawn, encoded = io.BytesIO(), io.BytesIO()
        self.savefig(drawn, format="png", dpi=DPI, bbox_inches=None, pil_kwargs={"compress_level": 1})
        Image.open(drawn).convert("RGB").save(encoded, kind, **options)
        return encoded.getvalue()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, str], dict[str, Any]]:
        """Give Jupyter the PNG and its size in CSS pixels; takes precedence over the inline backend's own encoding."""
        width, height = (round(float(inches) * SCREEN_DPI) for inches in self.get_size_inches())
        data = {"image/png": base64.b64encode(self.png()).decode("ascii"), "text/plain": repr(self)}
        return data, {"image/png": {"width": width, "height": height}}


def use_style() -> None:
    """Apply the style sheet to the session's matplotlib settings, for figures drawn by hand next to ours."""
    matplotlib.rcParams.update(STYLE)


def new_figure(height: float) -> ReportFigure:
    """Return an empty figure, `WIDTH` by `height` inches, laid out without overlap when it is drawn."""
    return ReportFigure(figsize=(WIDTH, height), layout="constrained")


def bare(ax: Axes) -> None:
    """Remove ticks, grid and frame; labels and titles stay."""
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)


def text_width(text: str, size: float = 8) -> float:
    """Return the approximate width of a text's longest line in inches, at `size` points."""
    return max(map(len, text.split("\n")), default=0) * size * 0.0087


def wrap(text: str, inches: float, size: float = 8) -> str:
    """Return the text with lines wider than `inches` broken, "97.1 %" kept in one piece."""
    limit = max(1, int(inches / text_width("x", size)))
    lines = text.replace(" %", "\u00a0%").split("\n")
    return "\n".join(textwrap.fill(line, limit, break_long_words=False) for line in lines).replace("\u00a0", " ")

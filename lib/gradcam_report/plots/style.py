"""The style of the report's figures: colours for light and dark pages, widths for screens and phones.

Every public plot function is `styled`: it draws the light, wide version and can draw the others. While it draws,
`palette()` holds the colours, `width()` the width in inches, and `is_narrow()` says whether panels go below each other.
"""

import base64
import functools
import io
import textwrap
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from PIL import Image

DPI = 200
MAX_QUANTIZATION_ERROR = 0.3  # of 255, in the mean: what 256 colours may cost a figure
SCREEN_DPI = 100  # CSS pixels per inch of figure: a figure of 7.2 inches is shown 720 CSS pixels wide, in 1440 dots
WIDE, NARROW = 7.2, 3.1  # inches; a phone of 360 CSS pixels leaves 312 for the text
LABEL = 8.5  # points of every text but titles: 11 CSS pixels where the page leaves a figure 672 of its 720
PHONE_LABEL = 8.0  # the same on a phone, where a figure keeps its size
SMALL: dict[str, Any] = {"fontsize": LABEL, "fontweight": "normal"}  # titles of tiles
CHARACTER_WIDTH = 0.0087  # inches, for each point of the size: an average character of DejaVu Sans
DASHED = (0, (4, 2))
P = ParamSpec("P")


@dataclass(frozen=True)
class Palette:
    """Colours of one theme. Hues are those of Okabe & Ito (2008), "Color Universal Design"."""

    page: str  # the background
    ink: str  # text, and lines that matter
    grey: str  # what matters less; at least 7:1 on the page
    pale: str  # bands and bars in the background
    grid: str
    blue: str
    vermillion: str
    green: str
    orange: str
    purple: str
    sky: str
    yellow: str
    vermillion_text: str  # at least 4.5:1 on the page

    def cycle(self) -> tuple[str, ...]:
        """Return seven colours that every common colour vision deficiency tells apart."""
        return self.blue, self.vermillion, self.green, self.orange, self.purple, self.sky, self.ink


LIGHT = Palette(
    page="#FFFFFF", ink="#000000", grey="#595959", pale="#C9CED3", grid="#E6E6E6", blue="#0072B2", vermillion="#D55E00",
    green="#009E73", orange="#E69F00", purple="#CC79A7", sky="#56B4E9", yellow="#F0E442", vermillion_text="#A84A00",
)  # fmt: skip
DARK = Palette(
    page="#121212", ink="#E8EAED", grey="#A9B1BA", pale="#454C54", grid="#2B2F34", blue="#56B4E9", vermillion="#F0803C",
    green="#2CC295", orange="#E69F00", purple="#D993BC", sky="#2F7FB5", yellow="#F0E442", vermillion_text="#F79A62",
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """What a figure is drawn for: a light or a dark page, a screen or a phone."""

    palette: Palette
    narrow: bool = False


# By their names in a notebook; what is drawn first is light and wide.
LOOKS = {"light": Look(LIGHT), "dark": Look(DARK), "light-narrow": Look(LIGHT, True), "dark-narrow": Look(DARK, True)}
_LOOK: ContextVar[Look] = ContextVar("look", default=LOOKS["light"])


def settings(colours: Palette) -> dict[Any, Any]:
    """Return matplotlib's settings for one theme."""
    text = ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.labelcolor", "ytick.labelcolor")
    return {
        "figure.dpi": DPI,
        "savefig.dpi": DPI,
        **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), colours.page),
        **dict.fromkeys(text, colours.ink),
        **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), colours.grey),
        "figure.constrained_layout.w_pad": 0.08,
        "figure.constrained_layout.h_pad": 0.08,
        "font.family": "DejaVu Sans",  # ships with matplotlib: the same figure on every machine
        "font.size": LABEL,
        "figure.labelsize": "medium",
        "axes.titlesize": 9,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.labelsize": 9,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": colours.grid,
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.6,
        "image.interpolation": "nearest",  # a pixel is a square
        "axes.prop_cycle": cycler(color=colours.cycle()),
    }


class ReportFigure(Figure):
    """A figure outside pyplot that encodes itself for notebooks, whatever backend is active.

    Without pyplot nothing has to be closed and no figure is shown twice.
    """

    look = "light"
    redraw: Callable[[str], "ReportFigure"] | None = None
    """Draws the same content for another of the `LOOKS`."""

    def versions(self) -> dict[str, "ReportFigure"]:
        """Return the figure's versions by their names: this one, and those for dark pages and for phones."""
        if self.redraw is None:
            return {self.look: self}
        return {look: self if look == self.look else self.redraw(look) for look in LOOKS}

    @property
    def css_size(self) -> tuple[int, int]:
        """Width and height on the page, in CSS pixels."""
        width, height = (round(float(inches) * SCREEN_DPI) for inches in self.get_size_inches())
        return width, height

    def png(self) -> bytes:
        """Return the figure as PNG of `DPI` dots per inch, exactly its own width and height."""
        encoded = io.BytesIO()
        self._pixels().save(encoded, "PNG", optimize=True, dpi=(DPI, DPI))
        return encoded.getvalue()

    def webp(self) -> bytes:
        """Return the same pixels as lossless WebP, which takes half the space."""
        encoded = io.BytesIO()
        self._pixels().convert("RGB").save(encoded, "WEBP", lossless=True, method=4)
        return encoded.getvalue()

    def _pixels(self) -> Image.Image:
        """Draw the figure, without its alpha channel, which is opaque everywhere; with 256 colours if they suffice.

        They do for a chart, whose lines are smoothed in shades that nobody tells apart; not for photographs.
        """
        canvas = FigureCanvasAgg(self)
        with matplotlib.rc_context(settings(LOOKS[self.look].palette)):  # some parts are only drawn now
            canvas.draw()
        image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        reduced = image.quantize(256, dither=Image.Dither.NONE)
        error = np.abs(np.asarray(image, np.int16) - np.asarray(reduced.convert("RGB"), np.int16)).mean()
        return reduced if error < MAX_QUANTIZATION_ERROR else image

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, str], dict[str, Any]]:
        """Give Jupyter the PNG and its size in CSS pixels; takes precedence over the inline backend's own encoding.

        The other versions go beside it, under types that only the site's extension `figure_versions` knows.
        """
        data = {"image/png": _text(self.png()), "text/plain": repr(self)}
        sizes = {"image/png": self.css_size}
        for name, figure in self.versions().items():
            if figure is not self:
                kind = f"application/x.figure-{name}+webp"
                data[kind], sizes[kind] = _text(figure.webp()), figure.css_size
        return data, {kind: {"width": width, "height": height} for kind, (width, height) in sizes.items()}


def _text(encoded: bytes) -> str:
    return base64.b64encode(encoded).decode("ascii")


def styled(draw: Callable[P, ReportFigure]) -> Callable[P, ReportFigure]:
    """Decorate a plot function: its figure looks the same whatever the session's settings, and has `versions`."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> ReportFigure:
        def version(look: str) -> ReportFigure:
            before = _LOOK.set(LOOKS[look])
            try:
                with matplotlib.rc_context(settings(LOOKS[look].palette)):
                    figure = draw(*args, **kwargs)
            finally:
                _LOOK.reset(before)
            figure.look, figure.redraw = look, version
            return figure

        return version("light")

    return drawn


def palette() -> Palette:
    """Return the colours of the version that is being drawn."""
    return _LOOK.get().palette


def is_narrow() -> bool:
    """Return whether the version that is being drawn is for a phone."""
    return _LOOK.get().narrow


def width() -> float:
    """Return the width of the version that is being drawn, in inches."""
    return NARROW if is_narrow() else WIDE


def use_style() -> None:
    """Apply the style sheet to the session's matplotlib settings, for figures drawn by hand next to ours."""
    matplotlib.rcParams.update(settings(LIGHT))


def new_figure(height: float) -> ReportFigure:
    """Return an empty figure of that height in inches, laid out without overlap when it is drawn."""
    return ReportFigure(figsize=(width(), height), layout="constrained")


def one_panel(height: float) -> tuple[ReportFigure, Axes]:
    """Return a figure of that height in inches, and its axes."""
    figure = new_figure(height)
    return figure, figure.subplots()


def panels(count: int, height: float, extra: float = 0.0, **options: Any) -> tuple[ReportFigure, NDArray[np.object_]]:
    """Return a figure, and the axes of `count` panels of that height in inches; `extra` inches are for a legend.

    The panels stand side by side, on a phone below each other. `options` are those of `Figure.subplots`.
    """
    rows, columns = (count, 1) if is_narrow() else (1, count)
    figure = new_figure(rows * height + extra)
    return figure, figure.subplots(rows, columns, squeeze=False, **options).ravel()


def legend_outside(
    figure: Figure, ax: Axes, loc: Literal["outside upper center", "outside lower center"], columns: int
) -> None:
    """Give the figure a legend of one panel's artists outside the panels, on a phone in one column."""
    handles, names = ax.get_legend_handles_labels()
    figure.legend(handles, names, loc=loc, ncols=1 if is_narrow() else columns)


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Name the places 0, 1, ... of the y axis, without ticks and grid lines."""
    ax.set_yticks(range(len(names)), names)
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", length=0)


def bare(ax: Axes) -> None:
    """Remove ticks, grid and frame; labels and titles stay."""
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)


def contrast(one: str | ArrayLike, other: str | ArrayLike) -> float:
    """Return the contrast of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    low, high = sorted(_luminance(colour) + 0.05 for colour in (one, other))
    return high / low


def _luminance(colour: str | ArrayLike) -> float:
    rgb: NDArray[np.float64] = np.array(to_rgb(colour))  # type: ignore[arg-type]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def readable_on(colour: str | ArrayLike) -> str:
    """Return "black" or "white", whichever stands out more; its contrast is at least 4.58."""
    return max(("black", "white"), key=lambda text: contrast(text, colour))


def text_width(text: str, size: float = LABEL) -> float:
    """Return the approximate width of a text's longest line in inches, at `size` points."""
    return max(map(len, text.split("\n")), default=0) * size * CHARACTER_WIDTH


def wrap(text: str, inches: float, size: float = LABEL) -> str:
    """Return the text with lines wider than `inches` broken, "97.1 %" kept in one piece."""
    limit = max(1, int(inches / text_width("x", size)))
    lines = text.replace(" %", "\u00a0%").split("\n")
    return "\n".join(textwrap.fill(line, limit, break_long_words=False) for line in lines).replace("\u00a0", " ")

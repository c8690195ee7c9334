"""Class activation maps over their images."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from ..formatting import signed
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
    styled,
    text_width,
    width,
    wrap,
)

COLOURS = "plasma"  # perceptually uniform, and no shade of it is grey like the image underneath
ALPHA = 0.75
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
GAP = 0.05  # between tiles, as a share of a tile
EMPTY = "no\npositive\nevidence"


def overlay(image: ArrayLike, heat: ArrayLike, alpha: float = ALPHA, smooth: bool = False) -> NDArray[np.float64]:
    """Return the image in grey with the map's colours on top, as opaque as the map is high.

    Each pixel is `(1 - alpha * heat) * grey + alpha * heat * colour(heat)`: where the map is 0 the image is left alone.
    The map keeps its own cells, which is as finely as it was computed, unless it is smoothed.

    Args:
        image: uint8 (H, W, 3), 0-255.
        heat: float (h, w), 0-1, at any size.
        alpha: opacity where the map is 1.
        smooth: interpolate between the centres of the cells.

    Returns:
        float (H, W, 3), RGB, 0-1.
    """
    image = np.asarray(image)
    grey = (image @ LUMA / 255)[..., None]
    cells = Image.fromarray(np.asarray(heat, np.float32))
    resampling = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    enlarged = cells.resize((image.shape[1], image.shape[0]), resampling)
    values = np.clip(np.asarray(enlarged, np.float64), 0, 1)
    opacity = alpha * values[..., None]
    return (1 - opacity) * grey + opacity * matplotlib.colormaps[COLOURS](values)[..., :3]


def blended_colours() -> ListedColormap:
    """Return the colours that maps have over mid-grey: those of the tiles, so those that the colour bar must show."""
    return ListedColormap(overlay(np.full((1, 256, 3), 128, np.uint8), np.linspace(0, 1, 256)[None])[0])


def signed_colours() -> LinearSegmentedColormap:
    """Return the colours of signed contributions: blue against, the page's own for nothing, vermillion for."""
    colour = palette()
    return LinearSegmentedColormap.from_list("signed", [colour.blue, colour.page, colour.vermillion])


def column_starts(sizes: Sequence[int]) -> NDArray[np.float64]:
    """Return the left edge of each column in tile widths: the image, then each group of columns after a wider gap."""
    group = np.concatenate([[0], *(np.full(size, number + 1) for number, size in enumerate(sizes))])
    return np.arange(len(group)) * (1 + GAP) + group * 2 * GAP


def headings(ax: Axes, starts: NDArray[np.float64], groups: Mapping[str, Sequence[str]], tile: float) -> None:
    """Name the columns and, above them over a rule, each group of columns; `tile` is in inches."""
    names = [name for columns in groups.values() for name in columns]
    longest = max(map(text_width, names))
    tilted = longest > tile
    ax.xaxis.tick_top()
    ax.set_xticks(starts + 0.5, ["image", *names], rotation=20 if tilted else 0)
    rule = -(0.24 + (0.36 * longest if tilted else 0)) / tile
    first = 1
    for text, columns in groups.items():
        left, right = starts[first], starts[first + len(columns) - 1] + 1
        words = wrap(text, (right - left) * tile, 9)
        ax.plot([left, right], [rule, rule], color=palette().grey, linewidth=1, clip_on=False)
        ax.text((left + right) / 2, rule - 0.05 / tile, words, ha="center", va="bottom", weight="bold", fontsize=9)
        first += len(columns)


def label_empty(ax: Axes, left: float, top: float) -> None:
    """Write on a tile that its map is empty, which is a result, not a failure."""
    box = {"facecolor": palette().page, "edgecolor": "none", "pad": 1, "alpha": 0.85}
    words = "none" if is_narrow() else EMPTY
    ax.text(left + 0.5, top + 0.5, words, ha="center", va="center", linespacing=1.1, bbox=box)


@styled
def overlay_steps(image: ArrayLike, heat: ArrayLike, name: str) -> ReportFigure:
    """Draw one image, its map as cells over it, and the same map smoothed.

    Args:
        image: uint8 (3, H, W) or (H, W, 3), 0-255.
        heat: float (h, w), 0-1.
        name: the map's class.
    """
    (tile,) = to_hwc(np.asarray(image)[None])
    height, across = np.shape(heat)
    shown = {
        "the image": tile,
        f"{name}: {height} × {across} cells": overlay(tile, heat),
        f"{name}: smoothed": overlay(tile, heat, smooth=True),
    }
    figure = new_figure(width() / 3 + 0.75)
    panels = figure.subplots(1, len(shown))
    for ax, (title, picture) in zip(panels, shown.items(), strict=True):
        ax.imshow(picture)
        ax.set_title(wrap(title, width() / 3 - 0.1), **SMALL)
        bare(ax)
    bar = figure.colorbar(ScalarMappable(cmap=blended_colours()), ax=panels, location="bottom", aspect=50, pad=0.03)
    bar.set_label("Grad-CAM, divided by its maximum")
    return figure


@styled
def favouring_cells(counts: ArrayLike, cells: int, label: str) -> ReportFigure:
    """Draw how many images have how many cells that speak for the class answered.

    Args:
        counts: int (N,), of each image the number of such cells, 0 to `cells`.
        cells: number of cells in a map.
        label: what the bars count.
    """
    heights = np.bincount(np.asarray(counts), minlength=cells + 1)
    figure = new_figure(2.4)
    ax = figure.subplots()
    bars = ax.bar(np.arange(cells + 1), heights, color=palette().blue, width=0.8)
    if not is_narrow():
        ax.bar_label(bars, [str(height or "") for height in heights], padding=2)
    ax.set_xticks(np.arange(0, cells + 1, 2 if is_narrow() else 1))
    ax.set(xlabel=wrap(f"cells, of {cells}, that speak for the class answered", width() - 0.6, 9), ylabel=label)
    ax.grid(visible=False, axis="x")
    return figure


@styled
def margin_maps(
    images: ArrayLike, cells: ArrayLike, titles: Sequence[str], sums: ArrayLike, columns: int = 5, other: str = "true"
) -> ReportFigure:
    """Draw each image and, under it, its cells' contributions for (vermillion) and against (blue) the predicted class.

    Args:
        images: uint8 (N, 3, H, W) or (N, H, W, 3), 0-255.
        cells: float (N, h, w), signed contributions to the margin, in logits; all maps share one symmetric scale.
        titles: N texts above the images.
        sums: float (N,), the margins, written under the maps.
        columns: images per row; two on a phone.
        other: name of the contrast class in the colour bar's label.
    """
    columns = min(columns, 2) if is_narrow() else columns
    tiles, cells, sums = to_hwc(images), np.asarray(cells, np.float64), np.asarray(sums, np.float64)
    reach = float(np.abs(cells).max(initial=1e-9))
    rows = -(-len(tiles) // columns)
    lines = max((title.count("\n") + 1 for title in titles), default=1)
    figure = new_figure(rows * (2 * (width() / columns - 0.14) + 0.17 * lines + 0.35) + 0.6)
    grid = figure.subplots(2 * rows, columns, squeeze=False)
    for ax in grid.ravel():
        ax.set_axis_off()
    for number, (tile, heat, title, margin) in enumerate(zip(tiles, cells, titles, sums, strict=True)):
        above, below = (grid[2 * (number // columns) + half, number % columns] for half in (0, 1))
        above.imshow(tile)
        above.set_title(title, **SMALL, linespacing=1.25, pad=3)
        drawn = below.imshow(heat, cmap=signed_colours(), vmin=-reach, vmax=reach)
        below.set_title(f"sum {signed(margin)}", **SMALL, pad=3)
    if len(tiles):
        bar = figure.colorbar(drawn, ax=grid, location="bottom", aspect=50, pad=0.02)
        line = "\n" if is_narrow() else " "
        bar.set_label(f"what each cell adds to{line}logit(predicted) − logit({other})")
    return figure


@styled
def cam_grid(
    images: ArrayLike,
    maps: Mapping[str, Mapping[str, ArrayLike]],
    row_titles: Sequence[str],
    scale: str = "evidence for the class, each map scaled to 0-1 by its own maximum",
) -> ReportFigure:
    """Draw one row per image: its title, below it the image, then its maps in groups of columns.

    On a phone each group has its own row.

    Args:
        images: uint8 (N, 3, H, W) or (N, H, W, 3), 0-255.
        maps: group's heading -> column's name -> float (N, h, w), 0-1. A map of zeros is labelled as empty.
        row_titles: N texts, of one or more lines (see `formatting.error_title`).
        scale: label of the colour bar.
    """
    tiles = to_hwc(images)
    if len(row_titles) != len(tiles):
        raise ValueError(f"{len(tiles)} images need as many row titles, not {len(row_titles)}")
    return (_cam_stack if is_narrow() else _cam_rows)(tiles, maps, row_titles, scale)


def _cam_rows(
    tiles: NDArray[np.uint8], maps: Mapping[str, Mapping[str, ArrayLike]], titles: Sequence[str], scale: str
) -> ReportFigure:
    """Draw a row for each image: its title, below it the image and all its maps; the columns are named at the top."""
    starts = column_starts([len(columns) for columns in maps.values()])
    tile = min(1.1, (width() - 0.2) / (starts[-1] + 1))  # inches
    line = 0.22 / tile  # of a title, in tiles
    pitch = line + 1 + GAP  # from a row to the next
    figure = new_figure(tile * pitch * len(tiles) + 1.15)
    ax = figure.subplots()
    bare(ax)
    heats = [np.asarray(heat) for columns in maps.values() for heat in columns.values()]
    for row, image in enumerate(tiles):
        top = row * pitch + line
        ax.text(0, top - 0.25 * line, titles[row].replace("\n", "   "))
        for start, shown in zip(starts, [image, *(overlay(image, heat[row]) for heat in heats)], strict=True):
            ax.imshow(shown, extent=(start, start + 1, top + 1, top))
        for start, heat in zip(starts[1:], heats, strict=True):
            if not heat[row].any():
                label_empty(ax, start, top)
    ax.set(xlim=(0, starts[-1] + 1), ylim=(pitch * len(tiles) - GAP, 0), aspect="equal", anchor="NW")
    headings(ax, starts, {group: list(columns) for group, columns in maps.items()}, tile)
    ax.tick_params(length=0)
    key = ScalarMappable(cmap=blended_colours())
    bar = figure.colorbar(key, ax=ax, pad=0.12 / figure.get_figheight(), location="bottom", aspect=50, panchor=False)
    bar.set_label(wrap(scale, width() - 0.2, 9))
    return figure


def _cam_stack(
    tiles: NDArray[np.uint8], maps: Mapping[str, Mapping[str, ArrayLike]], titles: Sequence[str], scale: str
) -> ReportFigure:
    """Draw a block for each image: its title, then a row for each group, in the first row the image before the maps."""
    line, gap = 0.17, 0.05  # inches of a line of text, and between maps
    count = max(map(len, maps.values()))  # maps in a row
    tile = (width() - 0.05) / (count + 1) - gap
    pitch = 2 * line + tile + gap  # from a row to the next
    block, label = line + len(maps) * pitch + 0.12, wrap(scale, width() - 0.2)
    figure = new_figure(block * len(tiles) + 0.55 + 0.15 * (label.count("\n") + 1))
    figure.set_layout_engine("none")  # everything has its place
    ax = figure.add_axes((0, 0, 1, 1), xlim=(0, width()), ylim=(figure.get_figheight(), 0))  # in inches
    bare(ax)
    for number, title in enumerate(titles):
        top = number * block + 0.05
        ax.text(0.05, top, title.replace("\n", "  "), va="top", fontsize=PHONE_LABEL)
        for row, (group, columns) in enumerate(maps.items()):
            below = top + line + row * pitch
            ax.text(0.05 + tile + gap, below, group, va="top")
            shown = {} if row else {"image": tiles[number]}
            shown |= {name: overlay(tiles[number], np.asarray(heat)[number]) for name, heat in columns.items()}
            for place, (name, picture) in enumerate(shown.items(), 1 if row else 0):
                left, under = 0.05 + place * (tile + gap), below + 2 * line
                ax.imshow(picture, extent=(left, left + tile, under + tile, under))
                ax.text(left + tile / 2, below + line, name, ha="center", va="top")
                if name in columns and not np.asarray(columns[name])[number].any():
                    label_empty(ax, left + tile / 2 - 0.5, under + tile / 2 - 0.5)
    ax.set(xlim=(0, width()), ylim=(figure.get_figheight(), 0), aspect="auto")
    bottom = figure.get_figheight() - block * len(tiles) - 0.18
    key = figure.add_axes((0.04, bottom / figure.get_figheight(), 0.92, 0.1 / figure.get_figheight()))
    figure.colorbar(ScalarMappable(cmap=blended_colours()), cax=key, orientation="horizontal")
    key.set_xlabel(label, fontsize=LABEL)
    return figure

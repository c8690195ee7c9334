"""Explanation maps over their images."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from gradcam_report.plots.images import to_hwc
from gradcam_report.plots.style import BLUE, GREY, VERMILLION, WIDTH, ReportFigure, new_figure, styled, text_width

SIGNED = LinearSegmentedColormap.from_list("signed", [BLUE, "white", VERMILLION])  # against, nothing, for
COLOURS = "plasma"  # perceptually uniform, and no shade of it is grey like the image underneath
ALPHA = 0.75
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
GAP = 0.05  # between tiles, as a share of a tile
EMPTY = "no\npositive\nevidence"


def overlay(image: ArrayLike, heat: ArrayLike, alpha: float = ALPHA, smooth: bool = False) -> NDArray[np.float64]:
    """Return the image in grey with the map's colours on top, as opaque as the map is high.

    Each pixel is `(1 - alpha * heat) * grey + alpha * heat * colour(heat)`: where the map is 0 the image is left alone.

    Args:
        image: uint8 (H, W, 3), 0-255.
        heat: float (h, w), 0-1, at any size.
        alpha: opacity where the map is 1.
        smooth: enlarge the map to (H, W) bilinearly (as `align_corners=False` does) rather than show its own cells.

    Returns:
        float (H, W, 3), RGB, 0-1.
    """
    image = np.asarray(image)
    grey = (image @ LUMA / 255)[..., None]
    method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    enlarged = Image.fromarray(np.asarray(heat, np.float32)).resize((image.shape[1], image.shape[0]), method)
    values = np.clip(np.asarray(enlarged, np.float64), 0, 1)
    opacity = alpha * values[..., None]
    return (1 - opacity) * grey + opacity * matplotlib.colormaps[COLOURS](values)[..., :3]


def blended_colours(alpha: float) -> ListedColormap:
    """Return the colours that maps have over mid-grey: those of the tiles, so those that the colour bar must show."""
    levels = np.linspace(0, 1, 256)[None]
    return ListedColormap(overlay(np.full((1, 256, 3), 128, np.uint8), levels, alpha)[0])


def column_starts(groups: int, layers: int) -> NDArray[np.float64]:
    """Return the left edge of each column in tile widths: the image, then each group of layers after a wider gap."""
    column = np.arange(1 + groups * layers)
    group = np.where(column == 0, 0, 1 + (column - 1) // layers)
    return column * (1 + GAP) + group * 2 * GAP


def headings(ax: Axes, starts: NDArray[np.float64], layers: Sequence[str], groups: Sequence[str], tile: float) -> None:
    """Name the layers above their columns, and above them, over a rule, each group; `tile` is in inches."""
    longest = max(map(text_width, layers))
    tilted = longest > tile
    ax.xaxis.tick_top()
    ax.set_xticks(starts + 0.5, ["image", *list(layers) * len(groups)], fontsize=8, rotation=20 if tilted else 0)
    rule = -(0.24 + (0.36 * longest if tilted else 0)) / tile
    width = len(layers) * (1 + GAP) - GAP
    if max(text_width(text, 8.5) for text in groups) > width * tile:
        groups = [text.replace(" for ", " for\n") for text in groups]
    for number, text in enumerate(groups):
        first, last = starts[1 + number * len(layers)], starts[(number + 1) * len(layers)] + 1
        ax.plot([first, last], [rule, rule], color=GREY, linewidth=1, clip_on=False)
        ax.text((first + last) / 2, rule - 0.05 / tile, text, ha="center", va="bottom", weight="bold", fontsize=9)


def place(ax: Axes, image: NDArray[np.generic], left: float, row: int) -> None:
    """Draw an image as the tile of a row whose left edge is at `left`."""
    top = row * (1 + GAP)
    ax.imshow(image, extent=(left, left + 1, top + 1, top), interpolation="nearest")


def label_empty(ax: Axes, left: float, row: int) -> None:
    """Say on a tile that its map is empty, which is a result, not a failure."""
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85}
    ax.text(left + 0.5, row * (1 + GAP) + 0.5, EMPTY, ha="center", va="center", fontsize=8, linespacing=1.1, bbox=box)


@styled
def margin_maps(
    images: ArrayLike, cells: ArrayLike, titles: Sequence[str], sums: ArrayLike, columns: int = 5
) -> ReportFigure:
    """Draw each image and, under it, which of its cells decided for (vermillion) and against (blue) what was answered.

    Args:
        images: uint8 (N, 3, H, W) or (N, H, W, 3), 0-255.
        cells: float (N, h, w), signed contributions to the margin, in logits; all maps share one symmetric scale.
        titles: N texts above the images.
        sums: float (N,), the margins, written under the maps.
        columns: images per row.
    """
    tiles, cells, sums = to_hwc(images), np.asarray(cells, np.float64), np.asarray(sums, np.float64)
    reach = float(np.abs(cells).max(initial=1e-9))
    rows = -(-len(tiles) // columns)
    lines = max((title.count("\n") + 1 for title in titles), default=1)
    figure = new_figure(rows * (2 * WIDTH / columns + 0.16 * lines + 0.35) + 0.6)
    grid = figure.subplots(2 * rows, columns, squeeze=False)
    for ax in grid.ravel():
        ax.set_axis_off()
    for number, (tile, heat, title, margin) in enumerate(zip(tiles, cells, titles, sums, strict=True)):
        above, below = (grid[2 * (number // columns) + half, number % columns] for half in (0, 1))
        above.imshow(tile, interpolation="nearest")
        above.set_title(title, fontsize=8, fontweight="normal", linespacing=1.25, pad=3)
        drawn = below.imshow(heat, cmap=SIGNED, vmin=-reach, vmax=reach, interpolation="nearest")
        below.set_title(f"sum {margin:+.2f}".replace("-", "\u2212"), fontsize=8, fontweight="normal", pad=3)
    if len(tiles):
        bar = figure.colorbar(drawn, ax=grid, location="bottom", aspect=50, pad=0.02)
        bar.set_label("what each cell adds to logit(predicted) − logit(true)")
    return figure


@styled
def cam_grid(
    images: ArrayLike,
    maps: Mapping[str, Mapping[str, ArrayLike]],
    layers: Sequence[str],
    row_titles: Sequence[str],
    target_names: Sequence[str] = ("predicted", "true"),
    method: str = "Grad-CAM",
    smooth: bool = False,
    shared: bool = False,
) -> ReportFigure:
    """Draw one row per image: the image, then its maps at each layer, for each target class in turn.

    Args:
        images: uint8 (N, 3, H, W) or (N, H, W, 3), 0-255.
        maps: target's name -> layer's name -> float (N, h, w), 0-1. A map that is zero throughout is labelled as empty.
        layers: which layers, in this order.
        row_titles: N texts, of one or more lines (see `error_title`).
        target_names: which targets, in this order.
        method: the maps' name in headings.
        smooth: see `overlay`; by default a map shows its own cells, which is as finely as it was computed.
        shared: whether the targets' maps of one image and layer have one scale, which the colour bar then says.
    """
    tiles = to_hwc(images)
    if len(row_titles) != len(tiles):
        raise ValueError(f"{len(tiles)} images need as many row titles, not {len(row_titles)}")
    starts = column_starts(len(target_names), len(layers))
    tile = min(1.1, (WIDTH - max(map(text_width, row_titles)) - 0.2) / (starts[-1] + 1))  # inches
    figure = new_figure(tile * (1 + GAP) * len(tiles) + 1.3)
    ax = figure.subplots()
    for row, image in enumerate(tiles):
        place(ax, image, starts[0], row)
        columns = [(target, layer) for target in target_names for layer in layers]
        for start, (target, layer) in zip(starts[1:], columns, strict=True):
            heat = np.asarray(maps[target][layer])[row]
            place(ax, overlay(image, heat, smooth=smooth), start, row)
            if not heat.any():
                label_empty(ax, start, row)
    ax.set(xlim=(0, starts[-1] + 1), ylim=((1 + GAP) * len(tiles) - GAP, 0), aspect="equal", anchor="NW")
    ax.set_yticks((1 + GAP) * np.arange(len(tiles)) + 0.5, row_titles, fontsize=8, linespacing=1.3)
    headings(ax, starts, layers, [f"{method} for the {name} class" for name in target_names], tile)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    key = ScalarMappable(cmap=blended_colours(ALPHA))
    bar = figure.colorbar(key, ax=ax, pad=0.12 / figure.get_figheight(), location="bottom", aspect=50, panchor=False)
    scaled = "each pair of maps" if shared else "each map"
    bar.set_label(f"evidence for the class: {method}, {scaled} scaled to 0-1 by its own maximum")
    return figure

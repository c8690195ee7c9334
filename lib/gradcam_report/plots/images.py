"""Grids of images: samples, augmentations and nearest neighbours."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from numpy.typing import ArrayLike, NDArray

from .style import SMALL, ReportFigure, bare, is_narrow, new_figure, one_panel, palette, styled, text_width, width, wrap

LINE = 0.16  # inches that a line of text takes
PER_CLASS = 6  # images of a class


def to_hwc(images: ArrayLike) -> NDArray[np.uint8]:
    """Return images uint8 (N, 3, H, W) or (N, H, W, 3) as (N, H, W, 3), without copying.

    Raises:
        ValueError: another dtype (normalised images would show wrong colours) or shape.
    """
    array = np.asarray(images)
    if array.dtype != np.uint8:
        raise ValueError(f"images must be uint8, 0-255, not {array.dtype}: undo the normalisation first")
    if array.ndim == 4 and array.shape[3] == 3:
        return array
    if array.ndim == 4 and array.shape[1] == 3:
        return array.transpose(0, 2, 3, 1)
    raise ValueError(f"images must be (N, 3, H, W) or (N, H, W, 3), not {array.shape}")


def mosaic(images: NDArray[np.uint8], columns: int, gap: int = 2, fill: ArrayLike = 255) -> NDArray[np.uint8]:
    """Return images (N, H, W) or (N, H, W, 3) side by side, row by row, between them `gap` pixels of `fill`."""
    rows = math.ceil(len(images) / columns)
    down, across = images.shape[1] + gap, images.shape[2] + gap
    canvas = np.full((rows * down - gap, columns * across - gap, *images.shape[3:]), fill, np.uint8)
    for position, image in enumerate(images):
        top, left = position // columns * down, position % columns * across
        canvas[top : top + images.shape[1], left : left + images.shape[2]] = image
    return canvas


def page_colour() -> NDArray[np.uint8]:
    """Return the page's background as uint8 (3,)."""
    return np.round(255 * np.array(to_rgb(palette().page))).astype(np.uint8)


def show(ax: Axes, image: NDArray[np.uint8]) -> None:
    """Show one image (H, W, 3) with its pixels as they are, without axes, at the top left of its place."""
    ax.imshow(image)
    ax.set_axis_off()
    ax.set_anchor("NW")


@styled
def image_grid(images: ArrayLike, titles: Sequence[str], columns: int = 5, note: str = "") -> ReportFigure:
    """Draw images with a title above each and a `note` under all; a line wider than its image is broken.

    A phone has half the `columns` if there are titles.
    """
    tiles = to_hwc(images)
    if is_narrow() and any(titles):
        columns = math.ceil(columns / 2)
    if len(titles) != len(tiles):
        raise ValueError(f"{len(tiles)} images need as many titles, not {len(titles)}")
    rows = max(1, math.ceil(len(tiles) / columns))
    titles = [wrap(title, width() / columns - 0.1) for title in titles]
    lines = max((title.count("\n") + 1 for title in titles), default=1)
    figure = new_figure(rows * (width() / columns - 0.05 + LINE * lines) + (2 * LINE if note else 0))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, tile, title in zip(grid, tiles, titles, strict=False):
        show(ax, tile)
        ax.set_title(title, **SMALL, linespacing=1.25, pad=3)
    for ax in grid[len(tiles) :]:
        ax.set_axis_off()
    if note:
        figure.supxlabel(wrap(note, width()), color=palette().grey)
    return figure


@styled
def class_samples(images: ArrayLike, labels: ArrayLike, classes: Sequence[str]) -> ReportFigure:
    """Draw the first images of each class, one class per column; on a phone one class per row.

    `labels`, int (N,), are positions in `classes`. A class with fewer than `PER_CLASS` images leaves its end empty.
    """
    tiles, labels = to_hwc(images), np.asarray(labels)
    ordered = np.full((len(classes), PER_CLASS, *tiles.shape[1:]), page_colour(), np.uint8)
    for label in range(len(classes)):
        found = tiles[labels == label][:PER_CLASS]
        ordered[label, : len(found)] = found
    longest = max(map(text_width, classes))
    if is_narrow():
        tile, rotation, extra = (width() - longest - 0.2) / PER_CLASS, 0, 0.1
        tall = tile * len(classes)
    else:
        tile = width() / len(classes)
        rotation, extra = (25, 0.7) if longest > tile else (0, 0.3)
        tall, ordered = tile * PER_CLASS, ordered.swapaxes(0, 1)
    figure, ax = one_panel(tall + extra)
    canvas = mosaic(ordered.reshape(-1, *tiles.shape[1:]), ordered.shape[1], fill=page_colour())
    ax.imshow(canvas)
    bare(ax)
    places = (tiles.shape[2] + 2) * (np.arange(len(classes)) + 0.5) - 1.5
    if is_narrow():
        ax.set_yticks(places, classes)
    else:
        ax.xaxis.tick_top()
        ax.set_xticks(places, classes, rotation=rotation)
    ax.set_anchor("NW" if is_narrow() else "N")
    ax.tick_params(length=0)
    return figure


@styled
def augmentations(original: ArrayLike, variants: ArrayLike) -> ReportFigure:
    """Draw one image, (3, H, W) or (H, W, 3), beside its augmented variants, on a phone above them."""
    image, tiles = to_hwc(np.asarray(original)[None])[0], to_hwc(variants)
    columns = 6
    rows = math.ceil(len(tiles) / columns)
    if is_narrow():
        tile, share = (width() - 0.2) / columns, 2
        figure = new_figure(tile * (rows + share) + 0.7)
        one, others = figure.subplots(2, 1, height_ratios=[share, rows])
    else:
        share = min(rows, 2)  # the original is as large as one or two variants
        figure = new_figure((width() - 0.4) / (columns + share) * rows + 0.4)
        one, others = figure.subplots(1, 2, width_ratios=[share, columns])
    show(one, image)
    one.set_title("original")
    show(others, mosaic(tiles, columns, fill=page_colour()))
    others.set_title("as the network sees it in training")
    return figure


@styled
def nearest_neighbours(
    images: ArrayLike, row_titles: Sequence[str], near: ArrayLike, near_titles: Sequence[Sequence[str]]
) -> ReportFigure:
    """Draw one row per image: the image, then its nearest neighbours, (N, K, 3, H, W), each with its title above.

    On a phone an image's row is broken in two, below its own title.
    """
    tiles, near = to_hwc(images), np.asarray(near)
    count = near.shape[1]
    rows, columns = (2, math.ceil(count / 2) + 1) if is_narrow() else (1, count + 1)
    if is_narrow():
        height = len(tiles) * (2 * (width() / columns + 0.1) + 0.1) + 0.2
    else:
        tile = min(1.0, (width() - max(map(text_width, row_titles)) - 0.4) / (columns + 0.3))
        height = (tile + 0.2) * len(tiles) + 0.3
    figure = new_figure(height)
    axes = figure.subplots(rows * len(tiles), columns, squeeze=False)
    for row, (image, title) in enumerate(zip(tiles, row_titles, strict=True)):
        own, *free = axes[rows * row : rows * (row + 1)].ravel()
        places = [own, *(ax for ax in free if rows == 1 or ax is not axes[rows * row + 1, 0])]
        for ax in free:
            ax.set_axis_off()
        for ax, picture, text in zip(places, [image, *to_hwc(near[row])], ["", *near_titles[row]], strict=False):
            ax.set_axis_on()
            ax.imshow(picture)
            ax.set_title(text, **SMALL, pad=2, loc="center")
            bare(ax)
        if rows == 1:
            own.set_ylabel(title, **SMALL, rotation=0, ha="right", va="center", labelpad=4)
        else:
            below = axes[rows * row + 1, 0]
            below.text(0, 1, wrap(title, width() / columns), transform=below.transAxes, va="top")
    return figure

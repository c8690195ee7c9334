"""Grids of images: samples, augmentations and nearest neighbours."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from .style import GREY, SMALL, WIDTH, ReportFigure, bare, new_figure, styled, text_width, wrap

LINE = 0.16  # inches that a line of text takes


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


def mosaic(images: NDArray[np.uint8], columns: int, gap: int = 2) -> NDArray[np.uint8]:
    """Return images (N, H, W) or (N, H, W, 3) side by side, row by row, with white gaps of `gap` pixels between."""
    rows = math.ceil(len(images) / columns)
    height, width = images.shape[1] + gap, images.shape[2] + gap
    canvas = np.full((rows * height - gap, columns * width - gap, *images.shape[3:]), 255, np.uint8)
    for position, image in enumerate(images):
        top, left = position // columns * height, position % columns * width
        canvas[top : top + images.shape[1], left : left + images.shape[2]] = image
    return canvas


def show(ax: Axes, image: NDArray[np.uint8]) -> None:
    """Show one image (H, W, 3) with its pixels as they are, without axes, at the top left of its place."""
    ax.imshow(image, interpolation="nearest")
    ax.set_axis_off()
    ax.set_anchor("NW")


@styled
def image_grid(images: ArrayLike, titles: Sequence[str], columns: int = 5, note: str = "") -> ReportFigure:
    """Draw images with a title above each.

    Args:
        images: uint8 (N, 3, H, W) or (N, H, W, 3), 0-255.
        titles: N texts, of one or more lines; a line wider than its image is broken.
        columns: images per row.
        note: a line under the grid.
    """
    tiles = to_hwc(images)
    if len(titles) != len(tiles):
        raise ValueError(f"{len(tiles)} images need as many titles, not {len(titles)}")
    rows = max(1, math.ceil(len(tiles) / columns))
    titles = [wrap(title, WIDTH / columns - 0.1) for title in titles]
    lines = max((title.count("\n") + 1 for title in titles), default=1)
    figure = new_figure(rows * (WIDTH / columns - 0.05 + LINE * lines) + (2 * LINE if note else 0))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, tile, title in zip(grid, tiles, titles, strict=False):
        show(ax, tile)
        ax.set_title(title, **SMALL, linespacing=1.25, pad=3)
    for ax in grid[len(tiles) :]:
        ax.set_axis_off()
    if note:
        figure.supxlabel(note, fontsize=8, color=GREY)
    return figure


@styled
def class_samples(images: ArrayLike, labels: ArrayLike, classes: Sequence[str], per_class: int = 6) -> ReportFigure:
    """Draw the first images of each class, one class per column.

    Args:
        images: uint8 (N, 3, H, W) or (N, H, W, 3), 0-255.
        labels: int (N,), positions in `classes`.
        classes: names, one column each; a class with fewer than `per_class` images leaves its column's end white.
        per_class: images per class.
    """
    tiles, labels = to_hwc(images), np.asarray(labels)
    ordered = np.full((per_class, len(classes), *tiles.shape[1:]), 255, np.uint8)
    for label in range(len(classes)):
        found = tiles[labels == label][:per_class]
        ordered[: len(found), label] = found
    tile = WIDTH / len(classes)
    wide = max(map(text_width, classes)) > tile
    figure = new_figure(tile * per_class + (0.7 if wide else 0.3))
    ax = figure.subplots()
    ax.imshow(mosaic(ordered.reshape(-1, *tiles.shape[1:]), len(classes)), interpolation="nearest")
    bare(ax)
    ax.xaxis.tick_top()
    pitch = tiles.shape[2] + 2
    ax.set_xticks([pitch * (label + 0.5) - 1.5 for label in range(len(classes))], classes, rotation=25 if wide else 0)
    ax.set_anchor("N")
    ax.tick_params(length=0)
    return figure


@styled
def augmentations(original: ArrayLike, variants: ArrayLike, columns: int = 6) -> ReportFigure:
    """Draw one image beside its augmented variants.

    Args:
        original: uint8 (3, H, W) or (H, W, 3), 0-255.
        variants: uint8 (K, 3, H, W) or (K, H, W, 3), 0-255.
        columns: variants per row.
    """
    image, tiles = to_hwc(np.asarray(original)[None])[0], to_hwc(variants)
    rows = math.ceil(len(tiles) / columns)
    share = min(rows, 2)  # the original is as large as one or two variants
    figure = new_figure((WIDTH - 0.4) / (columns + share) * rows + 0.4)
    left, right = figure.subplots(1, 2, width_ratios=[share, columns])
    show(left, image)
    left.set_title("original")
    show(right, mosaic(tiles, columns))
    right.set_title("as the network sees it in training")
    return figure


@styled
def nearest_neighbours(
    images: ArrayLike, row_titles: Sequence[str], near: ArrayLike, near_titles: Sequence[Sequence[str]]
) -> ReportFigure:
    """Draw one row per image: the image, then its nearest neighbours, each with its title above.

    Args:
        images: uint8 (N, 3, H, W), 0-255.
        row_titles: N texts, of one or more lines.
        near: uint8 (N, K, 3, H, W), 0-255.
        near_titles: N times K texts of one line.
    """
    tiles, near = to_hwc(images), np.asarray(near)
    columns = near.shape[1]
    tile = min(1.0, (WIDTH - max(map(text_width, row_titles)) - 0.4) / (columns + 1.3))
    figure = new_figure((tile + 0.2) * len(tiles) + 0.3)
    axes = figure.subplots(len(tiles), columns + 1, squeeze=False)
    for row, (image, title) in enumerate(zip(tiles, row_titles, strict=True)):
        for ax, picture, text in zip(axes[row], [image, *to_hwc(near[row])], ["", *near_titles[row]], strict=True):
            ax.imshow(picture, interpolation="nearest")
            ax.set_title(text, **SMALL, pad=2, loc="center")
            bare(ax)
        axes[row, 0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=8, labelpad=4)
    return figure

"""Grids of images: samples, augmentations and errors."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from ..formatting import error_title
from .style import GREY, WIDTH, ReportFigure, new_figure, styled, text_width, wrap

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
    """Return images (N, H, W, 3) side by side, row by row, as one image with white gaps of `gap` pixels between."""
    rows = math.ceil(len(images) / columns)
    height, width = images.shape[1] + gap, images.shape[2] + gap
    canvas = np.full((rows * height - gap, columns * width - gap, 3), 255, np.uint8)
    for position, image in enumerate(images):
        top, left = position // columns * height, position % columns * width
        canvas[top : top + height - gap, left : left + width - gap] = image
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
        ax.set_title(title, fontsize=8, fontweight="normal", linespacing=1.25, pad=3)
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
    ax.xaxis.tick_top()
    pitch = tiles.shape[2] + 2
    ax.set_xticks([pitch * (label + 0.5) - 1.5 for label in range(len(classes))], classes, rotation=25 if wide else 0)
    ax.set_yticks([])
    ax.set_anchor("N")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    return figure


@styled
def augmentations(original: ArrayLike, variants: ArrayLike, columns: int = 6) -> ReportFigure:
    """Draw one image beside what augmentation makes of it.

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


def error_gallery(
    images: ArrayLike,
    true_names: Sequence[str],
    predicted_names: Sequence[str],
    probabilities: ArrayLike,
    true_probabilities: ArrayLike,
    indices: ArrayLike,
    columns: int = 5,
) -> ReportFigure:
    """Draw misclassified images, each with its true and predicted class and the model's probability for both.

    Args:
        images: uint8 (N, 3, H, W) or (N, H, W, 3), 0-255.
        true_names: N class names.
        predicted_names: N class names.
        probabilities: float (N,), 0-1, of the predicted class.
        true_probabilities: float (N,), 0-1, of the true class.
        indices: int (N,), positions in the test set.
        columns: images per row.
    """
    rows = zip(
        np.asarray(indices).tolist(),
        predicted_names,
        np.asarray(probabilities).tolist(),
        true_names,
        np.asarray(true_probabilities).tolist(),
        strict=True,
    )
    note = "# position in the test set    ✗ predicted    ✓ true class    % the model's probability"
    return image_grid(images, [error_title(*row) for row in rows], columns, note)

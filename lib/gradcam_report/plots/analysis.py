"""Figures about what confidence is worth, and about how near images are to one another."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from ..formatting import percent
from .images import to_hwc
from .style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILLION,
    WIDTH,
    YELLOW,
    ReportFigure,
    new_figure,
    styled,
    text_width,
)

# Ten colours that differ in hue or lightness; each class is also named at the middle of its points.
CLASS_COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE, YELLOW, "#332288", "#882255", "#999933")


def reliability_panel(ax: Axes, bins: Any, title: str) -> None:
    """Draw one reliability diagram: the accuracy in each bin of confidence, and its gap to the mean confidence."""
    edges, confidence, accuracy = (np.asarray(a, np.float64) for a in (bins.edges, bins.confidence, bins.accuracy))
    width = 100 * np.diff(edges)
    filled = np.asarray(bins.count) > 0
    left = 100 * edges[:-1][filled]
    heights, sure = 100 * accuracy[filled], 100 * confidence[filled]
    ax.bar(left, heights, width[filled], align="edge", color=BLUE, edgecolor="white", label="accuracy")
    ax.bar(left, sure - heights, width[filled], bottom=heights, align="edge", color=VERMILLION, alpha=0.35,
           hatch="///", edgecolor="white", label="gap to the mean confidence")  # fmt: skip
    ax.plot([0, 100], [0, 100], color=GREY, linewidth=1, linestyle=(0, (4, 2)))
    ax.set(xlim=(0, 100), ylim=(0, 100), title=title)


@styled
def reliability(panels: Mapping[str, Any]) -> ReportFigure:
    """Draw reliability diagrams side by side, each with its expected calibration error and its answers in each bin.

    Args:
        panels: title -> `calibration.Reliability`, or anything with its attributes edges, confidence, accuracy, count
            and error.
    """
    figure = new_figure(4.4)
    axes = figure.subplots(2, len(panels), sharex=True, sharey="row", squeeze=False, height_ratios=[3, 1])
    for (ax, below), (title, bins) in zip(axes.T, panels.items(), strict=True):
        reliability_panel(ax, bins, f"{title}: error {percent(bins.error)}")
        share = 100 * np.asarray(bins.count, np.float64) / np.sum(bins.count)
        edges = 100 * np.asarray(bins.edges, np.float64)
        below.bar(edges[:-1], share, np.diff(edges), align="edge", color=GREY, edgecolor="white")
        below.set(ylim=(0, 100), xlabel="confidence (%)")
    axes[0, 0].set_ylabel("answers that are right (%)")
    axes[1, 0].set_ylabel("of all\nanswers (%)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


@styled
def selective(coverage: ArrayLike, accuracy: ArrayLike, marks: Sequence[float] = (0.5, 0.8, 0.9, 1.0)) -> ReportFigure:
    """Draw the accuracy when only the surest answers are given, against the share of images answered.

    Args:
        coverage: float (N,), 0-1, increasing.
        accuracy: float (N,), 0-1.
        marks: coverages at which the accuracy is written.
    """
    coverage, accuracy = np.asarray(coverage, np.float64), np.asarray(accuracy, np.float64)
    figure = new_figure(2.8)
    ax = figure.subplots()
    start = np.searchsorted(coverage, 0.02)  # the accuracy of a handful of answers is noise
    ax.plot(100 * coverage[start:], 100 * accuracy[start:], color=BLUE, linewidth=2)
    for mark in marks:
        at = min(int(np.searchsorted(coverage, mark)), len(coverage) - 1)
        ax.plot(100 * coverage[at], 100 * accuracy[at], "o", color=VERMILLION)
        ax.annotate(percent(accuracy[at], 2), (100 * coverage[at], 100 * accuracy[at]), xytext=(-4, -5),
                    textcoords="offset points", ha="right", va="top", fontsize=8.5)  # fmt: skip
    low = min(99.0, 100 * float(accuracy[start:].min()))
    ax.set(xlim=(0, 101), ylim=(max(0, low - 0.25 * (100 - low)), 100 + 0.05 * (100 - low)))
    ax.set(xlabel="images answered, the surest first (%)", ylabel="accuracy on these images (%)")
    return figure


@styled
def agreement(confidence: ArrayLike, shares: ArrayLike, kinds: ArrayLike, names: Sequence[str]) -> ReportFigure:
    """Draw errors by the network's confidence and by the share of people who chose the label, coloured by kind.

    Args:
        confidence: float (N,), 0-1, the network's, in its answer.
        shares: float (N,), 0-1.
        kinds: int (N,), positions in `names`.
        names: at most four kinds of errors.
    """
    confidence, shares, kinds = np.asarray(confidence, np.float64), np.asarray(shares, np.float64), np.asarray(kinds)
    figure = new_figure(3.8)
    ax = figure.subplots()
    for number, (name, colour, marker) in enumerate(
        zip(names, (VERMILLION, ORANGE, BLUE, GREEN), "sD^o", strict=False)
    ):
        own = kinds == number
        ax.scatter(100 * confidence[own], 100 * shares[own], s=16, color=colour, marker=marker, alpha=0.6,
                   linewidths=0, label=f"{name}: {own.sum()}")  # fmt: skip
    if not len(confidence):
        ax.text(0.5, 0.5, "nobody was asked about these images", ha="center", va="center", transform=ax.transAxes)
    ax.set(xlim=(0, 100), ylim=(-3, 103), xlabel="the network's confidence in its answer (%)",
           ylabel="people who chose the label (%)")  # fmt: skip
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=len(names))
    return figure


@styled
def plane(points: Mapping[str, ArrayLike], labels: ArrayLike, wrong: ArrayLike, classes: Sequence[str]) -> ReportFigure:
    """Draw images as points of planes, coloured by true class, errors ringed.

    The last panel names each class at its middle.

    Args:
        points: title -> float (N, 2), one panel each.
        labels: int (N,), positions in `classes`.
        wrong: bool (N,), which are misclassified.
        classes: at most ten names.
    """
    labels, wrong = np.asarray(labels), np.asarray(wrong, bool)
    figure = new_figure(WIDTH / len(points) + 0.5)
    axes = figure.subplots(1, len(points), squeeze=False)[0]
    for ax, (title, given) in zip(axes, points.items(), strict=True):
        xy = np.asarray(given, np.float64)
        for number, name in enumerate(classes):
            own = labels == number
            ax.scatter(*xy[own].T, s=5, color=CLASS_COLOURS[number], linewidths=0, alpha=0.7, rasterized=True)
            if own.any() and ax is axes[-1]:
                box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
                ax.text(*np.median(xy[own], axis=0), name, ha="center", va="center", fontsize=8, weight="bold",
                        bbox=box, zorder=5)  # fmt: skip
        ax.scatter(*xy[wrong].T, s=16, facecolors="none", edgecolors="black", linewidths=0.6, label="misclassified")
        ax.set(title=title, xticks=[], yticks=[])
        ax.grid(visible=False)
        ax.spines[:].set_color(PALE)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center")
    return figure


@styled
def neighbours(
    images: ArrayLike, row_titles: Sequence[str], near: ArrayLike, near_titles: Sequence[Sequence[str]]
) -> ReportFigure:
    """Draw one row per image: the image, then the images nearest to it, each with its title above.

    Args:
        images: uint8 (N, 3, H, W), 0-255.
        row_titles: N texts, of one or more lines.
        near: uint8 (N, K, 3, H, W), 0-255.
        near_titles: N times K texts of one line.
    """
    tiles, near = to_hwc(images), np.asarray(near)
    columns = near.shape[1]
    beside = max(map(text_width, row_titles))
    tile = min(1.0, (WIDTH - beside - 0.4) / (columns + 1.3))
    figure = new_figure((tile + 0.2) * len(tiles) + 0.3)
    axes = figure.subplots(len(tiles), columns + 1, squeeze=False)
    for row, (tile_image, title) in enumerate(zip(tiles, row_titles, strict=True)):
        pictures = [tile_image, *to_hwc(near[row])]
        for ax, picture, words in zip(axes[row], pictures, ["", *near_titles[row]], strict=True):
            ax.imshow(picture, interpolation="nearest")
            ax.set_title(words, fontsize=8, fontweight="normal", pad=2, loc="center")
            ax.set(xticks=[], yticks=[])
            ax.grid(visible=False)
            ax.spines[:].set_visible(False)
        axes[row, 0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=8, labelpad=4)
    return figure

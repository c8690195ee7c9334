"""Classes: their images, their scores, and where their features lie."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..formatting import percent
from .style import DARK, LIGHT, ReportFigure, is_narrow, legend_outside, one_panel, palette, panels, styled, width

# Beside the palette's: ten colours differ in hue or lightness. Each class is also named at the middle of its points.
MORE = {LIGHT.page: ("#332288", "#882255", "#999933"), DARK.page: ("#9C90F2", "#C94A7C", "#B5B54C")}


@styled
def class_scores(precision: ArrayLike, recall: ArrayLike, f1: ArrayLike, classes: Sequence[str]) -> ReportFigure:
    """Draw precision, recall and F1 of each class, (C,), nan without images: points on a line, F1 also in text.

    Points, not bars: bars must start at zero, and would hide the differences between good scores.
    """
    scores = 100 * np.array([precision, recall, f1], np.float64)
    rows, colour = np.arange(len(classes)), palette()
    figure, ax = one_panel(0.26 * len(classes) + (1.4 if is_narrow() else 0.9))
    ax.hlines(rows, scores.min(axis=0), scores.max(axis=0), color=colour.pale, linewidth=2)
    ax.plot(scores[0], rows, "o", color=colour.blue, markersize=6.5, label="precision")
    ax.plot(scores[1], rows, "s", color=colour.orange, markersize=6.5, label="recall")
    ax.plot(scores[2], rows, "|", color=colour.ink, markersize=11, markeredgewidth=2, label="F1, their harmonic mean")
    beside: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "va": "center"}
    for row, value in enumerate(scores[2] / 100):
        ax.text(1.01, row, "no images" if np.isnan(value) else percent(value), **beside)
    ax.text(1.01, -0.9, "F1", weight="bold", **beside)
    ax.set_yticks(rows, classes)
    ax.set_ylim(len(classes) - 0.5, -0.5)
    ax.set_xlabel("score (%)")
    ax.tick_params(axis="y", length=0)
    legend_outside(figure, ax, "outside upper center", columns=3)
    return figure


@styled
def embedding(
    points: Mapping[str, ArrayLike], labels: ArrayLike, wrong: ArrayLike, classes: Sequence[str]
) -> ReportFigure:
    """Draw embeddings by name, (N, 2), coloured by `labels`, int (N,), images that are `wrong`, bool (N,), ringed.

    The last panel names each of at most ten classes at the median of its points.
    """
    labels, wrong = np.asarray(labels), np.asarray(wrong, bool)
    colour = palette()
    shades = (*colour.cycle()[:6], colour.yellow, *MORE[colour.page])
    figure, axes = panels(len(points), width() / (1 if is_narrow() else len(points)), extra=0.5)
    for ax, (title, values) in zip(axes, points.items(), strict=True):
        xy = np.asarray(values)
        for number, name in enumerate(classes):
            own = labels == number
            ax.scatter(*xy[own].T, s=5, color=shades[number], linewidths=0, alpha=0.7, rasterized=True)
            if own.any() and ax is axes[-1]:
                box = {"facecolor": colour.page, "edgecolor": "none", "alpha": 0.75, "pad": 0.8}
                middle = np.median(xy[own], axis=0)
                ax.text(*middle, name, ha="center", va="center", weight="bold", bbox=box, zorder=5)
        ax.scatter(*xy[wrong].T, s=16, facecolors="none", edgecolors=colour.ink, linewidths=0.6, label="misclassified")
        ax.set(title=title, xticks=[], yticks=[])
        ax.grid(visible=False)
        ax.spines[:].set_color(colour.pale)
    legend_outside(figure, axes[0], "outside lower center", columns=1)
    return figure

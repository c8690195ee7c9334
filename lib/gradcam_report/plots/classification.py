"""Classes: their images, their confusions, their scores, and where their features lie."""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike

from ..formatting import percent
from .style import (
    BLUE,
    GREEN,
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
)

HEAT = "rocket_r"  # seaborn's perceptually uniform map, light for few
# Ten colours that differ in hue or lightness; each class is also named at the middle of its points.
CLASS_COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE, YELLOW, "#332288", "#882255", "#999933")


@styled
def class_counts(counts_by_split: Mapping[str, ArrayLike], classes: Sequence[str]) -> ReportFigure:
    """Draw the number of images of each class in each split.

    Args:
        counts_by_split: split's name -> int (C,).
        classes: C names.
    """
    figure = new_figure(0.22 * len(classes) + 0.6)
    panels = figure.subplots(1, len(counts_by_split), sharey=True, squeeze=False)[0]
    for ax, (split, values) in zip(panels, counts_by_split.items(), strict=True):
        counts = np.asarray(values)
        bars = ax.barh(list(classes), counts, color=BLUE, height=0.72)
        ax.bar_label(bars, [f"{count:,}" for count in counts], padding=3, fontsize=8)
        ax.set_title(f"{split}: {counts.sum():,}")
        ax.set_xlim(0, 1.4 * max(1, counts.max()))
        ax.set_xticks([])  # every bar carries its number
        ax.set_xlabel("images")
        ax.grid(visible=False)
        ax.spines["bottom"].set_visible(False)
        ax.tick_params(length=0)
    panels[0].invert_yaxis()
    return figure


@styled
def confusion_matrix(matrix: ArrayLike, classes: Sequence[str]) -> ReportFigure:
    """Draw a confusion matrix in percent of each row; only the mistakes are coloured.

    Args:
        matrix: int (C, C), rows are true classes, columns predicted ones; an empty cell is left blank.
        classes: C names.
    """
    counts = np.asarray(matrix)
    values = 100 * counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    text = np.where(counts == 0, "", np.char.mod("%.1f", values))
    right = np.eye(len(counts), dtype=bool)
    figure = new_figure(6.2)
    ax = figure.subplots()
    sns.heatmap(
        values,
        mask=right,
        annot=text,
        fmt="",
        cmap=HEAT,
        vmin=0,
        vmax=max(1, values[~right].max(initial=0)),
        square=True,
        linewidths=1,
        annot_kws={"fontsize": 8},
        xticklabels=classes,
        yticklabels=classes,
        cbar_kws={"label": "mistakes, % of the true class's images", "shrink": 0.8},
        ax=ax,
    )
    for i in range(len(counts)):
        ax.add_patch(Rectangle((i, i), 1, 1, facecolor="#EDEDED", edgecolor="white"))
        ax.text(i + 0.5, i + 0.5, text[i, i], ha="center", va="center", fontsize=8, weight="bold")
    ax.set_xticklabels(ax.get_xticklabels(), rotation=40, ha="right", rotation_mode="anchor")
    ax.set(xlabel="predicted class", ylabel="true class", anchor="W")
    ax.tick_params(length=0)
    ax.grid(visible=False)
    return figure


@styled
def class_scores(precision: ArrayLike, recall: ArrayLike, f1: ArrayLike, classes: Sequence[str]) -> ReportFigure:
    """Draw precision, recall and F1 of each class as three points on a line, F1 also in text.

    Points, not bars: bars must start at zero, and would hide the differences between good scores.

    Args:
        precision: float (C,), 0-1; nan for a class without images.
        recall: likewise.
        f1: likewise.
        classes: C names.
    """
    scores = 100 * np.array([precision, recall, f1], np.float64)
    rows = np.arange(len(classes))
    figure = new_figure(0.26 * len(classes) + 0.9)
    ax = figure.subplots()
    ax.hlines(rows, scores.min(axis=0), scores.max(axis=0), color=PALE, linewidth=2)
    ax.plot(scores[0], rows, "o", color=BLUE, markersize=6.5, label="precision")
    ax.plot(scores[1], rows, "s", color=ORANGE, markersize=6.5, label="recall")
    ax.plot(scores[2], rows, "|", color="black", markersize=11, markeredgewidth=2, label="F1, their harmonic mean")
    for row, value in enumerate(scores[2] / 100):
        ax.text(
            1.01,
            row,
            "no images" if np.isnan(value) else percent(value),
            transform=ax.get_yaxis_transform(),
            va="center",
            fontsize=8,
        )
    ax.text(1.01, -0.9, "F1", transform=ax.get_yaxis_transform(), va="center", fontsize=8, weight="bold")
    ax.set_yticks(rows, classes)
    ax.set_ylim(len(classes) - 0.5, -0.5)
    ax.set_xlabel("score (%)")
    ax.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper center", ncols=3)
    return figure


@styled
def embedding(
    points: Mapping[str, ArrayLike], labels: ArrayLike, wrong: ArrayLike, classes: Sequence[str]
) -> ReportFigure:
    """Draw features embedded in the plane, coloured by true class, errors ringed.

    The last panel names each class at the median of its points.

    Args:
        points: embedding's name -> float (N, 2), one panel each.
        labels: int (N,), positions in `classes`.
        wrong: bool (N,), which images are misclassified.
        classes: at most ten names.
    """
    labels, wrong = np.asarray(labels), np.asarray(wrong, bool)
    figure = new_figure(WIDTH / len(points) + 0.5)
    axes = figure.subplots(1, len(points), squeeze=False)[0]
    for ax, (title, values) in zip(axes, points.items(), strict=True):
        xy = np.asarray(values, np.float64)
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

"""Figures of counts and scores per class."""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import ArrayLike

from ..formatting import percent
from .style import BLUE, ORANGE, PALE, RIGHT, WRONG, ReportFigure, new_figure, styled

HEAT = "rocket_r"  # seaborn's perceptually uniform map, light for few


@styled
def class_counts(counts_by_split: Mapping[str, ArrayLike], classes: Sequence[str]) -> ReportFigure:
    """Draw how many images of each class each split holds.

    Args:
        counts_by_split: split's name -> int (C,).
        classes: C names.
    """
    figure = new_figure(0.22 * len(classes) + 0.6)
    panels = figure.subplots(1, len(counts_by_split), sharey=True, squeeze=False)[0]
    for ax, (split, given) in zip(panels, counts_by_split.items(), strict=True):
        counts = np.asarray(given)
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
def confusion(matrix: ArrayLike, classes: Sequence[str], normalise: bool = True) -> ReportFigure:
    """Draw a confusion matrix; only the mistakes are coloured, for the diagonal would drown them.

    Args:
        matrix: int (C, C), rows are true classes, columns predicted ones.
        classes: C names.
        normalise: write each cell as its share of the row in percent (0 for a class without images), else as a count.
    """
    counts = np.asarray(matrix)
    values = 100 * counts / np.maximum(1, counts.sum(axis=1, keepdims=True)) if normalise else counts
    text = np.array([[f"{value:.1f}" if normalise else f"{value:,}" for value in row] for row in values])
    text[counts == 0] = ""
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
        cbar_kws={"label": "mistakes, " + ("% of the true class's images" if normalise else "images"), "shrink": 0.8},
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
def class_bars(precision: ArrayLike, recall: ArrayLike, f1: ArrayLike, classes: Sequence[str]) -> ReportFigure:
    """Draw precision, recall and F1 of each class as three points on a line, F1 also in text.

    Points, not bars: bars must start at zero, and would hide the differences between good scores.

    Args:
        precision: float (C,), 0-1.
        recall: float (C,), 0-1.
        f1: float (C,), 0-1.
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
        ax.text(1.01, row, percent(value), transform=ax.get_yaxis_transform(), va="center", fontsize=8)
    ax.text(1.01, -0.9, "F1", transform=ax.get_yaxis_transform(), va="center", fontsize=8, weight="bold")
    ax.set_yticks(rows, classes)
    ax.set_ylim(len(classes) - 0.5, -0.5)
    ax.set_xlabel("score (%)")
    ax.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper center", ncols=3)
    return figure


@styled
def confidence_histogram(confidence: ArrayLike, correct: ArrayLike) -> ReportFigure:
    """Draw how sure the model was, apart for right and wrong answers, each on its own count scale.

    Args:
        confidence: float (N,), 0-1, the probability of the predicted class.
        correct: bool (N,).
    """
    confidence, correct = np.asarray(confidence, np.float64), np.asarray(correct, bool)
    figure = new_figure(3.6)
    panels = figure.subplots(2, 1, sharex=True)
    for ax, name, chosen, colour in zip(panels, ("right", "wrong"), (correct, ~correct), (RIGHT, WRONG), strict=True):
        found = confidence[chosen]
        title = f"{name} answers: {len(found):,}"
        if len(found):
            sns.histplot(x=100 * found, bins=40, binrange=(0, 100), color=colour, alpha=1, edgecolor="white", ax=ax)
            median = float(np.median(found))
            ax.axvline(100 * median, color="black", linewidth=1.2, linestyle=(0, (3, 2)))
            title += f", half of them above {percent(median)} (dashed)"
        ax.set_title(title)
        ax.set(xlim=(0, 100), ylabel="images")
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    panels[-1].set_xlabel("probability the model gave its answer (%)")
    return figure

"""Confidence: its calibration, selective prediction, and its agreement with people's votes."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import ArrayLike

from ..formatting import percent
from .style import DASHED, ReportFigure, is_narrow, legend_outside, new_figure, one_panel, palette, styled

MARKS = (0.5, 0.8, 0.9, 1.0)  # shares of the answers at which their accuracy is written


@styled
def reliability(panels: Mapping[str, Sequence[ArrayLike]]) -> ReportFigure:
    """Draw reliability diagrams by title side by side, and under each the share of predictions in each bin.

    A diagram of B bins is (edges (B + 1,), mean confidence (B,), accuracy (B,), count (B,)). The two means of an empty
    bin are not used.
    """
    colour = palette()
    if is_narrow():
        figure = new_figure(4.0 * len(panels) + 0.4)
        axes = figure.subplots(2 * len(panels), 1, sharex=True, squeeze=False, height_ratios=[3, 1] * len(panels))
        pairs = axes.reshape(-1, 2)
    else:
        figure = new_figure(4.4)
        pairs = figure.subplots(2, len(panels), sharex=True, sharey="row", squeeze=False, height_ratios=[3, 1]).T
    for number, ((ax, below), (title, bins)) in enumerate(zip(pairs, panels.items(), strict=True)):
        edges, confidence, accuracy, count = (np.asarray(values, np.float64) for values in bins)
        left, width, filled = 100 * edges[:-1], 100 * np.diff(edges), count > 0
        right, gap = 100 * accuracy[filled], 100 * (confidence - accuracy)[filled]
        ax.bar(left[filled], right, width[filled], align="edge", color=colour.blue, edgecolor=colour.page,
               label="below accuracy and confidence")  # fmt: skip
        light = 0.35 * np.array(to_rgb(colour.vermillion)) + 0.65 * np.array(to_rgb(colour.page))
        ax.bar(left[filled], gap, width[filled], bottom=right, align="edge", color=light, hatch="///",
               edgecolor=colour.page, label="gap between the two")  # fmt: skip
        ax.hlines(right, left[filled], (left + width)[filled], color=colour.ink, linewidth=1.5, label="accuracy")
        ax.plot([0, 100], [0, 100], color=colour.grey, linewidth=1, linestyle=DASHED)
        ax.set(xlim=(0, 100), ylim=(0, 100), title=title)
        below.bar(left, 100 * count / count.sum(), width, align="edge", color=colour.grey, edgecolor=colour.page)
        below.set(ylim=(0, 100), xlabel="confidence (%)")
        if number == 0 or is_narrow():
            ax.set_ylabel("answers that are right (%)")
            below.set_ylabel("of all\nanswers (%)")
    figure.legend(*pairs[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=1 if is_narrow() else 3)
    return figure


@styled
def selective_accuracy(coverage: ArrayLike, accuracy: ArrayLike) -> ReportFigure:
    """Draw the accuracy (N,) on the most confident answers against the `coverage` (N,), their share of all answers."""
    coverage, accuracy = np.asarray(coverage, np.float64), np.asarray(accuracy, np.float64)
    figure, ax = one_panel(2.8)
    start = np.searchsorted(coverage, 0.02)  # the accuracy of a handful of answers is noise
    ax.plot(100 * coverage[start:], 100 * accuracy[start:], color=palette().blue, linewidth=2)
    for mark in MARKS:
        at = min(int(np.searchsorted(coverage, mark)), len(coverage) - 1)
        point = (100 * coverage[at], 100 * accuracy[at])
        ax.plot(*point, "o", color=palette().vermillion)
        ax.annotate(percent(accuracy[at], 2), point, xytext=(-4, -5), textcoords="offset points", ha="right",
                    va="top")  # fmt: skip
    low = min(99.0, 100 * float(accuracy[start:].min()))
    ax.set(xlim=(0, 101), ylim=(max(0, low - 0.25 * (100 - low)), 100 + 0.05 * (100 - low)))
    ax.set(xlabel="images answered, the surest first (%)", ylabel="accuracy on these images (%)")
    return figure


@styled
def human_agreement(confidence: ArrayLike, shares: ArrayLike, kinds: ArrayLike, names: Sequence[str]) -> ReportFigure:
    """Draw errors by the network's confidence (N,) and by the share of people who chose the label (N,).

    `kinds`, int (N,), are positions in at most four `names`; each kind has a colour.
    """
    (x, y), kinds, colours = 100 * np.array([confidence, shares], np.float64), np.asarray(kinds), palette()
    figure, ax = one_panel(4.4 if is_narrow() else 3.8)
    styles = zip(names, (colours.vermillion, colours.orange, colours.blue, colours.green), "sD^o", strict=False)
    for number, (name, colour, marker) in enumerate(styles):
        own = kinds == number
        label = f"{name}: {own.sum()}"
        ax.scatter(x[own], y[own], s=16, color=colour, marker=marker, alpha=0.75, linewidths=0, label=label)
    if not len(kinds):
        ax.text(0.5, 0.5, "nobody was asked about these images", ha="center", va="center", transform=ax.transAxes)
    ax.set(xlim=(0, 100), ylim=(-3, 103))
    ax.set(xlabel="the network's confidence in its answer (%)", ylabel="people who chose the label (%)")
    legend_outside(figure, ax, "outside lower center", columns=len(names))
    return figure

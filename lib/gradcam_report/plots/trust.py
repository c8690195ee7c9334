"""Figures of the trials that heat maps are put to."""

from collections.abc import Collection, Mapping

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from .style import BLACK, BLUE, GREEN, GREY, ORANGE, PALE, PURPLE, SKY, VERMILLION, ReportFigure, new_figure, styled

Rating = tuple[float, float, float]
# Told apart by colour and by marker.
LINES = ((BLUE, "o"), (VERMILLION, "s"), (GREEN, "^"), (ORANGE, "D"), (PURPLE, "v"), (SKY, "P"), (BLACK, "X"))


@styled
def ratings(
    panels: Mapping[str, Mapping[str, Rating]], baselines: Collection[str], lower_is_better: Collection[str] = ()
) -> ReportFigure:
    """Draw the mean score of each kind of map with its 95 % interval, and a line at the best baseline.

    Args:
        panels: trial -> contender -> (mean, low, high); the same contenders in every panel, in the order of the rows.
        baselines: which contenders know nothing of the network; drawn in grey.
        lower_is_better: the trials in which a low score is a good one.
    """
    names = list(next(iter(panels.values())))
    figure = new_figure(0.9 + 0.2 * len(names))
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    rows = np.arange(len(names))
    for ax, (trial, rated) in zip(axes, panels.items(), strict=True):
        values = np.array([rated[name] for name in names], np.float64)
        plain = np.array([name in baselines for name in names])
        for chosen, colour, marker in ((~plain, BLUE, "o"), (plain, GREY, "s")):
            reach = np.abs(values[chosen, 1:] - values[chosen, :1]).T
            ax.errorbar(values[chosen, 0], rows[chosen], xerr=reach, fmt=marker, color=colour, markersize=4.5,
                        linewidth=1.3)  # fmt: skip
        low = trial in lower_is_better
        if plain.any():
            best = values[plain, 0].min() if low else values[plain, 0].max()
            ax.axvline(best, color=VERMILLION, linewidth=1, linestyle=(0, (4, 2)))
        ax.set_title(f"{trial}\n{'← lower is better' if low else 'higher is better →'}", fontsize=8.5)
        ax.grid(visible=False, axis="y")
        ax.tick_params(axis="y", length=0)
    axes[0].set_yticks(rows, names)
    axes[0].invert_yaxis()
    return figure


def curve_panel(ax: Axes, lines: Mapping[str, ArrayLike], baselines: Collection[str], x: ArrayLike) -> None:
    """Draw named lines over `x`, the baselines dashed and grey."""
    styles = iter(LINES)
    dashes = iter([(0, (4, 2)), (0, (1, 1.5)), (0, (4, 1.5, 1, 1.5)), (0, (8, 2))])
    for name, values in lines.items():
        if name in baselines:
            ax.plot(x, np.asarray(values), color=GREY, linewidth=1.4, linestyle=next(dashes), label=name)
        else:
            colour, marker = next(styles)
            ax.plot(x, np.asarray(values), color=colour, marker=marker, markersize=4, label=name)


@styled
def hiding(curves: Mapping[str, Mapping[str, ArrayLike]], baselines: Collection[str]) -> ReportFigure:
    """Draw how the mean probability of the class changes while pixels are replaced, one panel per trial.

    Args:
        curves: trial -> contender -> float (steps + 1,), 0-1, from no pixel replaced to all of them. At most seven
            contenders besides four baselines.
        baselines: which contenders know nothing of the network.
    """
    figure = new_figure(3.4)
    axes = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for ax, (trial, lines) in zip(axes, curves.items(), strict=True):
        steps = len(np.asarray(next(iter(lines.values()))))
        curve_panel(ax, {n: 100 * np.asarray(v) for n, v in lines.items()}, baselines, np.linspace(0, 100, steps))
        ax.set(title=trial, xlabel="pixels replaced (%)", ylim=(0, 100), xlim=(0, 100))
    axes[0].set_ylabel("mean probability of the class (%)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


@styled
def forgetting(scores: Mapping[str, Mapping[str, Rating]]) -> ReportFigure:
    """Draw how like its former self each kind of map stays while more and more of the network is made random.

    Args:
        scores: part made random last -> contender -> (mean rank correlation, low, high), the first part first.
    """
    figure = new_figure(3.3)
    ax = figure.subplots()
    parts = list(scores)
    lines = {name: [scores[part][name][0] for part in parts] for name in scores[parts[0]]}
    curve_panel(ax, {name: [1.0, *values] for name, values in lines.items()}, (), np.arange(len(parts) + 1))
    for line in ax.get_lines():
        low, high = np.array([scores[part][str(line.get_label())][1:] for part in parts]).T
        ax.fill_between(np.arange(1, len(parts) + 1), low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    ax.axhline(0, color=PALE, linewidth=1)
    ax.set_xticks(np.arange(len(parts) + 1), ["nothing", *(f"+ {part}" if i else part for i, part in enumerate(parts))])
    ax.set(xlabel="made random", ylabel="rank correlation", ylim=(None, 1.05))
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure

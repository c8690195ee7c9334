"""Faithfulness experiments: scores with their intervals, deletion and insertion curves, model randomization."""

from collections.abc import Collection, Mapping
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from .style import LABEL, ReportFigure, is_narrow, new_figure, palette, panels, readable_on, styled

Interval = tuple[float, float, float]  # mean, and both ends of its 95 % interval
SIGNS = {"better": "+", "worse": "−", "no different": "=", "": ""}  # of verdicts
MARKERS = "os^DvPX*"  # one more than the colours of `Palette.cycle`, so that the next round gets other pairs
BASELINE_DASHES = ((0, (4, 2)), (0, (1, 1.5)), (0, (4, 1.5, 1, 1.5)), (0, (8, 2)))


@styled
def mean_scores(
    scores: Mapping[str, Mapping[str, Interval]], baselines: Collection[str], lower_is_better: Collection[str] = ()
) -> ReportFigure:
    """Draw the mean score of each explainer with its 95 % interval, and a line at the best baseline.

    Args:
        scores: metric -> explainer -> (mean, low, high); the same explainers in every panel, in the order of the rows.
        baselines: the explainers that do not use the network; drawn in grey.
        lower_is_better: the metrics in which a low score is a good one.
    """
    names = list(next(iter(scores.values())))
    colours = palette()
    figure, axes = panels(len(scores), 0.9 + 0.2 * len(names), sharey=True)
    rows, is_baseline = np.arange(len(names)), np.array([name in baselines for name in names])
    for ax, (metric, estimates) in zip(axes, scores.items(), strict=True):
        values = np.array([estimates[name] for name in names], np.float64)
        for chosen, colour, marker in ((~is_baseline, colours.blue, "o"), (is_baseline, colours.grey, "s")):
            reach = np.abs(values[chosen, 1:] - values[chosen, :1]).T
            ax.errorbar(values[chosen, 0], rows[chosen], xerr=reach, fmt=marker, color=colour, markersize=4.5,
                        linewidth=1.3)  # fmt: skip
        low = metric in lower_is_better
        if is_baseline.any():
            means = values[is_baseline, 0]
            ax.axvline(means.min() if low else means.max(), color=colours.vermillion, linewidth=1,
                       linestyle=(0, (4, 2)))  # fmt: skip
        ax.set_title(f"{metric}\n{'← lower is better' if low else 'higher is better →'}", fontsize=LABEL)
        ax.grid(visible=False, axis="y")
        ax.tick_params(axis="y", length=0)
    axes[0].set_yticks(rows, names)
    axes[0].invert_yaxis()
    return figure


@styled
def verdict_matrix(verdicts: Mapping[str, Mapping[str, str]]) -> ReportFigure:
    """Draw which explainers are better or worse than the best baseline, score by score.

    Args:
        verdicts: explainer -> score -> "better", "worse", "no different" or "" where it was not tried; the same scores
            for all.
    """
    colours, names = palette(), list(verdicts)
    metrics = list(next(iter(verdicts.values())))
    fill = {"better": colours.blue, "worse": colours.vermillion, "no different": colours.pale, "": colours.page}
    figure = new_figure(0.27 * len(names) + (1.5 if is_narrow() else 1.0))
    ax = figure.subplots()
    ax.imshow([[to_rgb(fill[word]) for word in by_metric.values()] for by_metric in verdicts.values()], aspect="auto")
    for row, by_metric in enumerate(verdicts.values()):
        for column, word in enumerate(by_metric.values()):
            ax.text(column, row, SIGNS[word], ha="center", va="center", color=readable_on(fill[word]), fontsize=10)
    ax.set_xticks(
        np.arange(len(metrics)), metrics, rotation=45 if is_narrow() else 0, ha="left" if is_narrow() else "center"
    )
    ax.set_yticks(np.arange(len(names)), names)
    ax.set_xticks(np.arange(1, len(metrics)) - 0.5, minor=True)
    ax.set_yticks(np.arange(1, len(names)) - 0.5, minor=True)
    ax.grid(visible=False)
    ax.grid(which="minor", color=colours.page, linewidth=2)
    ax.xaxis.tick_top()
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    key = [Patch(color=fill[word], label=f"{SIGNS[word]} {word}") for word in ("better", "no different", "worse")]
    figure.legend(handles=key, loc="outside lower center", ncols=3, columnspacing=1.2)
    return figure


def draw_lines(ax: Axes, lines: Mapping[str, ArrayLike], baselines: Collection[str], x: ArrayLike) -> None:
    """Draw named lines over `x`, the baselines dashed and grey; raises `ValueError` for too many baselines."""
    if (drawn := len([name for name in lines if name in baselines])) > len(BASELINE_DASHES):
        raise ValueError(f"{drawn} baselines cannot be told apart; draw at most {len(BASELINE_DASHES)}")
    styles, dashes = zip(cycle(palette().cycle()), cycle(MARKERS), strict=True), iter(BASELINE_DASHES)
    for name, values in lines.items():
        if name in baselines:
            ax.plot(x, np.asarray(values), color=palette().grey, linewidth=1.4, linestyle=next(dashes), label=name)
        else:
            colour, marker = next(styles)
            ax.plot(x, np.asarray(values), color=colour, marker=marker, markersize=4, label=name)


@styled
def deletion_insertion(curves: Mapping[str, Mapping[str, ArrayLike]], baselines: Collection[str]) -> ReportFigure:
    """Draw the mean probability of the class while pixels are replaced, one panel per experiment.

    Args:
        curves: experiment -> explainer -> float (steps + 1,), 0-1, from no pixel replaced to all of them; at most
            four baselines.
        baselines: the explainers that do not use the network.
    """
    figure, axes = panels(len(curves), 2.8 if is_narrow() else 3.4, extra=1.2 if is_narrow() else 0, sharey=True)
    for ax, (experiment, lines) in zip(axes, curves.items(), strict=True):
        steps = len(np.asarray(next(iter(lines.values()))))
        percents = {name: 100 * np.asarray(values) for name, values in lines.items()}
        draw_lines(ax, percents, baselines, np.linspace(0, 100, steps))
        ax.set(title=experiment, xlabel="pixels replaced (%)", ylim=(0, 100), xlim=(0, 100))
    axes[0].set_ylabel("mean probability of the class (%)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=1 if is_narrow() else 4)
    return figure


@styled
def model_randomization(scores: Mapping[str, Mapping[str, Interval]]) -> ReportFigure:
    """Draw the similarity of each explainer's maps to the original ones while the network is randomized.

    Args:
        scores: part randomized last -> explainer -> (mean rank correlation, low, high), the first part first.
    """
    figure = new_figure(4.6 if is_narrow() else 3.3)
    ax = figure.subplots()
    parts, x = list(scores), np.arange(len(scores) + 1)
    estimates = {name: np.array([scores[part][name] for part in parts]) for name in scores[parts[0]]}
    draw_lines(ax, {name: [1.0, *values[:, 0]] for name, values in estimates.items()}, (), x)
    for line, values in zip(ax.get_lines(), estimates.values(), strict=True):
        ax.fill_between(x[1:], values[:, 1], values[:, 2], color=line.get_color(), alpha=0.15, linewidth=0)
    ax.axhline(0, color=palette().pale, linewidth=1)
    ax.set_xticks(x, ["nothing", *(f"+ {part}" if i else part for i, part in enumerate(parts))])
    ax.set(xlabel="made random", ylabel="rank correlation", ylim=(None, 1.05))
    if is_narrow():
        ax.tick_params(axis="x", rotation=40)
        figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center")
    else:
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure

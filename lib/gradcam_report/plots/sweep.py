"""Figures of a sweep: learning curves with bands over seeds, and the final metric over the axes."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullLocator

from .style import BLUE, GREY, PALE, VERMILLION, ReportFigure, new_figure, styled

Values = Mapping[str, Any]
Result = tuple[Values, float, float | None]  # values on the axes, mean, standard deviation over seeds
SHADES = matplotlib.colormaps["viridis"]  # told apart by every eye; its palest end is left out
MOST_NAMED = 12  # values of an axis that a legend can name


def ordered(values: Sequence[Any]) -> list[Any]:
    """Different values, each once: numbers by size, others as they come."""
    unique = list(dict.fromkeys(values))
    return sorted(unique) if numeric(unique) else unique


def numeric(values: Sequence[Any]) -> bool:
    """Whether all values are numbers; True and False are none."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def shades(count: int) -> list[tuple[float, float, float]]:
    """So many colours from pale to dark."""
    return [SHADES(place)[:3] for place in np.linspace(0.74, 0.0, count)]


def wide_range(values: Sequence[Any]) -> bool:
    """Whether numbers belong on a logarithmic scale: all above 0, and the largest many times the smallest."""
    return numeric(values) and len(values) > 2 and min(values) > 0 and max(values) >= 8 * min(values)


@styled
def sweep_curves(panels: Mapping[str, Sequence[tuple[Values, int, float]]], axes: Sequence[str]) -> ReportFigure:
    """Draw quantities against the epoch, a line for each setting: the mean over seeds, a band of one deviation.

    Args:
        panels: what a panel shows, with its unit -> (values on the axes, epoch counted from 1, value) of each seed.
        axes: the first one gives the lines their colours, the second one dashes; settings that differ in further ones
            share a line and its band.
    """
    figure = new_figure(3.6)
    colour, dash = axes[0], axes[1] if len(axes) > 1 else None
    for ax, (words, rows) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        frame = pd.DataFrame([{**{n: v[n] for n in axes}, "epoch": e, "value": x} for v, e, x in rows])
        hues = ordered(frame[colour].tolist())
        sns.lineplot(
            frame.assign(**{name: frame[name].map(str) for name in axes}),
            x="epoch",
            y="value",
            hue=colour,
            hue_order=list(map(str, hues)),
            palette=shades(len(hues)),
            style=dash,
            style_order=list(map(str, ordered(frame[dash].tolist()))) if dash else None,
            errorbar="sd",
            err_kws={"alpha": 0.15, "linewidth": 0},
            marker="o" if frame["epoch"].nunique() == 1 else None,
            ax=ax,
        )
        ax.set(title=words, ylabel="")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        handles, names = ax.get_legend_handles_labels()
        ax.get_legend().remove()
    if len(hues) <= MOST_NAMED:
        figure.legend(handles, names, title=None if dash else colour, loc="outside right upper")
    else:
        figure.supxlabel(f"{len(hues)} values of {colour}, from {hues[0]} (pale) to {hues[-1]} (dark)", fontsize=8.5)
    return figure


@styled
def sweep_results(results: Sequence[Result], axes: Sequence[str], words: str, rising: bool) -> ReportFigure:
    """Draw the final metric over the axes of a sweep, the best setting marked.

    One axis gives points with bars of one deviation, two a heat map, more a line for each setting across upright
    scales.

    Args:
        results: (values on the axes, mean, standard deviation or None) of each setting, the best first.
        axes: their names.
        words: the metric, with its unit.
        rising: whether more of it is better.
    """
    if len(axes) == 1:
        return _over_one(results, axes[0], words)
    return _over_two(results, axes, words, rising) if len(axes) == 2 else _over_many(results, axes, words, rising)


def _over_one(results: Sequence[Result], axis: str, words: str) -> ReportFigure:
    figure = new_figure(3.0)
    ax = figure.subplots()
    found = {values[axis]: (mean, deviation or 0.0) for values, mean, deviation in results}
    places = ordered(list(found))
    numbers = numeric(places)
    x = np.array(places if numbers else range(len(places)), np.float64)
    means, deviations = np.array([found[place] for place in places]).T
    ax.errorbar(x, means, deviations, color=BLUE, marker="o", linestyle="-" if numbers else "none", capsize=3)
    if numbers:
        ax.fill_between(x, means - deviations, means + deviations, color=BLUE, alpha=0.15, linewidth=0)
    if wide_range(places):
        ax.set_xscale("log")
    if not numbers or len(places) <= MOST_NAMED:
        ax.set_xticks(x, list(map(str, places)))
        ax.xaxis.set_minor_locator(NullLocator())
    best = places.index(results[0][0][axis])
    ax.plot(x[best], means[best], "o", color=VERMILLION, markersize=8, zorder=5)
    ax.set(xlabel=axis, ylabel=words)
    return figure


def _over_two(results: Sequence[Result], axes: Sequence[str], words: str, rising: bool) -> ReportFigure:
    across, down = sorted(axes, key=lambda name: -len({str(values[name]) for values, _, _ in results}))
    columns, rows = (ordered([values[name] for values, _, _ in results]) for name in (across, down))
    grid = np.full((len(rows), len(columns)), np.nan)
    notes = np.full(grid.shape, "", object)
    digits = 1 if rising else 3
    for values, mean, deviation in results:
        place = rows.index(values[down]), columns.index(values[across])
        grid[place] = mean
        notes[place] = f"{mean:.{digits}f}" + (f"\n± {deviation:.{digits}f}" if deviation is not None else "")
    figure = new_figure(min(8.0, 1.2 + 0.55 * len(rows)))
    ax = figure.subplots()
    sns.heatmap(
        grid,
        annot=notes if len(columns) <= MOST_NAMED else False,
        fmt="",
        annot_kws={"fontsize": 8.5},
        cmap="viridis" if rising else "viridis_r",  # light is good either way
        xticklabels=list(map(str, columns)),
        yticklabels=list(map(str, rows)),
        linewidths=1,
        cbar_kws={"label": words},
        ax=ax,
    )
    best = results[0][0]
    ax.add_patch(_frame((columns.index(best[across]), rows.index(best[down]))))
    ax.grid(visible=False)
    ax.tick_params(length=0, rotation=0)
    ax.set(xlabel=across, ylabel=down)
    return figure


def _frame(corner: tuple[float, float]) -> Rectangle:
    """A frame around a cell of a heat map whose lower corner is given."""
    return Rectangle(corner, 1, 1, fill=False, edgecolor=VERMILLION, linewidth=2.5, clip_on=False, zorder=5)


def _over_many(results: Sequence[Result], axes: Sequence[str], words: str, rising: bool) -> ReportFigure:
    figure = new_figure(3.6)
    ax = figure.subplots()
    scales = {name: ordered([values[name] for values, _, _ in results]) for name in axes}
    means = np.array([mean for _, mean, _ in results])
    low, reach = means.min(), float(np.ptp(means)) or 1.0
    ranks = (means - low) / reach
    colours = sns.color_palette("viridis" if rising else "viridis_r", as_cmap=True)
    for number in reversed(range(len(results))):  # the best one last, above the others
        heights = [_height(scales[name], results[number][0][name]) for name in axes] + [ranks[number]]
        style = {"color": VERMILLION, "linewidth": 2.8} if number == 0 else {"color": colours(0.95 * ranks[number])}
        ax.plot(range(len(heights)), heights, **style)
    for place, name in enumerate(axes):
        _named_scale(ax, place, scales[name])
    _ends(ax, len(axes), low, low + reach)
    ax.set_xticks(range(len(axes) + 1), [*axes, words])
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlim(-0.3, len(axes) + 0.5)
    best = Line2D([], [], color=VERMILLION, linewidth=2.8, label="the best setting")
    figure.legend(handles=[best], loc="outside upper right")
    return figure


def _height(scale: Sequence[Any], value: Any) -> float:
    """Where a value is on a scale from 0 to 1 that has equal steps."""
    return scale.index(value) / max(1, len(scale) - 1)


def _named_scale(ax: Axes, place: int, scale: Sequence[Any]) -> None:
    """An upright scale with its values written beside it, at most `MOST_NAMED` of them."""
    ax.axvline(place, color=GREY, linewidth=0.8)
    for value in scale[:: -(-len(scale) // MOST_NAMED)]:
        box = {"facecolor": "white", "edgecolor": PALE, "pad": 1.5, "linewidth": 0.5}
        ax.text(place + 0.03, _height(scale, value), str(value), fontsize=8, va="center", bbox=box, zorder=6)


def _ends(ax: Axes, place: int, low: float, high: float) -> None:
    """The scale of the metric: its two ends in numbers."""
    ax.axvline(place, color=GREY, linewidth=0.8)
    for height, value in ((0.0, low), (1.0, high)):
        ax.text(place + 0.04, height, f"{value:.4g}", fontsize=8, va="center", weight="bold")

"""Sweeps: learning curves with bands over seeds, and the final metric over the swept parameters."""

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

from ..formatting import signed
from .style import (
    LIGHT,
    ReportFigure,
    is_narrow,
    name_rows,
    one_panel,
    palette,
    panels,
    readable_on,
    styled,
    width,
    wrap,
)

Values = Mapping[str, Any]  # swept parameter -> its value
Result = tuple[Values, float, float | None]  # a setting, its mean, its standard deviation over seeds
MOST_NAMED = 12  # values of a parameter that a legend or an axis can name


def numeric(values: Sequence[Any]) -> bool:
    """Return whether all values are numbers; True and False are none."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def distinct(values: Sequence[Any]) -> list[Any]:
    """Return each value once: numbers in ascending order, others as they come."""
    unique = list(dict.fromkeys(values))
    return sorted(unique) if numeric(unique) else unique


@styled
def sweep_curves(quantities: Mapping[str, Sequence[tuple[Values, int, float]]], axes: Sequence[str]) -> ReportFigure:
    """Draw quantities against the epoch, a line for each setting: the mean over seeds, a band of one deviation.

    `quantities` is title with unit -> (setting, epoch counted from 1, value) of each seed. Of the swept parameters
    `axes`, the first gives the lines their colours, the second dashes; settings that differ in others share a line.
    """
    colour, dash = axes[0], axes[1] if len(axes) > 1 else None
    figure, places = panels(len(quantities), 2.8 if is_narrow() else 3.6, extra=0.8 if is_narrow() else 0)
    for ax, (title, rows) in zip(places, quantities.items(), strict=True):
        frame = pd.DataFrame([{**{n: v[n] for n in axes}, "epoch": e, "value": x} for v, e, x in rows])
        hues = distinct(frame[colour].tolist())
        shades = np.linspace(0.74, 0.0, len(hues)) if palette() is LIGHT else np.linspace(0.35, 1.0, len(hues))
        sns.lineplot(
            frame.assign(**{name: frame[name].map(str) for name in axes}),
            x="epoch",
            y="value",
            hue=colour,
            hue_order=list(map(str, hues)),
            palette=list(map(tuple, matplotlib.colormaps["viridis"](shades)[:, :3])),  # all visible on the page
            style=dash,
            style_order=list(map(str, distinct(frame[dash].tolist()))) if dash else None,
            errorbar="sd",
            err_kws={"alpha": 0.15, "linewidth": 0},
            marker="o" if frame["epoch"].nunique() == 1 else None,
            ax=ax,
        )
        ax.set(title=title, ylabel="")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        handles, names = ax.get_legend_handles_labels()
        for handle in handles:
            if handle.get_color() == ".2":  # seaborn's own, for the dashes
                handle.set_color(palette().ink)
        ax.get_legend().remove()
    if len(hues) <= MOST_NAMED:
        loc: Any = "outside upper center" if is_narrow() else "outside right upper"
        figure.legend(handles, names, title=None if dash else colour, loc=loc)
    else:
        figure.supxlabel(f"{len(hues)} values of {colour}, from {hues[0]} (faint) to {hues[-1]} (strong)")
    return figure


@styled
def sweep_results(results: Sequence[Result], axes: Sequence[str], metric: str, rising: bool) -> ReportFigure:
    """Draw the final metric over the swept parameters `axes`; the best setting, the first of `results`, is marked.

    One parameter gives points with bars of one deviation, two a heat map, more a line for each setting across parallel
    coordinates. `metric` is a name with unit; `rising` is whether more of it is better.
    """
    if len(axes) == 1:
        return _over_one(results, axes[0], metric)
    return _heat_map(results, axes, metric, rising) if len(axes) == 2 else _parallel(results, axes, metric, rising)


def _over_one(results: Sequence[Result], axis: str, metric: str) -> ReportFigure:
    figure, ax = one_panel(3.0)
    found = {values[axis]: (mean, deviation or 0.0) for values, mean, deviation in results}
    places = distinct(list(found))
    numbers = numeric(places)
    x = np.array(places if numbers else range(len(places)), np.float64)
    means, deviations = np.array([found[place] for place in places]).T
    ax.errorbar(x, means, deviations, color=palette().blue, marker="o", linestyle="-" if numbers else "none", capsize=3)
    if numbers:
        ax.fill_between(x, means - deviations, means + deviations, color=palette().blue, alpha=0.15, linewidth=0)
        if len(x) > 2 and x[0] > 0 and x[-1] >= 8 * x[0]:  # the largest is many times the smallest
            ax.set_xscale("log")
    if not numbers or len(places) <= MOST_NAMED:
        ax.set_xticks(x, list(map(str, places)))
        ax.xaxis.set_minor_locator(NullLocator())
    best = places.index(results[0][0][axis])
    ax.plot(x[best], means[best], "o", color=palette().vermillion, markersize=8, zorder=5)
    ax.set(xlabel=axis, ylabel=metric)
    return figure


def _heat_map(results: Sequence[Result], axes: Sequence[str], metric: str, rising: bool) -> ReportFigure:
    across, down = sorted(axes, key=lambda name: -len({str(values[name]) for values, _, _ in results}))
    columns, rows = (distinct([values[name] for values, _, _ in results]) for name in (across, down))
    grid = np.full((len(rows), len(columns)), np.nan)
    notes = np.full(grid.shape, "", object)
    digits = 1 if rising else 3
    for values, mean, deviation in results:
        place = rows.index(values[down]), columns.index(values[across])
        grid[place] = mean
        notes[place] = f"{mean:.{digits}f}" + (f"\n± {deviation:.{digits}f}" if deviation is not None else "")
    figure, ax = one_panel(min(8.0, 1.2 + 0.55 * len(rows)) + 0.6 * is_narrow())
    sns.heatmap(
        grid,
        cmap="viridis" if rising else "viridis_r",  # light is good either way
        xticklabels=list(map(str, columns)),
        yticklabels=list(map(str, rows)),
        linewidths=1,
        linecolor=palette().page,
        cbar_kws={"label": metric} | ({"location": "bottom"} if is_narrow() else {}),
        ax=ax,
    )
    drawn = ax.collections[0]
    if len(columns) <= (MOST_NAMED // 2 if is_narrow() else MOST_NAMED):
        for (row, column), note in np.ndenumerate(notes):
            shade = drawn.to_rgba(grid[row, column])
            ax.text(column + 0.5, row + 0.5, note, ha="center", va="center", color=readable_on(shade))
    best = results[0][0]
    corner = columns.index(best[across]), rows.index(best[down])
    colour = palette().vermillion
    ax.add_patch(Rectangle(corner, 1, 1, fill=False, clip_on=False, zorder=5, edgecolor=colour, linewidth=2.5))
    ax.grid(visible=False)
    ax.tick_params(length=0, rotation=0)
    ax.set(xlabel=across, ylabel=down)
    return figure


def _parallel(results: Sequence[Result], axes: Sequence[str], metric: str, rising: bool) -> ReportFigure:
    figure, ax = one_panel(3.6)
    scales = {name: distinct([values[name] for values, _, _ in results]) for name in axes}
    means = np.array([mean for _, mean, _ in results])
    low, reach = means.min(), float(np.ptp(means)) or 1.0
    ranks = (means - low) / reach
    levels = ranks if rising else 1 - ranks
    visible = 0.95 * levels if palette() is LIGHT else 0.25 + 0.75 * levels  # on the page
    shades = matplotlib.colormaps["viridis"](visible)
    for number in reversed(range(len(results))):  # the best one last, above the others
        heights = [_height(scales[name], results[number][0][name]) for name in axes] + [ranks[number]]
        style = {"color": palette().vermillion, "linewidth": 2.8} if number == 0 else {"color": shades[number]}
        ax.plot(range(len(heights)), heights, **style)
    for place, name in enumerate(axes):
        _draw_scale(ax, place, scales[name])
    ax.axvline(len(axes), color=palette().grey, linewidth=0.8)
    for height, value in ((0.0, low), (1.0, low + reach)):
        ax.text(len(axes) + 0.04, height, f"{value:.4g}", va="center", weight="bold")
    ax.set_xticks(range(len(axes) + 1), [*axes, metric])
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlim(-0.3, len(axes) + 0.5)
    best = Line2D([], [], color=palette().vermillion, linewidth=2.8, label="the best setting")
    figure.legend(handles=[best], loc="outside upper right")
    return figure


def _height(scale: Sequence[Any], value: Any) -> float:
    """Return the position of a value, 0-1, on a scale with equal steps."""
    return scale.index(value) / max(1, len(scale) - 1)


def _draw_scale(ax: Axes, place: int, scale: Sequence[Any]) -> None:
    """Draw an upright scale with its values beside it, at most `MOST_NAMED` of them."""
    ax.axvline(place, color=palette().grey, linewidth=0.8)
    for value in scale[:: -(-len(scale) // MOST_NAMED)]:
        box = {"facecolor": palette().page, "edgecolor": palette().pale, "pad": 1.5, "linewidth": 0.5}
        ax.text(place + 0.03, _height(scale, value), str(value), va="center", bbox=box, zorder=6)


@styled
def differences(values: Mapping[str, float], error: float, label: str) -> ReportFigure:
    """Draw differences by name, each with a bar of `error` to both sides, grey where the bar reaches zero.

    On a phone the name stands above its point. `label` says what the differences are, with their unit.
    """
    figure, ax = one_panel((0.42 if is_narrow() else 0.26) * len(values) + 0.8)
    ax.axvline(0, color=palette().grey, linewidth=1)
    for row, (name, value) in enumerate(values.items()):
        colour = palette().grey if abs(value) <= error else palette().blue if value > 0 else palette().vermillion
        ax.errorbar(value, row, xerr=error, fmt="o", color=colour, markersize=5)
        ax.annotate(signed(value), (value + error, row), (4, 0), textcoords="offset points", va="center")
        if is_narrow():
            ax.text(0, row - 0.5, name, transform=ax.get_yaxis_transform(), va="center")
    ax.margins(x=0.12)
    name_rows(ax, [] if is_narrow() else list(values))
    ax.set_ylim(len(values) - 0.4, -0.8)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(wrap(label, width() - 0.3, 9))
    return figure

"""Speed: throughput, accuracy against time, the growth of time and memory, and speedup by processes."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from .style import DASHED, ReportFigure, is_narrow, name_rows, new_figure, one_panel, palette, panels, styled


@styled
def throughput(measured: Mapping[str, Mapping[str, tuple[float, float, float]]], ours: str) -> ReportFigure:
    """Draw images per second: task -> implementation -> (median, least, greatest), a panel for each task.

    `ours` is set off from the others; names that only begin with it are set off less.
    """
    colour = palette()
    figure, axes = panels(len(measured), 0.5 + 0.34 * max(map(len, measured.values())))
    for ax, (task, rates) in zip(axes, measured.items(), strict=True):
        medians, low, high = np.array(list(rates.values())).T
        colours = [colour.blue if n == ours else colour.sky if n.startswith(ours) else colour.pale for n in rates]
        reach = np.array([medians - low, high - medians])
        rows = range(len(rates))
        bars = ax.barh(rows, medians, xerr=reach, color=colours, height=0.6, error_kw={"ecolor": colour.grey})
        ax.bar_label(bars, [f"{median:,.0f}" for median in medians], padding=6)
        ax.set(title=task, xlim=(0, 1.25 * float((medians + reach[1]).max())), xlabel="images a second")
        name_rows(ax, list(rates))
        ax.invert_yaxis()
    return figure


@styled
def accuracy_over_time(seconds: ArrayLike, accuracy: ArrayLike, marks: Mapping[str, float]) -> ReportFigure:
    """Draw the test accuracy (E,) over the `seconds` (E,) of each epoch's training, with a line at each of `marks`."""
    minutes, percents = np.cumsum(np.asarray(seconds, np.float64)) / 60, 100 * np.asarray(accuracy, np.float64)
    figure, ax = one_panel(3.0)
    ax.plot(minutes, percents, color=palette().blue, marker="o", markersize=3.5)
    ax.set_xlim(0, 1.02 * minutes[-1])
    for name, level in marks.items():
        ax.axhline(100 * level, color=palette().vermillion, linewidth=1, linestyle=DASHED)
        text = f"{name} {100 * level:.2f} %"
        ax.annotate(text, (0, 100 * level), xytext=(4, 3), textcoords="offset points")
    ax.set(xlabel="minutes of training", ylabel="test images classified correctly (%)")
    return figure


@styled
def time_and_memory(measured: Mapping[str, Mapping[float, tuple[float, float]]]) -> ReportFigure:
    """Draw time above peak memory: "title, unit" of a quantity -> its value -> (seconds, GiB)."""
    figure = new_figure(2.1 * len(measured) if is_narrow() else 4.2)
    shape = (len(measured), 2) if is_narrow() else (2, len(measured))
    axes = figure.subplots(*shape, squeeze=False)
    axes = axes.T if is_narrow() else axes
    for column, (name, points) in enumerate(measured.items()):
        for row, (unit, colour) in enumerate((("seconds", palette().blue), ("GiB at most", palette().vermillion))):
            ax, values = axes[row, column], [point[row] for point in points.values()]
            ax.plot(list(points), values, color=colour, marker="o", markersize=4)
            ax.set(xlim=(0, 1.08 * max(points)), ylim=(0, 1.15 * max(values)))
            if column == 0 or is_narrow():
                ax.set_ylabel(unit)
            if row == 1 or is_narrow():
                ax.set_xlabel(name.split(", ")[-1])
        axes[0, column].set_title(name.split(", ")[0], fontsize=9)
    return figure


@styled
def speedups(measured: Mapping[str, Mapping[int, float]]) -> ReportFigure:
    """Draw way of working -> number of processes -> speedup over one, above the broad pale line of the ideal."""
    colour = palette()
    figure, ax = one_panel(3.4)
    sizes = sorted({size for by_size in measured.values() for size in by_size})
    ax.plot(sizes, sizes, color=colour.pale, linewidth=7, solid_capstyle="butt", label="ideal")
    for shade, (way, by_size) in zip(colour.cycle(), measured.items(), strict=False):
        ax.plot(list(by_size), list(by_size.values()), color=shade, marker="o", markersize=5.0, label=way)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_xticks(sizes)
    ax.set(xlabel="processes", ylabel="times as fast as one")
    ax.legend()
    return figure

"""Figures of speed: images a second side by side, and accuracy against the time spent."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from .style import BLUE, GREY, PALE, SKY, VERMILLION, ReportFigure, new_figure, styled


@styled
def rates(measured: Mapping[str, Mapping[str, tuple[float, float, float]]], ours: str) -> ReportFigure:
    """Draw how many images a second each way of working gets through.

    Args:
        measured: task -> way -> (median, least, greatest) in images a second; one panel per task.
        ours: the way to set off from the others; ways whose names only begin with it are set off less.
    """
    figure = new_figure(0.5 + 0.34 * max(len(ways) for ways in measured.values()))
    panels = figure.subplots(1, len(measured), squeeze=False)[0]
    for ax, (task, ways) in zip(panels, measured.items(), strict=True):
        medians = np.array([median for median, _, _ in ways.values()])
        reach = np.array([(median - low, high - median) for median, low, high in ways.values()]).T
        colours = [BLUE if way == ours else SKY if way.startswith(ours) else PALE for way in ways]
        bars = ax.barh(list(ways), medians, xerr=reach, color=colours, height=0.6, error_kw={"ecolor": GREY})
        ax.bar_label(bars, [f"{median:,.0f}" for median in medians], padding=6, fontsize=8.5)
        ax.set_title(task)
        ax.set_xlim(0, 1.25 * float((medians + reach[1]).max()))
        ax.set_xlabel("images a second")
        ax.invert_yaxis()
        ax.grid(visible=False, axis="y")
        ax.tick_params(axis="y", length=0)
    return figure


@styled
def accuracy_over_time(seconds: ArrayLike, accuracy: ArrayLike, marks: Mapping[str, float]) -> ReportFigure:
    """Draw the test accuracy against the training time, epoch by epoch.

    Args:
        seconds: float (E,), of each epoch's training.
        accuracy: float (E,), 0-1, after each epoch.
        marks: words -> accuracy to draw a level line at.
    """
    minutes, percents = np.cumsum(np.asarray(seconds, np.float64)) / 60, 100 * np.asarray(accuracy, np.float64)
    figure = new_figure(3.0)
    ax = figure.subplots()
    ax.plot(minutes, percents, color=BLUE, marker="o", markersize=3.5)
    ax.set_xlim(0, 1.02 * minutes[-1])
    for words, level in marks.items():
        ax.axhline(100 * level, color=VERMILLION, linewidth=1, linestyle=(0, (4, 2)))
        text = f"{words} {100 * level:.2f} %"
        ax.annotate(text, (0, 100 * level), xytext=(4, 3), textcoords="offset points", fontsize=8.5)
    ax.set(xlabel="minutes of training", ylabel="test images classified correctly (%)")
    return figure


@styled
def speedups(measured: Mapping[str, Mapping[int, float]]) -> ReportFigure:
    """Draw how many times as fast a number of processes is as one, above the broad line of the ideal.

    Args:
        measured: way of working -> processes -> how many times as fast.
    """
    figure = new_figure(3.4)
    ax = figure.subplots()
    sizes = sorted({size for by_size in measured.values() for size in by_size})
    ax.plot(sizes, sizes, color=PALE, linewidth=7, solid_capstyle="butt", label="ideal")
    for colour, (way, by_size) in zip((BLUE, VERMILLION), measured.items(), strict=True):
        ax.plot(list(by_size), list(by_size.values()), color=colour, marker="o", markersize=5, label=way)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.set_xticks(sizes)
    ax.set(xlabel="processes", ylabel="times as fast as one")
    ax.legend()
    return figure


@styled
def growth(measured: Mapping[str, Mapping[float, tuple[float, float]]]) -> ReportFigure:
    """Draw how time and memory grow: a column of two panels for each thing varied.

    Args:
        measured: what is varied -> its value -> (seconds, GiB).
    """
    figure = new_figure(4.2)
    panels = figure.subplots(2, len(measured), squeeze=False)
    for column, (name, points) in enumerate(measured.items()):
        for row, (unit, colour) in enumerate((("seconds", BLUE), ("GiB at most", VERMILLION))):
            ax = panels[row, column]
            values = [found[row] for found in points.values()]
            ax.plot(list(points), values, color=colour, marker="o", markersize=4)
            ax.set(xlim=(0, 1.08 * max(points)), ylim=(0, 1.15 * max(values)))
            if column == 0:
                ax.set_ylabel(unit)
        panels[0, column].set_title(name.split(", ")[0], fontsize=9)
        panels[1, column].set_xlabel(name.split(", ")[-1])
    return figure

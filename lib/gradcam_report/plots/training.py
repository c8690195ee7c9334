"""Figures of the learning-rate range test, the schedule and the training curves."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike, NDArray

from ..formatting import percent
from .style import (
    BLUE,
    GREY,
    PALE,
    VERMILLION,
    VERMILLION_TEXT,
    WIDTH,
    ReportFigure,
    new_figure,
    styled,
    text_width,
)

# history columns, legend text, colour, line style
SERIES = (
    ("train_{}", "train, augmented batches, running mean", GREY, (0, (3, 1.5))),
    ("clean_train_{}", "train, clean images, after the epoch", BLUE, "-"),
    ("test_{}", "test", VERMILLION, "-"),
)


def loss_limits(losses: NDArray[np.float64], smoothed: NDArray[np.float64]) -> tuple[float, float]:
    """Return y limits that show the descent and the onset of the rise, however far the loss explodes after it."""
    finite, raw = smoothed[np.isfinite(smoothed)], losses[np.isfinite(losses)]
    if not len(finite) or not len(raw):
        return 0.0, 1.0
    start, best = finite[: max(1, len(finite) // 4)].max(), finite.min()
    top = min(start + max(0.75 * (start - best), 0.25 * abs(start)), max(finite.max(), raw.max()))
    bottom = min(best, raw.min())
    margin = 0.06 * (top - bottom) or 0.5
    return float(bottom - margin), float(top + margin)


def flags(ax: Axes, suggestions: Mapping[str, float], chosen: str) -> None:
    """Mark each rule's learning rate by a line that rises above the axes and carries the rule's name like a flag.

    Each flag has a row of its own, the smallest rate's on top, so names stay apart however near the rates are.
    """
    low, high = np.log(ax.get_xlim())
    for row, name in enumerate(sorted(suggestions, key=lambda rule: suggestions[rule], reverse=True)):
        lr, used = suggestions[name], name == chosen
        text = f" {name} {lr:.3g} "
        outside = (np.log(lr) - low) / (high - low) + text_width(text, 9) / (WIDTH - 0.8) > 1
        line: dict[str, Any] = {
            "color": VERMILLION if used else GREY,
            "linewidth": 2.0 if used else 1.0,
            "linestyle": "-" if used else (0, (4, 2)),
        }
        ax.axvline(lr, gid=f"rule:{name}", **line)
        ax.annotate(
            text,
            (lr, 1),
            xycoords=ax.get_xaxis_transform(),
            xytext=(0, 9 + 15 * row),
            textcoords="offset points",
            ha="right" if outside else "left",
            va="center",
            color=VERMILLION_TEXT if used else "black",
            weight="bold" if used else "normal",
            fontsize=8.5,
            zorder=20 - row,  # a name hides the lines that pass behind it on their way up
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0},
            arrowprops={"arrowstyle": "-", "shrinkA": 0, "shrinkB": 0, "relpos": (float(outside), 0.5), **line},
        )


@styled
def lr_curve(
    lrs: ArrayLike, losses: ArrayLike, smoothed: ArrayLike, suggestions: Mapping[str, float | None], chosen: str
) -> ReportFigure:
    """Draw a range test: the loss against the learning rate, and where each rule would put the maximum rate.

    Args:
        lrs: float (T,), per step, increasing.
        losses: float (T,), of each batch; non-finite values are left out and counted under the axis.
        smoothed: float (T,), the same loss as the rules read it.
        suggestions: rule's name -> learning rate, or None where the rule finds none.
        chosen: the rule to set off from the others.
    """
    if chosen not in suggestions:
        raise ValueError(f"the chosen rule {chosen!r} is not among {', '.join(suggestions)}")
    lrs, losses, smoothed = (np.asarray(values, np.float64) for values in (lrs, losses, smoothed))
    figure = new_figure(3.5 + 0.2 * len(suggestions))
    ax = figure.subplots()
    ax.plot(lrs, losses, color=PALE, linewidth=0.8, label="each batch")
    ax.plot(lrs, smoothed, color=BLUE, linewidth=2.2, label="smoothed")
    ax.set_xscale("log")
    ax.set_xlim(lrs.min(), lrs.max())
    bottom, top = loss_limits(losses, smoothed)
    ax.set_ylim(bottom, top)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda lr, _: f"{lr:g}"))
    flags(ax, {name: lr for name, lr in suggestions.items() if lr is not None}, chosen)
    chosen_lr = suggestions[chosen]
    if chosen_lr is not None:
        ax.plot(chosen_lr, np.interp(chosen_lr, lrs, smoothed), "o", color=VERMILLION, markersize=7, zorder=5)
    notes = ["learning rate (log scale)"]
    finite = smoothed[np.isfinite(smoothed)]
    if len(finite) and finite.max() > top:
        notes.append(f"The smoothed loss goes on to {finite.max():.3g}, above this axis.")
    if bad := int((~np.isfinite(losses)).sum()):
        notes.append(f"Left out: {bad} non-finite loss{'es' if bad > 1 else ''}.")
    if silent := [name for name, lr in suggestions.items() if lr is None]:
        notes.append(f"No suggestion from: {', '.join(silent)}.")
    ax.set_xlabel("\n".join(notes))
    ax.set_ylabel("training loss (cross-entropy)")
    ax.legend(loc="best", frameon=True, framealpha=0.85, edgecolor="none")
    return figure


@styled
def peak_study(
    lrs: ArrayLike, accuracies: ArrayLike, suggestions: Mapping[str, float | None], chosen: str
) -> ReportFigure:
    """Draw the accuracy of trainings against the peak of their schedule, and where each rule would have put it.

    Args:
        lrs: float (P,), per step, increasing.
        accuracies: float (P,), 0-1.
        suggestions: rule's name -> learning rate, or None where the rule finds none.
        chosen: the rule to set off from the others.
    """
    lrs, percents = np.asarray(lrs, np.float64), 100 * np.asarray(accuracies, np.float64)
    known = {name: lr for name, lr in suggestions.items() if lr is not None}
    figure = new_figure(3.0 + 0.2 * len(known))
    ax = figure.subplots()
    ax.plot(lrs, percents, color=BLUE, marker="o")
    best = int(percents.argmax())
    for number, (lr, percent_) in enumerate(zip(lrs, percents, strict=True)):
        weight = "bold" if number == best else "normal"
        ax.annotate(f"{percent_:.1f}", (lr, percent_), xytext=(0, -12), textcoords="offset points", ha="center",
                    fontsize=8, weight=weight, zorder=5,
                    path_effects=[withStroke(linewidth=3, foreground="white")])  # fmt: skip
    ax.set_xscale("log")
    ax.set_xlim(0.8 * min([lrs.min(), *known.values()]), 1.25 * max([lrs.max(), *known.values()]))
    reach = float(np.ptp(percents)) or 1.0
    ax.set_ylim(percents.min() - 0.15 * reach, percents.max() + 0.08 * reach)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda lr, _: f"{lr:g}"))
    flags(ax, known, chosen)
    ax.set(xlabel="peak of the learning rate (log scale)", ylabel="held-out images right (%)")
    return figure


@styled
def schedule(steps: ArrayLike, lrs: ArrayLike, epochs: float) -> ReportFigure:
    """Draw the learning rate over training, with its peak marked.

    Args:
        steps: int (T,), optimizer steps from 0, increasing; the last one is the last of the run.
        lrs: float (T,), per step.
        epochs: how many epochs the steps make.
    """
    steps, lrs = np.asarray(steps, np.float64), np.asarray(lrs, np.float64)
    position = steps * epochs / (steps[-1] + 1)
    peak = int(lrs.argmax())
    figure = new_figure(2.6)
    ax = figure.subplots()
    ax.plot(position, lrs, color=BLUE, linewidth=2)
    ax.plot(position[peak], lrs[peak], "o", color=VERMILLION)
    late = position[peak] > 0.6 * epochs
    ax.annotate(
        f"peak {lrs[peak]:.3g} at epoch {position[peak]:.1f}",
        (position[peak], lrs[peak]),
        xytext=(-9 if late else 9, 0),
        textcoords="offset points",
        ha="right" if late else "left",
        va="center",
    )
    ax.set(xlabel="epochs trained", ylabel="learning rate", xlim=(0, epochs))
    ax.set_ylim(0, 1.12 * lrs[peak])
    return figure


def spread(values: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Return the values moved apart, as little as needed, until neighbours are at least `gap` apart."""
    order = np.argsort(values)
    placed = values[order]
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    placed += (values[order] - placed).mean() if len(placed) else 0.0
    return placed[np.argsort(order)]


def curve_panel(ax: Axes, history: Mapping[str, ArrayLike], quantity: str) -> None:
    """Draw one quantity's three series against the epoch, each with its last value at the right."""
    scale = 100.0 if quantity == "accuracy" else 1.0
    last: list[tuple[float, str]] = []
    for column, label, colour, dashes in SERIES:
        values = scale * np.asarray(history[column.format(quantity)], np.float64)
        epochs = np.arange(1, len(values) + 1)
        ax.plot(epochs, values, color=colour, linestyle=dashes, marker="o", markersize=2.5, label=label)
        if finite := values[np.isfinite(values)].tolist():
            last.append((finite[-1], colour))
    ax.set_xlim(0.5, len(epochs) + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    low, high = ax.get_ylim()
    places = spread(np.array([value for value, _ in last]), 0.065 * (high - low))
    for (value, colour), place in zip(last, places.tolist(), strict=True):
        text = percent(value / 100) if quantity == "accuracy" else f"{value:.3f}"
        shade = VERMILLION_TEXT if colour == VERMILLION else colour
        height = (place - low) / (high - low)
        ax.text(1.02, height, text, transform=ax.transAxes, va="center", color=shade, weight="bold")
    ax.set_xlabel("epoch")


@styled
def curves(history: Mapping[str, ArrayLike]) -> ReportFigure:
    """Draw loss and accuracy against the epoch (counted from 1), with the last values in text.

    Args:
        history: columns float (E,): train_loss, clean_train_loss, test_loss and the same three of `accuracy`, 0-1;
            non-finite values leave a gap.
    """
    figure = new_figure(3.4)
    loss, accuracy = figure.subplots(1, 2)
    curve_panel(loss, history, "loss")
    curve_panel(accuracy, history, "accuracy")
    loss.set(title="Loss", ylabel="cross-entropy (nats)")
    accuracy.set(title="Accuracy", ylabel="images classified correctly (%)")
    figure.legend(*loss.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure

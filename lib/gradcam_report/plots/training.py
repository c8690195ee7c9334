"""Trainings: loss and accuracy by epoch, of one run and of several recipes."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from ..formatting import percent
from .style import DASHED, ReportFigure, is_narrow, legend_outside, one_panel, palette, panels, styled

# history columns, legend text, colour of the palette, line style
SERIES = (
    ("train_{}", "train, augmented batches, running mean", "grey", (0, (3, 1.5))),
    ("clean_train_{}", "train, clean images, after the epoch", "blue", "-"),
    ("test_{}", "test", "vermillion", "-"),
)
RECIPES = (("blue", "-"), ("vermillion", "--"), ("green", "-."), ("purple", ":"))


def spread(values: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Return the values moved apart, as little as needed, until neighbours are at least `gap` apart."""
    order = np.argsort(values)
    placed = values[order]
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    placed += (values[order] - placed).mean() if len(placed) else 0.0
    return placed[np.argsort(order)]


def set_epochs(ax: Axes, count: int) -> None:
    """Label the x axis with epochs, counted from 1."""
    ax.set(xlabel="epoch", xlim=(0.5, count + 0.5))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def draw_series(ax: Axes, history: Mapping[str, ArrayLike], quantity: str) -> None:
    """Draw one quantity's three series against the epoch, each with its last value at the right."""
    scale = 100.0 if quantity == "accuracy" else 1.0
    last: list[tuple[float, str]] = []
    for column, label, name, dashes in SERIES:
        colour = getattr(palette(), name)
        values = scale * np.asarray(history[column.format(quantity)], np.float64)
        epochs = np.arange(1, len(values) + 1)
        ax.plot(epochs, values, color=colour, linestyle=dashes, marker="o", markersize=2.5, label=label)
        if finite := values[np.isfinite(values)].tolist():
            last.append((finite[-1], colour))
    set_epochs(ax, len(epochs))
    low, high = ax.get_ylim()
    places = spread(np.array([value for value, _ in last]), 0.065 * (high - low))
    for (value, colour), place in zip(last, places.tolist(), strict=True):
        text = percent(value / 100) if quantity == "accuracy" else f"{value:.3f}"
        shade = palette().vermillion_text if colour == palette().vermillion else colour
        height = (place - low) / (high - low)
        ax.text(1.02, height, text, transform=ax.transAxes, va="center", color=shade, weight="bold")


@styled
def training_curves(history: Mapping[str, ArrayLike]) -> ReportFigure:
    """Draw loss and accuracy against the epoch (counted from 1), with the last values in text.

    `history` has the columns train_loss, clean_train_loss and test_loss, (E,), and the same of accuracy. Values that
    are not finite leave a gap.
    """
    figure, (loss, accuracy) = panels(2, 2.6 if is_narrow() else 3.4, extra=0.8 if is_narrow() else 0)
    draw_series(loss, history, "loss")
    draw_series(accuracy, history, "accuracy")
    loss.set(title="Loss", ylabel="cross-entropy (nats)")
    accuracy.set(title="Accuracy", ylabel="images classified correctly (%)")
    legend_outside(figure, loss, "outside upper center", columns=3)
    return figure


@styled
def loss_by_step(losses: ArrayLike, guessing: float) -> ReportFigure:
    """Draw the loss (T,) of each step of a short training, and a line at the loss of `guessing`."""
    steps = np.arange(1, np.asarray(losses).size + 1)
    figure, ax = one_panel(2.2)
    ax.axhline(guessing, color=palette().grey, linestyle=DASHED, linewidth=1, label="guessing")
    ax.plot(steps, losses, color=palette().blue, marker="o", markersize=3.5, label="loss of the batch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set(xlabel="step", ylabel="cross-entropy (nats)")
    ax.legend()
    return figure


@styled
def singular_values(before: ArrayLike, after: ArrayLike) -> ReportFigure:
    """Draw the singular values of a matrix, float (R,) in falling order, before and after it is orthogonalised."""
    figure, ax = one_panel(2.4)
    grey, blue = palette().grey, palette().blue
    for values, label, colour, dashes in ((before, "before", grey, (0, (3, 1.5))), (after, "after", blue, "-")):
        ax.plot(np.arange(1, np.asarray(values).size + 1), values, color=colour, linestyle=dashes, label=label)
    ax.set_yscale("log")
    ax.set(xlabel="singular value, largest first", ylabel="size (log scale)")
    ax.legend()
    return figure


@styled
def recipe_comparison(accuracies: Mapping[str, ArrayLike], error: float) -> ReportFigure:
    """Draw the test accuracy (E,) of several recipes after each epoch, and their lead over the first.

    Differences within `error`, drawn as a band, say nothing.
    """
    figure, (left, right) = panels(2, 2.6 if is_narrow() else 3.0, extra=0.5 if is_narrow() else 0)
    percents = {name: 100 * np.asarray(values, np.float64) for name, values in accuracies.items()}
    first = next(iter(percents.values()))
    epochs = np.arange(1, len(first) + 1)
    right.axhspan(-100 * error, 100 * error, color=palette().pale, alpha=0.6, linewidth=0)
    right.axhline(0, color=palette().blue, linewidth=1)
    for number, (name, values) in enumerate(percents.items()):
        colour, dashes = RECIPES[number % len(RECIPES)]
        style = {"color": getattr(palette(), colour), "linestyle": dashes, "marker": "o", "markersize": 2.5}
        left.plot(epochs, values, label=name, **style)
        if number:
            right.plot(epochs, values - first, **style)
    for ax in (left, right):
        set_epochs(ax, len(epochs))
    left.set(title="Test accuracy", ylabel="images classified correctly (%)")
    right.set(title="Ahead of the published recipe by", ylabel="points")
    legend_outside(figure, left, "outside upper center", columns=len(percents))
    return figure

"""Trainings of several recipes, epoch by epoch."""

from collections.abc import Mapping

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from .style import BLUE, GREEN, PALE, PURPLE, VERMILLION, ReportFigure, new_figure, styled

LINES = [(BLUE, "-"), (VERMILLION, "--"), (GREEN, "-."), (PURPLE, ":")]


@styled
def race(accuracies: Mapping[str, ArrayLike], error: float) -> ReportFigure:
    """Draw the test accuracy after each epoch, and by how much the others are ahead of the first.

    Args:
        accuracies: name -> float (E,), 0-1, after epochs 1 to E.
        error: difference, 0-1, within which two of them cannot be told apart; drawn as a band.
    """
    figure = new_figure(3.0)
    left, right = figure.subplots(1, 2)
    (_, first), *_ = accuracies.items()
    epochs = np.arange(1, len(np.asarray(first)) + 1)
    right.axhspan(-100 * error, 100 * error, color=PALE, alpha=0.6, linewidth=0)
    right.axhline(0, color=BLUE, linewidth=1)
    for number, (name, values) in enumerate(accuracies.items()):
        colour, dashes = LINES[number % len(LINES)]
        style = {"color": colour, "linestyle": dashes, "marker": "o", "markersize": 2.5}
        left.plot(epochs, 100 * np.asarray(values, np.float64), label=name, **style)
        if number:
            right.plot(epochs, 100 * (np.asarray(values, np.float64) - np.asarray(first, np.float64)), **style)
    for ax in (left, right):
        ax.set_xlabel("epoch")
        ax.set_xlim(0.5, len(epochs) + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    left.set(title="Test accuracy", ylabel="images classified correctly (%)")
    right.set(title="Ahead of the published recipe by", ylabel="points")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=len(accuracies))
    return figure

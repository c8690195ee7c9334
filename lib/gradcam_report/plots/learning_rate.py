"""The learning rate: the range test, the accuracy by peak and by multiple of the onset, and the schedule."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike, NDArray

from .style import DASHED, ReportFigure, is_narrow, legend_outside, one_panel, palette, styled, text_width, width, wrap


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


def mark_rules(ax: Axes, suggestions: Mapping[str, float], chosen: str) -> None:
    """Mark each rule's learning rate by a line that rises above the axes and carries the rule's name like a flag.

    Each flag has a row of its own, the smallest rate's on top, so names stay apart however near the rates are.
    """
    colour = palette()
    low, high = np.log(ax.get_xlim())
    for row, name in enumerate(sorted(suggestions, key=lambda rule: suggestions[rule], reverse=True)):
        lr, used = suggestions[name], name == chosen
        text = f" {name} {lr:.3g} "
        outside = (np.log(lr) - low) / (high - low) + text_width(text, 9) / (width() - 0.8) > 1
        line: dict[str, Any] = {"color": colour.grey, "linewidth": 1.0, "linestyle": DASHED}
        if used:
            line = {"color": colour.vermillion, "linewidth": 2.0, "linestyle": "-"}
        ax.axvline(lr, gid=f"rule:{name}", **line)
        ax.annotate(
            text,
            (lr, 1),
            xycoords=ax.get_xaxis_transform(),
            xytext=(0, 9 + 15 * row),
            textcoords="offset points",
            ha="right" if outside else "left",
            va="center",
            color=colour.vermillion_text if used else colour.ink,
            weight="bold" if used else "normal",
            zorder=20 - row,  # a name hides the lines that pass behind it on their way up
            bbox={"facecolor": colour.page, "edgecolor": "none", "pad": 0},
            arrowprops={"arrowstyle": "-", "shrinkA": 0, "shrinkB": 0, "relpos": (float(outside), 0.5), **line},
        )


@styled
def lr_range_test(
    lrs: ArrayLike, losses: ArrayLike, smoothed: ArrayLike, suggestions: Mapping[str, float | None], chosen: str
) -> ReportFigure:
    """Draw the loss of a range test against the learning rate, and the peak that each rule suggests.

    `losses` (T,) are those of each batch, `smoothed` (T,) as the rules read them. What is not finite is left out and
    counted under the axis. A rule's suggestion is None where it finds none. The `chosen` rule is set off.
    """
    if chosen not in suggestions:
        raise ValueError(f"the chosen rule {chosen!r} is not among {', '.join(suggestions)}")
    lrs, losses, smoothed = (np.asarray(values, np.float64) for values in (lrs, losses, smoothed))
    colour = palette()
    figure, ax = one_panel(3.5 + 0.2 * len(suggestions))
    ax.plot(lrs, losses, color=colour.pale, linewidth=0.8, label="each batch")
    ax.plot(lrs, smoothed, color=colour.blue, linewidth=2.2, label="smoothed")
    ax.set_xscale("log")
    ax.set_xlim(lrs.min(), lrs.max())
    bottom, top = loss_limits(losses, smoothed)
    ax.set_ylim(bottom, top)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda lr, _: f"{lr:g}"))
    mark_rules(ax, {name: lr for name, lr in suggestions.items() if lr is not None}, chosen)
    chosen_lr = suggestions[chosen]
    if chosen_lr is not None:
        ax.plot(chosen_lr, np.interp(chosen_lr, lrs, smoothed), "o", color=colour.vermillion, markersize=7, zorder=5)
    notes = ["learning rate (log scale)"]
    finite = smoothed[np.isfinite(smoothed)]
    if len(finite) and finite.max() > top:
        notes.append(f"The smoothed loss goes on to {finite.max():.3g}, above this axis.")
    if bad := int((~np.isfinite(losses)).sum()):
        notes.append(f"Left out: {bad} non-finite loss{'es' if bad > 1 else ''}.")
    if silent := [name for name, lr in suggestions.items() if lr is None]:
        notes.append(f"No suggestion from: {', '.join(silent)}.")
    ax.set(xlabel="\n".join(wrap(note, width() - 0.6, 9) for note in notes), ylabel="training loss (cross-entropy)")
    ax.legend(loc="best", frameon=True, framealpha=0.85, edgecolor="none")
    return figure


@styled
def accuracy_by_peak(
    lrs: ArrayLike, accuracies: ArrayLike, suggestions: Mapping[str, float | None], chosen: str
) -> ReportFigure:
    """Draw the accuracy (P,) of trainings against their schedule's peak (P,), and the peak that each rule suggests.

    A rule's suggestion is None where it finds none. The `chosen` rule is set off.
    """
    lrs, percents = np.asarray(lrs, np.float64), 100 * np.asarray(accuracies, np.float64)
    known = {name: lr for name, lr in suggestions.items() if lr is not None}
    figure, ax = one_panel(3.0 + 0.2 * len(known))
    ax.plot(lrs, percents, color=palette().blue, marker="o")
    best = int(percents.argmax())
    for number, (lr, value) in enumerate(zip(lrs, percents, strict=True)):
        if is_narrow() and number not in (0, best, len(lrs) - 1):
            continue  # a phone has no room for all numbers
        weight = "bold" if number == best else "normal"
        halo = [withStroke(linewidth=3, foreground=palette().page)]
        ax.annotate(f"{value:.1f}", (lr, value), (0, -12), textcoords="offset points", ha="center", weight=weight,
                    zorder=5, path_effects=halo)  # fmt: skip
    ax.set_xscale("log")
    ax.set_xlim(0.8 * min([lrs.min(), *known.values()]), 1.25 * max([lrs.max(), *known.values()]))
    reach = float(np.ptp(percents)) or 1.0
    ax.set_ylim(percents.min() - 0.15 * reach, percents.max() + 0.08 * reach)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda lr, _: f"{lr:g}"))
    mark_rules(ax, known, chosen)
    ax.set(xlabel="peak of the learning rate (log scale)", ylabel="held-out images right (%)")
    return figure


@styled
def accuracy_by_factor(lines: Mapping[str, Sequence[tuple[ArrayLike, ArrayLike]]]) -> ReportFigure:
    """Draw the accuracy of trainings against their peak as a multiple of the divergence onset, each line's best marked.

    `lines` is setting -> (factors (F,), increasing, accuracies (F,)) of each seed. A setting has a colour.
    """
    figure, ax = one_panel(3.9 if is_narrow() else 3.2)
    ax.axvline(1, color=palette().grey, linewidth=1, linestyle=DASHED)
    every: set[float] = set()
    for colour, marker, (name, seeds) in zip(palette().cycle(), "osD^vPX", lines.items(), strict=False):
        for number, (factors, accuracies) in enumerate(seeds):
            x, percents = np.asarray(factors, np.float64), 100 * np.asarray(accuracies, np.float64)
            best = int(percents.argmax())
            ax.plot(x, percents, color=colour, marker=marker, markersize=4, label=None if number else name)
            ax.plot(x[best], percents[best], marker, color=colour, markersize=9)
            every |= {*x.tolist()}
    ticks = sorted(every)
    ax.set_xscale("log", base=2)
    ax.set_xticks(ticks, [f"{tick:g}" if tick >= 1 else f"1/{1 / tick:g}" for tick in ticks])
    ax.set(
        xlabel=wrap("peak of the learning rate ÷ divergence onset", width() - 0.8), ylabel="held-out images right (%)"
    )
    legend_outside(figure, ax, "outside upper center", columns=2)
    return figure


@styled
def lr_schedule(steps: ArrayLike, lrs: ArrayLike, epochs: float) -> ReportFigure:
    """Draw the learning rate (T,) over the `epochs` that the `steps`, int (T,) from 0, make up; mark its peak."""
    steps, lrs = np.asarray(steps, np.float64), np.asarray(lrs, np.float64)
    position = steps * epochs / (steps[-1] + 1)
    peak = int(lrs.argmax())
    figure, ax = one_panel(2.6)
    ax.plot(position, lrs, color=palette().blue, linewidth=2)
    ax.plot(position[peak], lrs[peak], "o", color=palette().vermillion)
    offset, side = (-9, "right") if position[peak] > 0.6 * epochs else (9, "left")
    ax.annotate(f"peak {lrs[peak]:.3g} at epoch {position[peak]:.1f}", (position[peak], lrs[peak]), xytext=(offset, 0),
                textcoords="offset points", ha=side, va="center")  # fmt: skip
    ax.set(xlabel="epochs trained", ylabel="learning rate", xlim=(0, epochs), ylim=(0, 1.12 * lrs[peak]))
    return figure

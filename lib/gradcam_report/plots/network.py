"""A diagram of the network: its stages as grids of cells over the image."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from .style import ReportFigure, is_narrow, one_panel, palette, styled

Stage = tuple[str, int, int]  # name, channels, cells of a side


def draw_grid(ax: Axes, left: float, bottom: float, cells: int) -> None:
    """Draw a square of side 1 that is divided into `cells` by `cells`."""
    ax.add_patch(Rectangle((left, bottom), 1, 1, facecolor=palette().page, edgecolor=palette().blue, linewidth=1.2))
    for line in np.arange(1, cells) / cells:
        ax.plot([left + line] * 2, [bottom, bottom + 1], color=palette().blue, linewidth=0.4)
        ax.plot([left, left + 1], [bottom + line] * 2, color=palette().blue, linewidth=0.4)


@styled
def network(stages: Sequence[Stage], outputs: int) -> ReportFigure:
    """Draw each stage as the grid of its cells, all grids over the same image, then the mean and the linear layer.

    `stages` go from the image to the last one; `outputs` is the number of logits.
    """
    count = len(stages)
    figure, ax = one_panel(0.75 * (count + 1) if is_narrow() else 1.75)
    ax.set_axis_off()
    ax.set_aspect("equal")
    arrow = {"arrowstyle": "->", "color": palette().ink, "linewidth": 1.1}
    for number, (name, channels, cells) in enumerate([*stages, ("linear", outputs, 0)]):
        shape = f"{channels} × {cells} × {cells}" if cells else f"{channels} logits"
        left, bottom = (0.0, -1.5 * number) if is_narrow() else (1.6 * number, 0.0)
        if cells:
            draw_grid(ax, left, bottom, cells)
            here, there = ((0.5, bottom), (0.5, bottom - 0.5)) if is_narrow() else ((left + 1, 0.5), (left + 1.6, 0.5))
            ax.annotate("", there, here, arrowprops=arrow | {"shrinkA": 1, "shrinkB": 1})
        if is_narrow():
            at = (1.25, bottom + 0.5) if cells else (0.0, bottom + 0.7)
            text = f"{name}\n{shape}" if cells else f"mean of the cells,\nlinear layer: {shape}"
            ax.text(*at, text, va="center")
        elif cells:
            ax.text(left + 0.5, 1.12, name, ha="center", weight="bold")
            ax.text(left + 0.5, -0.3, shape, ha="center")
        else:
            ax.text(left + 0.08, 0.5, f"mean,\nlinear,\n{shape}", va="center")
    ax.set_xlim(-0.1, 5.2 if is_narrow() else 1.6 * count + 1.0)
    ax.set_ylim(-1.5 * count - 0.1 if is_narrow() else -0.5, 1.1 if is_narrow() else 1.45)
    return figure

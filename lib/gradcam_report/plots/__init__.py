"""Figures of the report: each function takes results as arrays and draws them; nothing here computes a result.

A `ReportFigure` never enters pyplot's state: as a cell's last expression, or by `display(figure)`, it appears once.

    >>> from gradcam_report import plots
    >>> plots.curves(history)  # in a notebook: the figure is the cell's output
    >>> plots.curves(history).savefig("curves.png")
"""

from .analysis import agreement, neighbours, plane, reliability, selective
from .card import case_card
from .glance import at_a_glance
from .heatmaps import cam_grid, margin_maps, overlay
from .images import augmentations, class_samples, error_gallery, image_grid
from .scores import class_bars, class_counts, confidence_histogram, confusion
from .speed import accuracy_over_time, growth, rates, speedups
from .style import SCREEN_DPI, STYLE, ReportFigure, use_style
from .sweep import sweep_curves, sweep_results
from .training import SERIES, curves, lr_curve, peak_study, schedule
from .trust import forgetting, hiding, ratings
from .variants import race

__all__ = [
    "SCREEN_DPI",
    "SERIES",
    "STYLE",
    "ReportFigure",
    "accuracy_over_time",
    "agreement",
    "at_a_glance",
    "augmentations",
    "cam_grid",
    "case_card",
    "class_bars",
    "class_counts",
    "class_samples",
    "confidence_histogram",
    "confusion",
    "curves",
    "error_gallery",
    "forgetting",
    "growth",
    "hiding",
    "image_grid",
    "lr_curve",
    "margin_maps",
    "neighbours",
    "overlay",
    "peak_study",
    "plane",
    "race",
    "rates",
    "ratings",
    "reliability",
    "schedule",
    "selective",
    "speedups",
    "sweep_curves",
    "sweep_results",
    "use_style",
]

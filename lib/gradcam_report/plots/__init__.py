"""Figures of the report: each function takes results as arrays and draws them; nothing here computes a result.

A `ReportFigure` never enters pyplot's state: as a cell's last expression, or by `display(figure)`, it appears once.

    >>> from gradcam_report import plots
    >>> plots.curves(history)  # in a notebook: the figure is the cell's output
    >>> plots.curves(history).savefig("curves.png")
"""

from gradcam_report.plots.analysis import agreement, neighbours, plane, reliability, selective
from gradcam_report.plots.card import case_card
from gradcam_report.plots.glance import at_a_glance
from gradcam_report.plots.heatmaps import cam_grid, margin_maps, overlay
from gradcam_report.plots.images import augmentations, class_samples, error_gallery, error_title, image_grid
from gradcam_report.plots.scores import class_bars, class_counts, confidence_histogram, confusion
from gradcam_report.plots.speed import accuracy_over_time, growth, parts_of_step, rates, speedups
from gradcam_report.plots.style import SCREEN_DPI, STYLE, ReportFigure, percent, signed, use_style
from gradcam_report.plots.sweep import sweep_curves, sweep_results
from gradcam_report.plots.training import SERIES, curves, lr_curve, peak_study, schedule
from gradcam_report.plots.trust import forgetting, hiding, ratings
from gradcam_report.plots.variants import race

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
    "error_title",
    "forgetting",
    "growth",
    "hiding",
    "image_grid",
    "lr_curve",
    "margin_maps",
    "neighbours",
    "overlay",
    "parts_of_step",
    "peak_study",
    "percent",
    "plane",
    "race",
    "rates",
    "ratings",
    "reliability",
    "schedule",
    "selective",
    "signed",
    "speedups",
    "sweep_curves",
    "sweep_results",
    "use_style",
]

"""Figures of the report: each function takes results as arrays and draws them; nothing here computes a result.

A `ReportFigure` never enters pyplot's state: as a cell's last expression, or by `display(figure)`, it appears once.

    >>> from gradcam_report import plots
    >>> plots.curves(history)  # in a notebook: the figure is the cell's output
    >>> plots.curves(history).savefig("curves.png")
"""

from gradcam_report.plots.analysis import neighbours, plane, reliability, selective
from gradcam_report.plots.heatmaps import cam_grid, margin_maps, overlay
from gradcam_report.plots.images import augmentations, class_samples, error_gallery, error_title, image_grid
from gradcam_report.plots.scores import class_bars, class_counts, confidence_histogram, confusion
from gradcam_report.plots.speed import accuracy_over_time, rates
from gradcam_report.plots.style import STYLE, ReportFigure, use_style
from gradcam_report.plots.training import curves, lr_curve, schedule

__all__ = [
    "STYLE",
    "ReportFigure",
    "accuracy_over_time",
    "augmentations",
    "cam_grid",
    "class_bars",
    "class_counts",
    "class_samples",
    "confidence_histogram",
    "confusion",
    "curves",
    "error_gallery",
    "error_title",
    "image_grid",
    "lr_curve",
    "margin_maps",
    "neighbours",
    "overlay",
    "plane",
    "rates",
    "reliability",
    "schedule",
    "selective",
    "use_style",
]

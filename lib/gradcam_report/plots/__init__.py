"""Figures of the report: each function takes results as arrays and draws them; nothing here computes a result.

A `ReportFigure` never enters pyplot's state: as a cell's last expression, or by `display(figure)`, it appears once.

Images are uint8, 0-255, (N, 3, H, W) or (N, H, W, 3). Numbers are float arrays or lists: accuracies, confidences and
other shares are 0-1 and drawn in percent, learning rates are per step. A title of an image may have several lines.

    >>> from gradcam_report import plots
    >>> plots.training_curves(history)  # in a notebook: the figure is the cell's output
    >>> plots.training_curves(history).savefig("curves.png")
"""

from .benchmarks import accuracy_over_time, speedups, throughput, time_and_memory
from .cards import Card, case_card
from .classification import class_scores, embedding
from .confidence import human_agreement, reliability, selective_accuracy
from .faithfulness import deletion_insertion, mean_scores, model_randomization, verdict_matrix
from .glance import at_a_glance
from .heatmaps import cam_grid, favouring_cells, margin_maps, overlay, overlay_steps
from .images import augmentations, class_samples, image_grid, nearest_neighbours
from .learning_rate import accuracy_by_factor, accuracy_by_peak, lr_range_test, lr_schedule
from .network import network
from .style import ReportFigure, use_style
from .sweep import differences, sweep_curves, sweep_results
from .training import SERIES, loss_by_step, recipe_comparison, singular_values, training_curves

"""Figures of the report: each function takes results as arrays and draws them; nothing here computes a result.

A `ReportFigure` never enters pyplot's state: as a cell's last expression, or by `display(figure)`, it appears once.

    >>> from gradcam_report import plots
    >>> plots.training_curves(history)  # in a notebook: the figure is the cell's output
    >>> plots.training_curves(history).savefig("curves.png")
"""

from .benchmarks import accuracy_over_time as accuracy_over_time
from .benchmarks import speedups as speedups
from .benchmarks import throughput as throughput
from .benchmarks import time_and_memory as time_and_memory
from .cards import Card as Card
from .cards import case_card as case_card
from .classification import class_scores as class_scores
from .classification import embedding as embedding
from .confidence import human_agreement as human_agreement
from .confidence import reliability as reliability
from .confidence import selective_accuracy as selective_accuracy
from .faithfulness import deletion_insertion as deletion_insertion
from .faithfulness import mean_scores as mean_scores
from .faithfulness import model_randomization as model_randomization
from .faithfulness import verdict_matrix as verdict_matrix
from .glance import at_a_glance as at_a_glance
from .heatmaps import cam_grid as cam_grid
from .heatmaps import favouring_cells as favouring_cells
from .heatmaps import margin_maps as margin_maps
from .heatmaps import overlay as overlay
from .heatmaps import overlay_steps as overlay_steps
from .images import augmentations as augmentations
from .images import class_samples as class_samples
from .images import image_grid as image_grid
from .images import nearest_neighbours as nearest_neighbours
from .learning_rate import accuracy_by_peak as accuracy_by_peak
from .learning_rate import lr_range_test as lr_range_test
from .learning_rate import lr_schedule as lr_schedule
from .network import network as network
from .style import LOOKS as LOOKS
from .style import Look as Look
from .style import ReportFigure as ReportFigure
from .style import use_style as use_style
from .sweep import differences as differences
from .sweep import sweep_curves as sweep_curves
from .sweep import sweep_results as sweep_results
from .training import SERIES as SERIES
from .training import loss_by_step as loss_by_step
from .training import recipe_comparison as recipe_comparison
from .training import singular_values as singular_values
from .training import training_curves as training_curves

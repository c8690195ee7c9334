"""Trials of heat maps: many kinds of maps through one measurement, and what can be said of the outcome.

A *contender* is a kind of map, named like "Grad-CAM layer4"; the *baselines* know nothing of the network. Each trial
gives every contender a score per image, so that they are compared image by image.
"""

from .explainers import BASELINES, GRADIENT_METHODS, Maps, baselines, contenders
from .measures import Hiding, Scores, ground_truth, hiding, probability_of, randomisation, stability
from .shapes_model import PROBE_WIDTH, drawings, probe
from .significance import (
    LOWER_IS_BETTER,
    SAID,
    Rating,
    against_baselines,
    better,
    in_words,
    never_worse,
    rating,
    ratings,
    verdicts,
    winner,
    word,
)

__all__ = [
    "BASELINES",
    "GRADIENT_METHODS",
    "LOWER_IS_BETTER",
    "PROBE_WIDTH",
    "SAID",
    "Hiding",
    "Maps",
    "Rating",
    "Scores",
    "against_baselines",
    "baselines",
    "better",
    "contenders",
    "drawings",
    "ground_truth",
    "hiding",
    "in_words",
    "never_worse",
    "probability_of",
    "probe",
    "randomisation",
    "rating",
    "ratings",
    "stability",
    "verdicts",
    "winner",
    "word",
]

"""Intervals against scipy, and verdicts whose outcome is known."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from gradcam_report.faithfulness import significance


def scores(ours: float, centre: float) -> dict[str, np.ndarray]:
    noise = np.random.default_rng(0).normal(0, 0.01, 50)
    flat = {"edges": 0.1, "centre": centre, "random cells": 0.2, "random pixels": 0.2}
    return {"ours": ours + noise} | {name: np.full(50, value) for name, value in flat.items()}


def test_intervals_agree_with_scipys_bootstrap() -> None:
    values = np.random.default_rng(3).exponential(size=200)
    mean, low, high = significance.bootstrap(values, draws=5000)
    theirs = bootstrap((values,), np.mean, n_resamples=5000, method="percentile", rng=1).confidence_interval
    assert mean == pytest.approx(values.mean())
    assert (low, high) == (pytest.approx(theirs.low, abs=0.02), pytest.approx(theirs.high, abs=0.02))


def test_images_without_a_value_are_left_out() -> None:
    assert significance.bootstrap(np.array([1.0, np.nan, 1.0])) == (1, 1, 1)
    assert np.isnan(significance.bootstrap(np.array([np.nan]))).all()


@pytest.mark.parametrize(("ours", "up", "down"), [(0.9, "better", "worse"), (0.5, "no different", "worse")])
def test_verdicts_follow_the_direction_of_the_score(ours: float, up: str, down: str) -> None:
    given = scores(ours, 0.5)
    assert significance.best_baseline(given) == "centre"
    assert significance.best_baseline(given, lower_is_better=True) == "edges"
    for lower, expected in ((False, up), (True, down)):
        assert significance.verdict(significance.against_baselines(given, lower)["ours"]) == expected
    table = significance.verdicts({"overlap": given, "deletion": given})
    assert table == {"ours": {"overlap": up, "deletion": down}}


def test_an_explainer_without_a_score_gets_no_verdict() -> None:
    table = significance.verdicts({"overlap": scores(0.9, 0.5) | {"late": np.ones(50)}, "energy": scores(0.9, 0.5)})
    assert table["late"] == {"overlap": "better", "energy": ""}
    assert significance.always_better(table, ["overlap"]) == ["ours", "late"]
    assert significance.always_better(table, ["overlap", "energy"]) == ["ours"]

"""Intervals against scipy, and verdicts whose outcome is known."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from gradcam_report.faithfulness import significance
from gradcam_report.faithfulness.significance import Tally


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


def test_a_baseline_is_judged_by_the_images_that_it_has_a_value_for() -> None:
    given = scores(0.9, 0.5)
    given["centre"][0] = np.nan
    given["edges"][:] = np.nan  # the first one, which a comparison with nan would keep
    assert significance.best_baseline(given) == "centre"
    assert significance.best_baseline(given, lower_is_better=True) in ("random cells", "random pixels")


@pytest.mark.parametrize(("ours", "up", "down"), [(0.9, "better", "worse"), (0.5, "no different", "worse")])
def test_verdicts_follow_the_direction_of_the_score(ours: float, up: str, down: str) -> None:
    given = scores(ours, 0.5)
    assert significance.best_baseline(given) == "centre"
    assert significance.best_baseline(given, lower_is_better=True) == "edges"
    for lower, expected in ((False, up), (True, down)):
        assert significance.verdict(significance.against_baselines(given, lower)["ours"]) == expected
    table = significance.verdicts({"overlap": given, "deletion": given})
    assert table == {"ours": {"overlap": up, "deletion": down}}
    named = significance.verdicts({"overlap": given, "deletion": given}, baseline="random cells")
    assert named == {"ours": {"overlap": "better", "deletion": "worse"}}


def test_an_explainer_without_a_score_gets_no_verdict() -> None:
    table = significance.verdicts({"overlap": scores(0.9, 0.5) | {"late": np.ones(50)}, "energy": scores(0.9, 0.5)})
    assert table["late"] == {"overlap": "better", "energy": ""}
    assert significance.always_better(table, ["overlap"]) == ["ours", "late"]
    assert significance.always_better(table, ["overlap", "energy"]) == ["ours"]


def test_the_recommended_explainer_loses_least_then_wins_most_among_those_with_every_score() -> None:
    table = {
        "loses": {"a": "worse", "b": "worse", "c": "better"},
        "level": {"a": "no different", "b": "worse", "c": "no different"},
        "wins": {"a": "worse", "b": "better", "c": "no different"},
        "untried": {"a": "better", "b": "", "c": ""},
    }
    counts = significance.tallies(table)
    assert counts == {
        "loses": Tally(1, 2, 0),
        "level": Tally(0, 1, 2),
        "wins": Tally(1, 1, 1),
        "untried": Tally(1, 0, 0),
    }
    assert [tally.scores for tally in counts.values()] == [3, 3, 3, 1]
    assert significance.recommended(counts) == "wins"
    assert significance.recommended({n: counts[n] for n in ("loses", "untried")}) == "loses"


@pytest.mark.parametrize(
    ("wins_and_losses", "expected"),
    [([(7, 0), (4, 3)], "yes"), ([(0, 7), (4, 3)], "partly"), ([(0, 7), (2, 2)], "partly"), ([(0, 7), (2, 3)], "no")],
)
def test_the_answer_is_yes_if_every_layer_wins_more_than_it_loses_no_if_every_layer_loses_more(
    wins_and_losses: list[tuple[int, int]], expected: str
) -> None:
    assert significance.answer(Tally(*both, 7 - sum(both)) for both in wins_and_losses) == expected

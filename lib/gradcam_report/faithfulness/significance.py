"""What the scores say: means with their intervals, and which explainers are better or worse than the best baseline."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .baselines import BASELINES
from .experiments import Scores

LOWER_IS_BETTER = ("deletion", "drop")
Verdict = Literal["better", "worse", "no different", ""]  # "" where an explainer has no score
Verdicts = Mapping[str, Mapping[str, Verdict]]  # explainer -> metric -> `verdict`


class Interval(NamedTuple):
    """A mean and the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Tally:
    """In how many scores an explainer is better than the best baseline, worse, or no different."""

    better: int
    worse: int
    no_different: int

    @property
    def scores(self) -> int:
        """The number of scores."""
        return self.better + self.worse + self.no_different


def bootstrap(values: NDArray[np.float64], draws: int = 2000) -> Interval:
    """Return the mean of float (N,) and its 95 % interval over resampled images.

    The percentile bootstrap (Efron & Tibshirani 1993) of `draws` samples, always drawn from the same seed: equal values
    have equal intervals. Images without a value (nan) are left out; the result is nan where none is left.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return Interval(np.nan, np.nan, np.nan)
    random = np.random.default_rng(0)
    means = [values[random.integers(len(values), size=len(values))].mean() for _ in range(draws)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


def intervals(scores: Scores, draws: int = 2000) -> dict[str, Interval]:
    """Return the `bootstrap` of each explainer's and baseline's scores."""
    return {name: bootstrap(values, draws) for name, values in scores.items()}


def best_baseline(scores: Scores, lower_is_better: bool = False) -> str:
    """Return the baseline with the best mean score; images without a value (nan) are left out, as by `bootstrap`."""
    sign = -1 if lower_is_better else 1
    finite = {name: scores[name][np.isfinite(scores[name])] for name in BASELINES}
    return max(BASELINES, key=lambda name: sign * finite[name].mean() if len(finite[name]) else -np.inf)


def _explainers(scores: Scores) -> list[str]:
    return [name for name in scores if name not in BASELINES]


def against_baselines(
    scores: Scores, lower_is_better: bool = False, draws: int = 2000, baseline: str | None = None
) -> dict[str, Interval]:
    """Return by how much each explainer beats a baseline, as a mean difference with its 95 % interval.

    The baseline is the best one if none is named. Differences are taken image by image; above 0 is better, whichever
    way the score goes.
    """
    sign, against = -1 if lower_is_better else 1, scores[baseline or best_baseline(scores, lower_is_better)]
    return {name: bootstrap(sign * (scores[name] - against), draws) for name in _explainers(scores)}


def verdict(difference: Interval) -> Verdict:
    """Return "better", "worse" or, where the interval of a difference holds 0, "no different"."""
    return "better" if difference.low > 0 else "worse" if difference.high < 0 else "no different"


def verdicts(
    results: Mapping[str, Scores], draws: int = 2000, baseline: str | None = None
) -> dict[str, dict[str, Verdict]]:
    """Return explainer -> metric -> `verdict` against a baseline, or the metric's best; "" where it has no score."""
    by_metric: dict[str, dict[str, Verdict]] = {}
    for metric, scores in results.items():
        differences = against_baselines(scores, metric in LOWER_IS_BETTER, draws, baseline)
        by_metric[metric] = {name: verdict(difference) for name, difference in differences.items()}
    names = dict.fromkeys(name for words in by_metric.values() for name in words)
    return {name: {metric: words.get(name, "") for metric, words in by_metric.items()} for name in names}


def tallies(table: Verdicts) -> dict[str, Tally]:
    """Count the verdicts of each explainer."""
    words = {name: list(by_metric.values()) for name, by_metric in table.items()}
    return {n: Tally(w.count("better"), w.count("worse"), w.count("no different")) for n, w in words.items()}


def recommended(counts: Mapping[str, Tally]) -> str:
    """Return the explainer that is worse than the best baseline in the fewest scores, in a tie better in the most.

    Only explainers that have every score are compared; the first one wins what is still a tie.
    """
    most = max(tally.scores for tally in counts.values())
    complete = [name for name, tally in counts.items() if tally.scores == most]
    return min(complete, key=lambda name: (counts[name].worse, -counts[name].better))


def answer(layers: Iterable[Tally]) -> Literal["yes", "partly", "no"]:
    """Answer whether the maps of a method's layers can stand beside maps that never look at the network.

    "yes": every layer is better than the best baseline in more scores than it is worse; "no": every layer is worse in
    more scores than it is better; "partly": neither.
    """
    leads = [tally.better - tally.worse for tally in layers]
    return "yes" if min(leads) > 0 else "no" if max(leads) < 0 else "partly"


def always_better(table: Verdicts, metrics: Sequence[str]) -> list[str]:
    """Return the explainers of a table of `verdicts` that are better than the best baseline by all of `metrics`."""
    return [name for name, by_metric in table.items() if all(by_metric[metric] == "better" for metric in metrics)]

"""What can be said of the scores: means with their intervals, and better or worse than the best baseline."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .explainers import BASELINES
from .measures import Scores

LOWER_IS_BETTER = ("deletion", "drop")
SAID = {"better": "better than", "worse": "worse than", "no different": "not to be told apart from"}
"""What `word` says, for a sentence."""
Rating = tuple[float, float, float]  # a mean and its 95 % interval


def rating(values: NDArray[np.float64], draws: int = 2000) -> Rating:
    """(mean, low, high): the mean of float (N,) and its 95 % interval over images drawn anew with replacement.

    The percentile bootstrap (Efron & Tibshirani 1993). Images without a value (nan) are left out; all nan where none
    is left.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return np.nan, np.nan, np.nan
    random = np.random.default_rng(0)
    means = [values[random.integers(len(values), size=len(values))].mean() for _ in range(draws)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def ratings(scores: Mapping[str, NDArray[np.float64]], draws: int = 2000) -> dict[str, Rating]:
    """`rating` of each contender."""
    return {name: rating(values, draws) for name, values in scores.items()}


def against_baselines(
    scores: Mapping[str, NDArray[np.float64]], lower_is_better: bool = False, draws: int = 2000
) -> tuple[str, dict[str, Rating]]:
    """(the best baseline, by how much each other contender beats it: mean difference with its 95 % interval).

    Differences are taken image by image; above 0 is better, whichever way the score goes.
    """
    sign = -1 if lower_is_better else 1
    best = max(BASELINES, key=lambda name: float(np.mean(sign * scores[name])))
    others = (name for name in scores if name not in BASELINES)
    return best, {name: rating(sign * (scores[name] - scores[best]), draws) for name in others}


def word(difference: Rating) -> str:
    """ "better", "worse" or, where the interval holds 0, "no different"."""
    _, low, high = difference
    return "better" if low > 0 else "worse" if high < 0 else "no different"


def verdicts(results: Mapping[str, Scores], draws: int = 2000) -> dict[str, dict[str, str]]:
    """Contender -> trial -> `word` against the trial's best baseline; "" where the contender was not in the trial."""
    found = {
        trial: {n: word(d) for n, d in against_baselines(scores, trial in LOWER_IS_BETTER, draws)[1].items()}
        for trial, scores in results.items()
    }
    names = dict.fromkeys(name for words in found.values() for name in words)
    return {name: {trial: words.get(name, "") for trial, words in found.items()} for name in names}


def winner(scores: Scores, lower_is_better: bool = False) -> str:
    """The contender with the best mean that is no baseline."""
    sign = -1 if lower_is_better else 1
    return max((n for n in scores if n not in BASELINES), key=lambda name: float(np.mean(sign * scores[name])))


def in_words(results: Mapping[str, Scores], draws: int = 2000) -> list[str]:
    """For each trial a sentence: which kind of map did best, how it compares with the best baseline."""
    sentences = []
    for trial, scores in results.items():
        lower = trial in LOWER_IS_BETTER
        first = winner(scores, lower)
        base, differences = against_baselines(scores, lower, draws)
        sentences.append(
            f"**{trial}**: {first} does best with {np.mean(scores[first]):.3f}, and is "
            f"{SAID[word(differences[first])]} the best baseline, {base}, with {np.mean(scores[base]):.3f}."
        )
    return sentences


def better(table: Mapping[str, Mapping[str, str]], scores: Sequence[str]) -> list[str]:
    """Contenders of a table of `verdicts` that are better than the best baseline in every one of `scores`."""
    return [name for name, words in table.items() if all(words[score] == "better" for score in scores)]


def never_worse(table: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Contenders of a table of `verdicts` that were in every trial and worse than the best baseline in none."""
    return [name for name, words in table.items() if all(words.values()) and "worse" not in words.values()]

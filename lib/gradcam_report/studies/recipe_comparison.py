"""Trainings of other recipes at the published run's full length: what became of what short trainings promised."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..analysis import predictions
from ..config import PUBLISHED, PUBLISHED_VARIANTS, ReportError, project_root, short
from ..formatting import signed
from ..runs import folder as run_folder
from ..runs import io
from ..runs.records import Metrics, RangeTestRecord, Recipe


@dataclass(frozen=True)
class Variant:
    """A training: the parameters in which it differs from the published one, none for that one itself.

    `accuracy` float64 (E,), 0-1, is that of the test images after each epoch.
    """

    changes: dict[str, Any]
    metrics: Metrics
    accuracy: np.ndarray
    predictions: predictions.Predictions

    @property
    def name(self) -> str:
        """The changes in words, or "as published"."""
        return in_words(self.changes) or "as published"

    @property
    def wrong(self) -> set[int]:
        """The test images, by number, that it gets wrong."""
        return set(self.predictions.indices[self.predictions.wrong].tolist())


def load() -> list[Variant]:
    """The published training, and those in artifacts/variants, by folder; nothing where nothing is published.

    Raises `ReportError` for a folder that holds no results, or those of other images or of another length.
    """
    published = run_folder.RunFolder(PUBLISHED)
    if not (published / "run.json").exists():
        return []
    recipe = published.run().parameters
    base = _read(published, recipe)
    found = [base]
    for folder in _folders():
        other = _read(folder, recipe)
        same_images = np.array_equal(other.predictions.indices, base.predictions.indices)
        if not other.changes or not same_images or len(other.accuracy) != len(base.accuracy):
            raise ReportError(
                f"{folder.name} is no variant of {PUBLISHED}: it has the same parameters, other test images or another "
                "number of epochs; move it elsewhere."
            )
        found.append(other)
    return found


def in_words(changes: Mapping[str, Any]) -> str:
    """Parameters and their values: "sgd_lr_factor 0.25, cutout 0"."""
    return ", ".join(f"{name} {short(value)}" for name, value in changes.items())


def _folders() -> list[run_folder.RunFolder]:
    return [
        run_folder.RunFolder(path.parent) for path in sorted(project_root().glob(f"{PUBLISHED_VARIANTS}/*/run.json"))
    ]


def _changed(own: Recipe, base: Recipe) -> dict[str, Any]:
    return {name: value for name, value in own if getattr(base, name) != value}


def _read(folder: run_folder.RunFolder, base: Recipe) -> Variant:
    changes = _changed(folder.run().parameters, base)
    history = io.read_table(folder.need("history.csv", "training"))
    return Variant(changes, folder.metrics(), history["test_accuracy"], predictions.load(folder))


def onsets_in_words() -> str:
    """The divergence onset that a range test found for each variant, for prose: "sgd_lr_factor 0.25: 0.152"."""
    base = run_folder.RunFolder(PUBLISHED).record(RangeTestRecord)
    found = []
    for folder in _folders():
        record = folder.record(RangeTestRecord)
        if base and record:
            changes = _changed(record.parameters, base.parameters)
            found.append(f"{in_words(changes)}: {f'{record.onset:.3g}' if record.onset else 'not found'}")
    return "; ".join(found) or "(no other recipe was tested)"


def rows(found: list[Variant]) -> list[list[str]]:
    """Rows of a table: training, test accuracy in three ways, cross-entropy, errors, of them shared with the first."""
    return [
        [
            one.name,
            *(f"{100 * getattr(one.metrics, f'test_accuracy{way}'):.2f} %" for way in ("", "_flip", "_crops")),
            f"{one.metrics.test_loss:.4f}",
            str(len(one.wrong)),
            str(len(one.wrong & found[0].wrong)) if one is not found[0] else "",
        ]
        for one in found
    ]


def paired_error(found: list[Variant]) -> float:
    """The standard error of how far the first variant is ahead of the published training, see `lead_in_words`; 0-1."""
    base, other = found[:2]
    return len(base.wrong ^ other.wrong) ** 0.5 / base.metrics.test_images


def lead_in_words(found: list[Variant]) -> dict[str, str]:
    """How far the first variant is ahead of the published training, for prose: in the first quarter and at the end.

    Also two standard errors of the difference at the end, for the choice of test images, on which both are judged:
    sqrt(b + c) / n, where b images are wrong for the one network only and c for the other. In points of test accuracy.
    """
    names = [f"variant{end}" for end in ("", "_early", "_end", "_error", "_verdict", "_shared", "_own")]
    if len(found) < 2:
        return dict.fromkeys(names, "(no other recipe was trained)")
    base, other = found[:2]
    lead = 100 * (other.accuracy - base.accuracy)
    quarter = max(1, len(lead) // 4)
    error = 200 * paired_error(found)
    verdict = "can be chance" if abs(lead[-1]) <= error else "is more than the choice of test images explains"
    shared = base.wrong & other.wrong
    early, end = signed(lead[:quarter].mean()), signed(lead[-1])
    counts = (str(len(shared)), str(len(base.wrong - shared)))
    return dict(zip(names, (other.name, early, end, f"{error:.2f}", verdict, *counts), strict=True))

"""Predictions made up for tests, and another seed of the run `runs/six`."""

from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from gradcam_report.analysis.predictions import Predictions
from gradcam_report.runs import io

CLASSES = 4
classes = st.integers(0, CLASSES - 1)


def predictions(logits, labels, indices=None) -> Predictions:
    indices = np.arange(len(labels)) if indices is None else np.array(indices)
    return Predictions(np.array(logits, dtype=np.float32), np.array(labels, dtype=np.int64), indices)


def another_seed(folder: Path, seed: int, **changed: object) -> None:
    """Add a training of another seed to a run's folder; it makes the last three of the run's six errors."""
    record, stored = io.read_json(folder / "run.json"), io.read_arrays(folder / "predictions.npz")
    logits = stored["logits"].copy()
    logits[[2, 5, 11]] = 3 * np.eye(10, dtype=np.float32)[stored["labels"][[2, 5, 11]]]
    arrays = {"logits": logits, "labels": stored["labels"], "indices": stored["indices"]}
    order = np.random.default_rng(seed).permutation(len(logits))
    io.write_arrays(folder / f"seed-{seed}/predictions.npz", **{name: a[order] for name, a in arrays.items()})
    record["parameters"] |= {"seed": seed, **changed}
    io.write_json(folder / f"seed-{seed}/run.json", record)

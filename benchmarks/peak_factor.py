"""How the best one-cycle peak relates to the range test's divergence onset, for a network of half the width.

    python benchmarks/peak_factor.py        # {Muon, SGD} x batches of {128, 500} x two seeds

For each setting: a range test of 400 iterations up to a rate of 1, or of 10 where no divergence onset shows by 1. Then
short trainings whose peak is a multiple of the onset, until the best has a worse neighbour on both sides. Held-out
training images judge them; the test set is not read. Results go to benchmarks/peak_factor.json, a part at a time: what
is there is not computed again.
"""

import argparse
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import start

from gradcam_report import model
from gradcam_report.analysis.calibration import cross_entropy, fit_temperature
from gradcam_report.config import DataConfig, RangeTestConfig, TrainingParams
from gradcam_report.data import augmentation, datasets
from gradcam_report.runs import io
from gradcam_report.runs.provenance import current_commit
from gradcam_report.training.device import keep_memory, resolve
from gradcam_report.training.evaluation import predict, score
from gradcam_report.training.lr_range_test import range_test
from gradcam_report.training.lr_rules import suggestions
from gradcam_report.training.optimizer import build_optimizer
from gradcam_report.training.trainer import Diverged, Trainer, TrainingSettings

OUT = Path(__file__).parent / "peak_factor.json"
WIDTH, FACTORS, ITERATIONS, END_LR, EPOCHS, TRAIN_SIZE, VAL_SIZE = 32, (1.0, 2.0, 4.0), 400, 1.0, 5, 10_000, 5_000
PROTOCOL = {
    "width": WIDTH, "factors": list(FACTORS), "iterations": ITERATIONS, "epochs": EPOCHS, "train_size": TRAIN_SIZE,
    "val_size": VAL_SIZE, "range_test_train_size": 45_000,
}  # fmt: skip
Setting = dict[str, Any]  # optimizer, batch_size, seed


def stored(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any] | None:
    """The row of the results that has the wanted values."""
    return next((row for row in rows if all(row[name] == value for name, value in wanted.items())), None)


def measure_range(setting: Setting, images: datasets.Dataset, end_lr: float) -> dict[str, Any]:
    """A range test of one setting up to `end_lr`, with its curve."""
    params = TrainingParams.parse({k: v for k, v in setting.items() if k != "seed"})
    config, device = RangeTestConfig(iterations=ITERATIONS, end_lr=end_lr), resolve("auto", params.optim.precision)
    net = device.place(model.build(setting["seed"], 10, WIDTH))
    optimizer = build_optimizer(net, params.optim, device, lr=config.start_lr)
    epochs = range(ITERATIONS * setting["batch_size"] // len(images.train) + 1)
    batches = (
        batch
        for epoch in epochs
        for batch in augmentation.batches(
            images.train, setting["batch_size"], params.augment, images.normalizer, setting["seed"], epoch
        )
    )
    began = time.perf_counter()
    test = range_test(net, optimizer, batches, config, device, params.optim.label_smoothing)
    return {
        **setting, "range_test": config.model_dump(), "ended": test.ended,
        "suggestions": suggestions(test.lrs, test.losses, config.smoothing),
        "lrs": [float(f"{lr:.6g}") for lr in test.lrs],
        "losses": [float(f"{loss:.5g}") if math.isfinite(loss) else None for loss in test.losses],
        "seconds": round(time.perf_counter() - began, 1), "compute": device.describe(), "commit": current_commit(),
    }  # fmt: skip


def train(setting: Setting, factor: float, onset: float, images: datasets.Dataset) -> dict[str, Any]:
    """A short training whose peak is `factor` times the onset, with its scores on the held-out images."""
    params = TrainingParams.parse({k: v for k, v in setting.items() if k != "seed"} | {"epochs": EPOCHS})
    device = resolve("auto", params.optim.precision)
    schedule = params.schedule.model_copy(update={"max_lr": factor * onset})
    recipe = TrainingSettings(params.augment, params.optim, schedule, setting["seed"])
    trainer, began = Trainer(images, recipe, device, WIDTH), time.perf_counter()
    scores: dict[str, Any] = dict.fromkeys(("val_accuracy", "val_loss", "val_loss_scaled", "temperature"))
    try:
        for trainer.epoch in range(EPOCHS):
            row = trainer.train_epoch(trainer.batches())
        logits, labels = predict(trainer.net, images.val, images.normalizer, device.exact), images.val.labels
        loss, accuracy = score(logits, labels)
        if math.isfinite(loss):
            temperature = fit_temperature(logits.numpy(), labels.numpy())
            scaled = cross_entropy(logits.numpy() / temperature, labels.numpy())
            scores = {"val_accuracy": accuracy, "val_loss": loss, "val_loss_scaled": scaled, "temperature": temperature}
            scores["train_loss"] = row["train_loss"]
    except Diverged:
        pass  # a result too: its scores are None
    return {
        **setting, "factor": factor, "max_lr": factor * onset, **scores,
        "seconds": round(time.perf_counter() - began, 1), "compute": device.describe(), "commit": current_commit(),
    }  # fmt: skip


def next_factor(accuracies: dict[float, float]) -> float | None:
    """The factor to try next: beyond the best one where that is the smallest or largest, None where it is neither."""
    best = max(accuracies, key=lambda factor: accuracies[factor])
    if best == min(accuracies):
        return best / 2 if best > 1 / 16 else None
    if best == max(accuracies):
        return best * 2 if best < 64 else None
    return None


def main() -> None:
    """Measure what the results file does not hold yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    results: dict[str, Any] = {"protocol": PROTOCOL, "range_tests": [], "trainings": []}
    if out.exists():
        results = io.read_json(out)
    few, many = (datasets.load(DataConfig(train_size=size, val_size=VAL_SIZE, test_size=1)) for size in (TRAIN_SIZE, 0))
    for seed, batch_size, optimizer in np.ndindex(2, 2, 2):
        setting = {
            "optimizer": ("muon", "sgd")[optimizer], "batch_size": (128, 500)[batch_size], "seed": seed,
        }  # fmt: skip
        with keep_memory():
            test = stored(results["range_tests"], **setting)
            while not (test and (onset := test["suggestions"]["divergence onset"])):
                end_lr = 10 * test["range_test"]["end_lr"] if test else END_LR
                results["range_tests"] = [row for row in results["range_tests"] if row is not test]
                test = measure_range(setting, many, end_lr)
                results["range_tests"].append(test)
                io.write_json(out, results)
            accuracies: dict[float, float] = {}
            factors = list(FACTORS)
            while factors:
                factor = factors.pop(0)
                row = stored(results["trainings"], **setting, factor=factor)
                if row is None:
                    row = train(setting, factor, onset, few)
                    results["trainings"].append(row)
                    io.write_json(out, results)
                accuracies[factor] = row["val_accuracy"] or 0.0
                print(setting, f"{factor:g} times {onset:.3g}: {100 * accuracies[factor]:.1f} %", flush=True)
                if not factors and (further := next_factor(accuracies)):
                    factors = [further]


if __name__ == "__main__":
    start("peak_factor", main)

"""Short trainings that differ in one thing, judged on images held out of the training set; the test set is not read.

    python benchmarks/study.py max_lr                    # accuracy against the peak of the learning rate
    python benchmarks/study.py ablation --seeds 3        # the recipe with one ingredient changed at a time
    python benchmarks/study.py ablation --train-size 0 --epochs 20 --seeds 3        # the same at full length, on a GPU

Results go to benchmarks/<study>.json, a point at a time: what is there is not trained again, so an interrupted study
goes on where it was. Points of another length or recipe need another file (--out).
"""

import contextlib
import itertools
import math
import time
from pathlib import Path
from typing import Any

from common import arguments, start
from ingredients import INGREDIENTS
from tqdm import tqdm

from gradcam_report.config import DataConfig, ReportError, TrainingParams
from gradcam_report.data import datasets
from gradcam_report.runs import io
from gradcam_report.runs.folder import difference
from gradcam_report.runs.provenance import current_commit, provenance
from gradcam_report.training.device import keep_memory, resolve
from gradcam_report.training.evaluation import predict, score
from gradcam_report.training.trainer import Diverged, Trainer, TrainingSettings

# Each point: its name and the parameters in which it differs from the published recipe, or an ingredient not in it.
STUDIES: dict[str, dict[str, dict[str, Any]]] = {
    # From below what the rules of the range test suggest up to where nothing is learnt.
    "max_lr": {f"{0.0125 * 2.0**step:g}": {"max_lr": 0.0125 * 2.0**step} for step in range(-3, 8)},
    "ablation": {
        "the recipe": {},
        "SGD instead of Muon, peak 0.2": {"optimizer": "sgd", "max_lr": 0.2},
        "SGD instead of Muon, peak 0.1": {"optimizer": "sgd", "max_lr": 0.1},
        "SGD instead of Muon, peak 0.05": {"optimizer": "sgd", "max_lr": 0.05},
        "SGD's part at 8 times Muon's rate": {"sgd_lr_factor": 8.0},
        "SGD's part at Muon's rate": {"sgd_lr_factor": 1.0},
        "SGD's part at half of Muon's rate": {"sgd_lr_factor": 0.5},
        "SGD's part at a quarter of Muon's rate": {"sgd_lr_factor": 0.25},
        "no cutout": {"cutout": 0},
        "no label smoothing": {"label_smoothing": 0.0},
        "random instead of alternating horizontal flip": {"flip": "random"},
        "no horizontal flip": {"flip": "none"},
        "no crop": {"crop_padding": 0},
        "warm-up of 5 % instead of 20 %": {"warmup": 0.05},
        "a whitening first layer that is not trained": {"ingredient": "whitening"},
        "Lookahead": {"ingredient": "lookahead"},
        "label smoothing of 0.2 instead of 0.1": {"label_smoothing": 0.2},
        "BatchNorm biases at 8 times the rate": {"ingredient": "quick shifts"},
        "cutout of 12 pixels instead of 8": {"cutout": 12},
    },
}


def train_point(
    dataset: datasets.Dataset, changes: dict[str, Any], seed: int, epochs: int, device_name: str
) -> dict[str, Any]:
    """Train one point and judge it on the validation images, in the weights' last state and fp32.

    A training whose loss does not stay finite is a result too: its scores are None.
    """
    params = TrainingParams.parse({k: v for k, v in changes.items() if k != "ingredient"} | {"epochs": epochs})
    device = resolve(device_name, params.optim.precision)
    trainer = Trainer(dataset, TrainingSettings(params.augment, params.optim, params.schedule, seed), device)
    if device.compiles:
        trainer.compile()
    if "ingredient" in changes:
        INGREDIENTS[changes["ingredient"]](trainer)
    scores: dict[str, Any] = dict.fromkeys(("val_loss", "val_accuracy", "train_loss", "train_accuracy"))
    started = time.perf_counter()
    with keep_memory(), contextlib.suppress(Diverged):
        for trainer.epoch in tqdm(range(epochs), unit="epoch", leave=False):
            row = trainer.train_epoch(trainer.batches())
        val = trainer.data.val
        loss, accuracy = score(predict(trainer.net, val, dataset.normalizer, device.exact), val.labels)
        if math.isfinite(loss):  # the last step may have spoiled it
            scores |= {"val_loss": loss, "val_accuracy": accuracy}
            scores |= {name: row[name] for name in ("train_loss", "train_accuracy")}
    return scores | {"seconds": round(time.perf_counter() - started, 1), "compute": device.describe()}


def stored(path: Path, protocol: dict[str, Any]) -> dict[str, Any]:
    """The results so far; raises `ReportError` when the file is of another length or recipe."""
    params = TrainingParams()
    recipe = params.augment.model_dump() | params.optim.model_dump() | params.schedule.model_dump(exclude={"epochs"})
    if not path.exists():
        return {"protocol": protocol, "recipe": recipe, "points": []}
    results = io.read_json(path)
    results["recipe"] = {**recipe, **results["recipe"]}  # a parameter that is newer than the file had its default
    for what, now in (("protocol", protocol), ("recipe", recipe)):
        if results[what] != now:
            raise ReportError(f"{path} is of another {what} ({difference(results[what], now)}); use another --out.")
    return results


def main() -> None:
    """Train the points of a study that its file does not hold yet."""
    parser = arguments(
        __doc__,
        dataset=("cifar10", "or shapes"),
        train_size=(10_000, "images; 0 is all but the validation images"),
        val_size=(5_000, "images held out to judge by"),
        epochs=(5, "of each training"),
        seeds=(1, "of each point"),
    )
    parser.add_argument("study", choices=list(STUDIES))
    parser.set_defaults(out=None)
    args = parser.parse_args()
    out = args.out or Path(__file__).with_name(f"{args.study}.json")
    protocol = {name: getattr(args, name) for name in ("dataset", "train_size", "val_size", "epochs")}
    results, commit = stored(out, protocol), current_commit()
    # The split is drawn by one seed, so that all points are judged on the same images.
    sizes = {"train_size": args.train_size, "val_size": args.val_size, "test_size": 1}
    dataset = datasets.load(DataConfig(dataset=args.dataset, seed=0, **sizes))
    done = {(point["name"], point["seed"]) for point in results["points"]}
    for seed, (name, changes) in itertools.product(range(args.seeds), STUDIES[args.study].items()):
        if (name, seed) in done:
            continue
        point = train_point(dataset, changes, seed, args.epochs, args.device)
        results["points"].append({"name": name, "changes": changes, "seed": seed, "commit": commit} | point)
        total = sum(p["seconds"] for p in results["points"])
        results["provenance"] = provenance(point["compute"], dataset.source, total, commit)
        io.write_json(out, results)
        accuracy = point["val_accuracy"]
        result = "diverged" if accuracy is None else f"{100 * accuracy:.2f} %"
        print(f"{name}, seed {seed}: {result} in {point['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    start("study", main)

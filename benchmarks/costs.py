"""What the rest costs besides training, evaluating and explaining, and how time and memory grow, in one run.

    python benchmarks/costs.py                # adds "costs" and "growth" to benchmarks/results.json

Costs: augmenting against torchvision's transforms, a step of the range test against a training step, the command's
`--help` against starting Python, building the site, and what papermill adds to each executed chapter. Growth: one
process for each point, so that its peak of memory is its own. No data set is needed: the images are drawn ones.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import torch
from common import RESULTS, add, in_turns, output, peak_memory, ratio, results, seconds, spread, start, timed
from torch import Tensor, nn
from torchvision import transforms

from gradcam_report import model
from gradcam_report.config import (
    CHAPTERS,
    LAYERS,
    AugmentConfig,
    DataConfig,
    OptimConfig,
    RangeTestConfig,
    project_root,
)
from gradcam_report.data import augmentation, datasets
from gradcam_report.explain import cam
from gradcam_report.runs.provenance import current_commit, provenance
from gradcam_report.training import lr_range_test
from gradcam_report.training import optimizer as optim
from gradcam_report.training.compiling import compiled
from gradcam_report.training.device import keep_memory, resolve
from gradcam_report.training.schedule import OneCycle
from gradcam_report.training.trainer import train_epoch

# What is varied, its values, and what stays: images in a batch when training; images and classes when explaining.
GROWTH: dict[str, list[dict[str, int]]] = {
    "training, images in a batch": [{"batch": size} for size in (32, 128, 512)],
    "explaining, images": [{"images": count, "classes": 2} for count in (16, 64, 256)],
    "explaining, classes of 64 images": [{"images": 64, "classes": count} for count in (1, 2, 5, 10)],
}


def dataset(images: int) -> datasets.Dataset:
    """Drawn images."""
    return datasets.load(DataConfig(dataset="shapes", train_size=images, test_size=16))


def augmenting(images: int, device: torch.device) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """(this report's way, torchvision's way) to make normalised and augmented tensors of that many images."""
    drawn, config = dataset(images).to(device), AugmentConfig()
    torchvisions = transforms.Compose([
        transforms.ToPILImage(), transforms.RandomCrop(32, padding=4, padding_mode="reflect"),
        transforms.RandomHorizontalFlip(), transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.2,) * 3),
        transforms.RandomErasing(1.0, (1 / 16, 1 / 16), (1.0, 1.0)),
    ])  # fmt: skip

    def ours() -> None:
        for _ in augmentation.batches(drawn.train, 500, config, drawn.normalizer, 0, 0):
            pass

    return ours, lambda: torch.stack([torchvisions(image) for image in drawn.train.images.cpu()]).to(device)


def steps(batch: int, count: int, device: str) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """(`count` steps of a range test, as many of training); the range test wants at least 10."""
    compute, config = resolve(device, "auto"), OptimConfig(batch_size=batch)
    drawn = dataset(batch * count).to(compute.torch_device)
    net = compute.place(model.build(0))
    optimizer = optim.build_optimizer(net, config, compute, lr=1e-3)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        return augmentation.batches(drawn.train, batch, AugmentConfig(), drawn.normalizer, 0, 0)

    forward: nn.Module = net
    if compute.compiles:
        forward, _ = compiled(net, optimizer, [next(batches())] * 2, compute)

    smoothing = config.label_smoothing

    def test() -> None:
        config = RangeTestConfig(iterations=count, end_lr=2e-3, stop_factor=1e6)  # so low that it never stops early
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # its progress bar
            lr_range_test.range_test(forward, optimizer, batches(), config, compute, smoothing)

    def train() -> None:
        train_epoch(forward, optimizer, batches(), OneCycle(1e-3, count, 0.0), compute, smoothing)

    return test, train


def papermills_part() -> dict[str, dict[str, float]]:
    """chapter -> seconds of its last execution in all, and of those what was spent outside its cells."""
    found = {}
    for chapter in CHAPTERS:
        notebook = nbformat.read(project_root() / "book" / f"{chapter}.ipynb", as_version=4)
        if not (whole := notebook.metadata.get("papermill", {}).get("duration")):
            continue  # not executed yet
        cells = sum(cell.metadata.get("papermill", {}).get("duration") or 0.0 for cell in notebook.cells)
        found[chapter] = {"seconds": whole, "papermill": max(0.0, whole - cells)}
    return found


def costs(asked: argparse.Namespace) -> dict[str, Any]:
    """Everything but the growth."""
    compute = resolve(asked.device, "auto")
    device = compute.torch_device
    ours, torchvisions = augmenting(asked.images, device)
    augmented = in_turns({"ours": ours, "torchvision": torchvisions}, device, asked.repeats)
    testing, training = steps(asked.batch, asked.steps, asked.device)
    stepped = in_turns({"range_test": testing, "training": training}, device, asked.repeats)
    helped = in_turns(
        {
            "help": lambda: seconds([sys.executable, "-m", "gradcam_report", "--help"]),
            "python": lambda: seconds([sys.executable, "-c", "pass"]),
        },
        device,
        asked.repeats,
    )
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(sys.executable).parent / "jupyter-book")  # it cannot be run by `python -m`
        build = [program, "build", "--all", "-q", "--path-output", folder, "book/"]
        site = seconds(build) if asked.build else None
    return {
        "augmentation": {name: spread([asked.images / s for s in values]) for name, values in augmented.items()},
        "ratio_augmentation": ratio(augmented["torchvision"], augmented["ours"]),
        "range_test_step": spread([s / asked.steps for s in stepped["range_test"]]),
        "ratio_range_test": ratio(stepped["range_test"], stepped["training"]),
        "help_seconds": spread(helped["help"]),
        "python_seconds": spread(helped["python"]),
        "site_seconds": site,
        "chapters": papermills_part(),
        "settings": {k: v for k, v in vars(asked).items() if k not in ("out", "point")},
    }


def point(sizes: dict[str, int], device: str) -> dict[str, Any]:
    """Median seconds of three, and the peak in GiB: of a GPU's memory, else of this process with all of Python."""
    torch.manual_seed(0)
    compute = resolve(device, "auto" if "batch" in sizes else "fp32")
    if "batch" in sizes:
        work = steps(sizes["batch"], 1, device)[1]
    else:
        net = compute.place(model.build(0)).eval()
        images = torch.randn(sizes["images"], 3, 32, 32, device=compute.torch_device)
        classes = {str(k): torch.arange(sizes["images"]) % 10 for k in range(sizes["classes"])}

        def work() -> None:
            cam.explain(net, images, classes, LAYERS)

    with keep_memory() if "batch" in sizes else contextlib.nullcontext():  # as a training does
        took = [timed(compute.torch_device, work) for _ in range(4)][1:]
    peak = peak_memory(compute.torch_device)
    return sizes | {"seconds": statistics.median(took), "gib": peak.get("device", peak["resident"])}


def growth(device: str) -> dict[str, list[dict[str, Any]]]:
    """Every point of `GROWTH`, each measured in a process of its own."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, points in GROWTH.items():
        for sizes in points:
            words = [sys.executable, __file__, "--device", device, "--point", json.dumps(sizes)]
            found.setdefault(name, []).append(json.loads(output(words).splitlines()[-1]))
            print(name, found[name][-1], flush=True)
    return found


def main() -> None:
    """Measure, and add what was found to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--images", type=int, default=4000, help="to augment in each round")
    parser.add_argument("--batch", type=int, default=128, help="of the range test and of training")
    parser.add_argument("--steps", type=int, default=10, help="of the range test in each round; at least 10")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-build", dest="build", action="store_false", help="do not build the site")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    if asked.point:
        print(json.dumps(point(json.loads(asked.point), asked.device)))
        return
    results(asked.out)  # an error now, not after the measurements
    started, commit = time.perf_counter(), current_commit()
    found = {"costs": costs(asked), "growth": growth(asked.device)}
    made = provenance(resolve(asked.device, "auto").describe(), "drawn", time.perf_counter() - started, commit)
    found["costs"]["provenance"] = made
    add(asked.out, **found)
    print(f"see {asked.out}")


if __name__ == "__main__":
    start("costs", main)

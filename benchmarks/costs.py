"""What the rest costs besides training, evaluating and explaining, and how time and memory grow, in one run.

    python benchmarks/costs.py                # adds "costs" and "growth" to benchmarks/results.json

Costs: augmenting against torchvision's transforms, a step of the range test against a training step, the command's
`--help` against starting Python, building the site, and what papermill adds to each executed chapter. Growth: one
process for each point, so that its peak of memory is its own. No data set is needed: the images are synthetic.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
import torch
from common import (
    Way,
    add,
    arguments,
    begin,
    build_trainer,
    in_turns,
    output,
    peak_memory,
    ratio,
    settings,
    spread,
    start,
    synthetic,
    timed,
)  # fmt: skip
from torchvision import transforms

from gradcam_report import model
from gradcam_report.config import CHAPTERS, LAYERS, AugmentConfig, OptimConfig, RangeTestConfig, project_root
from gradcam_report.data import augmentation
from gradcam_report.explain import cam
from gradcam_report.training.device import keep_memory, resolve
from gradcam_report.training.lr_range_test import range_test

# What is varied, its values, and what stays: images in a batch when training; images and classes when explaining.
GROWTH: dict[str, list[dict[str, int]]] = {
    "training, images in a batch": [{"batch": size} for size in (32, 128, 512)],
    "explaining, images": [{"images": count, "classes": 2} for count in (16, 64, 256)],
    "explaining, classes of 64 images": [{"images": 64, "classes": count} for count in (1, 2, 5, 10)],
}


def augmenting(images: int, device: torch.device) -> dict[str, Way]:
    """This report's way and torchvision's to make normalised and augmented tensors of so many images."""
    data = synthetic(images).to(device)
    torchvisions = transforms.Compose([
        transforms.ToPILImage(), transforms.RandomCrop(32, padding=4, padding_mode="reflect"),
        transforms.RandomHorizontalFlip(), transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.2,) * 3),
        transforms.RandomErasing(1.0, (1 / 16, 1 / 16), (1.0, 1.0)),
    ])  # fmt: skip
    return {
        "ours": Way(lambda: list(augmentation.batches(data.train, 500, AugmentConfig(), data.normalizer, 0, 0))),
        "torchvision": Way(lambda: torch.stack([torchvisions(i) for i in data.train.images.cpu()]).to(device)),
    }


def stepping(batch: int, count: int, device_name: str) -> dict[str, Way]:
    """`count` steps of a range test, which wants at least 10, and as many of training."""
    device = resolve(device_name, "auto")
    trainer = build_trainer(synthetic(batch * count), batch, device)
    if device.compiles:
        trainer.compile()

    def test() -> None:
        config = RangeTestConfig(iterations=count, end_lr=2e-3, stop_factor=1e6)  # so low that it never stops early
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # its progress bar
            smoothing = OptimConfig().label_smoothing
            range_test(trainer.forward, trainer.optimizer, trainer.batches(), config, device, smoothing)

    return {"range_test": Way(test), "training": Way(lambda: trainer.train_epoch(trainer.batches()))}


def chapter_times() -> dict[str, dict[str, float]]:
    """chapter -> seconds of its last execution in all, and of those what was spent outside its cells."""
    times = {}
    for chapter in CHAPTERS:
        notebook = nbformat.read(project_root() / "book" / f"{chapter}.ipynb", as_version=4)
        if whole := notebook.metadata.get("papermill", {}).get("duration"):
            cells = sum(cell.metadata.get("papermill", {}).get("duration") or 0.0 for cell in notebook.cells)
            times[chapter] = {"seconds": whole, "papermill": max(0.0, whole - cells)}
    return times


def costs(args: argparse.Namespace) -> dict[str, Any]:
    """Everything but the growth."""
    device, python = resolve(args.device, "auto").torch_device, sys.executable
    augmented = in_turns(augmenting(args.images, device), device, args.repeats)
    stepped = in_turns(stepping(args.batch, args.steps, args.device), device, args.repeats)
    commands = {
        "help_seconds": Way(lambda: output(python, "-m", "gradcam_report", "--help")),
        "python_seconds": Way(lambda: output(python, "-c", "pass")),
    }
    started = in_turns(commands, device, args.repeats)
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(python).with_name("jupyter-book"))  # it cannot be run by `python -m`
        build = [program, "build", "--all", "-q", "--path-output", folder, "book/"]
        site = timed(device, lambda: output(*build)) if args.build else None
    return {
        "augmentation": {name: spread([args.images / s for s in values]) for name, values in augmented.items()},
        "ratio_augmentation": ratio(augmented["torchvision"], augmented["ours"]),
        "range_test_step": spread([s / args.steps for s in stepped["range_test"]]),
        "ratio_range_test": ratio(stepped["range_test"], stepped["training"]),
        **{name: spread(values) for name, values in started.items()},
        "site_seconds": site,
        "chapters": chapter_times(),
        "settings": settings(args),
    }


def point(sizes: dict[str, int], device_name: str) -> dict[str, Any]:
    """Median seconds of three, and the peak in GiB: of a GPU's memory, else of this process with all of Python."""
    torch.manual_seed(0)
    device = resolve(device_name, "fp32")
    with contextlib.ExitStack() as stack:
        if "batch" in sizes:
            stack.enter_context(keep_memory())  # as a training does
            way = stepping(sizes["batch"], 1, device_name)["training"]
        else:
            net = device.place(model.build(0)).eval()
            images = torch.randn(sizes["images"], 3, 32, 32, device=device.torch_device)
            classes = {str(k): torch.arange(sizes["images"]) % 10 for k in range(sizes["classes"])}
            way = Way(lambda: cam.explain(net, images, classes, LAYERS))
        seconds = in_turns({"point": way}, device.torch_device, 3)["point"]
    peak = peak_memory(device.torch_device)
    return sizes | {"seconds": statistics.median(seconds), "gib": peak.get("device", peak["resident"])}


def growth(device: str) -> dict[str, list[dict[str, Any]]]:
    """Every point of `GROWTH`, each measured in a process of its own."""
    measured: dict[str, list[dict[str, Any]]] = {}
    for name, points in GROWTH.items():
        for sizes in points:
            printed = output(sys.executable, __file__, "--device", device, "--point", json.dumps(sizes))
            measured.setdefault(name, []).append(json.loads(printed.splitlines()[-1]))
            print(name, measured[name][-1], flush=True)
    return measured


def main() -> None:
    """Measure, and add the measurements to the results."""
    parser = arguments(
        __doc__,
        images=(4000, "to augment in each round"),
        batch=(128, "of the range test and of training"),
        steps=(10, "of the range test in each round; at least 10"),
        repeats=(3, "how often each takes its turn"),
    )
    parser.add_argument("--no-build", dest="build", action="store_false", help="do not build the site")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        print(json.dumps(point(json.loads(args.point), args.device)))
        return
    finish = begin(args.out)
    results = {"costs": costs(args), "growth": growth(args.device)}
    results["costs"]["provenance"] = finish(resolve(args.device, "auto"), "synthetic images")
    add(args.out, **results)
    print(f"see {args.out}")


if __name__ == "__main__":
    start("costs", main)

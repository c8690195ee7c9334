"""What augmenting costs, and how time and memory grow, in one run.

    python benchmarks/costs.py                # adds "costs" and "growth" to benchmarks/results.json

Costs: augmenting against torchvision's transforms. Growth: one process for each point, so that its peak of memory is
its own. No data set is needed: the images are synthetic.
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
from typing import Any

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
)  # fmt: skip
from torchvision import transforms

from gradcam_report import model
from gradcam_report.config import LAYERS, AugmentConfig, OptimConfig, RangeTestConfig
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


def costs(args: argparse.Namespace) -> dict[str, Any]:
    """Images a second in augmentation, this report's and torchvision's."""
    device = resolve(args.device, "auto").torch_device
    seconds = in_turns(augmenting(args.images, device), device, args.repeats)
    return {
        "augmentation": {name: spread([args.images / s for s in values]) for name, values in seconds.items()},
        "ratio_augmentation": ratio(seconds["torchvision"], seconds["ours"]),
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
        repeats=(3, "how often each takes its turn"),
    )
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

"""How fast this report trains, evaluates and explains, against what most people would use, in one run on one machine.

    python benchmarks/speed.py                        # adds "speed" to benchmarks/results.json

The usual loop is that of the widely copied PyTorch examples for CIFAR-10 (kuangliu/pytorch-cifar). Both train the same
network at the same batch size. They take turns, and medians are reported, because machines are noisy. On a CPU,
training in large batches is also timed with and without memory kept from step to step, as this report keeps it.

Explaining means Grad-CAM at four layers for two classes of each image. pytorch-grad-cam returns the mean of several
layers, so it is called once for each layer and class.
"""

import argparse
import functools
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from common import (
    Way,
    Work,
    add,
    arguments,
    begin,
    build_trainer,
    in_turns,
    peak_memory,
    ratio,
    settings,
    spread,
    start,
    timed,
)  # fmt: skip
from torch import Tensor
from torch.utils.data import DataLoader, Subset
from torchvision import transforms
from torchvision.datasets import CIFAR10

from gradcam_report import model
from gradcam_report.config import LAYERS, DataConfig, OptimConfig
from gradcam_report.data import cifar10, datasets
from gradcam_report.explain import cam
from gradcam_report.training import evaluation
from gradcam_report.training.device import Device, keep_memory, resolve
from gradcam_report.training.trainer import Trainer

TASKS = ("train", "test", "explain")
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)  # as that loop has them


class Usual:
    """The usual loop: DataLoader with transforms, eager float32, SGD."""

    def __init__(self, root: Path, batch: int, images: int, device: torch.device, workers: int) -> None:
        steps = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
        augmented = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), *steps]
        train = CIFAR10(str(root), train=True, transform=transforms.Compose(augmented))
        test = Subset(CIFAR10(str(root), train=False, transform=transforms.Compose(steps)), range(images))
        options: dict[str, Any] = {"batch_size": batch, "num_workers": workers, "persistent_workers": workers > 0}
        train_loader, self.test_loader = DataLoader(train, shuffle=True, **options), DataLoader(test, **options)
        self.batches: Iterator[list[Tensor]] = (batch for _ in itertools.count() for batch in train_loader)
        self.device, self.net = device, model.build(0).to(device)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)

    def train(self, steps: int) -> None:
        """Make `steps` steps, and read each loss as that loop does for its progress bar."""
        self.net.train()
        for _ in range(steps):
            images, labels = (part.to(self.device) for part in next(self.batches))
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.net(images), labels)
            loss.backward()
            self.optimizer.step()
            loss.item()

    def test(self) -> None:
        """Count the test images that it gets right."""
        self.net.eval()
        with torch.no_grad():
            for images, labels in self.test_loader:
                self.net(images.to(self.device)).argmax(1).eq(labels.to(self.device)).sum().item()


def our_steps(trainer: Trainer) -> Callable[[int], dict[str, float]]:
    """A function that makes so many steps of the recipe: augmentation, Muon, label smoothing."""

    def endless() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from trainer.batches()
            trainer.epoch += 1

    batches = endless()
    return lambda steps: trainer.train_epoch(itertools.islice(batches, steps))


def explaining(images: Tensor, device: torch.device) -> tuple[Work, Work]:
    """(this report's way, pytorch-grad-cam's way) to explain two classes of normalised images at four layers."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    net = Device(device, "fp32").place(model.build(0)).eval()
    images = images.to(device)
    classes = {"first": torch.arange(len(images)) % 10, "second": (torch.arange(len(images)) + 1) % 10}

    def theirs() -> None:
        for layer in LAYERS:
            with GradCAM(net, [net.get_submodule(layer)]) as extractor:
                for wanted in classes.values():
                    extractor(images, [ClassifierOutputTarget(int(c)) for c in wanted])

    return lambda: cam.explain(net, images, classes, LAYERS), theirs


def matmul_rate(device: Device, size: int) -> float:
    """FLOP/s of one square matrix product in the precision of training, the best of six: a measured peak."""
    a = torch.randn(size, size, device=device.torch_device).to(device.dtype)
    return 2 * size**3 / min(timed(device.torch_device, lambda: a @ a) for _ in range(6))


def memory_gain(args: argparse.Namespace, dataset: datasets.Dataset, device: Device) -> dict[str, list[float]]:
    """Images a second in large batches with memory kept from step to step and without.

    As many steps as are timed come before them, because a training has thousands of steps and few first ones. PyTorch
    keeps a GPU's memory anyway, so there is nothing to measure there.
    """
    train = functools.partial(our_steps(build_trainer(dataset, args.large_batch, device)), args.steps)
    ways = {"train_kept": Way(train, train, keep_memory), "train_returned": Way(train, train)}
    seconds = in_turns(ways, device.torch_device, args.repeats)
    return {name: [args.steps * args.large_batch / s for s in values] for name, values in seconds.items()}


def in_blocks(args: argparse.Namespace, trainer: Trainer, exact: Trainer, usual: Usual) -> dict[str, list[float]]:
    """Images a second of every way; `exact` trains in float32.

    The usual loop's workers fetch batches ahead. They are used up before its steps are timed, or they would come free
    of charge; and the others wait until the workers have filled their queues again and leave the cores alone.
    """
    data, device, train, train_fp32 = trainer.data, trainer.device, our_steps(trainer), our_steps(exact)
    explain_ours, explain_usual = explaining(data.normalizer(data.test.images[: args.explained]), device.torch_device)

    def test(device: Device) -> Work:
        return lambda: evaluation.predict(trainer.net, data.test, data.normalizer, device)

    test_ours, test_fp32 = test(device), test(device.exact)
    rest = functools.partial(time.sleep, args.rest)
    ways = {  # a training and its evaluations keep memory, which the first step fetches
        "train_ours": Way(lambda: train(args.steps), lambda: (rest(), train(1)), keep_memory),
        "train_ours_fp32": Way(lambda: train_fp32(args.steps), lambda: (rest(), train_fp32(1)), keep_memory),
        "train_usual": Way(lambda: usual.train(args.steps), lambda: usual.train(2 * args.workers)),
        "test_ours": Way(test_ours, lambda: (rest(), test_ours()), keep_memory),
        "test_ours_fp32": Way(test_fp32, lambda: (rest(), test_fp32()), keep_memory),
        "test_usual": Way(usual.test, rest),
        "explain_ours": Way(explain_ours, rest),
        "explain_usual": Way(explain_usual, rest),
    }
    images = {"train": args.steps * args.batch, "test": args.test_images, "explain": args.explained}
    seconds = in_turns(ways, device.torch_device, args.repeats)
    return {name: [images[name.split("_")[0]] / s for s in values] for name, values in seconds.items()}


def measure(args: argparse.Namespace, dataset: datasets.Dataset, device: Device) -> dict[str, Any]:
    """All measurements, as they are stored."""
    # Before the usual loop and its workers take memory and cores.
    kept = memory_gain(args, dataset, device) if device.torch_device.type == "cpu" else {}
    trainer, exact = (build_trainer(dataset, args.batch, one) for one in (device, device.exact))
    usual = Usual(cifar10.locate("").parent, args.batch, args.test_images, device.torch_device, args.workers)
    if device.compiles:
        trainer.compile()
        exact.compile()
    rates = in_blocks(args, trainer, exact, usual)
    median = {name: statistics.median(values) for name, values in rates.items()}
    peak = matmul_rate(device, 8192 if device.torch_device.type == "cuda" else 2048)
    flops = 3 * 2 * sum(row.macs for row in model.summarise(trainer.net))  # of an image, forward and backward
    return {
        "settings": settings(args),
        "images_per_second": {name: spread(values) for name, values in (rates | kept).items()},
        **({"ratio_kept": ratio(kept["train_kept"], kept["train_returned"])} if kept else {}),
        **{f"ratio_{task}": ratio(rates[f"{task}_ours"], rates[f"{task}_usual"]) for task in TASKS},
        "ratio_train_fp32": ratio(rates["train_ours_fp32"], rates["train_usual"]),
        "test_set_seconds": {name[5:]: 10_000 / median[name] for name in median if name.startswith("test_")},
        "compile_seconds": trainer.compile_seconds,
        "peak_flops": peak,
        "share_of_peak": median["train_ours"] * flops / peak,
        "memory_gib": peak_memory(device.torch_device),
    }


def main() -> None:
    """Measure and write the results."""
    args = arguments(
        __doc__,
        batch=(128, "images; 128 is the usual loop's own, 500 on a GPU"),
        large_batch=(OptimConfig().batch_size, "images, for keeping memory"),
        steps=(4, "training steps in each block; 100 on a GPU"),
        test_images=(1000, "10000 on a GPU"),
        repeats=(3, "how often each takes its turn"),
        explained=(32, "images to explain at once; 256 on a GPU"),
        rest=(1.0, "seconds before each block of this report's"),
        workers=(2, "of the usual loop's DataLoader"),
    ).parse_args()
    finish, device = begin(args.out), resolve(args.device, "auto")
    dataset = datasets.load(DataConfig(dataset="cifar10", test_size=args.test_images))
    with tempfile.TemporaryDirectory() as empty:
        if device.compiles:  # timed as where nothing was compiled before
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = empty
        results = measure(args, dataset, device)
    add(args.out, speed=results, provenance=finish(device, dataset.source))
    train, test = results["ratio_train"]["median"], results["test_set_seconds"]["ours"]
    print(f"training {train:.2f} times the usual loop's images a second; the test set in {test:.1f} s; see {args.out}")


if __name__ == "__main__":
    start("speed", main)

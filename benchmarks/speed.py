"""How fast this report trains, evaluates and explains, against what most people would use, in one run on one machine.

    python benchmarks/speed.py                        # writes benchmarks/results.json

The usual loop is that of the widely copied PyTorch examples for CIFAR-10 (kuangliu/pytorch-cifar): torchvision's
dataset and transforms on PIL images in DataLoader workers, eager float32, contiguous tensors, SGD. Both train the same
network at the same batch size. They take turns, and medians are reported, for machines are noisy. Both warm up first;
what compiling costs is told apart.

On a CPU, training in large batches is also timed with and without memory kept from step to step, as this report keeps
it.

Explaining means Grad-CAM at four layers for two classes of each image, by this report and by pytorch-grad-cam, which is
asked once for each layer and class, for asked for several layers it returns their mean.
"""

import argparse
import contextlib
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
from common import RESULTS, add, peak_memory, ratio, results, spread, start, timed
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from torchvision import datasets, transforms
from tqdm import tqdm

from gradcam_report import model
from gradcam_report.config import LAYERS, AugmentConfig, DataConfig, OptimConfig, ReportError
from gradcam_report.data import augmentation, cifar10
from gradcam_report.explain import cam
from gradcam_report.runs.provenance import current_commit, provenance
from gradcam_report.training import evaluation, optimizer
from gradcam_report.training.compiling import compiled
from gradcam_report.training.device import Device, keep_memory, resolve
from gradcam_report.training.schedule import OneCycle
from gradcam_report.training.trainer import train_epoch

TASKS = ("train", "test", "explain")
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)  # as that loop has them


class Usual:
    """The usual loop: DataLoader with transforms, eager float32, SGD."""

    def __init__(self, root: Path, batch: int, images: int, device: torch.device, workers: int) -> None:
        steps = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
        augmented = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), *steps]
        train = datasets.CIFAR10(str(root), train=True, transform=transforms.Compose(augmented))
        test = datasets.CIFAR10(str(root), train=False, transform=transforms.Compose(steps))
        options: dict[str, Any] = {"batch_size": batch, "num_workers": workers, "persistent_workers": workers > 0}
        self.train_loader = DataLoader(train, shuffle=True, **options)
        self.test_loader = DataLoader(Subset(test, range(images)), **options)
        self.device, self.net = device, model.build(0).to(device)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
        self.batches = self._endless()

    def _endless(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from self.train_loader

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


class Ours:
    """The report's own step on images that stay on the device."""

    def __init__(self, dataset: datasets.Dataset, batch: int, compute: Device) -> None:
        self.data, self.compute, self.batch = dataset.to(compute.torch_device), compute, batch
        config = OptimConfig(batch_size=batch)
        self.net = compute.place(model.build(0))
        self.forward: nn.Module = self.net
        self.optimizer = optimizer.build_optimizer(self.net, config, compute, lr=0.01)
        self.batches = self._endless()

    def _endless(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch = 0
        while True:
            yield from augmentation.batches(
                self.data.train, self.batch, AugmentConfig(), self.data.normalizer, 0, epoch
            )
            epoch += 1

    def train(self, steps: int) -> None:
        """Make `steps` steps of the recipe: augmentation, Muon, label smoothing."""
        batches = itertools.islice(self.batches, steps)
        schedule = OneCycle(0.01, steps, 0.0)
        train_epoch(self.forward, self.optimizer, batches, schedule, self.compute, OptimConfig().label_smoothing)

    def test(self, precision: str) -> None:
        """Logits of the test images."""
        evaluation.predict(self.net, self.data.test, self.data.normalizer, Device(self.compute.torch_device, precision))


def explaining(images: Tensor, device: torch.device) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """(this report's way, pytorch-grad-cam's way) to explain two classes of normalised images at four layers."""
    try:
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError:
        raise ReportError("pytorch-grad-cam is missing; install it with pip install grad-cam.") from None
    compute = Device(device, "fp32")
    net = compute.place(model.build(0)).eval()
    images = images.to(device)
    classes = {"first": torch.arange(len(images)) % 10, "second": (torch.arange(len(images)) + 1) % 10}

    def theirs() -> None:
        for layer in LAYERS:
            with GradCAM(net, [net.get_submodule(layer)]) as extractor:
                for wanted in classes.values():
                    extractor(images, [ClassifierOutputTarget(int(c)) for c in wanted])

    return lambda: cam.explain(net, images, classes, LAYERS), theirs


def matmul_rate(compute: Device, size: int) -> float:
    """FLOP/s of one square matrix product in the precision of training, the best of six: a measured peak."""
    a = torch.randn(size, size, device=compute.torch_device).to(compute.dtype)
    return 2 * size**3 / min(timed(compute.torch_device, lambda: a @ a) for _ in range(6))


def memory_gain(asked: argparse.Namespace, dataset: datasets.Dataset, compute: Device) -> dict[str, Any]:
    """What keeping memory from step to step brings in large batches: on a CPU only, for PyTorch keeps a GPU's anyway.

    As many steps as are timed come before them, for a training has thousands of steps and few first ones.
    """
    if compute.torch_device.type != "cpu":
        return {}
    ours = Ours(dataset, asked.large_batch, compute)
    rates: dict[str, list[float]] = {"kept": [], "returned": []}
    for _ in range(asked.repeats):
        for name, context in (("kept", keep_memory), ("returned", contextlib.nullcontext)):
            with context():
                ours.train(asked.steps)
                seconds = timed(compute.torch_device, lambda: ours.train(asked.steps))
            rates[name].append(asked.steps * asked.large_batch / seconds)
    spreads = {f"train_{name}": spread(values) for name, values in rates.items()}
    return {"images_per_second": spreads, "ratio_kept": ratio(rates["kept"], rates["returned"])}


def settle(usual: Usual, asked: argparse.Namespace) -> None:
    """Use up what the usual loop's workers fetched ahead, which would otherwise come free of charge."""
    usual.train(2 * asked.workers)  # a DataLoader's prefetch_factor is 2


def rest(asked: argparse.Namespace) -> None:
    """Let the usual loop's workers fill their queues again, lest they take the cores while this report is timed."""
    time.sleep(asked.rest)


def in_blocks(asked: argparse.Namespace, dataset: datasets.Dataset, ours: Ours, usual: Usual) -> dict[str, list[float]]:
    """Images a second of every way, block by block; all have warmed up before the first."""
    device, trained = ours.compute.torch_device, asked.steps * asked.batch
    explain_ours, explain_usual = explaining(dataset.normalizer(dataset.test.images[: asked.explained]), device)
    ways: dict[str, tuple[int, Callable[[], Any]]] = {
        "train_ours": (trained, lambda: ours.train(asked.steps)),
        "train_usual": (trained, lambda: usual.train(asked.steps)),
        "test_ours": (asked.test_images, lambda: ours.test(ours.compute.precision)),
        "test_ours_fp32": (asked.test_images, lambda: ours.test("fp32")),
        "test_usual": (asked.test_images, usual.test),
        "explain_ours": (asked.explained, explain_ours),
        "explain_usual": (asked.explained, explain_usual),
    }
    # A training and its evaluations keep memory; the first step fetches it.
    first = {
        "train_ours": lambda: ours.train(1),
        "test_ours": ways["test_ours"][1],
        "test_ours_fp32": ways["test_ours_fp32"][1],
    }
    ours.train(1)
    usual.train(1)
    for name, (_, work) in ways.items():
        if not name.startswith("train"):
            work()  # usual.test starts its workers
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in tqdm(range(asked.repeats), unit="round"):
        for name, (images, work) in ways.items():
            if name == "train_usual":
                settle(usual, asked)
            else:
                rest(asked)
            with keep_memory() if name in first else contextlib.nullcontext():
                first.get(name, lambda: None)()
                rates[name].append(images / timed(device, work))
    return rates


def measure(asked: argparse.Namespace, dataset: datasets.Dataset, compute: Device) -> dict[str, Any]:
    """All measurements, as they are stored."""
    kept = memory_gain(asked, dataset, compute)  # before the usual loop and its workers take memory and cores
    ours = Ours(dataset, asked.batch, compute)
    usual = Usual(cifar10.locate("").parent, asked.batch, asked.test_images, compute.torch_device, asked.workers)
    compiling = 0.0
    if compute.compiles:
        ours.forward, compiling = compiled(ours.net, ours.optimizer, [next(ours.batches)] * 2, compute)
    rates = in_blocks(asked, dataset, ours, usual)
    peak = matmul_rate(compute, 8192 if compute.torch_device.type == "cuda" else 2048)
    flops = 3 * 2 * sum(row.macs for row in model.summarise(ours.net))  # of one image, forward and backward
    median = {name: statistics.median(values) for name, values in rates.items()}
    ratios = {f"ratio_{task}": ratio(rates[f"{task}_ours"], rates[f"{task}_usual"]) for task in TASKS}
    return {
        "settings": {k: v for k, v in vars(asked).items() if k != "out"},
        **kept,
        "images_per_second": {name: spread(values) for name, values in rates.items()}
        | kept.get("images_per_second", {}),
        **ratios,
        "test_set_seconds": {name[5:]: 10_000 / median[name] for name in median if name.startswith("test_")},
        "compile_seconds": compiling,
        "peak_flops": peak,
        "share_of_peak": median["train_ours"] * flops / peak,
        "memory_gib": peak_memory(compute.torch_device),
    }


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=128, help="images; 128 is the usual loop's own, 500 on a GPU")
    parser.add_argument("--large-batch", type=int, default=OptimConfig().batch_size, help="images, for keeping memory")
    parser.add_argument("--steps", type=int, default=4, help="training steps in each block; 100 on a GPU")
    parser.add_argument("--test-images", type=int, default=1000, help="10000 on a GPU")
    parser.add_argument("--repeats", type=int, default=3, help="how often each takes its turn")
    parser.add_argument("--explained", type=int, default=32, help="images to explain at once; 256 on a GPU")
    parser.add_argument("--rest", type=float, default=1.0, help="seconds before each block of this report's")
    parser.add_argument("--workers", type=int, default=2, help="of the usual loop's DataLoader")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    results(asked.out)  # an error now, not after the measurements
    started, commit = time.perf_counter(), current_commit()
    compute = resolve(asked.device, "auto")
    dataset = datasets.load(DataConfig(dataset="cifar10", test_size=asked.test_images))
    with tempfile.TemporaryDirectory() as empty:
        if compute.compiles:  # timed as where nothing was compiled before
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = empty
        found = measure(asked, dataset, compute)
    record = provenance(compute.describe(), dataset.source, time.perf_counter() - started, commit)
    add(asked.out, speed=found, provenance=record)
    train, test = found["ratio_train"]["median"], found["test_set_seconds"]["ours"]
    print(f"training {train:.2f} times the usual loop's images a second; the test set in {test:.1f} s; see {asked.out}")


if __name__ == "__main__":
    start("speed", main)

"""What late regularisation does: one training with images held out, and short branches from its checkpoints.

    python benchmarks/branches.py --folder runs/branches        # resumes after every epoch

The trunk trains the published recipe on 45,000 images and keeps averages of its weights. Each branch takes up the trunk
at an epoch, changes one thing, and trains to the end of the same schedule. 5,000 held-out training images judge them;
the test set is not read. benchmarks/branches.json holds a row for every candidate; the folder keeps checkpoints and
logits.
"""

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from common import start
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from gradcam_report.analysis.calibration import cross_entropy, fit_temperature
from gradcam_report.config import AugmentConfig, DataConfig, TrainingParams
from gradcam_report.data import datasets
from gradcam_report.runs import io
from gradcam_report.runs.provenance import current_commit
from gradcam_report.training.checkpoint import tensors_of
from gradcam_report.training.device import keep_memory, resolve
from gradcam_report.training.evaluation import predict
from gradcam_report.training.optimizer import set_lr
from gradcam_report.training.trainer import Trainer, TrainingSettings

OUT = Path(__file__).parent / "branches.json"
VAL_SIZE, SEED = 5_000, 0
DECAYS = (0.99, 0.995, 0.998)  # of the averages, per step
KEEP_FROM = 15  # the first epoch whose checkpoint stays, for the branches

Batches = Iterator[tuple[Tensor, Tensor]]


def colour_jitter(images: Tensor, random: torch.Generator) -> Tensor:
    """Add up to 0.14 to normalised images and multiply them by up to 1 ± 0.13, drawn for each image."""
    brightness, contrast = (2 * torch.rand((2, len(images), 1, 1, 1), generator=random) - 1).to(images.device)
    return images * (1 + 0.13 * contrast) + 0.14 * brightness


@dataclass(frozen=True)
class Branch:
    """A change to the recipe from epoch `begin` on; `radius` is that of sharpness-aware steps, 0 for none."""

    begin: int
    augment: AugmentConfig | None = None
    jitter: bool = False
    radius: float = 0.0


BRANCHES = {
    "sharpness-aware, radius 0.3, last 2 epochs": Branch(18, radius=0.3),
    "sharpness-aware, radius 0.6, last 2 epochs": Branch(18, radius=0.6),
    "sharpness-aware, radius 0.15, last 2 epochs": Branch(18, radius=0.15),
    "cutout 12, last 5 epochs": Branch(15, augment=AugmentConfig(cutout=12)),
    "brightness and contrast, last 5 epochs": Branch(15, jitter=True),
    "no cutout, last 2 epochs": Branch(18, augment=AugmentConfig(cutout=0)),
}


class SharpnessAware:
    """Sharpness-aware steps around an optimizer (Foret et al. 2021, https://arxiv.org/abs/2010.01412, equation 2).

    Before each step the gradient is taken again at the weights moved by `radius` along the normalised gradient. That
    second pass leaves BatchNorm's running statistics alone.
    """

    def __init__(self, trainer: Trainer, radius: float) -> None:
        self.trainer, self.radius = trainer, radius
        self.norms = [m for m in trainer.net.modules() if isinstance(m, nn.BatchNorm2d)]

    def train_epoch(self, batches: Batches) -> None:
        """Make a sharpness-aware step for each batch of the trainer's next epoch."""
        trainer, net = self.trainer, self.trainer.net
        params = list(net.parameters())
        net.train()
        for step, (images, labels) in enumerate(batches, trainer.epoch * trainer.steps):
            set_lr(trainer.optimizer, trainer.lr_schedule(step))
            self.gradients(images, labels)
            grads = [p.grad.clone() for p in params if p.grad is not None]
            scale = self.radius / torch.stack([g.norm() for g in grads]).norm()
            with torch.no_grad():
                for p, g in zip(params, grads, strict=True):
                    p.add_(scale * g)
            momenta = [m.momentum for m in self.norms]
            for norm in self.norms:
                norm.momentum = 0.0
            self.gradients(images, labels)
            for norm, momentum in zip(self.norms, momenta, strict=True):
                norm.momentum = momentum
            with torch.no_grad():
                for p, g in zip(params, grads, strict=True):
                    p.sub_(scale * g)
            trainer.optimizer.step()

    def gradients(self, images: Tensor, labels: Tensor) -> None:
        """Fill the gradients of the label-smoothed loss of a batch."""
        with self.trainer.device.autocast():
            logits = self.trainer.net(images)
        self.trainer.optimizer.zero_grad(set_to_none=True)
        smoothing = self.trainer.settings.optim.label_smoothing
        F.cross_entropy(logits.float(), labels, label_smoothing=smoothing).backward()


class Averages:
    """Exponential moving averages of the weights, one for each decay."""

    def __init__(self, net: nn.Module) -> None:
        self.models = {d: AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(d)) for d in DECAYS}
        self.net = net

    def follow(self, batches: Batches) -> Batches:
        """The same batches; the averages take in the weights after each step."""
        for batch in batches:
            yield batch
            for average in self.models.values():
                average.update_parameters(self.net)

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps of them."""
        return {f"{d}.{name}": value for d, m in self.models.items() for name, value in m.state_dict().items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from `tensors`."""
        for d, average in self.models.items():
            average.load_state_dict({k: tensors[f"{d}.{k}"] for k in average.state_dict()})


def build(dataset: datasets.Dataset, change: Branch | None = None) -> Trainer:
    """A trainer of the published recipe, with a branch's augmentation."""
    params = TrainingParams.parse({})
    recipe = TrainingSettings(params.augment, params.optim, params.schedule, SEED)
    if change and change.augment:
        recipe = replace(recipe, augment=change.augment)
    return Trainer(dataset, recipe, resolve("auto", params.optim.precision))


def save(path: Path, trainer: Trainer, averages: Averages | None, seconds: float) -> None:
    """Write a checkpoint after an epoch."""
    tensors = {f"trainer.{k}": v for k, v in tensors_of(trainer.net, trainer.optimizer).items()}
    tensors |= {f"average.{k}": v for k, v in averages.tensors().items()} if averages else {}
    metadata = {"epoch": str(trainer.epoch), "seconds": str(seconds), "commit": current_commit() or "unknown"}
    io.write_tensors(path, tensors, metadata)


def restore(path: Path, trainer: Trainer, averages: Averages | None = None) -> tuple[float, str]:
    """Take up a checkpoint; returns the seconds so far and the commit that made it."""
    tensors, metadata = io.read_tensors(path)
    for name, value in trainer.net.state_dict().items():
        value.copy_(tensors[f"trainer.net.{name}"])
    for name, parameter in trainer.net.named_parameters():
        buffer = tensors[f"trainer.momentum.{name}"]
        trainer.optimizer.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(buffer)
    if averages:
        averages.restore({k.removeprefix("average."): v for k, v in tensors.items() if k.startswith("average.")})
    trainer.epoch = int(metadata["epoch"])
    return float(metadata["seconds"]), metadata["commit"]


def judge(net: nn.Module, trainer: Trainer, folder: Path, name: str) -> dict[str, Any]:
    """Scores on the held-out images; their logits go to the folder, for comparisons image by image."""
    data = trainer.data
    logits = predict(net, data.val, data.normalizer, trainer.device.exact).numpy()
    labels = data.val.labels.numpy()
    io.write_arrays(folder / "logits" / f"{name}.npz", logits=logits, labels=labels)
    temperature = fit_temperature(logits, labels)
    scaled = cross_entropy(logits / temperature, labels)
    accuracy = float((logits.argmax(1) == labels).mean())
    return {"name": name, "val_accuracy": accuracy, "val_loss_scaled": scaled, "temperature": temperature}


def run_trunk(dataset: datasets.Dataset, folder: Path, record: Callable[..., None]) -> None:
    """Train what is left of the trunk; judge its end and the averages of its weights."""
    trainer = build(dataset)
    averages, seconds, epochs = Averages(trainer.net), 0.0, trainer.settings.schedule.epochs
    stored = sorted(folder.glob("trunk-*.safetensors"))
    if stored:
        seconds, _ = restore(stored[-1], trainer, averages)
    while trainer.epoch < epochs:
        began = time.perf_counter()
        row = trainer.train_epoch(averages.follow(trainer.batches()))
        trainer.epoch += 1
        seconds += time.perf_counter() - began
        save(folder / f"trunk-{trainer.epoch:02}.safetensors", trainer, averages, seconds)
        if trainer.epoch - 1 < KEEP_FROM:
            (folder / f"trunk-{trainer.epoch - 1:02}.safetensors").unlink(missing_ok=True)
        print(f"trunk, epoch {trainer.epoch}: loss {row['train_loss']:.4f}, {seconds:.0f} s", flush=True)
    record(judge(trainer.net, trainer, folder, "as published"), seconds)
    for decay, average in averages.models.items():
        update_bn(itertools.islice(trainer.batches(), 20), average)
        record(judge(average, trainer, folder, f"average of weights, decay {decay}"), seconds)


def run_branch(dataset: datasets.Dataset, folder: Path, name: str, branch: Branch) -> tuple[dict[str, Any], float]:
    """Train a branch to the end of the schedule, from its own latest checkpoint or the trunk's."""
    trainer = build(dataset, branch)
    own, seconds = folder / f"{name.replace(' ', '-').replace(',', '')}.safetensors", 0.0
    if own.exists():
        seconds, _ = restore(own, trainer)
    else:
        restore(folder / f"trunk-{branch.begin:02}.safetensors", trainer)
    sharpness_aware = SharpnessAware(trainer, branch.radius)
    while trainer.epoch < trainer.settings.schedule.epochs:
        began = time.perf_counter()
        batches = trainer.batches()
        if branch.jitter:
            random = torch.Generator().manual_seed(trainer.epoch)
            batches = ((colour_jitter(images, random), labels) for images, labels in batches)
        if branch.radius:
            sharpness_aware.train_epoch(batches)
        else:
            trainer.train_epoch(batches)
        trainer.epoch += 1
        seconds += time.perf_counter() - began
        save(own, trainer, None, seconds)
        print(f"{name}, epoch {trainer.epoch}: {seconds:.0f} s", flush=True)
    return judge(trainer.net, trainer, folder, name), seconds


def main() -> None:
    """Compute what the results file does not hold yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/branches"))
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    results: dict[str, Any] = {"val_size": VAL_SIZE, "seed": SEED, "rows": []}
    if args.out.exists():
        results = io.read_json(args.out)
    done = {row["name"] for row in results["rows"]}
    device = resolve("auto", "auto").describe()

    def record(row: dict[str, Any], seconds: float) -> None:
        if row["name"] not in done:
            results["rows"].append({**row, "seconds": seconds, "compute": device, "commit": current_commit()})
            io.write_json(args.out, results)
            print(row, flush=True)

    dataset = datasets.load(DataConfig(val_size=VAL_SIZE, test_size=1))
    with keep_memory():
        if f"average of weights, decay {DECAYS[-1]}" not in done:
            run_trunk(dataset, args.folder, record)
        for name, branch in BRANCHES.items():
            if name not in done:
                record(*run_branch(dataset, args.folder, name, branch))


if __name__ == "__main__":
    start("branches", main)

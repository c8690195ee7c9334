"""Training with the one-cycle schedule: `train_epoch` is the loop; `Trainer` evaluates and checkpoints around it.

Randomness depends only on (seed, epoch), so a training that was killed and resumed on the same device sees the same
batches. The last epoch is evaluated on the weights as they are published, rounded to fp16, in fp32 arithmetic.
"""

import functools
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn
from tqdm import tqdm

from .. import formatting, model
from ..config import AugmentConfig, OptimConfig, ReportError, ScheduleConfig
from ..data import augmentation
from ..data.datasets import Dataset, Split
from ..runs.records import TrainingRecipe
from . import checkpoint
from .compiling import compiled
from .device import Device
from .distributed import SINGLE_PROCESS, ProcessGroup
from .evaluation import predict, score
from .optimizer import build_optimizer, set_lr
from .schedule import FEW_STEPS, OneCycle, steps_per_epoch

CLEAN_TRAIN = 5_000  # training images, at most, that are evaluated without augmentation


class Diverged(ReportError):
    """The loss or a tensor of the network is no longer finite; `what` says which, as the sentence's beginning."""

    def __init__(self, what: str, schedule: OneCycle, step: int) -> None:
        super().__init__(
            f"{what} by step {step} of {schedule.total_steps} at a rate of {schedule(step - 1):.3g}; "
            f"use a smaller max_lr than {schedule.max_lr:.3g}, as in -p max_lr {schedule.max_lr / 10:.3g} -p force "
            "True; until then the last good checkpoint is kept."
        )


@dataclass(frozen=True)
class TrainingSettings:
    """What decides a training besides the images; the schedule's `max_lr` is a rate here, never 0."""

    augment: AugmentConfig
    optim: OptimConfig
    schedule: ScheduleConfig
    seed: int


def train_epoch(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[tuple[Tensor, Tensor]],
    schedule: OneCycle,
    device: Device,
    label_smoothing: float = 0.0,
    first_step: int = 0,
    group: ProcessGroup = SINGLE_PROCESS,
    log_every: int = 50,
) -> dict[str, float]:
    """Make one optimizer step for each batch: images float32 (B, 3, 32, 32), labels int64 (B,), both on the device.

    The loss is the mean label-smoothed cross-entropy, in nats. Returns the epoch's mean `train_loss` and
    `train_accuracy` (0-1) over the augmented images, the last `lr`, `seconds` and `images_per_second`. The loss is read
    every `log_every` steps, which makes a GPU wait. Raises `Diverged` when it is not finite.
    """
    totals = torch.zeros(2, dtype=_sum_dtype(device), device=device.torch_device)  # of losses, of right answers
    step, num_images, started = first_step, 0, time.perf_counter()
    net.train()
    for images, labels in batches:
        lr = schedule(step)
        set_lr(optimizer, lr)
        batch_size = group.count(labels)  # of the whole batch; this process may hold a shard of it

        with device.autocast():
            logits = net(images)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=label_smoothing, reduction="sum") / batch_size
        optimizer.zero_grad(set_to_none=True)
        (loss * group.size).backward()  # processes average their gradients, but their losses add up
        optimizer.step()

        num_correct = (logits.detach().argmax(1) == labels).sum()
        totals += torch.stack([loss.detach() * batch_size, num_correct])
        num_images += batch_size
        step += 1
        if (step - first_step) % log_every == 0:
            _require_finite(group.sum(totals)[0].item() / num_images, schedule, step)

    total_loss, total_correct = group.sum(totals).tolist()
    _require_finite(total_loss, schedule, step)
    seconds = time.perf_counter() - started
    return {
        "lr": lr,
        "train_loss": total_loss / num_images,
        "train_accuracy": total_correct / num_images,
        "seconds": seconds,
        "images_per_second": num_images / seconds,
    }


def _sum_dtype(device: Device) -> torch.dtype:
    return torch.float32 if device.torch_device.type == "mps" else torch.float64  # MPS has no float64


def _require_finite(loss: float, schedule: OneCycle, step: int) -> None:
    if not math.isfinite(loss):
        raise Diverged(f"The loss became {loss}", schedule, step)


def _is_finite(net: nn.Module) -> bool:
    """Whether every weight and BatchNorm statistic is finite: an infinite variance leaves the loss finite."""
    return bool(torch.stack([tensor.isfinite().all() for tensor in net.state_dict().values()]).all())


class Trainer:
    """A network on its way through the epochs. `history` holds a list for each column of history.csv.

    In a process `group` every process has a trainer of the same data and recipe, and all call the same methods.
    `machines` describes what computed the epochs: more than one where a training was resumed elsewhere.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: TrainingSettings,
        device: Device,
        width: int = 64,
        group: ProcessGroup = SINGLE_PROCESS,
    ) -> None:
        self.data, self.settings, self.device, self.group = dataset.to(device.torch_device), settings, device, group
        self.net = device.place(model.build(settings.seed, len(dataset.classes), width))
        self.optimizer = build_optimizer(self.net, settings.optim, device, lr=settings.schedule.max_lr)
        self.forward = group.wrap(self.net)
        self.steps = steps_per_epoch(len(dataset.train), settings.optim.batch_size)
        total_steps = self.steps * settings.schedule.epochs
        self.lr_schedule = OneCycle(settings.schedule.max_lr, total_steps, settings.schedule.warmup)
        self.history: dict[str, list[float]] = {}
        self.test_logits = torch.empty(0)  # of the latest evaluation
        self.epoch = 0  # epochs completed
        self.compile_seconds = 0.0
        each = f"{group.size} processes, each on " if group.size > 1 else ""
        self.machines = [each + device.describe()]
        self.started, self.earlier_seconds = time.perf_counter(), 0.0  # of the processes before this one

    @property
    def wall_seconds(self) -> float:
        """Seconds since the training began, with evaluation and compiling, without the time between processes."""
        return self.earlier_seconds + time.perf_counter() - self.started

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of the next epoch in their order; of each, this process's shard."""
        return augmentation.batches(
            self.data.train, self.settings.optim.batch_size, self.settings.augment, self.data.normalizer,
            self.settings.seed, self.epoch, self.group.shard,
        )  # fmt: skip

    def train_epoch(self, batches: Iterable[tuple[Tensor, Tensor]]) -> dict[str, float]:
        """`train_epoch` on the next epoch's batches."""
        return train_epoch(
            self.forward, self.optimizer, batches, self.lr_schedule, self.device,
            label_smoothing=self.settings.optim.label_smoothing,
            first_step=self.epoch * self.steps,
            group=self.group,
            log_every=self.steps if self.device.compiles else 50,  # reading the loss makes a GPU wait
        )  # fmt: skip

    def fit(self, checkpoints: "checkpoint.Checkpoints") -> None:
        """Train the epochs that are left, with an evaluation and a checkpoint after each."""
        epochs = self.settings.schedule.epochs
        if self.device.compiles and self.epoch < epochs and self.group.size == 1:  # collectives break compiled code
            self.compile()
        done, total, hidden = self.epoch * self.steps, epochs * self.steps, not self.group.is_main_process
        with formatting.progress(total=total, initial=done, unit="step", disable=hidden) as bar:
            while self.epoch < epochs:
                row = {"epoch": self.epoch + 1, **self.train_epoch(_counted(self.batches(), bar))}
                row |= self.evaluate(last=self.epoch + 1 == epochs)
                step = (self.epoch + 1) * self.steps
                for column, value in row.items():
                    if column.endswith("_loss"):
                        _require_finite(value, self.lr_schedule, step)
                if not _is_finite(self.net):
                    raise Diverged("A weight or a BatchNorm statistic became infinite", self.lr_schedule, step)
                bar.set_postfix(epoch=self.epoch + 1, accuracy=f"{row['test_accuracy']:.3f}", refresh=False)
                for column, value in row.items():
                    self.history.setdefault(column, []).append(value)
                self.epoch += 1
                self.group.run_on_main(functools.partial(checkpoints.save, self.state(checkpoints.recipe)))

    def compile(self) -> None:
        """Compile the forward pass and Muon's update, before the time of training is taken."""
        last = len(self.data.train) % self.settings.optim.batch_size
        images, labels = next(self.batches())
        # A full batch twice, for the second step has momentum buffers; then the shorter last batch.
        sizes = [len(labels), len(labels), *([last] if last else [])]
        batches = [(images[:size], labels[:size]) for size in sizes]
        self.forward, self.compile_seconds = compiled(self.net, self.optimizer, batches, self.device)

    def evaluate(self, last: bool) -> dict[str, float]:
        """Loss and accuracy on a fixed part of the training images, on the test images and on any validation images.

        No image is augmented. The `last` epoch's weights are first rounded to the fp16 values that will be published,
        and then evaluated in fp32.
        """
        if self.lr_schedule.total_steps < FEW_STEPS:
            with self.device.autocast():
                update_bn(self.batches(), self.forward, self.device.torch_device)
        if last:
            round_to_fp16(self.net)
        count = min(CLEAN_TRAIN, len(self.data.train), len(self.data.test))
        rows = torch.arange(count, device=self.device.torch_device)
        splits = {"clean_train": self.data.train.select(rows), "test": self.data.test}
        if len(self.data.val):
            splits["val"] = self.data.val
        scores = {}
        for name, split in splits.items():
            logits = self._predict(split, self.device.exact if last else self.device)
            scores[f"{name}_loss"], scores[f"{name}_accuracy"] = score(logits, split.labels)
            if name == "test":
                self.test_logits = logits
        return scores

    def _predict(self, split: Split, device: Device) -> Tensor:
        """`evaluation.predict`, each process predicting its shard of the images."""
        if self.group.size == 1:
            return predict(self.net, split, self.data.normalizer, device)
        rows = torch.arange(len(split), device=device.torch_device)[self.group.shard]
        logits = torch.zeros(len(split), len(self.data.classes), device=device.torch_device)
        logits[rows] = predict(self.net, split.select(rows), self.data.normalizer, device)
        return self.group.sum(logits)

    def state(self, recipe: TrainingRecipe) -> "checkpoint.Checkpoint":
        """What a checkpoint of this moment holds."""
        # Before the first epoch nothing was computed on this machine.
        machines, seconds = (self.machines, self.wall_seconds) if self.epoch else ([], 0.0)
        tensors = checkpoint.tensors_of(self.net, self.optimizer)
        state = checkpoint.State(
            epoch=self.epoch, history=self.history, recipe=recipe, machines=machines, wall_seconds=seconds,
            precision=self.device.precision,
        )  # fmt: skip
        return checkpoint.Checkpoint(state, tensors)

    def restore(self, saved: "checkpoint.Checkpoint") -> None:
        """Go on from a checkpoint. Every process of a group restores the same one."""
        saved.restore(self.net, self.optimizer)
        self.history, self.epoch = {k: list(v) for k, v in saved.state.history.items()}, saved.state.epoch
        self.machines = list(dict.fromkeys([*saved.state.machines, *self.machines]))
        self.earlier_seconds = saved.state.wall_seconds


def _counted(batches: Iterable[tuple[Tensor, Tensor]], bar: tqdm) -> Iterator[tuple[Tensor, Tensor]]:
    """The same batches; `bar` advances after each."""
    for batch in batches:
        yield batch
        bar.update()


@torch.no_grad()
def round_to_fp16(net: nn.Module) -> None:
    """Round every floating-point weight and statistic to the fp16 value that the weights file will hold."""
    for tensor in net.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(tensor.half())

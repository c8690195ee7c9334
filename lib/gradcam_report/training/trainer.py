"""Training with the one-cycle schedule: evaluation and a checkpoint every epoch, exact resume, no lost work.

    folder, record = train.in_run(TrainingParams.parse({"epochs": 1, "run_dir": "runs/try"}))

Randomness depends only on (seed, epoch), so a run that is killed and resumed on the same device sees the same
batches. The last epoch is judged on the weights as they are published, rounded to fp16, in fp32 arithmetic.
"""

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from .. import model
from ..config import AugmentConfig, OptimConfig, ReportError, ScheduleConfig, TrainingParams
from ..data import augmentation as augment
from ..data import datasets
from ..runs import folder as run_folder
from ..runs import io, lock, plain
from . import checkpoint, results
from .checkpoint import CHECKPOINT
from .device import Compute, enough_memory, memory_kept, resolve
from .distributed import ALONE, Team
from .evaluation import predict, score
from .optimizer import Step, build_optimizer, set_lr
from .schedule import one_cycle, peak_lr, steps_per_epoch

CLEAN_TRAIN = 5_000  # at most: as many training images as test images are judged without augmentation
History = dict[str, list[float]]


class Diverged(ReportError):
    """The training loss is no longer finite."""


@dataclass(frozen=True)
class Recipe:
    """All that decides a training besides the images: the schedule's `max_lr` is a rate by now, not 0."""

    augment: AugmentConfig
    optim: OptimConfig
    schedule: ScheduleConfig
    seed: int


class Trainer:
    """A network on its way through the epochs; `history` holds a list per column of history.csv.

    In a `team` every process has a trainer of the same data and recipe, and all of them call the same methods.
    `machines` says what the epochs were computed on, more than one where a training went on elsewhere.
    """

    def __init__(
        self, dataset: datasets.Dataset, recipe: Recipe, compute: Compute, width: int = 64, team: Team = ALONE
    ) -> None:
        self.data, self.recipe, self.compute, self.team = dataset.to(compute.device), recipe, compute, team
        net = model.build(recipe.seed, len(dataset.classes), width)
        self.net = compute.place(net)
        self.optimizer = build_optimizer(self.net, recipe.optim, compute, lr=recipe.schedule.max_lr)
        self.step = Step(self.net, self.optimizer, recipe.optim, compute, team)
        self.steps = steps_per_epoch(len(dataset.train), recipe.optim.batch_size)
        self.history: History = {}
        self.test_logits = torch.empty(0)  # of the latest evaluation
        self.epoch = 0  # epochs completed
        self.warm_up_seconds = 0.0
        each = f"{team.size} processes, each on " if team.size > 1 else ""
        self.machines = [each + compute.describe()]
        self.began, self.earlier = time.perf_counter(), 0.0  # seconds of the processes before this one

    @property
    def wall_seconds(self) -> float:
        """Since the training began, evaluation and compiling included, without the time between two processes."""
        return self.earlier + time.perf_counter() - self.began

    def train_epoch(self, bar: tqdm) -> dict[str, float]:
        """One pass over the training images; raises `Diverged` when the loss is not finite."""
        schedule, total = self.recipe.schedule, self.steps * self.recipe.schedule.epochs
        kind = torch.float32 if self.compute.device.type == "mps" else torch.float64
        sums = torch.zeros(2, dtype=kind, device=self.compute.device)  # of losses and of hits, this process's part
        seen, rate, started = 0, 0.0, time.perf_counter()
        # Reading a loss makes a GPU wait, so there it is read after the epoch.
        every = self.steps if self.compute.compiles else 50
        self.net.train()
        for i, (images, labels) in enumerate(self.batches()):
            rate = one_cycle(self.epoch * self.steps + i, total, schedule.max_lr, schedule.warmup)
            set_lr(self.optimizer, rate)
            whole = min(self.recipe.optim.batch_size, len(self.data.train) - seen)
            loss, correct = self.step(images, labels, whole)
            sums += torch.stack([loss * whole, correct])
            seen += whole
            bar.update(whole)
            if (i + 1) % every == 0 or i + 1 == self.steps:
                loss_sum, hits = self.team.total(sums).tolist()
                self._check(loss_sum, rate, i)
                bar.set_postfix(epoch=self.epoch + 1, loss=f"{loss_sum / seen:.3f}", refresh=False)
        seconds = time.perf_counter() - started
        return {
            "lr": rate,
            "train_loss": loss_sum / seen,
            "train_accuracy": hits / seen,
            "seconds": seconds,
            "images_per_second": seen / seconds,
        }

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of the epoch that is next, in their order; this process's share of each."""
        return augment.batches(
            self.data.train, self.recipe.optim.batch_size, self.recipe.augment, self.data.normalizer,
            self.recipe.seed, self.epoch, self.team.share,
        )  # fmt: skip

    def _check(self, loss: float, rate: float, step: int) -> None:
        if not math.isfinite(loss):
            raise Diverged(
                f"The loss became {loss} by step {step + 1} of epoch {self.epoch + 1} at a rate of {rate:.3g}; "
                f"use a smaller max_lr than {self.recipe.schedule.max_lr:.3g}, as in -p max_lr "
                f"{self.recipe.schedule.max_lr / 10:.3g} -p force True; until then the last good checkpoint is kept."
            )

    def evaluate(self, compute: Compute) -> dict[str, float]:
        """Clean loss and accuracy of a fixed part of the training images, of the test and of any validation images."""
        count = min(CLEAN_TRAIN, len(self.data.train), len(self.data.test))
        rows = torch.arange(count, device=self.compute.device)
        splits = {"clean_train": self.data.train.select(rows), "test": self.data.test}
        if len(self.data.val):
            splits["val"] = self.data.val
        scores = {}
        for name, part in splits.items():
            logits = self._predict(part, compute)
            scores[f"{name}_loss"], scores[f"{name}_accuracy"] = score(logits, part.labels)
            if name == "test":
                self.test_logits = logits
        return scores

    def _predict(self, part: datasets.Split, compute: Compute) -> Tensor:
        """`evaluate.predict`, each process of the team predicting a share of the images."""
        if self.team.size == 1:
            return predict(self.net, part, self.data.normalizer, compute)
        rows = torch.arange(len(part), device=self.compute.device)[self.team.share]
        logits = torch.zeros(len(part), len(self.data.classes), device=self.compute.device)
        logits[rows] = predict(self.net, part.select(rows), self.data.normalizer, compute)
        return self.team.total(logits)

    def fit(self, folder: run_folder.RunFolder, identity: Mapping[str, Any], progress: bool = True) -> None:
        """Train the epochs that are left, with a checkpoint after each; the last one is judged as published."""
        epochs, images = self.recipe.schedule.epochs, len(self.data.train)
        if self.compute.compiles and self.epoch < epochs and self.team.size == 1:  # collectives break compiled code
            self.net.train()
            self.warm_up_seconds = self.step.warm_up(*next(self.batches()), images % self.recipe.optim.batch_size)
        with tqdm(
            total=epochs * images, initial=self.epoch * images, unit="img", disable=not progress or not self.team.leads
        ) as bar:
            while self.epoch < epochs:
                row = {"epoch": self.epoch + 1, **self.train_epoch(bar)}
                last = self.epoch + 1 == epochs
                if last:
                    round_to_fp16(self.net)
                scores = self.evaluate(Compute(self.compute.device, "fp32") if last else self.compute)
                self._check(sum(scores.values()), row["lr"], self.steps - 1)  # the last step may have spoiled it
                row |= scores
                for column, value in row.items():
                    self.history.setdefault(column, []).append(value)
                self.epoch += 1
                self.team.agreed(lambda: self.save(folder, identity))

    def save(self, folder: run_folder.RunFolder, identity: Mapping[str, Any]) -> None:
        """Write weights, momentum, history and the run's identity as one file, so that they can never disagree."""
        made = (self.machines, self.wall_seconds) if self.epoch else ()
        checkpoint.save(folder, self.epoch, self.history, identity, self.net, self.optimizer, *made)

    def resume(self, folder: run_folder.RunFolder, identity: Mapping[str, Any], finished: bool = True) -> bool:
        """Continue from the folder's checkpoint if it is of this very run; True when there was one.

        Raises `ReportError` for the checkpoint of another recipe, so that hours of work are not overwritten; with
        `finished=False` such a checkpoint, and that of a training that left its results, are passed over.
        """
        found = checkpoint.load(folder)
        if found is None:
            return False
        over = found.epoch == self.recipe.schedule.epochs and folder.record("run") is not None
        if found.identity != identity and finished and found.epoch > 0:
            raise ReportError(
                f"{folder.name} holds an interrupted run of another recipe "
                f"({run_folder.difference(found.identity, identity)}); choose another run_dir, or give it up with "
                "-p force True."
            )
        if found.identity != identity or (over and not finished):
            return False
        if found.epoch > self.recipe.schedule.epochs or not found.complete(validated=len(self.data.val) > 0):
            raise plain.unreadable(folder / CHECKPOINT, f"it is not of epoch {found.epoch} of this run")
        checkpoint.restore(found, folder / CHECKPOINT, self.net, self.optimizer)
        self.history, self.epoch = found.history, found.epoch
        self.machines, self.earlier = list(dict.fromkeys(found.machines + self.machines)), found.wall_seconds
        return True

    def start(self, folder: run_folder.RunFolder, identity: Mapping[str, Any], finished: bool) -> None:
        """`resume`, or write a first checkpoint, which proves early that it can be written."""
        if not self.resume(folder, identity, finished):
            self.save(folder, identity)

    def join(self) -> None:
        """Take over the state of the team's first process, the one that resumes from the checkpoint."""
        if self.team.size == 1:
            return
        self.history, self.epoch, moving = self.team.agreed(lambda: (self.history, self.epoch, list(self._momentum())))
        for name, parameter in self.net.named_parameters():
            if name in moving:
                self.optimizer.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))
        self.team.give_out(self.net.state_dict() | {f"momentum.{k}": v for k, v in self._momentum().items()})

    def _momentum(self) -> dict[str, Tensor]:
        return checkpoint.momentum(self.net, self.optimizer)


@torch.no_grad()
def round_to_fp16(net: nn.Module) -> None:
    """Round every floating-point weight and statistic to the fp16 value that the weights file will hold."""
    for tensor in net.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(tensor.half())


def load_model(folder: run_folder.RunFolder, device: torch.device | str = "cpu") -> model.ResNet18:
    """The trained network of a run, fp32, in eval mode; raises `ReportError` when there is none or it does not fit."""
    path = folder.need("model.safetensors", "training")
    tensors, metadata = io.read_tensors(path)
    try:
        classes, width = int(metadata.get("classes", 10)), int(metadata.get("width", 64))
        if not (0 < classes <= 10_000 and 0 < width <= 10_000):
            raise ValueError(f"{classes} classes, width {width}")
        with torch.device("meta"):  # without memory: what the sizes say need not be in the file
            fault = checkpoint.difference(tensors, model.ResNet18(classes, width).state_dict())
    except (RuntimeError, ValueError, OverflowError) as error:
        fault = str(error)
    if fault:
        raise ReportError(f"{path} holds the weights of another network ({fault[:120]}); choose another run_dir.")
    net = model.ResNet18(classes, width)
    net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
    return Compute(torch.device(device), "fp32").place(net).eval()


def in_run(
    params: TrainingParams, width: int = 64, team: Team = ALONE
) -> tuple[run_folder.RunFolder, run_folder.Record]:
    """The training of a run folder: the stored one if made with the same parameters, else computed (or resumed).

    `width` that of the network, see `model.ResNet18`.
    All processes of a `team` call it alike; the folder needs to be there for the first one only.
    Raises `ReportError` for a folder of another recipe or in use by another process, and `Diverged` when the
    loss is not finite.
    """
    config = team.agreed(lambda: datasets.resolve(params.data))
    max_lr, source = team.agreed(lambda: peak_lr(params))
    schedule = params.schedule.model_copy(update={"max_lr": max_lr})
    recipe = Recipe(params.augment, params.optim, schedule, config.seed)
    concerns = (config, recipe.augment, recipe.optim, recipe.schedule)
    asked = {k: v for c in concerns for k, v in c.model_dump().items() if k != "data_root"}
    asked |= {"width": width} if width != 64 else {}
    force = params.cache.force
    folder, record = team.agreed(lambda: run_folder.settle(params.run.run_dir, "run", asked, force))
    if record is None:
        with contextlib.ExitStack() as stack:
            team.agreed(lambda: stack.enter_context(lock.held(folder)))  # an error of the first is one of all
            device = team.device(params.device.device)
            precision = team.agreed(lambda: resolve(device, recipe.optim.precision).precision)
            compute = resolve(device, precision)
            stack.enter_context(memory_kept())
            dataset, commit = datasets.load(config), run_folder.commit()
            trainer = Trainer(dataset, recipe, compute, width, team)
            team.agreed(lambda: trainer.start(folder, asked, finished=not force))
            trainer.join()
            with enough_memory(recipe.optim.batch_size), checkpoint.told_what_is_kept(folder):
                trainer.fit(folder, asked)
            record = team.agreed(lambda: results.write(trainer, folder, asked, source, commit))
    return folder, record

"""A run folder's training: the stored one, or one that is computed now.

run = train_or_load(TrainingParams.parse({"epochs": 1, "run_dir": "runs/try"}))
"""

import contextlib
from dataclasses import dataclass

import torch

from .. import model
from ..config import ReportError, TrainingParams
from ..data import datasets
from ..runs import io
from ..runs.folder import RunFolder, resolve_folder
from ..runs.lock import locked
from ..runs.provenance import current_commit
from ..runs.records import Metrics, RunRecord, TrainingRecipe
from . import results
from .checkpoint import CHECKPOINT, Checkpoint, Checkpoints
from .device import Device, keep_memory, out_of_memory_advice, resolve
from .distributed import SINGLE_PROCESS, ProcessGroup
from .schedule import FEW_STEPS, peak_lr
from .trainer import Trainer, TrainingSettings


@dataclass(frozen=True)
class TrainedRun:
    """A finished training: its folder and what run.json records of it."""

    folder: RunFolder
    record: RunRecord

    @property
    def metrics(self) -> Metrics:
        """The scores of the last epoch."""
        return self.folder.metrics()

    def load_model(self, device: torch.device | str = "cpu") -> model.ResNet18:
        """The trained network, see `load_model`."""
        return load_model(self.folder, device)


def train_or_load(
    params: TrainingParams, width: int = 64, group: ProcessGroup = SINGLE_PROCESS, for_analysis: bool = True
) -> TrainedRun:
    """Load the run folder's training if the same parameters made it, else train, or resume what was interrupted.

    `width` is that of the network, see `model.ResNet18`. All processes of a `group` call it alike; the folder needs to
    be there for the main process only. `for_analysis` writes what only the chapters about errors read, see
    `results.write`. Raises `ReportError` for a folder of another recipe or in use by another process, and `Diverged`
    when the loss is not finite.
    """
    data = group.run_on_main(lambda: datasets.resolve_auto(params.data))
    max_lr, lr_source = group.run_on_main(lambda: peak_lr(params))
    schedule = params.schedule.model_copy(update={"max_lr": max_lr})
    settings = TrainingSettings(params.augment, params.optim, schedule, data.seed)
    recipe = TrainingRecipe.of(params, dataset=data.dataset, max_lr=max_lr, width=width)
    force = params.cache.force
    folder, record = group.run_on_main(lambda: resolve_folder(params.run.run_dir, RunRecord, recipe, force))
    if record is not None:
        return TrainedRun(folder, record)
    checkpoints = Checkpoints(folder, recipe)
    with contextlib.ExitStack() as stack:
        group.run_on_main(lambda: stack.enter_context(locked(folder)))
        saved = group.run_on_main(lambda: checkpoints.load(force))
        device = _device(params, saved, group)
        stack.enter_context(keep_memory())
        dataset, commit = datasets.load(data), current_commit()
        trainer = Trainer(dataset, settings, device, width, group)
        group.run_on_main(lambda: _warn_of_few_steps(trainer))
        if saved is None:
            group.run_on_main(lambda: checkpoints.save(trainer.state(recipe)))  # proves early that it can be written
        else:
            _resume(trainer, saved, folder)
        with out_of_memory_advice(settings.optim.batch_size), checkpoints.interruption_advice():
            trainer.fit(checkpoints)
        record = group.run_on_main(
            lambda: results.write(trainer, folder, recipe, lr_source, commit, for_analysis=for_analysis)
        )
    return TrainedRun(folder, record)


def _device(params: TrainingParams, saved: Checkpoint | None, group: ProcessGroup) -> Device:
    """The device of a training; a resumed one keeps the precision that "auto" came to where it began."""
    only_cpus_cooperate = group.size > 1 and not torch.cuda.is_available()  # Apple's GPUs cannot train together
    name = "cpu" if only_cpus_cooperate and params.device.device == "auto" else params.device.device
    precision: str = params.optim.precision
    if precision == "auto" and saved is not None and saved.state.epoch:
        precision = saved.state.precision or precision
    shared_precision = group.run_on_main(lambda: resolve(name, precision).precision)
    return resolve(name, shared_precision)


def _warn_of_few_steps(trainer: Trainer) -> None:
    schedule, images = trainer.lr_schedule, len(trainer.data.train) * trainer.settings.schedule.epochs
    if schedule.peak < schedule.max_lr:
        advice = f"; smaller batches make more, as in -p batch_size {max(2, images // FEW_STEPS)}"
        print(
            f"{schedule.total_steps} steps are few: the rate peaks at {schedule.peak:.2g} instead of "
            f"{schedule.max_lr:.2g}{advice if images >= FEW_STEPS * 32 else ''}.",
            flush=True,
        )


def _resume(trainer: Trainer, saved: Checkpoint, folder: RunFolder) -> None:
    try:
        trainer.restore(saved)
    except (RuntimeError, KeyError) as error:
        raise io.unreadable(folder / CHECKPOINT, error) from None


def load_model(folder: RunFolder, device: torch.device | str = "cpu") -> model.ResNet18:
    """The trained network of a run, fp32, in eval mode; raises `ReportError` when there is none or it does not fit."""
    path = folder.need("model.safetensors", "training")
    tensors, metadata = io.read_tensors(path)
    try:
        net = model.ResNet18(int(metadata.get("classes", 10)), int(metadata.get("width", 64)))
        net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in tensors.items()})
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ReportError(f"{path} holds the weights of another network ({reason}); choose another run_dir.") from None
    return Device(torch.device(device), "fp32").place(net).eval()

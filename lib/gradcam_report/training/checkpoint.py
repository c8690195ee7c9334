"""A training's checkpoint: weights, momentum, history and parameters in one file, so that they never disagree."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import torch
from pydantic import ConfigDict, Field, model_validator
from torch import Tensor, nn

from ..config import ReportError
from ..runs import io
from ..runs.folder import RunFolder, difference
from ..runs.records import Record, RunRecord, TrainingRecipe

CHECKPOINT = "checkpoint.safetensors"


class State(Record):
    """What a checkpoint holds besides tensors, after `epoch` epochs; `history` has a list for each column.

    `machines` describes what computed the epochs, `wall_seconds` how long they took, `precision` is that of training.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    epoch: int = Field(ge=0)
    history: dict[str, list[float]]
    recipe: TrainingRecipe = Field(alias="identity")  # its name in files
    machines: list[str] = Field(default_factory=list)
    wall_seconds: float = 0.0
    precision: str = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(len(column) != self.epoch for column in self.history.values()):
            raise ValueError(f"the history is not one of {self.epoch} epochs")
        return self


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A state with its tensors by name: "net.*" weights and statistics, "momentum.*" the optimizer's buffers."""

    state: State
    tensors: Mapping[str, Tensor]

    def restore(self, net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Put weights and momentum into `net` and its `optimizer`; raises `RuntimeError` where they do not fit."""
        net.load_state_dict({k[4:]: v for k, v in self.tensors.items() if k.startswith("net.")})
        for name, parameter in net.named_parameters():
            if (buffer := self.tensors.get(f"momentum.{name}")) is not None:
                like = torch.empty_like(parameter)  # SGD keeps momentum in the parameter's memory layout
                optimizer.state[parameter]["momentum_buffer"] = like.copy_(buffer)


def tensors_of(net: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The tensors of a checkpoint, see `Checkpoint`."""
    state = optimizer.state
    momentum = {n: state[p]["momentum_buffer"] for n, p in net.named_parameters() if "momentum_buffer" in state[p]}
    return {f"net.{k}": v for k, v in net.state_dict().items()} | {f"momentum.{k}": v for k, v in momentum.items()}


@dataclass(frozen=True)
class Checkpoints:
    """Where the training of a recipe keeps its latest checkpoint."""

    folder: RunFolder
    recipe: TrainingRecipe

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint in place of the one before, whole or not at all."""
        metadata = {"state": checkpoint.state.model_dump_json(by_alias=True)}
        io.write_tensors(self.folder / CHECKPOINT, checkpoint.tensors, metadata)

    def load(self, force: bool = False) -> Checkpoint | None:
        """The checkpoint that a training goes on from; None where it starts from the beginning.

        Raises `ReportError` for a damaged file, and for the checkpoint of another recipe, so that hours of work are not
        overwritten. With `force`, another recipe's checkpoint and that of a finished training are passed over.
        """
        if not (self.folder / CHECKPOINT).exists():
            return None
        saved = read_checkpoint(self.folder)
        if saved.state.recipe != self.recipe:
            if saved.state.epoch and not force:
                differs = difference(dict(saved.state.recipe), dict(self.recipe))
                raise ReportError(
                    f"{self.folder.name} holds an interrupted run of another recipe ({differs}); choose another "
                    "run_dir, or give it up with -p force True."
                )
            return None
        finished = saved.state.epoch == self.recipe.epochs and self.folder.record(RunRecord) is not None
        return None if force and finished else saved

    @contextlib.contextmanager
    def interruption_advice(self) -> Iterator[None]:
        """Give Ctrl-C a text that says which checkpoint is kept and how the training goes on."""
        try:
            yield
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Interrupted; {self.folder.name} keeps the checkpoint of the last epoch that was finished, and the "
                "same command goes on from there."
            ) from None


def read_checkpoint(folder: RunFolder) -> Checkpoint:
    """The folder's checkpoint; raises `ReportError` for a damaged file."""
    tensors, metadata = io.read_tensors(folder / CHECKPOINT)
    return Checkpoint(io.parse_record(metadata.get("state", ""), State, folder / CHECKPOINT), tensors)

"""A training's checkpoint: weights, momentum, history and identity in one file, so that they can never disagree.

It is read as if anybody had written it: what does not fit the network or the run is refused in a sentence.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..runs import folder as run_folder
from ..runs import io, plain
from ..runs.forms import TEXT
from ..runs.plain import LONGEST, misfit

CHECKPOINT = "checkpoint.safetensors"
_FORM = {
    "type": "object",
    "required": ["epoch", "history", "identity"],
    "properties": {
        "epoch": {"type": "integer", "minimum": 0, "maximum": 1000},
        "history": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "number"}}},
        "identity": {"type": "object"},
        "machines": {"type": "array", "items": TEXT, "maxItems": 100},
        "wall_seconds": {"type": "number", "minimum": 0},
    },
}
# Each epoch's columns, in `Trainer.fit`; one that is missing or unknown would end in a table of uneven columns.
_SCORED = ("train", "clean_train", "test")
_TOLD = {"epoch", "lr", "seconds", "images_per_second"}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a checkpoint holds: `epoch` epochs done, a list per column of the history, the run's `identity`.

    And what they were computed on (in words, each machine and precision once), and how long that took in all.
    """

    epoch: int
    history: dict[str, list[float]]
    identity: dict[str, Any]
    net: dict[str, Tensor]
    momentum: dict[str, Tensor]
    machines: list[str]
    wall_seconds: float

    def complete(self, validated: bool) -> bool:
        """Whether the history has the columns of a training, with those of validation images if it is `validated`."""
        parts = (*_SCORED, "val") if validated else _SCORED
        columns = _TOLD | {f"{part}_{score}" for part in parts for score in ("loss", "accuracy")}
        return self.history.keys() == columns if self.epoch else not self.history


def save(
    folder: run_folder.RunFolder,
    epoch: int,
    history: Mapping[str, list[float]],
    identity: Mapping[str, Any],
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    machines: Sequence[str] = (),
    wall_seconds: float = 0.0,
) -> None:
    """Write a checkpoint, in place of the one before."""
    tensors = {f"net.{k}": v for k, v in net.state_dict().items()}
    tensors |= {f"momentum.{k}": v for k, v in momentum(net, optimizer).items()}
    state = {"epoch": epoch, "history": history, "identity": identity}
    state |= {"machines": list(machines), "wall_seconds": wall_seconds}
    io.write_tensors(folder / CHECKPOINT, tensors, {"state": json.dumps(state)})


def momentum(net: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's momentum of each parameter that has one, by the parameter's name."""
    state = optimizer.state
    return {n: state[p]["momentum_buffer"] for n, p in net.named_parameters() if "momentum_buffer" in state[p]}


def load(folder: run_folder.RunFolder) -> Checkpoint | None:
    """The folder's checkpoint, None where there is none; raises `ReportError` for a file that is no checkpoint."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    tensors, metadata = io.read_tensors(path)
    text = metadata.get("state", "")
    try:
        state: Any = json.loads(text, parse_constant=_refuse) if len(text) <= LONGEST else ""
    except (ValueError, RecursionError):
        state = ""
    if fault := misfit(state, _FORM):
        raise plain.unreadable(path, fault)
    epoch, history = int(state["epoch"]), state["history"]
    if any(len(column) != epoch for column in history.values()):
        raise plain.unreadable(path, f"its history is not one of {epoch} epochs")
    if any(abs(value) >= io.LARGEST for column in history.values() for value in column):
        raise plain.unreadable(path, "its history holds a number that is too large")
    parts = {
        part: {k[len(part) :]: v for k, v in tensors.items() if k.startswith(part)} for part in ("net.", "momentum.")
    }
    machines, seconds = list(state.get("machines", [])), min(float(state.get("wall_seconds", 0.0)), io.LARGEST)
    return Checkpoint(epoch, history, state["identity"], parts["net."], parts["momentum."], machines, seconds)


def restore(found: Checkpoint, path: Any, net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint's weights and momentum into `net` and its `optimizer`.

    Raises `ReportError`, having changed nothing, where they are not those of this network, or not finite.
    """
    parameters = dict(net.named_parameters())
    wanted = {name: tensor for name, tensor in parameters.items() if name in found.momentum}
    fault = difference(found.net, net.state_dict()) or difference(found.momentum, wanted)
    if not fault and wanted and len(wanted) != len(parameters):
        fault = "the momentum of some parameters is missing"
    if fault:
        raise plain.unreadable(path, fault)
    net.load_state_dict(found.net)
    for name, buffer in found.momentum.items():
        parameter = parameters[name]
        # SGD keeps momentum in the parameter's own memory layout
        like = torch.empty_like(parameter)
        optimizer.state[parameter]["momentum_buffer"] = like.copy_(buffer.to(parameter.device))


def difference(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """In a few words how the tensors that were `found` cannot be those `wanted`; empty where they can.

    Names, shapes, and whether they hold whole or real numbers must be the same, and every number finite.
    """
    if found.keys() != wanted.keys():
        return f"it holds {len(found)} tensors that are not the {len(wanted)} of this network"
    for name, tensor in wanted.items():
        other = found[name]
        if other.shape != tensor.shape or other.is_floating_point() != tensor.is_floating_point() or other.is_complex():
            return f"{name} is {other.dtype} {tuple(other.shape)} instead of {tensor.dtype} {tuple(tensor.shape)}"
        if not other.float().isfinite().all():
            return f"{name} holds numbers that are not finite"
        if name.endswith("running_var") and (other.float() < 0).any():
            return f"{name} holds a negative variance"
    return ""


@contextmanager
def told_what_is_kept(folder: run_folder.RunFolder) -> Iterator[None]:
    """Give Ctrl-C a text that says which checkpoint is kept and how the training goes on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Interrupted; {folder.name} keeps the checkpoint of the last epoch that was finished, and the same "
            "command goes on from there."
        ) from None


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number")

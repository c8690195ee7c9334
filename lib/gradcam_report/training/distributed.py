"""The processes that train one network together: one alone, or those that torchrun started on one host or several.

    torchrun --nproc-per-node 2 -m gradcam_report train --run-dir runs/two --params params/quick.yaml

Each process holds the network and all images, and works on its share of every batch. What is random is drawn for the
whole batch, BatchNorm uses the statistics of the whole batch, and gradients are those of its mean loss: so a team of
any size makes the steps that one process would make with that batch size, up to the order in which sums are rounded.
Only the first process reads and writes the run folder.
"""

import contextlib
import datetime
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.parallel import DistributedDataParallel

from ..config import ReportError

Result = TypeVar("Result")
PATIENCE = datetime.timedelta(minutes=30)  # the others wait while the first one judges and writes
LOST = ("closed by peer", "Connection reset", "Connection refused", "Broken pipe", "gloo", "NCCL", "Timed out")


@dataclass(frozen=True)
class Team:
    """`rank`, 0 to size - 1, of this process among `size` that train together."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that reads and writes the run folder, and speaks."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """Which rows of a batch are this process's."""
        return slice(self.rank, None, self.size)

    def device(self, asked: str) -> str:
        """What the `asked` device is for this process: where processes train together, "auto" is no Apple GPU."""
        together = self.size > 1 and asked == "auto" and not torch.cuda.is_available()
        return "cpu" if together else asked

    def wrapped(self, net: nn.Module) -> nn.Module:
        """`net` for training steps: its gradients are the means over the processes, its weights those of the first.

        `net` itself keeps the parameters; its BatchNorm layers are `share_statistics`d in place.
        """
        if self.size == 1:
            return net
        share_statistics(net)
        return DistributedDataParallel(net, broadcast_buffers=False)

    def total(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes; the same on each of them."""
        if self.size > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def agreed(self, work: Callable[[], Result]) -> Result:
        """What `work` returns in the first process, on all of them; an error that it raises there is raised on all."""
        if self.size == 1:
            return work()
        outcome: list[Any] = [None, None]
        if self.leads:
            try:
                outcome[0] = work()
            except Exception as error:
                outcome[1] = error
        dist.broadcast_object_list(outcome)
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]

    def give_out(self, tensors: Mapping[str, Tensor]) -> None:
        """Overwrite tensors, the same names and shapes on all processes, with those of the first one."""
        for tensor in tensors.values():
            if self.size > 1:
                dense = tensor.contiguous()
                dist.broadcast(dense, 0)
                tensor.copy_(dense)


ALONE = Team()


def share_statistics(net: nn.Module) -> None:
    """Let every BatchNorm in `net` use mean and variance over the batches of all processes, in place.

    On CUDA by PyTorch's SyncBatchNorm, which has no other devices; elsewhere by `TeamBatchNorm`.
    """
    for parent in list(net.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                on_gpu = child.weight.is_cuda
                setattr(parent, name, nn.SyncBatchNorm.convert_sync_batchnorm(child) if on_gpu else team_norm(child))


class TeamBatchNorm(nn.BatchNorm2d):
    """BatchNorm over the batches of all processes (Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167).

    Statistics are summed by a collective that autograd sees through, so gradients are those of the whole batch.
    """

    def forward(self, images: Tensor) -> Tensor:
        """float (B, C, H, W) -> the same shape and dtype; B may be 0 in some of the processes."""
        if not self.training:
            return super().forward(images)
        x = images.to(torch.promote_types(images.dtype, torch.float32))
        ones = x.new_full((self.num_features,), x.numel() / self.num_features)
        sums = all_reduce(torch.stack([x.sum((0, 2, 3)), x.square().sum((0, 2, 3)), ones]))
        mean, square = sums[0] / sums[2], sums[1] / sums[2]
        var = (square - mean.square()).clamp(min=0)
        with torch.no_grad():
            count, momentum = sums[2], self.momentum or 0.0
            self.running_mean.lerp_(mean, momentum)  # type: ignore[union-attr]
            self.running_var.lerp_(var * count / (count - 1).clamp(min=1), momentum)  # type: ignore[union-attr]
            self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        scale = self.weight * (var + self.eps).rsqrt()
        shape = (1, -1, 1, 1)
        return (x * scale.view(shape) + (self.bias - mean * scale).view(shape)).to(images.dtype)


def team_norm(layer: nn.BatchNorm2d) -> TeamBatchNorm:
    """A `TeamBatchNorm` with the parameters and statistics of `layer`, the same tensors under the same names."""
    new = TeamBatchNorm(layer.num_features, layer.eps, layer.momentum)
    new.weight, new.bias = layer.weight, layer.bias
    new.running_mean, new.running_var = layer.running_mean, layer.running_var
    new.num_batches_tracked = layer.num_batches_tracked
    return new.train(layer.training)


@contextmanager
def assembled(device: str) -> Iterator[Team]:
    """The team that torchrun's environment describes, `ALONE` outside torchrun; taken apart at the end.

    NCCL connects GPUs, one for each process, gloo CPUs. Raises `ReportError` when there are fewer GPUs than processes
    on this host, for Apple's GPUs, and when another process of the team ends before its time.
    """
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        yield ALONE
        return
    if device == "mps":
        raise ReportError(f"device is 'mps', on which {size} processes cannot train together; use -p device cpu.")
    on_gpus = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if on_gpus:
        local, there = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
        if local >= there:
            raise ReportError(
                f"torchrun started process {local + 1} on {socket.gethostname()}, which has {there} GPUs; use "
                f"--nproc-per-node {there}, or -p device=cpu."
            )
        torch.cuda.set_device(local)
    try:
        dist.init_process_group("nccl" if on_gpus else "gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise ReportError(
            f"The {size} processes could not be connected ({' '.join(str(error).split())[:300]}); see to it that their "
            "hosts reach each other, and that torchrun's --rdzv-endpoint names one of them."
        ) from None
    with company():
        try:
            yield Team(dist.get_rank(), size)
        finally:
            with contextlib.suppress(RuntimeError):
                dist.destroy_process_group()


@contextmanager
def company() -> Iterator[None]:
    """Turn the errors of a lost connection into a `ReportError` that says what is left."""
    try:
        yield
    except RuntimeError as error:  # gloo raises plain RuntimeErrors
        words = " ".join(str(error).split())
        if not isinstance(error, dist.DistError) and not any(sign in words for sign in LOST):
            raise
        raise ReportError(
            f"Another process of this training ended ({words[:200]}); the checkpoint of the last epoch is kept, give "
            "the same command again to go on, with as many processes as you like."
        ) from None

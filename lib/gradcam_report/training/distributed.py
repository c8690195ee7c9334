"""One network trained by several processes, those that torchrun started on one host or several.

    torchrun --nproc-per-node 2 -m gradcam_report train --run-dir runs/two --params params/quick.yaml

Each process holds the network and all images, and computes its shard of every batch. Random choices are drawn for the
whole batch, BatchNorm uses the statistics of the whole batch, and gradients are those of its mean loss. So any number
of processes makes the steps that one process would make with that batch size, up to rounding. Only the main process
reads and writes the run folder.
"""

import contextlib
import datetime
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.parallel import DistributedDataParallel

from ..config import ReportError

Result = TypeVar("Result")
TIMEOUT = datetime.timedelta(minutes=30)  # the others wait while the main process evaluates and writes


@dataclass(frozen=True)
class ProcessGroup:
    """This process's `rank`, 0 to size - 1, among the `size` processes that train one network."""

    rank: int = 0
    size: int = 1

    @property
    def is_main_process(self) -> bool:
        """Whether this process reads and writes the run folder, and prints."""
        return self.rank == 0

    @property
    def shard(self) -> slice:
        """Which rows of a batch are this process's."""
        return slice(self.rank, None, self.size)

    def wrap(self, net: nn.Module) -> nn.Module:
        """Return `net` for training steps: gradients are averaged over the processes.

        `net` keeps the parameters; its BatchNorm layers are replaced in place by ones that share their statistics.
        """
        if self.size == 1:
            return net
        share_batchnorm_statistics(net)
        return DistributedDataParallel(net, broadcast_buffers=False)

    def sum(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes, the same on each of them."""
        if self.size > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def count(self, rows: Tensor) -> int:
        """The number of rows of a tensor over all processes."""
        return len(rows) if self.size == 1 else int(self.sum(torch.tensor(len(rows), device=rows.device)))

    def run_on_main(self, work: Callable[[], Result]) -> Result:
        """Run `work` in the main process; every process returns its result, or raises its error."""
        if self.size == 1:
            return work()
        answer: list[Any] = [None, None]
        if self.is_main_process:
            try:
                answer[0] = work()
            except Exception as error:
                answer[1] = error
        dist.broadcast_object_list(answer)
        if answer[1] is not None:
            raise answer[1]
        return answer[0]


SINGLE_PROCESS = ProcessGroup()


def share_batchnorm_statistics(net: nn.Module) -> None:
    """Make every BatchNorm in `net` use mean and variance over the batches of all processes, in place.

    On CUDA by PyTorch's SyncBatchNorm, which supports no other device; elsewhere by `SharedBatchNorm`.
    """
    for parent in list(net.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                new = nn.SyncBatchNorm.convert_sync_batchnorm(child) if child.weight.is_cuda else shared(child)
                setattr(parent, name, new)


class SharedBatchNorm(nn.BatchNorm2d):
    """BatchNorm over the batches of all processes (Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167).

    Autograd sees through the collective that sums the statistics, so gradients are those of the whole batch.
    """

    def forward(self, images: Tensor) -> Tensor:
        """float (B, C, H, W) -> the same shape and dtype; B may be 0 in some of the processes."""
        if not self.training:
            return super().forward(images)
        x = images.to(torch.promote_types(images.dtype, torch.float32))
        ones = x.new_full((self.num_features,), x.numel() / self.num_features)
        sums = all_reduce(torch.stack([x.sum((0, 2, 3)), x.square().sum((0, 2, 3)), ones]))
        mean, square, count = sums[0] / sums[2], sums[1] / sums[2], sums[2]
        var = (square - mean.square()).clamp(min=0)
        with torch.no_grad():
            self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
            # Without a momentum the statistics are the mean over all batches, as in PyTorch's own layer.
            momentum = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum  # type: ignore[arg-type]
            self.running_mean.lerp_(mean, momentum)  # type: ignore[union-attr]
            self.running_var.lerp_(var * count / (count - 1).clamp(min=1), momentum)  # type: ignore[union-attr]
        scale = self.weight * (var + self.eps).rsqrt()
        shape = (1, -1, 1, 1)
        return (x * scale.view(shape) + (self.bias - mean * scale).view(shape)).to(images.dtype)


def shared(layer: nn.BatchNorm2d) -> SharedBatchNorm:
    """A `SharedBatchNorm` with the parameters and statistics of `layer`: the same tensors under the same names."""
    new = SharedBatchNorm(layer.num_features, layer.eps, layer.momentum)
    new.weight, new.bias = layer.weight, layer.bias
    new.running_mean, new.running_var = layer.running_mean, layer.running_var
    new.num_batches_tracked = layer.num_batches_tracked
    return new.train(layer.training)


@contextlib.contextmanager
def process_group(device: str) -> Iterator[ProcessGroup]:
    """Join the process group that torchrun's environment describes, `SINGLE_PROCESS` outside torchrun.

    NCCL connects GPUs, one for each process; gloo connects CPUs. Raises `ReportError` for Apple's GPUs, for fewer GPUs
    than processes on this host, and where another process ends early.
    """
    size, local = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_RANK", 0))
    if size == 1:
        yield SINGLE_PROCESS
        return
    if device == "mps":
        raise ReportError(f"device is 'mps', on which {size} processes cannot train together; use -p device cpu.")
    on_gpus = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    if on_gpus and local >= torch.cuda.device_count():
        gpus = torch.cuda.device_count()
        raise ReportError(
            f"torchrun started process {local + 1} on {socket.gethostname()}, which has {gpus} GPUs; use "
            f"--nproc-per-node {gpus}, or -p device cpu."
        )
    if on_gpus:
        torch.cuda.set_device(local)
    try:
        dist.init_process_group("nccl" if on_gpus else "gloo", timeout=TIMEOUT)
        yield ProcessGroup(dist.get_rank(), size)
    except (RuntimeError, ValueError) as error:  # gloo raises plain RuntimeErrors for a lost process
        raise ReportError(
            f"One of {size} processes failed ({' '.join(str(error).split())[:200]}); give the same command again to go "
            "on from the last epoch's checkpoint, with any number of processes that reach each other."
        ) from error
    finally:
        if dist.is_initialized():
            with contextlib.suppress(RuntimeError):
                dist.destroy_process_group()

"""Compiling the training step for a GPU, with a way back where no compiler works."""

import time
import warnings
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .device import Device
from .muon import Muon, muon_update
from .optimizer import preserve_state


def compiled(
    net: nn.Module, optimizer: torch.optim.Optimizer, batches: Sequence[tuple[Tensor, Tensor]], device: Device
) -> tuple[nn.Module, float]:
    """Compile `net` and Muon's update by steps on `batches`, which are undone: (the compiled network, seconds).

    The compiled network shares the parameters of `net`. Where compiling fails, for want of a compiler for instance, a
    line says so, and the result is `net` itself and 0 seconds.
    """
    started = time.perf_counter()
    try:
        fast: nn.Module = torch.compile(net, dynamic=False)  # type: ignore[assignment]
        if isinstance(optimizer, Muon):
            optimizer.update = torch.compile(muon_update, dynamic=False)
        with preserve_state(net, optimizer), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="TensorFloat32")  # float32 is chosen, not overlooked
            net.train()
            for images, labels in batches:
                with device.autocast():
                    logits = fast(images)
                optimizer.zero_grad(set_to_none=True)
                F.cross_entropy(logits.float(), labels).backward()
                optimizer.step()
    except Exception as error:  # whatever a compiler can raise: it only makes things faster
        print(f"The step is not compiled: {' '.join(str(error).split())[:160]}", flush=True)
        if isinstance(optimizer, Muon):
            optimizer.update = muon_update
        return net, 0.0
    return fast, time.perf_counter() - started

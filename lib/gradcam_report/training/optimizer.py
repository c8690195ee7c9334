"""The optimizer that the range test and training share, and what puts a network and its optimizer back."""

import contextlib
import copy
from collections.abc import Iterator

import torch
from torch import nn

from ..config import OptimConfig
from .device import Device
from .muon import Muon


def build_optimizer(net: nn.Module, config: OptimConfig, device: Device, lr: float) -> torch.optim.Optimizer:
    """Build Muon or SGD as `config` says, with weight decay on the weights of convolutions and linear layers only.

    Decaying BatchNorm's scales and biases gains nothing (He et al. 2019, https://arxiv.org/abs/1812.01187, section
    3.1), and Muon keeps filters at a fixed norm, so they need no decay. Muon's matrix products use the precision of
    training: on CPUs without AVX-512, PyTorch's products in bf16 take ten to twenty times as long as in float32.
    """
    filters = [p for p in net.parameters() if p.ndim > 2]
    linear = [p for p in net.parameters() if p.ndim == 2]
    others = [p for p in net.parameters() if p.ndim < 2]
    if config.optimizer == "sgd":
        groups: list[dict] = [{"params": filters + linear, "weight_decay": config.weight_decay}, {"params": others}]
        optimizer: torch.optim.Optimizer = torch.optim.SGD(
            groups, momentum=config.momentum, nesterov=config.momentum > 0
        )
    else:
        sgd = {"momentum": config.momentum, "scale": config.sgd_lr_factor}
        groups = [
            {"params": filters, "filters": True, "momentum": config.muon_momentum},
            {"params": linear, "weight_decay": config.weight_decay, **sgd},
            {"params": others, **sgd},
        ]
        optimizer = Muon(groups, device.dtype)
    set_lr(optimizer, lr)
    return optimizer


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every parameter group the rate `lr` (per step) times its own `scale`, if it has one."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("scale", 1.0)


@contextlib.contextmanager
def preserve_state(net: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Put back weights, BatchNorm statistics, optimizer state, gradients, mode and torch's RNG, whatever happens."""
    weights, state = copy.deepcopy(net.state_dict()), copy.deepcopy(optimizer.state_dict())
    modes = [(m, m.training) for m in net.modules()]
    grads = [(p, None if p.grad is None else p.grad.clone()) for p in net.parameters()]
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            net.load_state_dict(weights)
            optimizer.load_state_dict(state)
            for module, training in modes:
                module.training = training
            for parameter, grad in grads:
                parameter.grad = grad

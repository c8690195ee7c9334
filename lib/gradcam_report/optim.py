"""The optimizer step that the range test and the training share, so that the one speaks for the other."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .compute import Compute
from .config import OptimConfig


def build_optimizer(net: nn.Module, config: OptimConfig, lr: float) -> torch.optim.SGD:
    """SGD with Nesterov momentum; weight decay on the weights of convolutions and linear layers only.

    Decaying BatchNorm's scales and the biases gains nothing (He et al. 2019, https://arxiv.org/abs/1812.01187,
    section 3.1).
    """
    decayed = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=lr, momentum=config.momentum, nesterov=config.momentum > 0)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every parameter group the rate `lr` (per step)."""
    for group in optimizer.param_groups:
        group["lr"] = lr


class Step:
    """One optimizer step on a batch: images float32 (B, 3, 32, 32), labels int64 (B,) -> loss () and hits (), tensors.

    The loss is the mean label-smoothed cross-entropy before the step, `hits` how many images were classified right.
    Nothing is copied to the host, so a GPU need not wait. The step is not compiled: on two CPU cores torch.compile
    gained nothing (143 images/s in bf16 with and without it) and cost a minute.
    """

    def __init__(self, net: nn.Module, optimizer: torch.optim.Optimizer, config: OptimConfig, compute: Compute) -> None:
        self.net, self.optimizer, self.smoothing, self.compute = net, optimizer, config.label_smoothing, compute

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Make one step; see the class."""
        with self.compute.autocast():
            logits = self.net(images)
        logits = logits.float()
        loss = F.cross_entropy(logits, labels, label_smoothing=self.smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.detach(), (logits.detach().argmax(1) == labels).sum()

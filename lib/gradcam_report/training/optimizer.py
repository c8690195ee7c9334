"""The optimizer step that the range test and the training share, so that the one speaks for the other."""

import contextlib
import copy
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import OptimConfig
from .device import Compute
from .distributed import ALONE, Team

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of the quintic iteration of Jordan et al. 2024, see below


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Roughly the nearest semi-orthogonal matrices: float (..., R, C) -> the same, singular values about 0.7 to 1.2.

    Five steps of a Newton-Schulz iteration whose coefficients trade exactness for speed (Jordan et al. 2024, "Muon",
    https://kellerjordan.github.io/posts/muon), in the arithmetic of the matrices given; bf16 is exact enough.
    """
    a, b, c = NEWTON_SCHULZ
    x = matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Muon for the filters of convolutions, SGD for everything else, both with Nesterov momentum.

    A filter bank (O, I, H, W) is a matrix (O, I*H*W). Its update is `orthogonalise`d (Jordan et al. 2024), so that all
    directions learn equally fast, and the bank is scaled back to the norm sqrt(O): the BatchNorm behind each
    convolution makes its scale irrelevant, so the rate is about the relative change per step (as in Jordan's
    airbench94_muon). Groups of parameters: `filters` tells which rule, `scale` multiplies the rate
    that `set_lr` gives, `momentum` and `weight_decay` are the group's own. `arithmetic` is that of orthogonalising.
    """

    def __init__(self, groups: list[dict], arithmetic: torch.dtype = torch.float32) -> None:
        super().__init__(groups, {"lr": 0.0, "scale": 1.0, "momentum": 0.9, "weight_decay": 0.0, "filters": False})
        self.move: Callable[..., None] = move
        self.arithmetic = arithmetic

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; `closure` is not supported."""
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            for p in params:
                if "momentum_buffer" not in self.state[p]:
                    self.state[p]["momentum_buffer"] = torch.zeros_like(p)
            if params:
                buffers = [self.state[p]["momentum_buffer"] for p in params]
                rate = torch.full((), group["lr"], device=params[0].device)  # as a number it would be compiled in
                grads = [p.grad for p in params]
                how = self.arithmetic if group["filters"] else None
                self.move(params, grads, buffers, rate, group["momentum"], group["weight_decay"], how)


def move(
    params: list[Tensor], grads: list[Tensor], buffers: list[Tensor], lr: Tensor, momentum: float, decay: float,
    arithmetic: torch.dtype | None,
) -> None:  # fmt: skip
    """One step of `Muon` for the parameters of a group, in place; filters of one shape are orthogonalised together.

    `arithmetic` is that of orthogonalising, None for a group that is not of filters.
    """
    grads = [g + decay * p for g, p in zip(grads, params, strict=True)] if decay else grads
    updates = []
    for grad, buffer in zip(grads, buffers, strict=True):
        buffer.mul_(momentum).add_(grad)
        updates.append(grad + momentum * buffer)
    if arithmetic is None:
        for p, update in zip(params, updates, strict=True):
            p.sub_(lr * update)
        return
    by_shape = defaultdict(list)
    for p, update in zip(params, updates, strict=True):
        by_shape[p.shape].append((p, update.flatten(1)))
    for shape, members in by_shape.items():
        turned = orthogonalise(torch.stack([update for _, update in members]).to(arithmetic))
        for (p, _), update in zip(members, turned.float(), strict=True):
            p.mul_(shape[0] ** 0.5 / p.norm())
            p.sub_(lr * update.view(shape))


def build_optimizer(net: nn.Module, config: OptimConfig, compute: Compute, lr: float) -> torch.optim.Optimizer:
    """Muon or SGD as `config` says; weight decay on the weights of convolutions and linear layers only.

    Muon multiplies in the precision of training: on CPUs without AVX-512 PyTorch's products in bf16 take ten to twenty
    times as long as those in float32, on those with AVX-512 but no bf16 instructions twice as long.

    Decaying BatchNorm's scales and the biases gains nothing (He et al. 2019, https://arxiv.org/abs/1812.01187,
    section 3.1), and a filter bank that Muon keeps at its norm has nothing to decay.
    """
    filters = [p for p in net.parameters() if p.ndim > 2]
    linear = [p for p in net.parameters() if p.ndim == 2]
    others = [p for p in net.parameters() if p.ndim < 2]
    if config.optimizer == "sgd":
        groups: list[dict] = [{"params": filters + linear, "weight_decay": config.weight_decay}, {"params": others}]
        built: torch.optim.Optimizer = torch.optim.SGD(groups, momentum=config.momentum, nesterov=config.momentum > 0)
    else:
        sgd = {"momentum": config.momentum, "scale": config.sgd_lr_factor}
        groups = [
            {"params": filters, "filters": True, "momentum": config.muon_momentum},
            {"params": linear, "weight_decay": config.weight_decay, **sgd},
            {"params": others, **sgd},
        ]
        built = Muon(groups, compute.arithmetic)
    set_lr(built, lr)
    return built


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every parameter group the rate `lr` (per step) times its own `scale`, if it has one."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("scale", 1.0)


@contextlib.contextmanager
def restored(net: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
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


class Step:
    """One optimizer step on a batch: images float32 (B, 3, 32, 32), labels int64 (B,) -> loss () and hits (), tensors.

    The loss is the mean label-smoothed cross-entropy before the step, `hits` how many images were classified right.
    Nothing is copied to the host, which so need not wait for a GPU. `warm_up` compiles the step. In a `team` each
    process gives its share of a batch of `whole` images; losses and hits are its part of the sum over the team.
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        config: OptimConfig,
        compute: Compute,
        team: Team = ALONE,
    ) -> None:
        self.net, self.optimizer, self.smoothing, self.compute = net, optimizer, config.label_smoothing, compute
        self.members, self.forward = team.size, team.wrapped(net)
        self.judge: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]] = self._judge

    def __call__(self, images: Tensor, labels: Tensor, whole: int = 0) -> tuple[Tensor, Tensor]:
        """Make one step; see the class. `whole` images are in the team's batch, by default those given."""
        loss, hits = self.judge(images, labels, whole or len(labels))
        self.optimizer.zero_grad(set_to_none=True)
        (loss * self.members).backward()  # a team's gradients are averaged, this loss is to be summed
        self.optimizer.step()
        return loss.detach(), hits

    def _judge(self, images: Tensor, labels: Tensor, whole: int) -> tuple[Tensor, Tensor]:
        with self.compute.autocast():
            logits = self.forward(images)
        logits = logits.float()
        loss = F.cross_entropy(logits, labels, label_smoothing=self.smoothing, reduction="sum") / whole
        return loss, (logits.detach().argmax(1) == labels).sum()

    def warm_up(self, images: Tensor, labels: Tensor, rest: int = 0) -> float:
        """Compile the step by making some on a batch, and undo them; returns the seconds.

        `rest` is the size of an epoch's smaller last batch, 0 where there is none. Where compiling fails, a GPU without
        its compiler for instance, the step stays as it is, a line says so, and 0 is returned.
        """
        started = time.perf_counter()
        try:
            self._compile()
            with restored(self.net, self.optimizer), warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="TensorFloat32")  # float32 is chosen, not overlooked
                for size in (len(labels), len(labels), rest):  # the second step finds the momentum that the first made
                    if size:
                        self(images[:size], labels[:size])
        except Exception as error:  # whatever a compiler can raise: it is an aid only
            print(f"The step is not compiled: {' '.join(str(error).split())[:160]}", flush=True)
            self.judge = self._judge
            if isinstance(self.optimizer, Muon):
                self.optimizer.move = move
            return 0.0
        return time.perf_counter() - started

    def _compile(self) -> None:
        self.judge = torch.compile(self._judge, dynamic=False)
        if isinstance(self.optimizer, Muon):
            self.optimizer.move = torch.compile(move, dynamic=False)

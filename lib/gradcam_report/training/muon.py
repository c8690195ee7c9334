"""Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon): momentum whose updates are orthogonalised."""

from collections import defaultdict
from collections.abc import Callable

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration, by Jordan et al.


def newton_schulz(matrices: Tensor, steps: int = 5) -> Tensor:
    """Approximate the nearest semi-orthogonal matrices: float (..., R, C) -> the same shape and dtype.

    Each step maps every singular value s to a s + b s^3 + c s^5 and keeps the singular vectors. After five steps all
    singular values lie between about 0.7 and 1.2. bf16 is precise enough.
    """
    a, b, c = COEFFICIENTS
    x = matrices / matrices.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Muon for the filters of convolutions, SGD for every other parameter, both with Nesterov momentum.

    Muon takes the filters (O, I, H, W) of a convolution as one matrix (O, I*H*W). `newton_schulz` orthogonalises the
    update of the matrix, so that all directions learn equally fast. Before each update the filters are rescaled to the
    norm sqrt(O), as in Jordan's airbench94_muon. The BatchNorm after the convolution cancels their scale, so the rate
    is the relative change per step.

    Each parameter group has its own `momentum`, `weight_decay`, `filters` (True for Muon, False for SGD) and `scale`
    (a factor of the rate that `set_lr` gives). `dtype` is the precision of `newton_schulz`.
    """

    def __init__(self, groups: list[dict], dtype: torch.dtype = torch.float32) -> None:
        super().__init__(groups, {"lr": 0.0, "scale": 1.0, "momentum": 0.9, "weight_decay": 0.0, "filters": False})
        self.update: Callable[..., None] = muon_update
        self.dtype = dtype

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
                lr = torch.full((), group["lr"], device=params[0].device)  # a Python number would be compiled in
                grads = [p.grad for p in params]
                dtype = self.dtype if group["filters"] else None
                self.update(params, grads, buffers, lr, group["momentum"], group["weight_decay"], dtype)


def muon_update(
    params: list[Tensor], grads: list[Tensor], buffers: list[Tensor], lr: Tensor, momentum: float, weight_decay: float,
    dtype: torch.dtype | None,
) -> None:  # fmt: skip
    """Make one step of `Muon` for a group of parameters, in place.

    `dtype` is that of `newton_schulz`, None for a group that is moved by SGD. Filters of one shape are orthogonalised
    together.
    """
    if weight_decay:
        grads = [g + weight_decay * p for g, p in zip(grads, params, strict=True)]
    updates = []
    for grad, buffer in zip(grads, buffers, strict=True):
        buffer.mul_(momentum).add_(grad)
        updates.append(grad + momentum * buffer)
    if dtype is None:
        for p, update in zip(params, updates, strict=True):
            p.sub_(lr * update)
        return
    by_shape = defaultdict(list)
    for p, update in zip(params, updates, strict=True):
        by_shape[p.shape].append((p, update.flatten(1)))
    for shape, members in by_shape.items():
        orthogonal = newton_schulz(torch.stack([update for _, update in members]).to(dtype)).float()
        for (p, _), update in zip(members, orthogonal, strict=True):
            p.mul_(shape[0] ** 0.5 / p.norm())
            p.sub_(lr * update.view(shape))

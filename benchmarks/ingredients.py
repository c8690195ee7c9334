"""Ingredients of published recipes that this report's recipe does without, for the ablation.

Each changes a trainer that has not begun, so that `Trainer.train_epoch` trains with the ingredient.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradcam_report.training.trainer import Trainer

PATCHES_FROM = 5_000  # training images; nine hundred patches of each are plenty for the covariance of 27 numbers


def whitening_filters(images: Tensor, size: int = 3, floor: float = 5e-4) -> Tensor:
    """Filters whose outputs on the patches of `images` are uncorrelated and of variance 1, each with both signs.

    float32 (N, C, H, W), normalised -> float32 (2 C size^2, C, size, size): eigenvectors of the patches' covariance,
    each divided by the root of (its eigenvalue + `floor`) (Page 2019, "How to train your ResNet" 8; Jordan
    2024, https://arxiv.org/abs/2404.00498, section 3.1).
    """
    patches = F.unfold(images, size).transpose(1, 2).flatten(0, 1)
    values, vectors = torch.linalg.eigh(torch.cov(patches.T.double()))
    filters = (vectors / (values + floor).sqrt()).T.flip(0)
    return torch.cat([filters, -filters]).float().unflatten(1, (images.shape[1], size, size))


@torch.no_grad()
def whitening(trainer: Trainer) -> None:
    """Fill the first filters of the first layer with `whitening_filters`, and freeze the layer: Muon would turn it."""
    images = trainer.data.normalizer(trainer.data.train.images[:PATCHES_FROM])
    first: nn.Conv2d = trainer.net.conv1
    filters = whitening_filters(images)[: len(first.weight)]
    first.weight[: len(filters)] = filters
    first.weight.requires_grad_(False)


class Lookahead:
    """Every few steps the weights go back to a slow average of themselves, which follows them more slowly to the end.

    The average keeps the share `0.95^every * (step / steps)^3` of itself (Zhang et al. 2019,
    https://arxiv.org/abs/1907.08610, in the form of Jordan 2024, section 3.4); BatchNorm's statistics take part. After
    the last step the network is the average.
    """

    def __init__(self, trainer: Trainer, every: int = 5) -> None:
        self.weights = [t for t in trainer.net.state_dict().values() if t.is_floating_point()]
        self.slow = [t.clone() for t in self.weights]
        self.steps, self.every, self.step = trainer.lr_schedule.total_steps, every, 0

    @torch.no_grad()
    def __call__(self, *_: object) -> None:
        """Count a step of the optimizer, and go back where it is time."""
        self.step += 1
        kept = 0.95**self.every * (self.step / self.steps) ** 3
        for weight, slow in zip(self.weights, self.slow, strict=True):
            if self.step % self.every == 0:
                slow.lerp_(weight, 1 - kept)
            if self.step % self.every == 0 or self.step == self.steps:
                weight.copy_(slow)


def lookahead(trainer: Trainer) -> None:
    """Train with `Lookahead`."""
    trainer.optimizer.register_step_post_hook(Lookahead(trainer))


def faster_batchnorm_bias(trainer: Trainer, factor: float = 8.0) -> None:
    """Give BatchNorm's biases `factor` times the rate of the other parameters that SGD moves (Page 2019, part 6)."""
    biases = [m.bias for m in trainer.net.modules() if isinstance(m, nn.BatchNorm2d)]
    group = next(g for g in trainer.optimizer.param_groups if set(biases) <= set(g["params"]))
    group["params"] = [p for p in group["params"] if p not in set(biases)]
    trainer.optimizer.add_param_group({**group, "params": biases, "scale": group.get("scale", 1.0) * factor})


INGREDIENTS = {"whitening": whitening, "lookahead": lookahead, "quick shifts": faster_batchnorm_bias}

"""What the network's layers say about images: heat maps and margins of the answer and of what it is set against.

found = evidence.of_cases(net, chosen, ["layer3", "layer4"])
found.maps["predicted"]["layer4"]
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..analysis import selection
from ..data import datasets
from ..model import ResNet18
from . import cam


@dataclass(frozen=True, eq=False)
class Evidence:
    """The evidence in N images for two classes of each: the answer and the class that it is set against."""

    maps: dict[str, dict[str, Tensor]]
    """"predicted" and "other" -> layer -> float32 (N, h, w), 0-1 on one scale for both."""
    cells: Tensor
    """float32 (N, h, w): what each cell of layer4 adds to `margin`."""
    margin: Tensor
    """float32 (N,): logit(predicted) - logit(other) without the biases."""


def set_against(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(the answers, the classes they are set against), both int64 (N,), of probabilities float64 (N, C).

    An answer is set against the true class, of `labels` int64 (N,); where it is right, or the labels are None, against
    the runner-up.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    predicted, runner_up = order[:, 0], order[:, 1]
    return predicted, runner_up if labels is None else np.where(labels == predicted, runner_up, labels)


def of_images(
    net: ResNet18,
    images: Tensor,
    predicted: NDArray[np.int64],
    other: NDArray[np.int64],
    layers: Sequence[str],
    method: str = "gradcam",
) -> Evidence:
    """The evidence in normalised images, float32 (N, 3, 32, 32), for two classes of each, both int64 (N,)."""
    targets = {"predicted": torch.from_numpy(predicted.copy()), "other": torch.from_numpy(other.copy())}
    maps = cam.explain(net, images, targets, layers, method, shared=True)
    return Evidence(maps, *cam.margin_map(net, images, targets["predicted"], targets["other"]))


def of_cases(net: ResNet18, chosen: selection.Cases, layers: Sequence[str], method: str = "gradcam") -> Evidence:
    """The evidence in the chosen test images for what was answered and for what that is set against."""
    images = datasets.NORMALIZERS[chosen.dataset](torch.from_numpy(chosen.images))
    return of_images(net, images, *set_against(chosen.probabilities, chosen.true), layers, method)

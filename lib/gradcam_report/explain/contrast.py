"""Which two classes of an image are compared, and the explanation of both.

explanation = contrast.explain_examples(net, examples, ["layer3", "layer4"])
explanation.maps["predicted"]["layer4"]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..analysis.predictions import Floats, Ints
from ..analysis.selection import Examples
from ..data import datasets
from ..model import ResNet18
from .cam import explain, rescale_together
from .margin import margin_map


def contrast_classes(probabilities: Floats, labels: Ints | None) -> tuple[Ints, Ints]:
    """Return (predicted classes, contrast classes), both int64 (N,), of probabilities float64 (N, C).

    The contrast class of an error is the true class, of `labels` int64 (N,). That of a right answer is the runner-up,
    the second most probable class; so is every image's where `labels` is None.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    predicted, runner_up = order[:, 0], order[:, 1]
    return predicted, runner_up if labels is None else np.where(labels == predicted, runner_up, labels)


@dataclass(frozen=True, eq=False)
class Explanation:
    """The evidence in N images for two classes of each, the predicted class and its contrast class."""

    maps: dict[str, dict[str, Tensor]]
    """"predicted" and "contrast" -> layer -> float32 (N, h, w), 0-1, on one scale for both classes."""
    cells: Tensor
    """float32 (N, h, w): what each cell of layer4 adds to `margin`, in logits."""
    margin: Tensor
    """float32 (N,): logit(predicted) - logit(contrast) without the biases."""


def explain_images(
    net: ResNet18, images: Tensor, predicted: Ints, contrast: Ints, layers: Sequence[str], method: str = "gradcam"
) -> Explanation:
    """Explain two classes, both int64 (N,), of normalised images, float32 (N, 3, 32, 32); raises as `cam.explain`."""
    targets = {"predicted": torch.from_numpy(predicted.copy()), "contrast": torch.from_numpy(contrast.copy())}
    maps = explain(net, images, targets, layers, method, shared=True)
    return Explanation(maps, *margin_map(net, images, targets["predicted"], targets["contrast"]))


def explain_examples(net: ResNet18, examples: Examples, layers: Sequence[str], method: str = "gradcam") -> Explanation:
    """Explain the predicted and the contrast class of chosen test images; raises as `cam.explain`."""
    images = datasets.NORMALIZERS[examples.dataset](torch.from_numpy(examples.images))
    return explain_images(net, images, *contrast_classes(examples.probabilities, examples.true), layers, method)


def apart_before_layer4(maps: Mapping[str, Mapping[str, Tensor]]) -> dict[str, dict[str, Tensor]]:
    """Divide each map of a layer before layer4 by its own maximum; those of layer4 keep the scale that they share.

    `maps` are those of an `Explanation`. Before layer4 a class's map says little about how high its score is, so the
    two classes' heights do not compare.
    """
    return {
        target: {layer: m if layer == "layer4" else rescale_together([m])[0] for layer, m in by_layer.items()}
        for target, by_layer in maps.items()
    }


def decisions(net: ResNet18, examples: Examples) -> tuple[Tensor, Tensor]:
    """Return (cells float32 (N, h, w), lead float32 (N,)) of chosen test images, in logits.

    The cells are those of `margin_map` for the predicted over the contrast class; the lead is the difference of the
    two logits, biases included: the cells' sum plus bias(predicted) - bias(contrast).
    """
    images = datasets.NORMALIZERS[examples.dataset](torch.from_numpy(examples.images))
    predicted, contrast = map(torch.from_numpy, contrast_classes(examples.probabilities, examples.true))
    cells, margin = margin_map(net, images, predicted, contrast)
    bias = net.linear.bias.detach().to(margin.device)
    return cells, margin + bias[predicted] - bias[contrast]

"""Class activation maps through torchcam: where in a layer a stronger response would raise the score of a class.

torchcam weights and sums the channels. This module puts the model into the state in which that means something (eval
mode, full float32, gradients on), puts everything back, and scales the maps.

To add a method, add it to `METHODS` and its name to `GradientMethod` in `config/groups.py`, or to the choices of
`CamConfig` there where it makes many forward passes instead of a backward pass.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torchcam.methods import GradCAM, LayerCAM, ScoreCAM, XGradCAM
from torchcam.methods.core import _CAM as Extractor

from ..config import ReportError


@dataclass(frozen=True)
class CamMethod:
    """A method of weighting the channels of a layer, with the torchcam class that does it."""

    title: str
    extractor: type[Extractor]
    uses_gradients: bool = True
    """Whether the method needs a backward pass; one that needs none makes many forward passes instead."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Passed to the torchcam class."""
    same_as_gradcam: tuple[str, ...] = ()
    """Layers of `ResNet18` at which its maps are those of Grad-CAM."""


# The map of class c is ReLU(sum_k w_k A_k), with the activations A_k of channel k, the logit y_c of the class and
# the gradients G_k = d y_c / d A_k. The methods differ in the weights w_k:
#
# gradcam   w_k = mean of G_k over its cells
#           Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391
# layercam  w_k = ReLU(G_k), cell by cell
#           Jiang et al. 2021, https://doi.org/10.1109/TIP.2021.3089943
# xgradcam  w_k = sum of G_k A_k / sum of A_k, over the cells
#           Fu et al. 2020, https://arxiv.org/abs/2008.02312
# scorecam  w = softmax over k of y_c(image * mask_k), where mask_k is A_k scaled to 0-1 and enlarged to the image
#           Wang et al. 2020, https://arxiv.org/abs/1910.01279
#
# torchcam 0.5.0 follows the first three papers. Its Score-CAM scales the masks before it enlarges them, not after, so
# that they do not quite reach 0 and 1. Its Grad-CAM++ is left out because it departs from the paper (the division by
# the denominator of alpha acts on a copy and is lost), its Smooth Grad-CAM++ because it adds noise without a seed.
METHODS = {
    "gradcam": CamMethod("Grad-CAM", GradCAM),
    "layercam": CamMethod("LayerCAM", LayerCAM),
    # A mean follows layer4, so the gradient is the same in all of its cells, and both weights come down to it.
    "xgradcam": CamMethod("XGrad-CAM", XGradCAM, same_as_gradcam=("layer4",)),
    "scorecam": CamMethod("Score-CAM", ScoreCAM, uses_gradients=False, options={"batch_size": 250}),
}


def explain(
    model: nn.Module,
    images: Tensor,
    targets: Mapping[str, Tensor],
    layers: Sequence[str],
    method: str = "gradcam",
    batch_size: int = 64,
    shared: bool = False,
) -> dict[str, dict[str, Tensor]]:
    """Return the map of each target class at each layer: `explain(...)["predicted"]["layer4"]`.

    - `model`: float32, on any device, from (N, 3, H, W) to logits (N, C); left as it was found.
    - `images`: float (N, 3, H, W), normalised as in training, on any device.
    - `targets`: for each name the classes to explain, int64 (N,).
    - `layers`: names of modules whose output is (N, channels, h, w), such as "layer4" or "layer4.1.conv2".
    - `method`: a key of `METHODS`.
    - `batch_size`: images per forward pass, which serves all layers and targets. ("scorecam" also makes a forward pass
      of each image for each channel of each layer, which takes hundreds of times as long.)
    - `shared`: scale the targets' maps of one image and layer together, by `rescale_together`, so that they compare.

    Returns float32 (N, h, w) at the layer's own size, on the device of `images`, scaled by `rescale` to 0-1 for each
    image alone: 1 is that image's strongest evidence, so values do not compare between images or layers, nor, unless
    `shared`, between targets.
    Raises `ReportError` for logits that are not finite, `ValueError` for an unknown layer and for tensors of another
    dtype or shape, `KeyError` for an unknown method.
    """
    if not images.is_floating_point() or images.ndim != 4 or not len(images):
        raise ValueError(f"images must be normalised float (N, 3, H, W), got {images.dtype} {tuple(images.shape)}")
    layers = list(dict.fromkeys(layers))
    parts: dict[str, dict[str, list[Tensor]]] = {name: {layer: [] for layer in layers} for name in targets}
    with _hooked(model, layers, method) as extractor:
        for start in range(0, len(images), batch_size):
            batch = slice(start, start + batch_size)
            classes = {name: c[batch] for name, c in targets.items()}
            for name, layer, cam in _batch_maps(model, extractor, images[batch], classes, method):
                parts[name][layer].append(cam.to(images.device))
    maps = {name: {layer: torch.cat(cams) for layer, cams in by_layer.items()} for name, by_layer in parts.items()}
    for layer in layers:
        unscaled = [by_layer[layer] for by_layer in maps.values()]
        scaled = rescale_together(unscaled) if shared else [rescale(cams) for cams in unscaled]
        for by_layer, cams in zip(maps.values(), scaled, strict=True):
            by_layer[layer] = cams
    return maps


def _batch_maps(
    model: nn.Module, extractor: Extractor, images: Tensor, targets: Mapping[str, Tensor], method: str
) -> Iterator[tuple[str, str, Tensor]]:
    """Yield (target, layer, maps float32 (N, h, w), not scaled) of one batch, by one forward pass."""
    device = next(model.parameters()).device
    # The images require gradients so that every layer has them, whichever parameters are frozen.
    pixels = images.detach().to(device, torch.float32, copy=True).requires_grad_()
    logits = model(pixels)
    if not logits.isfinite().all():  # torchcam would turn them into maps of zeros
        raise ReportError("The model's logits are not finite; train again with a lower max_lr.")
    graph: dict[str, Any] = {"retain_graph": True} if METHODS[method].uses_gradients else {}  # one for all targets
    for name, classes in targets.items():
        maps = extractor(classes.tolist(), logits, normalized=False, **graph)
        for layer, cam in zip(extractor.target_names, maps, strict=True):
            yield name, layer, cam


def rescale(maps: Tensor) -> Tensor:
    """Shift and scale each map of non-negative float (N, h, w) to reach from 0 to 1; returns a new tensor.

    torchcam's min-max scaling without the 1e-8 that it adds to the denominator, which dims maps of small gradients.
    A map without range stays all zeros if it is zero, and becomes all ones if it is positive: evidence everywhere.
    """
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    flat = high == low
    return torch.where(flat, (maps > 0).to(maps.dtype), (maps - low) / torch.where(flat, 1, high - low))


def rescale_together(maps: Sequence[Tensor]) -> list[Tensor]:
    """Divide non-negative maps of the same N images, each float (N, h, w), by the largest value of the image's maps.

    1 is the strongest evidence for any of the classes, and 0 none; an image whose maps are all empty keeps zeros.
    """
    highest = torch.stack([m.amax(dim=(1, 2)) for m in maps]).amax(0)[:, None, None]
    return [m / highest.where(highest > 0, 1) for m in maps]


@contextmanager
def float32_eval(model: nn.Module) -> Iterator[None]:
    """Switch to eval mode, gradients and full float32; put each module's mode and the global precision back afterwards.

    In training mode BatchNorm would mix the images of a batch and change its running statistics.
    """
    modes = [(module, module.training) for module in model.modules()]
    matmul = torch.get_float32_matmul_precision()
    device = next(model.parameters()).device.type
    cudnn = torch.backends.cudnn
    try:
        model.eval()
        torch.set_float32_matmul_precision("highest")  # TF32 keeps 10 bits of a gradient
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast(device, enabled=False),
            cudnn.flags(enabled=cudnn.enabled, deterministic=True, allow_tf32=False),
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        for module, training in modes:
            module.training = training


@contextmanager
def _hooked(model: nn.Module, layers: list[str], method: str) -> Iterator[Extractor]:
    """torchcam's extractor on `model`, with its hooks gone afterwards."""
    chosen = METHODS[method]
    with float32_eval(model), chosen.extractor(model, list(layers), **chosen.options) as extractor:
        yield extractor

"""Class activation maps through torchcam: where in a layer the evidence for a class lies.

torchcam weighs and sums the channels; this room puts the model into the state in which that means something (eval mode,
full float32, gradients on), puts everything back, and scales the maps.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torchcam.methods import GradCAM, LayerCAM, ScoreCAM, XGradCAM

from ..config import ReportError
from ..model import ResNet18

Extractor = GradCAM | LayerCAM | XGradCAM | ScoreCAM

# With activations A_k of channel k and gradients G_k = d logit_c / d A_k, each map is ReLU(sum_k w_k A_k), where
#   gradcam   w_k = mean over cells of G_k              Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391
#   layercam  w_k = ReLU(G_k), cell by cell             Jiang et al. 2021, https://doi.org/10.1109/TIP.2021.3089943
#   xgradcam  w_k = sum of G_k A_k / sum of A_k         Fu et al. 2020, https://arxiv.org/abs/2008.02312
#   scorecam  w = softmax over k of logit_c(image * mask_k), mask_k being A_k scaled to 0-1 and enlarged
#                                                       Wang et al. 2020, https://arxiv.org/abs/1910.01279
# torchcam 0.5.0 follows the first three papers. Its Score-CAM scales the masks before it enlarges them, not after, so
# that they do not quite reach 0 and 1: that is said where its maps are shown. Its Grad-CAM++ departs from the paper
# (the division by the denominator of alpha acts on a copy and is lost) and its Smooth Grad-CAM++ adds noise without a
# seed: neither is offered.
METHODS: dict[str, type[Extractor]] = {
    "gradcam": GradCAM, "layercam": LayerCAM, "xgradcam": XGradCAM, "scorecam": ScoreCAM,
}  # fmt: skip
MASKED = 250  # images of Score-CAM's in one forward pass
NAMES = {"gradcam": "Grad-CAM", "layercam": "LayerCAM", "xgradcam": "XGrad-CAM", "scorecam": "Score-CAM"}


def explain(
    model: nn.Module,
    images: Tensor,
    targets: Mapping[str, Tensor],
    layers: Sequence[str],
    method: str = "gradcam",
    batch_size: int = 64,
    shared: bool = False,
) -> dict[str, dict[str, Tensor]]:
    """Maps of the evidence for each target class at each layer: `explain(...)["predicted"]["layer4"]`.

    - `model`: float32, on any device, from (N, 3, H, W) to logits (N, C); left as it was found.
    - `images`: float (N, 3, H, W), normalised as in training, on any device.
    - `targets`: for each name the classes to explain, int64 (N,).
    - `layers`: names of modules whose output is (N, channels, h, w), such as "layer4" or "layer4.1.conv2".
    - `method`: a key of `METHODS`.
    - `batch_size`: images per forward pass; each pass serves all layers and all targets. ("scorecam" goes on to make a
      forward pass of each image for each channel of each layer, which takes hundreds of times as long.)
    - `shared`: scale the targets' maps of one image and layer together, by `rescale_together`, so that they compare.

    Returns float32 (N, h, w) at the layer's own size, on the device of `images`, scaled by `rescale` to 0-1 for each
    image alone: 1 is that image's strongest evidence, so values do not compare between images or layers, nor, unless
    `shared`, between targets.
    Raises `ReportError` for an unknown layer or method and for logits that are not finite, `ValueError` for tensors of
    another kind or shape.
    """
    layers = list(dict.fromkeys(layers))
    _check(model, images, targets, layers, method)
    maps: dict[str, dict[str, list[Tensor]]] = {name: {layer: [] for layer in layers} for name in targets}
    device = next(model.parameters()).device
    with _hooked(model, layers, method) as extractor:
        for start in range(0, len(images), batch_size):
            batch = slice(start, start + batch_size)
            # The images require gradients so that every layer has them, whichever parameters are frozen.
            pixels = images[batch].detach().to(device, torch.float32, copy=True).requires_grad_()
            logits = model(pixels)
            _check_forward(model, extractor, logits)
            for left, (name, classes) in zip(reversed(range(len(targets))), targets.items(), strict=True):
                # retain_graph: all but the last target leave the graph of this forward pass to the next one.
                graph: dict[str, Any] = {} if method == "scorecam" else {"retain_graph": left > 0}
                found = extractor(classes[batch].tolist(), logits, normalized=False, **graph)
                for layer, cam in zip(layers, found, strict=True):
                    maps[name][layer].append(cam.to(images.device))
    whole = {name: {layer: torch.cat(parts) for layer, parts in by_layer.items()} for name, by_layer in maps.items()}
    for layer in layers:
        found = [by_layer[layer] for by_layer in whole.values()]
        scaled = rescale_together(found) if shared else [rescale(cams) for cams in found]
        for by_layer, cams in zip(whole.values(), scaled, strict=True):
            by_layer[layer] = cams
    return whole


def rescale(maps: Tensor) -> Tensor:
    """Each map of non-negative float (N, h, w) moved and stretched to reach from 0 to 1; new tensor.

    torchcam's min-max scaling without the 1e-8 that it adds to the denominator, which dims maps of small gradients.
    A map without range stays all zeros if it is zero, and becomes all ones if it is positive: evidence everywhere.
    """
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    flat = high == low
    return torch.where(flat, (maps > 0).to(maps.dtype), (maps - low) / torch.where(flat, 1, high - low))


def rescale_together(maps: Sequence[Tensor]) -> list[Tensor]:
    """Non-negative maps of the same N images, each float (N, h, w), divided by the largest value of the image's maps.

    1 is the strongest evidence for any of the classes, and 0 none; an image whose maps are all empty keeps zeros.
    """
    highest = torch.stack([m.amax(dim=(1, 2)) for m in maps]).amax(0)[:, None, None]
    return [m / highest.where(highest > 0, 1) for m in maps]


@torch.no_grad()
def margin_map(model: ResNet18, images: Tensor, predicted: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    """Which cells of layer4 made one class win over another: (map float32 (N, h, w), margin float32 (N,)).

    A cell's value is its signed contribution to `margin`, logit(predicted) - logit(true) without the two biases: the
    last layers are a mean over the cells and a linear map, so the values of a map sum to the margin, exactly but for
    rounding. With w the linear layer's rows and A the activations, the map is (w_predicted - w_true) . A / (h w).
    `images` are normalised float (N, 3, H, W), the classes int64 (N,).
    """
    kept: list[Tensor] = []
    hook = model.layer4.register_forward_hook(lambda module, inputs, output: kept.append(output))
    try:
        with explaining(model), torch.no_grad():
            device = next(model.parameters()).device
            logits = model(images.to(device, torch.float32))
    finally:
        hook.remove()
    weight, bias = model.linear.weight, model.linear.bias
    predicted, true = predicted.to(device), true.to(device)
    cells = torch.einsum("nk,nkhw->nhw", weight[predicted] - weight[true], kept[0]) / kept[0][0, 0].numel()
    rows = torch.arange(len(images), device=device)
    margin = logits[rows, predicted] - logits[rows, true] - (bias[predicted] - bias[true])
    return cells.to(images.device), margin.to(images.device)


def is_empty(maps: Tensor) -> Tensor:
    """True where a map of float (N, h, w) is zero everywhere, bool (N,): no positive evidence, a legitimate answer."""
    return (maps == 0).flatten(1).all(dim=1)


def similarity(first: Tensor, second: Tensor) -> Tensor:
    """Pearson correlation over the cells of each pair of maps, float (N, h, w) twice -> float (N,), -1 to 1.

    nan where one of the two is constant, an empty map among them, for such a map has no pattern to compare.
    """
    a, b = (m.flatten(1) - m.flatten(1).mean(1, keepdim=True) for m in (first, second))
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)).where((a.norm(dim=1) > 0) & (b.norm(dim=1) > 0), torch.nan)


@contextmanager
def explaining(model: nn.Module) -> Iterator[None]:
    """Eval mode, gradients on, full float32 inside; each module's mode and the global precision put back afterwards.

    In training mode BatchNorm would mix the images of a batch, and move its statistics. Parameters are left alone.
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
    options: dict[str, Any] = {"batch_size": MASKED} if method == "scorecam" else {}
    with explaining(model), METHODS[method](model, list(layers), **options) as extractor:
        yield extractor


def _check(model: nn.Module, images: Tensor, targets: Mapping[str, Tensor], layers: list[str], method: str) -> None:
    """Refuse what cannot work before any hook is set: `ReportError` for names, `ValueError` for tensors."""
    if method not in METHODS:
        raise ReportError(f"method is {method!r}; choose one of {', '.join(map(repr, METHODS))}.")
    if not layers:
        raise ReportError(f"layers is empty; name at least one of {_layer_names(model)}.")
    known = dict(model.named_modules())
    for layer in layers:
        if not layer or layer not in known:
            raise ReportError(
                f"layers holds {layer!r}, which this model does not have; choose from {_layer_names(model)}."
            )
    if not images.is_floating_point() or images.ndim != 4 or len(images) == 0:
        raise ValueError(f"images must be normalised float (N, 3, H, W), got {images.dtype} {tuple(images.shape)}")
    for name, classes in targets.items():
        if classes.shape != images.shape[:1]:
            raise ValueError(f"targets[{name!r}] must have shape ({len(images)},), got {tuple(classes.shape)}")


def _check_forward(model: nn.Module, extractor: Extractor, logits: Tensor) -> None:
    """Refuse layers without cells, and logits that torchcam would silently turn into maps of zeros."""
    for layer, activation in zip(extractor.target_names, extractor.hook_a, strict=True):
        if activation is None or activation.ndim != 4:
            raise ReportError(f"layers holds {layer!r}, whose output is not a map; choose from {_layer_names(model)}.")
    if not logits.isfinite().all():
        raise ReportError("The model's logits are not finite; train again with a lower max_lr.")


def _layer_names(model: nn.Module) -> str:
    """The model's own parts that can have a map, for error messages; modules inside them are accepted too."""
    return ", ".join(name for name, part in model.named_children() if not isinstance(part, nn.Linear))

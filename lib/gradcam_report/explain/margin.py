"""Which cells of layer4 decided between two classes: the exact decomposition of a margin."""

import torch
from torch import Tensor

from ..model import ResNet18
from .cam import float32_eval


@torch.no_grad()
def margin_map(model: ResNet18, images: Tensor, predicted: Tensor, contrast: Tensor) -> tuple[Tensor, Tensor]:
    """Split the margin between two classes of each image over the cells of layer4.

    `images` are float (N, 3, H, W), normalised as in training; `predicted` and `contrast` are the classes, int64 (N,).
    Returns (cells float32 (N, h, w), margin float32 (N,)), in logits, on the device of `images`. The margin is
    logit(predicted) - logit(contrast) without the two biases; a cell is its signed contribution, and the cells of an
    image sum to its margin but for rounding.

    The last layers are a mean over the cells and a linear map. So with the linear layer's rows w and the activations A
    of layer4, cell ij is (w_predicted - w_contrast) . A_ij / (h w): the class activation map of Zhou et al. 2016
    (https://arxiv.org/abs/1512.04150, equation 2) for the difference of two classes.
    """
    activations: list[Tensor] = []
    hook = model.layer4.register_forward_hook(lambda module, inputs, output: activations.append(output))
    try:
        with float32_eval(model), torch.no_grad():
            device = next(model.parameters()).device
            logits = model(images.to(device, torch.float32))
    finally:
        hook.remove()
    weight, bias = model.linear.weight, model.linear.bias
    predicted, contrast = predicted.to(device), contrast.to(device)
    per_cell = activations[0].shape[-2] * activations[0].shape[-1]
    cells = torch.einsum("nk,nkhw->nhw", weight[predicted] - weight[contrast], activations[0]) / per_cell
    rows = torch.arange(len(images), device=device)
    margin = logits[rows, predicted] - logits[rows, contrast] - (bias[predicted] - bias[contrast])
    return cells.to(images.device), margin.to(images.device)

"""Which cells of layer4 decided between two classes: the exact decomposition of a margin."""

import torch
from torch import Tensor

from ..model import ResNet18
from .cam import float32_eval


@torch.no_grad()
def margin_map(
    model: ResNet18, images: Tensor, predicted: Tensor, contrast: Tensor, batch_size: int = 100
) -> tuple[Tensor, Tensor]:
    """Split the margin between two classes of each image over the cells of layer4.

    `images` are float (N, 3, H, W), normalised as in training; `predicted` and `contrast` are the classes, int64 (N,).
    Returns (cells float32 (N, h, w), their sum float32 (N,)), in logits, on the device of `images`. A cell is its
    signed contribution to the margin, logit(predicted) - logit(contrast). The sum is the margin less the two biases,
    computed from the logits; the cells add up to it apart from rounding.

    The last layers are a mean over the cells and a linear map. So with the linear layer's rows w and the activations A
    of layer4, cell ij is (w_predicted - w_contrast) . A_ij / (h w): the class activation map of Zhou et al. 2016
    (https://arxiv.org/abs/1512.04150, equation 2) for the difference of two classes.
    """
    kept: list[Tensor] = []  # layer4's output of the current batch
    weight, bias = model.linear.weight, model.linear.bias
    cells, margins = [], []
    hook = model.layer4.register_forward_hook(lambda module, inputs, output: kept.append(output))
    try:
        with float32_eval(model), torch.no_grad():
            for start in range(0, len(images), batch_size):
                part = slice(start, start + batch_size)
                logits = model(images[part].to(weight.device, torch.float32))
                winner, other = predicted[part].to(weight.device), contrast[part].to(weight.device)
                shares = torch.einsum("nk,nkhw->nhw", weight[winner] - weight[other], kept.pop())
                cells.append(shares / shares[0].numel())
                rows = torch.arange(len(logits), device=weight.device)
                margins.append(logits[rows, winner] - logits[rows, other] - (bias[winner] - bias[other]))
    finally:
        hook.remove()
    return torch.cat(cells).to(images.device), torch.cat(margins).to(images.device)

"""Grad-CAM with its backward pass written out, for the network in evaluation mode.

Three rules are enough to go back through ResNet-18, from a logit to the activations of a layer:

- a convolution passes a gradient on by the transposed convolution with the same weights;
- BatchNorm in evaluation mode multiplies each channel by a constant, and so does its gradient;
- ReLU passes the gradient on where its output is positive, and stops it elsewhere.

PyTorch's autograd does the same, and a test compares the two. This version can be exported as a graph of plain tensor
operations, which is how the network runs in a browser.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from ..model import BasicBlock, ResNet18


def signed_maps(net: ResNet18, images: Tensor, direction: Tensor) -> tuple[Tensor, list[Tensor]]:
    """(logits, Grad-CAM maps of layer1 to layer4 before the ReLU), for a score that is a weighted sum of the logits.

    - `net` in evaluation mode; `images` normalised float (N, 3, H, W).
    - `direction` float (N, classes): the weights. 1 for a class asks for that class; 1 for one class and -1 for another
      asks for the margin between the two, whose map is the difference of their maps.

    The logits are (N, classes); the map of a layer is (N, h, w): sum over k of w_k A_k, where A_k are the channels of
    the layer's output and w_k is the mean over the cells of d score / d A_k (Selvaraju et al. 2017,
    https://arxiv.org/abs/1610.02391, equations 1 and 2). The cells of layer4 add up to the score less its bias.
    """
    x = F.relu(net.bn1(net.conv1(images)))
    passed: list[list[tuple[BasicBlock, Tensor, Tensor]]] = []  # of each stage: (block, first ReLU's output, output)
    for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
        passed.append([])
        for block in stage:
            assert isinstance(block, BasicBlock)
            inner, x = block_forward(block, x)
            passed[-1].append((block, inner, x))
    logits = net.linear(x.mean((2, 3)))

    cells = x.shape[2] * x.shape[3]
    gradient = (direction @ net.linear.weight / cells)[:, :, None, None].expand(-1, -1, *x.shape[2:])
    maps: list[Tensor] = []
    for number in (3, 2, 1, 0):
        activations = passed[number][-1][2]
        weights = gradient.mean((2, 3), keepdim=True)
        maps.insert(0, (weights * activations).sum(1))
        if number > 0:  # layer1's map needs no gradient of what comes before it
            for block, inner, output in reversed(passed[number]):
                gradient = block_backward(block, gradient, inner, output)
    return logits, maps


def block_forward(block: BasicBlock, x: Tensor) -> tuple[Tensor, Tensor]:
    """(output of the block's first ReLU, output of the block): what its backward pass needs."""
    inner = F.relu(block.bn1(block.conv1(x)))
    return inner, F.relu(block.bn2(block.conv2(inner)) + block.shortcut(x))


def block_backward(block: BasicBlock, gradient: Tensor, inner: Tensor, output: Tensor) -> Tensor:
    """d score / d input of a block, from d score / d output and what `block_forward` returned."""
    gradient = gradient * (output > 0)
    main = conv_backward(block.conv2, block.bn2, gradient) * (inner > 0)
    main = conv_backward(block.conv1, block.bn1, main)
    if len(block.shortcut) == 0:
        return main + gradient
    conv, norm = block.shortcut
    return main + conv_backward(conv, norm, gradient)


def conv_backward(conv: nn.Module, norm: nn.Module, gradient: Tensor) -> Tensor:
    """d score / d input of a convolution with BatchNorm behind it, from d score / d output of the BatchNorm."""
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None
    factor = norm.weight / (norm.running_var + norm.eps).sqrt()
    padding, stride = conv.kernel_size[0] // 2, conv.stride[0]
    # With stride 2 a side of 16 may come from 31 or 32: output_padding says that it was the even one.
    return F.conv_transpose2d(gradient * factor[:, None, None], conv.weight, None, stride, padding, stride - 1)

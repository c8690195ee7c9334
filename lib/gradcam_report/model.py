"""ResNet-18 for 32x32 images (He et al. 2016, https://arxiv.org/abs/1512.03385), and a table of its layers.

This is the usual form for CIFAR: the first convolution is 3x3 with stride 1, and there is no max-pooling. So layer4
still has 4x4 cells.
"""

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

PARAMETERS = 11_173_962  # asserted: the report compares its accuracy with others of exactly this network


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the shape changes, else the identity."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """float (N, in_channels, H, W) -> float (N, channels, H/stride, W/stride), not negative."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.shortcut(x))


class ResNet18(nn.Module):
    """ResNet-18: normalised images, float (N, 3, 32, 32) -> logits, float (N, classes).

    `width` is the number of channels of layer1: 64 in the report, fewer in tests.
    """

    def __init__(self, classes: int = 10, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = self._stage(width, width, stride=1)  # (N, 64, 32, 32)
        self.layer2 = self._stage(width, 2 * width, stride=2)  # (N, 128, 16, 16)
        self.layer3 = self._stage(2 * width, 4 * width, stride=2)  # (N, 256, 8, 8)
        self.layer4 = self._stage(4 * width, 8 * width, stride=2)  # (N, 512, 4, 4)
        self.linear = nn.Linear(8 * width, classes)
        if (classes, width) == (10, 64):
            count = sum(p.numel() for p in self.parameters())
            assert count == PARAMETERS, f"ResNet-18 has {count:,} parameters instead of {PARAMETERS:,}"

    @staticmethod
    def _stage(in_channels: int, channels: int, stride: int) -> nn.Sequential:
        return nn.Sequential(BasicBlock(in_channels, channels, stride), BasicBlock(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """float (N, 3, 32, 32) -> float (N, classes)."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.linear(x.mean(dim=(2, 3)))  # global average pooling, for any input size


def build(seed: int, classes: int = 10, width: int = 64) -> ResNet18:
    """Initialise a network; a seed always gives the same weights, and the global random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ResNet18(classes, width)


@dataclass(frozen=True)
class LayerSummary:
    """One row of the table: output (C, H, W) or (C,), counts for one image, receptive fields in pixels.

    `macs` counts the multiply-accumulates of convolutions and linear layers.
    """

    name: str
    output: tuple[int, ...]
    parameters: int
    macs: int
    receptive_field: int


def summarise(model: ResNet18) -> list[LayerSummary]:
    """Measure conv1, bn1, layer1..layer4 and linear with one forward pass of a (1, 3, 32, 32) image.

    Each convolution enlarges the receptive field by (kernel - 1) * jump; jump is the product of the strides before it
    (Araujo et al. 2019, https://distill.pub/2019/computing-receptive-fields). A shortcut's convolution runs beside the
    block, so it does not count. Global average pooling gives `linear` the whole image.
    """
    rows = []
    x, field, jump = torch.empty(1, 3, 32, 32, device="meta"), 1, 1
    for name, module in copy.deepcopy(model).to("meta").named_children():  # nothing is computed but shapes
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            x = module(x.mean(dim=(2, 3)) if name == "linear" else x)
        for part, conv in module.named_modules():
            if isinstance(conv, nn.Conv2d) and "shortcut" not in part:
                field += (conv.kernel_size[0] - 1) * jump
                jump *= conv.stride[0]
        parameters, macs = sum(p.numel() for p in module.parameters()), counter.get_total_flops() // 2
        rows.append(LayerSummary(name, tuple(x.shape[1:]), parameters, macs, 32 if name == "linear" else field))
    return rows

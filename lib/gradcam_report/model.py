"""ResNet-18 for 32x32 images, and a table of what its layers do.

The network is that of He et al. 2016 (https://arxiv.org/abs/1512.03385) in its CIFAR form: a 3x3 stem of stride 1
with no max-pooling, so that layer4 still has 4x4 cells. Its 11,173,962 parameters are asserted, for this report
compares itself with others that train exactly this net.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PARAMETERS = 11_173_962


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut; the shortcut is a 1x1 convolution where shape changes."""

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
    """ResNet-18 (CIFAR form): normalised images, float (N, 3, 32, 32) -> logits, float (N, classes).

    `width` is the number of channels of layer1 (64 in the report; tests use fewer).
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
    """A freshly initialised network: the same weights for the same seed; the caller's random state is untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ResNet18(classes, width)


@dataclass(frozen=True)
class LayerSummary:
    """One row of the summary: output (C, H, W), counts per image, receptive fields in pixels.

    `macs` counts the multiply-accumulates of convolutions and linear layers. The fields that end in `_original` count
    as the report that this one replaces did, with torchscan in training mode: `macs_original` and `flops_original`
    include BatchNorm and its running statistics, `receptive_field_original` treats each shortcut convolution as one
    more link of the chain, so its stride counts twice. The true receptive field, `receptive_field`, is smaller from
    layer2 on.
    """

    name: str
    output: tuple[int, ...]
    parameters: int
    macs: int
    macs_original: int
    flops_original: int
    receptive_field: int
    receptive_field_original: int


def summarise(model: ResNet18, size: int = 32) -> list[LayerSummary]:
    """Rows for conv1, bn1, layer1..layer4 and linear, measured by one forward pass of a (1, 3, size, size) image.

    Receptive field: r + (kernel - 1) * jump along the longest path (Araujo et al. 2019,
    https://distill.pub/2019/computing-receptive-fields); global pooling gives `linear` the whole image.
    """
    outputs = _output_shapes(model, size)
    rows = []
    true_field, original_field = _Field(), _Field()
    for name, module in model.named_children():
        parts = [(n, m, outputs[m]) for n, m in module.named_modules() if m in outputs]
        for part, m, _ in parts:
            if isinstance(m, nn.Conv2d):
                original_field.through(m)
                if "shortcut" not in part:
                    true_field.through(m)
        rows.append(
            LayerSummary(
                name=name,
                output=outputs[module],
                parameters=sum(p.numel() for p in module.parameters()),
                macs=sum(_macs(m, shape) for _, m, shape in parts),
                macs_original=sum(_macs(m, shape) + _batchnorm_ops(m, shape, 5, 2) for _, m, shape in parts),
                flops_original=sum(_flops(m, shape) + _batchnorm_ops(m, shape, 8, 8) for _, m, shape in parts),
                receptive_field=size if name == "linear" else true_field.side,
                receptive_field_original=size if name == "linear" else original_field.side,
            )
        )
    return rows


class _Field:
    """Receptive field (`side`, pixels) and distance between neighbouring units (`jump`, pixels) along a chain."""

    side, jump = 1, 1

    def through(self, conv: nn.Conv2d) -> None:
        self.side += (conv.kernel_size[0] - 1) * self.jump
        self.jump *= conv.stride[0]


def _output_shapes(model: ResNet18, size: int) -> dict[nn.Module, tuple[int, ...]]:
    """The (C, H, W) or (C,) that each module puts out for one image, with the model left as it was."""
    outputs: dict[nn.Module, tuple[int, ...]] = {}

    def record(module: nn.Module, _: object, output: Tensor) -> None:
        outputs[module] = tuple(output.shape[1:])

    hooks = [m.register_forward_hook(record) for m in model.modules()]
    training = model.training
    try:
        with torch.no_grad():
            p = next(model.parameters())
            model.eval()(torch.zeros(1, 3, size, size, device=p.device, dtype=p.dtype))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return outputs


def _macs(module: nn.Module, output: tuple[int, ...]) -> int:
    """Multiply-accumulates for one image of a convolution or a linear layer; 0 for others."""
    if isinstance(module, nn.Conv2d):
        return math.prod(output) * module.in_channels * math.prod(module.kernel_size)
    if isinstance(module, nn.Linear):
        return module.in_features * module.out_features
    return 0


def _flops(module: nn.Module, output: tuple[int, ...]) -> int:
    """Multiplications and additions: n products take n - 1 additions, and one more where there is a bias."""
    bias = isinstance(module, nn.Linear)
    return 2 * _macs(module, output) - (math.prod(output) if _macs(module, output) and not bias else 0)


def _batchnorm_ops(module: nn.Module, output: tuple[int, ...], per_element: int, per_channel: int) -> int:
    """What torchscan counts for a BatchNorm in training mode, running statistics included; 0 for other layers."""
    if not isinstance(module, nn.BatchNorm2d):
        return 0
    return per_element * math.prod(output) + per_channel * module.num_features

"""The backward pass written out, against autograd."""

import pytest
import torch
from torch import Tensor, nn

from gradcam_report.explain import backward
from gradcam_report.model import ResNet18

LAYERS = ["layer1", "layer2", "layer3", "layer4"]


@pytest.fixture(scope="module")
def net() -> ResNet18:
    """A network in float64 whose BatchNorm layers do something."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = ResNet18(10, 8).double().eval()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None and module.running_var is not None
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                nn.init.uniform_(module.weight, -1, 1.5)
                nn.init.normal_(module.bias)
    return net


def by_autograd(net: ResNet18, images: Tensor, direction: Tensor) -> tuple[Tensor, list[Tensor]]:
    kept: list[Tensor] = []
    hooks = [getattr(net, layer).register_forward_hook(lambda *args: kept.append(args[2])) for layer in LAYERS]
    logits = net(images)
    for hook in hooks:
        hook.remove()
    gradients = torch.autograd.grad((logits * direction).sum(), kept)
    return logits, [(g.mean((2, 3), keepdim=True) * a).sum(1) for g, a in zip(gradients, kept, strict=True)]


@pytest.mark.parametrize("side", [32, 48])
def test_maps_are_those_of_autograd(net: ResNet18, side: int) -> None:
    random = torch.Generator().manual_seed(1)
    images = torch.randn(3, 3, side, side, dtype=torch.float64, generator=random)
    direction = torch.randn(3, 10, dtype=torch.float64, generator=random)
    logits, maps = backward.signed_maps(net, images, direction)
    expected_logits, expected = by_autograd(net, images, direction)
    torch.testing.assert_close(logits, expected_logits, rtol=0, atol=1e-12)
    for found, wanted in zip(maps, expected, strict=True):
        torch.testing.assert_close(found / wanted.abs().max(), wanted / wanted.abs().max(), rtol=0, atol=1e-9)


def test_cells_of_layer4_add_up_to_the_score_and_directions_add_up_to_one_another(net: ResNet18) -> None:
    random = torch.Generator().manual_seed(2)
    image = torch.randn(1, 3, 32, 32, dtype=torch.float64, generator=random)
    one, other = torch.eye(10, dtype=torch.float64)[[3, 5]]
    logits, maps = backward.signed_maps(net, image, torch.stack([one, other, one - other]))
    scores = logits[0] - net.linear.bias
    expected = torch.stack([scores[3], scores[5], scores[3] - scores[5]])
    torch.testing.assert_close(maps[3].sum((1, 2)), expected, rtol=0, atol=1e-12)
    for layer in maps:
        torch.testing.assert_close(layer[2], layer[0] - layer[1], rtol=0, atol=1e-12)

"""A network, images and classes whose maps say something."""

import pytest
import torch
from torch import Tensor, nn

from gradcam_report.model import ResNet18, build


@pytest.fixture
def model() -> ResNet18:
    """A narrow ResNet-18 whose running statistics matter: maps made in training mode would differ."""
    net = build(seed=0, width=8)
    random = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3, generator=random)
            module.running_var.uniform_(0.5, 2.0, generator=random)
    net.linear.weight.data.normal_(generator=random)
    return net.eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def targets() -> dict[str, Tensor]:
    """Classes of which some have no evidence at some layer, while 3 and 8 have evidence everywhere."""
    return {"predicted": torch.tensor([3, 8, 0, 6, 1]), "true": torch.tensor([8, 3, 9, 2, 7])}

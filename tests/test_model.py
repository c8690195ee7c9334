"""The network against torchvision's, its table against PyTorch's own FLOP counter and against gradients."""

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gradcam_report.model import PARAMETERS, LayerSummary, ResNet18, build, summarise

pytestmark = pytest.mark.usefixtures("few_threads")


@pytest.fixture(scope="module")
def net() -> ResNet18:
    return build(seed=0)


@pytest.fixture(scope="module")
def rows(net: ResNet18) -> dict[str, LayerSummary]:
    return {row.name: row for row in summarise(net)}


def test_computes_what_torchvisions_resnet18_computes(net: ResNet18) -> None:
    """In evaluation, with running statistics that matter, and in training: logits, gradients and new statistics."""
    ours = build(seed=1).double()
    random = torch.Generator().manual_seed(2)
    for module in ours.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.bias.data):
                tensor.normal_(0, 0.3, generator=random)
            for tensor in (module.running_var, module.weight.data):
                tensor.uniform_(0.5, 2.0, generator=random)
    theirs = torchvision.models.resnet18(num_classes=10)
    theirs.conv1, theirs.maxpool = nn.Conv2d(3, 64, 3, 1, padding=1, bias=False), nn.Identity()
    theirs = theirs.double()

    def renamed(name: str) -> str:
        return name.replace("shortcut", "downsample").replace("linear", "fc")

    theirs.load_state_dict({renamed(name): tensor for name, tensor in ours.state_dict().items()})
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64, generator=random)
    with torch.no_grad():
        logits = ours.eval()(images)
        torch.testing.assert_close(logits, theirs.eval()(images))
    assert (logits[0] - logits[1]).abs().max() > 1e-3  # the images do make a difference

    for model in (ours.train(), theirs.train()):
        nn.functional.cross_entropy(model(images), torch.tensor([1, 9])).backward()
    gradients = {renamed(name): p.grad for name, p in ours.named_parameters()}
    for name, p in theirs.named_parameters():
        torch.testing.assert_close(gradients[name], p.grad)
    for name, tensor in ours.state_dict().items():
        torch.testing.assert_close(tensor, theirs.state_dict()[renamed(name)])


def test_parameters_are_those_of_the_literature(rows: dict[str, LayerSummary], net: ResNet18) -> None:
    assert list(rows) == ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "linear"]
    counts = [row.parameters for row in rows.values()]
    assert counts == [1_728, 128, 147_968, 525_568, 2_099_712, 8_393_728, 5_130]
    assert sum(counts) == sum(p.numel() for p in net.parameters()) == PARAMETERS == 11_173_962


def test_macs_agree_with_pytorchs_own_counter(rows: dict[str, LayerSummary], net: ResNet18) -> None:
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        net.eval()(torch.zeros(1, 3, 32, 32))
    counts = counter.get_flop_counts()
    for name, row in rows.items():
        assert 2 * row.macs == sum(counts.get(f"ResNet18.{name}", {}).values()), name
    assert 2 * sum(row.macs for row in rows.values()) == counter.get_total_flops()


def test_true_receptive_fields_are_where_gradients_reach(rows: dict[str, LayerSummary]) -> None:
    """With positive weights no path can cancel another: a pixel has a gradient exactly if the unit can see it."""
    net = build(seed=0, width=2).double().eval()
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
    x = image = torch.ones(1, 3, 160, 160, dtype=torch.float64, requires_grad=True)
    expected = {"conv1": 3, "layer1": 11, "layer2": 25, "layer3": 53, "layer4": 109}
    for name, side in expected.items():
        x = getattr(net, name)(x)
        middle = x.shape[-1] // 2
        (gradient,) = torch.autograd.grad(x[0, 0, middle, middle], image, retain_graph=True)
        for seen in (gradient[0, 0].amax(0) > 0, gradient[0, 0].amax(1) > 0):
            assert int(seen.sum()) == side, name
            places = seen.nonzero()
            assert int(places.max() - places.min()) + 1 == side, name
        assert rows[name].receptive_field == side
    assert rows["linear"].receptive_field == 32


def test_outputs_are_those_of_a_forward_pass(rows: dict[str, LayerSummary]) -> None:
    assert [row.output for row in rows.values()] == [
        (64, 32, 32), (64, 32, 32), (64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (10,),
    ]  # fmt: skip
    *_, last = summarise(build(seed=0, classes=7, width=8))
    assert last.output == (7,)


@pytest.mark.parametrize("training", [True, False])
def test_a_seed_is_a_network_and_neither_building_nor_summarising_has_side_effects(training: bool) -> None:
    random_state = torch.get_rng_state()
    net, same, other = (build(seed, width=8).train(training) for seed in (3, 3, 4))
    summarise(net)
    assert torch.equal(torch.get_rng_state(), random_state)
    torch.testing.assert_close(net.state_dict(), same.state_dict(), rtol=0, atol=0)
    for name in ("conv1", "layer4.1.conv2", "linear"):
        assert not torch.equal(net.get_submodule(name).weight, other.get_submodule(name).weight)
    assert all(m.training is training and not m._forward_hooks for m in net.modules())
    assert all(p.requires_grad and p.grad is None for p in net.parameters())

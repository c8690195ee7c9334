"""The optimizer step: against torch.optim, by hand, and by what orthogonal means."""

import pytest
import torch
from torch import nn

from gradcam_report import model
from gradcam_report.config import OptimConfig
from gradcam_report.training import compiling, muon
from gradcam_report.training import optimizer as optim
from gradcam_report.training.device import Device
from gradcam_report.training.schedule import OneCycle
from gradcam_report.training.trainer import train_epoch

CPU = Device(torch.device("cpu"), "fp32")


# --- Muon


SHAPES = pytest.mark.parametrize("shape", [(16, 144), (64, 27), (8, 8)])


@SHAPES
def test_orthogonalising_is_a_polynomial_of_the_singular_values(shape: tuple[int, int]):
    """x (a + b x^2 + c x^4), five times over, on singular values; the singular vectors stay."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, values, vh = torch.linalg.svd(matrix, full_matrices=False)
    values = values / matrix.norm()
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    torch.testing.assert_close(muon.newton_schulz(matrix), u * values @ vh, atol=1e-9, rtol=0)


@pytest.mark.parametrize(("precision", "kind"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_muon_multiplies_in_the_precision_of_training(monkeypatch, precision: str, kind: torch.dtype):
    """bf16 where the hardware has no instructions for it is many times slower than float32."""
    kinds, real = [], muon.newton_schulz
    monkeypatch.setattr(muon, "newton_schulz", lambda matrices: kinds.append(matrices.dtype) or real(matrices))
    net = model.build(seed=0, width=8)
    compute = Device(torch.device("cpu"), precision)
    optimizer = optim.build_optimizer(net, OptimConfig(), compute, lr=0.05)
    net(torch.randn(4, 3, 32, 32)).logsumexp(1).sum().backward()
    optimizer.step()
    assert set(kinds) == {kind}
    assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_filters_move_as_in_torchs_muon_between_scalings():
    """torch.optim.Muon takes matrices only; with its input at the norm that ours restores, the steps agree."""
    random = torch.Generator().manual_seed(0)
    bank = nn.Parameter(torch.randn(8, 4, 3, 3, generator=random))
    ours = muon.Muon([{"params": [bank], "filters": True, "momentum": 0.6}], torch.bfloat16)
    optim.set_lr(ours, 0.1)
    matrix, start = nn.Parameter(bank.detach().flatten(1).clone()), bank.detach().flatten(1).clone()
    theirs = torch.optim.Muon([matrix], lr=0.1, momentum=0.6, weight_decay=0.0, nesterov=True)
    for _ in range(3):
        gradient = torch.randn(bank.shape, generator=random)
        bank.grad, matrix.grad = gradient.clone(), gradient.flatten(1).clone()
        with torch.no_grad():
            matrix.mul_(8**0.5 / matrix.norm())
        ours.step()
        theirs.step()
        apart = bank.detach().flatten(1) - matrix.detach()
        assert apart.norm() < 0.02 * (matrix.detach() - start).norm()  # both iterate in bf16


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_what_is_no_filter_moves_as_in_torchs_sgd(decay: float):
    random = torch.Generator().manual_seed(0)
    ours, theirs = (nn.Parameter(torch.ones(5, 3)) for _ in range(2))
    mixed = muon.Muon([{"params": [ours], "weight_decay": decay, "scale": 2.0}])
    optim.set_lr(mixed, 0.05)
    sgd = torch.optim.SGD([theirs], lr=0.1, momentum=0.9, nesterov=True, weight_decay=decay)
    for _ in range(4):
        ours.grad = torch.randn(5, 3, generator=random)
        theirs.grad = ours.grad.clone()
        mixed.step()
        sgd.step()
    torch.testing.assert_close(ours, theirs)


def test_scaling_the_filters_changes_no_answer_and_the_gradients_are_left_alone():
    net = model.build(seed=0, width=8).train()
    images = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    before = net(images)
    before.logsumexp(1).sum().backward()
    gradients = [p.grad.clone() for p in net.parameters()]
    optimizer = optim.build_optimizer(net, OptimConfig(), CPU, lr=0.0)
    optimizer.step()
    for bank in (m.weight for m in net.modules() if isinstance(m, nn.Conv2d)):
        assert bank.norm().item() == pytest.approx(len(bank) ** 0.5)
    torch.testing.assert_close(net(images), before, atol=1e-3, rtol=1e-3)
    for p, gradient in zip(net.parameters(), gradients, strict=True):
        assert torch.equal(p.grad, gradient)


def test_every_parameter_is_moved_once_by_its_own_rule():
    net = model.build(seed=0, width=8)
    config = OptimConfig(weight_decay=0.01, momentum=0.8, muon_momentum=0.5, sgd_lr_factor=3.0)
    filters, linear, others = optim.build_optimizer(net, config, CPU, lr=0.1).param_groups
    ids = {kind: {id(m.weight) for m in net.modules() if isinstance(m, kind)} for kind in (nn.Conv2d, nn.Linear)}
    assert {id(p) for p in filters["params"]} == ids[nn.Conv2d] and {id(p) for p in linear["params"]} == ids[nn.Linear]
    rest = {id(p) for p in net.parameters()} - ids[nn.Conv2d] - ids[nn.Linear]
    assert {id(p) for p in others["params"]} == rest
    assert [g["filters"] for g in (filters, linear, others)] == [True, False, False]
    assert [g["lr"] for g in (filters, linear, others)] == pytest.approx([0.1, 0.3, 0.3])
    assert [g["momentum"] for g in (filters, linear, others)] == [0.5, 0.8, 0.8]
    assert [g["weight_decay"] for g in (filters, linear, others)] == [0.0, 0.01, 0.0]


# --- compiling


def trained(net: nn.Module, prepare: bool) -> tuple[list[torch.Tensor], float]:
    optimizer = optim.build_optimizer(net, OptimConfig(), CPU, lr=0.05)
    random = torch.Generator().manual_seed(0)
    batches = [(torch.randn(6, 3, 32, 32, generator=random), torch.arange(6)) for _ in range(3)]
    forward: nn.Module = net
    if prepare:
        few = [(images[:size], labels[:size]) for (images, labels), size in zip(batches, (6, 6, 2), strict=True)]
        forward, seconds = compiling.compiled(net, optimizer, few, CPU)
        assert forward is not net and seconds > 0
    result = train_epoch(forward, optimizer, batches, OneCycle(0.05, 3, 0.0), CPU, 0.1)
    return [t.clone() for t in net.state_dict().values()], result["train_loss"]


def test_compiled_training_does_what_the_plain_one_does_and_compiling_leaves_no_trace(monkeypatch):
    real, functions = torch.compile, []

    def without_a_compiler(function, **options):  # traced and differentiated as for a GPU, but run by PyTorch itself
        functions.append(function)
        return real(function, backend="aot_eager", **options)

    monkeypatch.setattr(torch, "compile", without_a_compiler)
    plain, loss = trained(model.build(seed=0, width=8), prepare=False)
    traced, same = trained(model.build(seed=0, width=8), prepare=True)
    assert len(functions) == 2 and loss == pytest.approx(same, rel=1e-4)
    for one, other in zip(plain, traced, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-2)


def test_where_compiling_fails_training_stays_as_it_is(monkeypatch, capsys: pytest.CaptureFixture[str]):
    def no_compiler(*args: object, **options: object) -> None:
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", no_compiler)
    net = model.build(seed=0, width=8)
    optimizer = optim.build_optimizer(net, OptimConfig(), CPU, lr=0.05)
    batch = (torch.randn(4, 3, 32, 32), torch.arange(4))
    assert compiling.compiled(net, optimizer, [batch], CPU) == (net, 0.0)
    assert optimizer.update is muon.muon_update and "no compiler here" in capsys.readouterr().out

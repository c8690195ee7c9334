"""The optimizer step: against torch.optim, by hand, and by what orthogonal means."""

import numpy as np
import pytest
import torch
from torch import nn

from gradcam_report import model
from gradcam_report.analysis.predictions import softmax
from gradcam_report.config import OptimConfig
from gradcam_report.training import optimizer as optim
from gradcam_report.training.device import Compute

CPU = Compute(torch.device("cpu"), "fp32")


# --- Muon


SHAPES = pytest.mark.parametrize("shape", [(16, 144), (64, 27), (8, 8)])


@SHAPES
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32])
def test_orthogonalised_matrices_have_singular_values_about_one(shape: tuple[int, int], kind: torch.dtype):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    assert optim.orthogonalise(matrix.to(kind)).dtype == kind
    found = optim.orthogonalise(matrix.to(kind)).float()
    values = torch.linalg.svdvals(found)
    assert found.shape == shape and values.min() > 0.4 and values.max() < 1.3
    u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
    cosine = (found * (u @ vh)).sum() / found.norm() / min(shape) ** 0.5
    assert cosine > 0.95  # the iteration spreads the singular values, but it keeps the singular vectors
    torch.testing.assert_close(optim.orthogonalise(matrix.to(kind) / 1024).float(), found, atol=1e-3, rtol=0)


@SHAPES
def test_orthogonalising_is_a_polynomial_of_the_singular_values(shape: tuple[int, int]):
    """x (a + b x^2 + c x^4), five times over, on singular values; the singular vectors stay."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, values, vh = torch.linalg.svd(matrix, full_matrices=False)
    values = values / matrix.norm()
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    torch.testing.assert_close(optim.orthogonalise(matrix), u * values @ vh, atol=1e-9, rtol=0)


@pytest.mark.parametrize(("precision", "kind"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_muon_multiplies_in_the_precision_of_training(monkeypatch, precision: str, kind: torch.dtype):
    """bf16 where the hardware has no instructions for it is many times slower than float32."""
    kinds, real = [], optim.orthogonalise
    monkeypatch.setattr(optim, "orthogonalise", lambda matrices: kinds.append(matrices.dtype) or real(matrices))
    net = model.build(seed=0, width=8)
    compute = Compute(torch.device("cpu"), precision)
    optimizer = optim.build_optimizer(net, OptimConfig(), compute, lr=0.05)
    optim.Step(net, optimizer, OptimConfig(), compute)(torch.randn(4, 3, 32, 32), torch.arange(4))
    assert set(kinds) == {kind}
    assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_filters_move_as_in_torchs_muon_between_scalings():
    """torch.optim.Muon takes matrices only; with its input at the norm that ours restores, the steps agree."""
    random = torch.Generator().manual_seed(0)
    bank = nn.Parameter(torch.randn(8, 4, 3, 3, generator=random))
    ours = optim.Muon([{"params": [bank], "filters": True, "momentum": 0.6}], torch.bfloat16)
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
    muon = optim.Muon([{"params": [ours], "weight_decay": decay, "scale": 2.0}])
    optim.set_lr(muon, 0.05)
    sgd = torch.optim.SGD([theirs], lr=0.1, momentum=0.9, nesterov=True, weight_decay=decay)
    for _ in range(4):
        ours.grad = torch.randn(5, 3, generator=random)
        theirs.grad = ours.grad.clone()
        muon.step()
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


# --- SGD


def test_only_convolutions_and_the_linear_layer_decay():
    net = model.build(seed=0, width=8)
    decayed, others = optim.build_optimizer(
        net, OptimConfig(optimizer="sgd", weight_decay=0.01), CPU, lr=0.1
    ).param_groups
    wanted = {id(m.weight) for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    assert {id(p) for p in decayed["params"]} == wanted and decayed["weight_decay"] == 0.01
    assert {id(p) for p in others["params"]} == {id(p) for p in net.parameters()} - wanted
    assert others["weight_decay"] == 0


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_two_steps_by_hand(momentum: float):
    """Sutskever et al. 2013 as PyTorch writes it: v = m v + g, w = w - lr (g + m v), with decay in g."""
    net = nn.Linear(3, 10)
    config = OptimConfig(optimizer="sgd", momentum=momentum, weight_decay=0.1, label_smoothing=0.0)
    sgd = optim.build_optimizer(net, config, CPU, lr=1.0)
    optim.set_lr(sgd, 0.5)
    step = optim.Step(net, sgd, config, CPU)
    random = np.random.default_rng(0)
    w, b = (p.detach().numpy().copy() for p in (net.weight, net.bias))
    moving_w, moving_b = np.zeros_like(w), np.zeros_like(b)
    for _ in range(2):
        x, y = random.normal(size=(4, 3)).astype(np.float32), random.integers(10, size=4)
        step(torch.from_numpy(x), torch.from_numpy(y))
        error = (softmax(x @ w.T + b) - np.eye(10)[y]) / 4
        gradient_w, gradient_b = error.T @ x + 0.1 * w, error.sum(0)
        moving_w, moving_b = momentum * moving_w + gradient_w, momentum * moving_b + gradient_b
        w = w - 0.5 * (gradient_w + momentum * moving_w)
        b = b - 0.5 * (gradient_b + momentum * moving_b)
    np.testing.assert_allclose(net.weight.detach(), w, atol=1e-6)
    np.testing.assert_allclose(net.bias.detach(), b, atol=1e-6)


# --- compiling


def stepped(net: nn.Module, prepare: bool) -> tuple[list[torch.Tensor], list[float]]:
    config = OptimConfig()
    step = optim.Step(net, optim.build_optimizer(net, config, CPU, lr=0.05), config, CPU)
    random = torch.Generator().manual_seed(0)
    losses = []
    for i in range(3):
        images, labels = torch.randn(6, 3, 32, 32, generator=random), torch.arange(6)
        if i == 0 and prepare:
            assert step.warm_up(images, labels, rest=2) > 0 and step.judge != step._judge
        losses.append(step(images, labels)[0].item())
    return [t.clone() for t in net.state_dict().values()], losses


def test_a_compiled_step_does_what_the_plain_one_does_and_compiling_leaves_no_trace(monkeypatch: pytest.MonkeyPatch):
    real, compiled = torch.compile, []

    def without_a_compiler(function, **options):  # traced and differentiated as for a GPU, but run by PyTorch itself
        compiled.append(function)
        return real(function, backend="aot_eager", **options)

    monkeypatch.setattr(torch, "compile", without_a_compiler)
    plain, losses = stepped(model.build(seed=0, width=8).train(), prepare=False)
    traced, same = stepped(model.build(seed=0, width=8).train(), prepare=True)
    assert len(compiled) == 2 and losses == pytest.approx(same, rel=1e-4)
    for one, other in zip(plain, traced, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-2)


def test_where_compiling_fails_the_step_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    def no_compiler(*args: object, **options: object) -> None:
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", no_compiler)
    net = model.build(seed=0, width=8).train()
    config = OptimConfig()
    optimizer = optim.build_optimizer(net, config, CPU, lr=0.05)
    step = optim.Step(net, optimizer, config, CPU)
    before = [t.clone() for t in net.state_dict().values()]
    assert step.warm_up(torch.randn(4, 3, 32, 32), torch.arange(4)) == 0
    assert "The step is not compiled: no compiler here" in capsys.readouterr().out
    assert step.judge == step._judge and optimizer.move is optim.move
    assert all(torch.equal(a, b) for a, b in zip(before, net.state_dict().values(), strict=True))
    loss, _ = step(torch.randn(4, 3, 32, 32), torch.arange(4))
    assert torch.isfinite(loss)

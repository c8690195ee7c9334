"""Maps against an autograd formula, captum and pytorch-grad-cam; what is put back afterwards."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from captum.attr import LayerGradCam
from pytorch_grad_cam import GradCAM, LayerCAM, XGradCAM
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from gradcam_report.config import LAYERS, CamConfig, ExplorerConfig
from gradcam_report.explain import cam

pytestmark = pytest.mark.usefixtures("few_threads")

CLOSE = {"rtol": 0, "atol": 1e-4}  # scaling a map up to 1 scales its float32 rounding errors with it


@dataclass(frozen=True)
class Oracle:
    """pytorch-grad-cam's class for a method, and its paper's weights of activations A and gradients G, (C, h, w)."""

    extractor: type[BaseCAM]
    weights: Callable[[Tensor, Tensor], Tensor]


ORACLES = {
    "gradcam": Oracle(GradCAM, lambda a, g: g.mean(dim=(1, 2), keepdim=True)),
    "layercam": Oracle(LayerCAM, lambda a, g: g.relu()),
    "xgradcam": Oracle(
        XGradCAM, lambda a, g: (g * a).sum((1, 2), keepdim=True) / a.sum((1, 2), keepdim=True).clamp(min=1e-30)
    ),
}


def by_autograd(model: nn.Module, images: Tensor, classes: Tensor, layer: str, method: str = "gradcam") -> Tensor:
    """The papers' formulas, before scaling, one image at a time."""
    maps = []
    for image, c in zip(images, classes, strict=True):
        kept: list[Tensor] = []
        hook = model.get_submodule(layer).register_forward_hook(lambda *args, kept=kept: kept.append(args[2]))
        logit = model(image[None])[0, c]
        hook.remove()
        (gradient,) = torch.autograd.grad(logit, kept)
        a = kept[0][0].detach()
        maps.append((ORACLES[method].weights(a, gradient[0]) * a).sum(dim=0).relu())
    return torch.stack(maps)


def enlarged(maps: Tensor) -> Tensor:
    """(N, h, w) -> (N, 32, 32), bilinear between cell centres, as pytorch-grad-cam does it."""
    return F.interpolate(maps[:, None], (32, 32), mode="bilinear", align_corners=False)[:, 0]


def scaled(maps: Tensor) -> Tensor:
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    return (maps - low) / (high - low).clamp(min=1e-30)


@pytest.mark.parametrize("method", ORACLES)
def test_each_method_equals_its_papers_formula_and_other_libraries(model, images, targets, method):
    found = cam.explain(model, images, targets, LAYERS, method, batch_size=2)
    assert list(found) == ["predicted", "true"]
    for name, classes in targets.items():
        assert list(found[name]) == list(LAYERS)
        for layer, size in zip(LAYERS, (32, 16, 8, 4), strict=True):
            maps, module = found[name][layer], model.get_submodule(layer)
            assert maps.shape == (5, size, size) and maps.dtype == torch.float32 and not maps.requires_grad
            assert maps[:2].flatten(1).any(dim=1).all(), "comparing maps of zeros would say little"
            torch.testing.assert_close(maps, scaled(by_autograd(model, images, classes, layer, method)), **CLOSE)
            with ORACLES[method].extractor(model, [module]) as extractor:
                theirs = torch.from_numpy(extractor(images, [ClassifierOutputTarget(int(c)) for c in classes]))
            torch.testing.assert_close(scaled(enlarged(maps)), theirs, **CLOSE)  # it scales after enlarging
            if method == "gradcam":
                captum = LayerGradCam(model, module).attribute(images, target=classes, relu_attributions=True)
                torch.testing.assert_close(maps, scaled(captum[:, 0].detach()), **CLOSE)


def test_every_method_has_an_oracle() -> None:
    assert {*ORACLES, "scorecam"} == set(cam.METHODS), "Score-CAM has `by_masks`"


@pytest.mark.parametrize("method", cam.METHODS)
def test_each_method_makes_the_same_maps_again(model, images, targets, method):
    first, second = (cam.explain(model, images[:2], {"x": targets["true"][:2]}, ["layer4"], method) for _ in range(2))
    assert torch.equal(first["x"]["layer4"], second["x"]["layer4"])


def by_masks(model: nn.Module, image: Tensor, class_: int, layer: str) -> Tensor:
    """Score-CAM with torchcam's order of scaling and enlarging, one channel at a time, before scaling."""
    kept: list[Tensor] = []
    hook = model.get_submodule(layer).register_forward_hook(lambda *args: kept.append(args[2]))
    with torch.no_grad():
        model(image[None])
        hook.remove()
        masks = scaled(kept[0][0])
        scores = torch.stack([model(image[None] * enlarged(mask[None]))[0, class_] for mask in masks])
    return (scores.softmax(0)[:, None, None] * kept[0][0]).sum(0).relu()


def test_scorecam_equals_its_formula_and_leaves_no_hook(model, images, targets):
    found = cam.explain(model, images[:2], {"predicted": targets["predicted"][:2]}, ["layer3", "layer4"], "scorecam")
    for layer in ("layer3", "layer4"):
        expected = [by_masks(model, images[i], int(targets["predicted"][i]), layer) for i in range(2)]
        torch.testing.assert_close(found["predicted"][layer], scaled(torch.stack(expected)), **CLOSE)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_rescaling_does_not_dim_small_maps_and_leaves_empty_ones_empty():
    maps = torch.tensor([[[4e-9, 5e-9], [2e-9, 0]], [[0, 0], [0, 0]], [[3, 3], [3, 3]]])
    expected = torch.tensor([[[0.8, 1], [0.4, 0]], [[0, 0], [0, 0]], [[1, 1], [1, 1]]])
    torch.testing.assert_close(cam.rescale(maps), expected)
    one, other = cam.rescale_together([torch.zeros(3, 2, 2), maps])
    assert not one.any() and not other[1].any()
    torch.testing.assert_close(other, expected)


def test_maps_on_a_shared_scale_keep_their_ratio(model, images, targets):
    found = cam.explain(model, images, targets, ["layer3", "layer4"], shared=True)
    for layer in ("layer3", "layer4"):
        raw = {name: by_autograd(model, images, classes, layer) for name, classes in targets.items()}
        highest = torch.stack([m.amax(dim=(1, 2)) for m in raw.values()]).amax(0)[:, None, None]
        for name, expected in raw.items():
            torch.testing.assert_close(found[name][layer], expected / highest.where(highest > 0, 1), **CLOSE)


def test_one_forward_pass_per_batch_in_whatever_order(model, images, targets):
    passes = []
    model.register_forward_pre_hook(lambda _, args: passes.append(len(args[0])))
    found = cam.explain(model, images, targets, LAYERS, batch_size=3)
    assert passes == [3, 2]
    back = cam.explain(model, images, dict(reversed(targets.items())), [*reversed(LAYERS), "layer1"])
    assert passes == [3, 2, 5] and list(back) == ["true", "predicted"] and list(back["true"]) == list(LAYERS[::-1])
    torch.testing.assert_close(back, found, **CLOSE)


def snapshot(model: nn.Module) -> list[object]:
    """Everything about a model that looking at it must not change."""
    hooks = [
        (m.training, len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in model.modules()
    ]
    parameters = [(p.requires_grad, None if p.grad is None else p.grad.tolist()) for p in model.parameters()]
    precision = (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, torch.is_grad_enabled())
    return [hooks, parameters, precision, [value.tolist() for value in model.state_dict().values()]]


def test_training_mode_neither_changes_maps_nor_is_changed(model, images, targets):
    expected = cam.explain(model, images, targets, LAYERS)
    model.train()
    model.layer2.eval()  # a model part of which was frozen by hand
    model.conv1.weight.requires_grad_(False)
    model.linear.bias.grad = torch.ones(10)
    model.layer4.register_forward_hook(lambda *_: None)
    before = snapshot(model)
    torch.testing.assert_close(cam.explain(model, images, targets, LAYERS), expected, **CLOSE)
    assert snapshot(model) == before


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu")])
def test_maps_do_not_depend_on_where_they_are_made(model, images, targets, context):
    expected = cam.explain(model, images, targets, LAYERS)
    model.requires_grad_(False)
    with context():
        torch.testing.assert_close(cam.explain(model, images.double(), targets, LAYERS), expected, **CLOSE)
    assert not images.requires_grad


@pytest.fixture
def other_precision() -> Iterator[None]:
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision("highest")


def test_everything_is_put_back_after_an_error(model, images, targets, monkeypatch, other_precision):
    model.train()
    before = snapshot(model)
    with cam.float32_eval(model):
        assert torch.get_float32_matmul_precision() == "highest" and not torch.backends.cudnn.allow_tf32
        assert not any(module.training for module in model.modules())
    monkeypatch.setattr(model.linear, "forward", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cam.explain(model, images, targets, LAYERS)
    assert snapshot(model) == before


def test_the_parameters_offer_every_method():
    gradient_methods = {name for name, method in cam.METHODS.items() if method.uses_gradients}
    assert set(get_args(CamConfig.model_fields["method"].annotation)) == set(cam.METHODS)
    assert set(get_args(ExplorerConfig.model_fields["map_method"].annotation)) == gradient_methods

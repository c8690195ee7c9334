"""Maps against an autograd formula, captum, pytorch-grad-cam and hand-made cases; what is put back afterwards."""

from collections.abc import Iterator
from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from captum.attr import LayerGradCam
from pytorch_grad_cam import GradCAM, LayerCAM, XGradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from gradcam_report.config import LAYERS, CamConfig, ReportError
from gradcam_report.explain import cam
from gradcam_report.model import ResNet18

pytestmark = pytest.mark.usefixtures("few_threads")

CLASSES = 10
CLOSE = {"rtol": 0, "atol": 1e-4}  # scaling a map up to 1 scales its float32 rounding errors with it


def by_autograd(model: nn.Module, images: Tensor, classes: Tensor, layer: str, method: str) -> Tensor:
    """The papers' formulas, before scaling, one image at a time."""
    maps = []
    for image, c in zip(images, classes, strict=True):
        kept: list[Tensor] = []
        hook = model.get_submodule(layer).register_forward_hook(lambda *args, kept=kept: kept.append(args[2]))
        logit = model(image[None])[0, c]
        hook.remove()
        (gradient,) = torch.autograd.grad(logit, kept)
        a, g = kept[0][0].detach(), gradient[0]
        weights = {
            "gradcam": g.mean(dim=(1, 2), keepdim=True),
            "layercam": g.relu(),
            "xgradcam": (g * a).sum(dim=(1, 2), keepdim=True) / a.sum(dim=(1, 2), keepdim=True).clamp(min=1e-30),
        }[method]
        maps.append((weights * a).sum(dim=0).relu())
    return torch.stack(maps)


def enlarged(maps: Tensor) -> Tensor:
    """(N, h, w) -> (N, 32, 32), bilinear between cell centres, as pytorch-grad-cam does it."""
    return F.interpolate(maps[:, None], (32, 32), mode="bilinear", align_corners=False)[:, 0]


def scaled(maps: Tensor) -> Tensor:
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    return (maps - low) / (high - low).clamp(min=1e-30)


@pytest.mark.parametrize("method", ["gradcam", "layercam", "xgradcam"])
def test_each_method_equals_its_papers_formula(model, images, targets, method):
    found = cam.explain(model, images, targets, LAYERS, method, batch_size=2)
    assert list(found) == ["predicted", "true"]
    for name, classes in targets.items():
        assert list(found[name]) == list(LAYERS)
        for layer, size in zip(LAYERS, (32, 16, 8, 4), strict=True):
            maps = found[name][layer]
            assert maps.shape == (5, size, size) and maps.dtype == torch.float32 and not maps.requires_grad
            assert not cam.is_empty(maps[:2]).any(), "comparing maps of zeros would say little"
            expected = scaled(by_autograd(model, images, classes, layer, method))
            torch.testing.assert_close(maps, expected, **CLOSE)


def test_gradcam_equals_captum(model, images, targets):
    found = cam.explain(model, images, targets, LAYERS)
    for name, classes in targets.items():
        for layer in LAYERS:
            oracle = LayerGradCam(model, model.get_submodule(layer))
            theirs = oracle.attribute(images, target=classes, relu_attributions=True)[:, 0].detach()
            torch.testing.assert_close(found[name][layer], scaled(theirs), **CLOSE)


@pytest.mark.parametrize(("method", "oracle"), [("gradcam", GradCAM), ("layercam", LayerCAM), ("xgradcam", XGradCAM)])
def test_maps_equal_pytorch_grad_cam(model, images, targets, method, oracle):
    found = cam.explain(model, images, targets, LAYERS, method)
    for name, classes in targets.items():
        wanted = [ClassifierOutputTarget(int(c)) for c in classes]
        for layer in LAYERS:
            with oracle(model, [model.get_submodule(layer)]) as extractor:
                theirs = torch.from_numpy(extractor(images, wanted))
            # It scales again after enlarging the map to the image's size.
            torch.testing.assert_close(scaled(enlarged(found[name][layer])), theirs, **CLOSE)


class Toy(nn.Module):
    """Images are their own features: a 1x1 convolution that copies, global average pooling, a linear head."""

    def __init__(self, weights: list[list[float]]) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 3, 1, bias=False)
        self.head = nn.Linear(3, len(weights), bias=False)
        self.features.weight.data = torch.eye(3)[:, :, None, None]
        self.head.weight.data = torch.tensor(weights)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).mean(dim=(2, 3)))


TOY_IMAGE = torch.tensor([[[4.0, 1.0], [0.0, 0.0]], [[0.0, 2.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 5.0]]])[None]


@pytest.mark.parametrize("method", ["gradcam", "layercam", "xgradcam"])
def test_maps_known_in_closed_form(method):
    """With average pooling d logit_c / d A_k = W_ck / 4, so Grad-CAM is ReLU(sum_k W_ck A_k) up to scale."""
    toy = Toy([[1.0, 2.0, 0.0], [1.0, -1.0, 0.0], [-1.0, -1.0, -1.0]])
    found = cam.explain(toy, TOY_IMAGE.expand(3, -1, -1, -1), {"each": torch.arange(3)}, ["features"], method)
    expected = {
        "gradcam": [[[4, 5], [2, 0]], [[4, 0], [0, 0]], [[0, 0], [0, 0]]],
        "layercam": [[[4, 5], [2, 0]], [[4, 1], [0, 0]], [[0, 0], [0, 0]]],  # weights of cells: negative ones count 0
    }
    exact = torch.tensor(expected["layercam" if method == "layercam" else "gradcam"], dtype=torch.float32)
    torch.testing.assert_close(found["each"]["features"], exact / torch.tensor([5.0, 4.0, 1.0])[:, None, None])
    assert cam.is_empty(found["each"]["features"]).tolist() == [False, False, True]


def test_tiny_gradients_do_not_dim_a_map():
    toy = Toy([[1e-9, 2e-9, 0.0]])
    maps = cam.explain(toy, TOY_IMAGE, {"only": torch.tensor([0])}, ["features"])["only"]["features"]
    torch.testing.assert_close(maps, torch.tensor([[[0.8, 1.0], [0.4, 0.0]]]))


def test_rescale_of_maps_without_range():
    flat = torch.tensor([0.0, 3.0])[:, None, None].expand(2, 4, 4)
    assert cam.rescale(flat).flatten(1).unique(dim=1).tolist() == [[0.0], [1.0]]
    assert cam.is_empty(cam.rescale(flat)).tolist() == [True, False]


def same(a: dict[str, dict[str, Tensor]], b: dict[str, dict[str, Tensor]]) -> None:
    torch.testing.assert_close(a, b, **CLOSE)


def test_one_forward_pass_per_batch(model, images, targets):
    passes = []
    model.register_forward_pre_hook(lambda _, args: passes.append(len(args[0])))
    in_two = cam.explain(model, images, targets, LAYERS, batch_size=3)
    assert passes == [3, 2]
    same(in_two, cam.explain(model, images, targets, LAYERS))
    assert passes == [3, 2, 5]


def test_order_of_targets_and_layers_does_not_matter(model, images, targets):
    forth = cam.explain(model, images, targets, LAYERS)
    back = cam.explain(model, images, dict(reversed(targets.items())), [*reversed(LAYERS), "layer1"])
    assert list(back) == ["true", "predicted"] and list(back["true"]) == list(reversed(LAYERS))
    same(forth, {name: {layer: back[name][layer] for layer in LAYERS} for name in targets})


def snapshot(model: nn.Module) -> list[object]:
    """Everything about a model that looking at it must not change."""
    modules = [
        (name, m.training, len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks))
        for name, m in model.named_modules()
    ]
    parameters = [(p.requires_grad, None if p.grad is None else p.grad.numpy().tobytes()) for p in model.parameters()]
    precision = (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, torch.is_grad_enabled())
    return [
        modules,
        parameters,
        precision,
        {name: value.numpy().tobytes() for name, value in model.state_dict().items()},
    ]


@pytest.fixture
def other_precision() -> Iterator[None]:
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision("highest")


def test_training_mode_neither_changes_maps_nor_is_changed(model, images, targets):
    expected = cam.explain(model, images, targets, LAYERS)
    model.train()
    model.layer2.eval()  # a model part of which was frozen by hand
    model.conv1.weight.requires_grad_(False)
    model.linear.bias.grad = torch.ones(CLASSES)
    model.layer4.register_forward_hook(lambda *_: None)
    before = snapshot(model)
    same(expected, cam.explain(model, images, targets, LAYERS))
    assert snapshot(model) == before


@pytest.mark.parametrize(
    "context", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)]
)
def test_maps_do_not_depend_on_where_they_are_made(model, images, targets, context):
    expected = cam.explain(model, images, targets, LAYERS)
    model.requires_grad_(False)
    with context():
        same(expected, cam.explain(model, images.clone(), targets, LAYERS))
    same(expected, cam.explain(model, images.double(), targets, LAYERS))
    assert not images.requires_grad


def test_similarity_is_pearsons_correlation_and_nan_for_maps_without_a_pattern():
    random = torch.Generator().manual_seed(5)
    a, b = torch.rand(2, 6, 4, 4, generator=random)
    expected = torch.stack(
        [torch.corrcoef(torch.stack([x.flatten(), y.flatten()]))[0, 1] for x, y in zip(a, b, strict=True)]
    )
    torch.testing.assert_close(cam.similarity(a, b), expected, atol=1e-5, rtol=0)
    assert torch.allclose(cam.similarity(a, 0.25 * a + 0.1), torch.ones(6))
    assert cam.similarity(a, torch.zeros_like(a)).isnan().all()


def test_maps_on_a_shared_scale_keep_their_ratio(model: ResNet18, images: Tensor, targets):
    found = cam.explain(model, images, targets, ["layer3", "layer4"], shared=True)
    for layer in ("layer3", "layer4"):
        raw = {name: by_autograd(model, images, classes, layer, "gradcam") for name, classes in targets.items()}
        highest = torch.stack([m.amax(dim=(1, 2)) for m in raw.values()]).amax(0)[:, None, None]
        for name, expected in raw.items():
            torch.testing.assert_close(found[name][layer], expected / highest.where(highest > 0, 1), **CLOSE)


def test_a_shared_scale_leaves_empty_maps_empty():
    empty, full = torch.zeros(2, 2, 2), torch.tensor([[[0.0, 4.0], [1.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]])
    one, other = cam.rescale_together([empty, full])
    assert not one.any() and other[0].tolist() == [[0.0, 1.0], [0.25, 0.5]] and not other[1].any()


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


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (["layer4", "layer5"], "layers holds 'layer5', .*; choose from conv1, bn1, layer1, layer2, layer3, layer4"),
        ([""], "layers holds ''"),
        (["linear"], "layers holds 'linear', whose output is not a map"),
        ([], "layers is empty; name at least one"),
    ],
)
def test_layers_that_cannot_be_explained(model, images, targets, layers, message):
    before = snapshot(model)
    with pytest.raises(ReportError, match=message):
        cam.explain(model, images, targets, layers)
    assert snapshot(model) == before


def test_other_bad_input(model, images, targets):
    with pytest.raises(ReportError, match=r"method is 'gradcam\+\+'; choose one of 'gradcam'"):
        cam.explain(model, images, targets, LAYERS, "gradcam++")
    with pytest.raises(ValueError, match=r"normalised float .* got torch.uint8"):
        cam.explain(model, images.byte(), targets, LAYERS)
    with pytest.raises(ValueError, match=r"targets\['true'\] must have shape \(5,\), got \(4,\)"):
        cam.explain(model, images, {"true": targets["true"][:4]}, LAYERS)
    model.linear.bias.data[0] = torch.nan
    with pytest.raises(ReportError, match="logits are not finite"):
        cam.explain(model, images, targets, LAYERS)


def test_the_parameters_offer_every_method():
    assert set(get_args(CamConfig.model_fields["method"].annotation)) == set(cam.METHODS)

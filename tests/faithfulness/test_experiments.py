"""The experiments: which explainers there are, what each experiment compares, and the shapes model."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradcam_report import model
from gradcam_report.config import LAYERS, ReportError, parse_params
from gradcam_report.data import datasets
from gradcam_report.explain import cam
from gradcam_report.faithfulness import baselines, experiments, metrics, shapes_model
from gradcam_report.runs import io

pytestmark = pytest.mark.usefixtures("few_threads")

CLASSES = torch.tensor([1, 2, 3, 4])


@pytest.fixture(scope="module")
def net() -> model.ResNet18:
    """A narrow network whose maps are not empty."""
    built = model.build(seed=0, width=8)
    nn.init.normal_(built.linear.weight, generator=torch.Generator().manual_seed(0))
    return built.eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_explainers_are_each_methods_own_maps(net: model.ResNet18, images: Tensor) -> None:
    found = experiments.explainer_maps(net, images, CLASSES, LAYERS, list(cam.METHODS))
    layers = {m: [n.split()[1] for n in found if n.startswith(f"{how.title} ")] for m, how in cam.METHODS.items()}
    assert layers["gradcam"] == layers["layercam"] == list(LAYERS)
    assert layers["xgradcam"] == list(LAYERS[:3]) and layers["scorecam"] == ["layer4"]
    alone = cam.explain(net, images, {"x": CLASSES}, ["layer3"], "layercam")["x"]["layer3"]
    assert torch.equal(found["LayerCAM layer3"], alone)


def test_at_layer4_xgradcam_which_is_left_out_is_gradcam(net: model.ResNet18, images: Tensor) -> None:
    one, other = (cam.explain(net, images, {"x": CLASSES}, ["layer4"], m)["x"] for m in ("gradcam", "xgradcam"))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


def test_localisation_rates_the_mask_itself_best() -> None:
    synthetic = datasets.synthetic_images(20, seed=2)
    assert synthetic.masks is not None
    maps = {"truth": synthetic.masks.float()} | baselines.baseline_maps(synthetic.images)
    found = experiments.localisation(maps, synthetic.masks)
    assert list(found) == ["pointing", "energy", "overlap"]
    assert list(found["energy"]) == ["truth", *baselines.BASELINES]
    assert all(scores["truth"].mean() == pytest.approx(1) for scores in found.values())
    assert found["overlap"]["random cells"].mean() < 0.3


def test_deletion_and_insertion_scores_are_what_the_metrics_say(net: model.ResNet18, images: Tensor) -> None:
    probability = experiments.class_probability(net, CLASSES)
    direct = net(images).softmax(1)[torch.arange(4), CLASSES].detach()
    torch.testing.assert_close(probability(images), direct)
    maps = {"some": baselines.random_maps(4, 4), "all": torch.ones(4, 4, 4)}
    found = experiments.deletion_insertion(probability, images, maps, steps=2)
    starts = {"deletion": (images, torch.zeros_like(images)), "insertion": (metrics.blur(images), images)}
    for name, (start, fill) in starts.items():
        ends = probability(start), probability(fill)
        curve = metrics.perturbation_curves(probability, start, fill, maps["some"], 2, ends)
        torch.testing.assert_close(found.curves[name]["some"], curve)
        np.testing.assert_allclose(found.scores[name]["some"], metrics.area(curve), rtol=1e-6)
    after, before = metrics.masked_probability(probability, images, maps["some"]), ends[1]  # ends[1]: the image itself
    np.testing.assert_allclose(found.scores["drop"]["some"], metrics.drop(before, after), rtol=1e-6)
    np.testing.assert_array_equal(found.scores["increase"]["some"], after > before)
    assert not found.scores["drop"]["all"].any() and not found.scores["increase"]["all"].any()


def test_each_step_of_the_cascade_randomises_one_more_part_and_leaves_the_network_itself_alone() -> None:
    net = model.build(seed=0, width=8)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(0.5)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    changed: list[set[str]] = []
    cascade = [
        experiments.randomised_network(net, experiments.PARTS[:count], seed=1)
        for count in range(len(experiments.PARTS) + 1)
    ]
    for randomised in cascade:
        state = randomised.state_dict()
        changed.append({key.split(".")[0] for key in before if not torch.equal(before[key], state[key])})
    assert changed[:3] == [set(), {"linear"}, {"linear", "layer4"}]
    assert all(a < b for a, b in itertools.pairwise(changed))
    assert changed[-1] == {"linear", "layer4", "layer3", "layer2", "layer1", "conv1", "bn1"}
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert torch.equal(cascade[1].linear.weight, cascade[2].linear.weight)
    assert torch.equal(torch.rand(1), expected), "the caller's random numbers are untouched"


def test_a_map_that_never_looks_at_the_network_survives_randomization(
    net: model.ResNet18, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeing = experiments.model_randomization(net, images, CLASSES, ["layer4"], ["gradcam"])
    assert list(seeing) == list(experiments.PARTS)
    assert np.nanmean(seeing["conv1"]["Grad-CAM layer4"]) < 0.7
    monkeypatch.setattr(experiments, "explainer_maps", lambda net, x, *rest: {"blind": x.abs().mean(1)})
    blind = experiments.model_randomization(net, images, CLASSES, ["layer4"], ["gradcam"])
    assert all(np.allclose(scores["blind"], 1) for scores in blind.values())


def test_a_map_that_moves_with_the_image_is_stable_and_one_that_stays_is_not(
    net: model.ResNet18, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed = torch.rand(4, 32, 32, generator=torch.Generator().manual_seed(2))
    monkeypatch.setattr(experiments, "explainer_maps", lambda net, x, *rest: {"follows": x.mean(1), "stays": fixed})
    found = experiments.stability(net, images, CLASSES, ["layer4"], ["gradcam"])
    for change in ("horizontal flip", "shift by 1", "shift by 2"):
        control = found[f"{change}, not moved back"]
        np.testing.assert_allclose([found[change]["follows"], control["stays"]], 1)
        assert abs(found[change]["stays"]).max() < 0.2 and abs(control["follows"]).max() < 0.5


# The shapes model


def test_only_synthetic_images_that_the_network_gets_right_are_used(net: model.ResNet18) -> None:
    found, normalised = shapes_model.correct_images(net, 200)
    everything = datasets.synthetic_images(200, seed=datasets.SHAPES_TEST_SEED)
    right = net(datasets.NORMALIZERS["shapes"](everything.images)).argmax(1) == everything.labels
    assert 0 < len(found) < 200 and torch.equal(found.indices, everything.indices[right])
    torch.testing.assert_close(normalised, datasets.NORMALIZERS["shapes"](found.images))
    never = model.build(seed=0, width=8)
    nn.init.constant_(never.linear.weight, 0)
    nn.init.constant_(never.linear.bias, 0)  # every answer is class 0
    assert everything.labels[0] != 0
    with pytest.raises(ReportError, match="none of 1 synthetic images right; raise probe_epochs"):
        shapes_model.correct_images(never, 1)


def test_the_shapes_model_is_trained_once_and_never_over_another_run(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "SHAPES_TRAIN", 200)
    monkeypatch.setattr(datasets, "SHAPES_TEST", 50)

    def train_or_load(epochs: int) -> model.ResNet18:
        config = parse_params("faithfulness", {"probe_epochs": epochs}).faithfulness
        net, accuracy = shapes_model.train_or_load(config, "runs/x", "cpu")
        assert net.conv1.out_channels == shapes_model.WIDTH and 0 <= accuracy <= 1
        return net

    net, weights, record = train_or_load(1), *(project / f"runs/x/probe/{f}" for f in ("model.safetensors", "run.json"))
    written = weights.stat().st_mtime_ns
    assert torch.equal(net.conv1.weight, train_or_load(1).conv1.weight) and weights.stat().st_mtime_ns == written
    train_or_load(2)  # other settings
    assert io.read_json(record)["parameters"]["epochs"] == 2
    weights.unlink()  # damaged
    train_or_load(2)
    record.unlink()  # killed before its end
    train_or_load(1)
    stored = io.read_json(record)
    assert stored["parameters"]["epochs"] == 1
    del stored["parameters"]["width"]  # a run of the report's own network
    io.write_json(record, stored)
    with pytest.raises(ReportError, match="probe_dir is 'runs/x/probe', which holds another run"):
        train_or_load(1)

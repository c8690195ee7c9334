"""The published weights, by a loop that shares only the network's class with this report."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gradcam_report import model
from gradcam_report.config import RangeTestParams, TrainingParams
from gradcam_report.runs import io
from gradcam_report.runs.folder import RunFolder
from gradcam_report.runs.records import RangeTestRecipe, TrainingRecipe

REFERENCE = Path(__file__).parents[2] / "artifacts" / "reference"


def test_run_range_test_and_studies_are_of_the_recipe_that_is_the_default():
    """Otherwise the chapters would put figures of different recipes side by side."""
    recipe = TrainingRecipe.of(TrainingParams())
    assert RunFolder(REFERENCE).run().parameters == recipe
    assert RunFolder(REFERENCE).range_test().parameters == RangeTestRecipe.of(RangeTestParams())
    for path in (REFERENCE.parents[1] / "benchmarks").glob("*.json"):
        stored = io.read_json(path).get("recipe", {})
        assert {name: getattr(recipe, name) for name in stored} == stored, path.name


@pytest.mark.realdata
@pytest.mark.slow
def test_published_weights_make_the_stored_predictions(cifar10_folder: str) -> None:
    """Of every twentieth test image, loaded as any PyTorch user would; test_chapters looks at the logits of all."""
    from torchvision.datasets import CIFAR10
    from torchvision.transforms import v2

    normalise = v2.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    prepare = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), normalise])
    indices = np.arange(0, 10_000, 20)
    test = CIFAR10(cifar10_folder, train=False, transform=prepare)
    images, labels = zip(*(test[i] for i in indices), strict=True)
    net = model.ResNet18().eval()
    net.load_state_dict({name: tensor.float() for name, tensor in load_file(REFERENCE / "model.safetensors").items()})
    with torch.inference_mode():
        computed = torch.cat([net(batch) for batch in torch.stack(images).split(250)]).numpy()
    stored = np.load(REFERENCE / "predictions.npz")
    np.testing.assert_array_equal(stored["indices"], np.arange(10_000))
    np.testing.assert_array_equal(stored["labels"][indices], labels)
    np.testing.assert_allclose(stored["logits"][indices], computed, atol=1e-2)
    np.testing.assert_array_equal(stored["logits"][indices].argmax(1), computed.argmax(1))

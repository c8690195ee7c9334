"""The published weights, by a loop that shares only the network's class with this report."""

import os
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

needs_data = pytest.mark.skipif(
    "CIFAR10_ROOT" not in os.environ, reason="needs the real CIFAR-10 where CIFAR10_ROOT points"
)


def published_weights() -> dict[str, torch.Tensor]:
    return {k: v.float() for k, v in load_file(REFERENCE / "model.safetensors").items()}


def rounded_again() -> dict[str, torch.Tensor]:
    """The published weights, moved as far as rounding to fp16 moves a number: by up to half the gap to the next."""
    random, moved = np.random.default_rng(0), {}
    for name, stored in load_file(REFERENCE / "model.safetensors").items():
        moved[name] = stored.float()
        if stored.is_floating_point():
            gaps = np.spacing(np.abs(stored.numpy())).astype(np.float32)
            moved[name] += torch.from_numpy(gaps * random.uniform(-0.5, 0.5, gaps.shape).astype(np.float32))
    return moved


@pytest.fixture(scope="module")
def sample() -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """(normalised images, labels, indices) of every twentieth test image, as any PyTorch user would load them."""
    from torchvision.datasets import CIFAR10
    from torchvision.transforms import v2

    normalise = v2.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
    prepare = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), normalise])
    indices = np.arange(0, 10_000, 20)
    test = CIFAR10(os.environ["CIFAR10_ROOT"], train=False, transform=prepare)
    images, labels = zip(*(test[i] for i in indices), strict=True)
    return torch.stack(images), np.array(labels), indices


def logits(weights: dict[str, torch.Tensor], images: torch.Tensor) -> np.ndarray:
    net = model.ResNet18()
    net.load_state_dict(weights)
    net.eval()
    with torch.inference_mode():
        return torch.cat([net(batch) for batch in images.split(250)]).numpy()


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
@needs_data
def test_published_weights_make_the_stored_predictions_even_if_rounded_once_more(
    sample: tuple[torch.Tensor, np.ndarray, np.ndarray],
) -> None:
    """The recorded accuracy and loss are those of the stored logits of all images: see test_chapters."""
    images, labels, indices = sample
    stored = np.load(REFERENCE / "predictions.npz")
    np.testing.assert_array_equal(stored["indices"], np.arange(10_000))
    np.testing.assert_array_equal(stored["labels"][indices], labels)
    computed, moved = logits(published_weights(), images), logits(rounded_again(), images)
    np.testing.assert_allclose(stored["logits"][indices], computed, atol=1e-2)
    np.testing.assert_array_equal(stored["logits"][indices].argmax(1), computed.argmax(1))
    assert 0 < np.abs(moved - computed).max() < 0.1 and (moved.argmax(1) != computed.argmax(1)).mean() <= 0.002

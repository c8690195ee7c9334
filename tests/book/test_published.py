"""The published weights, by a loop that shares only the network's class with this report."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score

from gradcam_report import model
from gradcam_report.config import TrainingParams
from gradcam_report.runs import io

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


def published_logits(
    count: int, weights: Callable[[], dict[str, torch.Tensor]] = published_weights
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(logits, labels) of the first test images, in batches, as any PyTorch user would compute them."""
    from torchvision.datasets import CIFAR10
    from torchvision.transforms import v2

    prepare = v2.Compose(
        [
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        ]
    )
    test = CIFAR10(os.environ["CIFAR10_ROOT"], train=False, transform=prepare)
    net = model.ResNet18()
    net.load_state_dict(weights())
    net.eval()
    loader = torch.utils.data.DataLoader(torch.utils.data.Subset(test, range(count)), batch_size=250)
    with torch.inference_mode():
        for images, labels in loader:
            yield net(images).numpy(), labels.numpy()


def test_run_range_test_and_studies_are_of_the_recipe_that_is_the_default():
    """Otherwise the chapters would put figures of different recipes side by side."""
    params = TrainingParams()
    parts = [params.augment.model_dump(), params.optim.model_dump(), params.schedule.model_dump()]
    recipe = parts[0] | parts[1] | parts[2]
    assert io.read_json(REFERENCE / "run.json")["parameters"].items() >= recipe.items()
    tested = io.read_json(REFERENCE / "lr_find.json")["parameters"]
    assert tested.items() >= (parts[0] | parts[1]).items()
    del recipe["epochs"]  # of a study, a part of its protocol
    for path in (REFERENCE.parents[1] / "benchmarks").glob("*.json"):
        assert io.read_json(path).get("recipe", recipe) == recipe, path.name


@pytest.mark.realdata
@needs_data
def test_published_weights_make_the_stored_predictions():
    stored = np.load(REFERENCE / "predictions.npz")
    row = {index: row for row, index in enumerate(stored["indices"])}
    logits, labels = map(np.concatenate, zip(*published_logits(1000), strict=True))
    shown = [i for i in range(1000) if i in row]
    rows = [row[i] for i in shown]
    assert len(shown) > 0
    np.testing.assert_array_equal(stored["labels"][rows], labels[shown])
    np.testing.assert_allclose(stored["logits"][rows], logits[shown], atol=1e-2)
    np.testing.assert_array_equal(stored["logits"][rows].argmax(1), logits[shown].argmax(1))


@pytest.mark.realdata
@needs_data
def test_half_precision_is_precise_enough():
    """Rounding the weights once more, as far but otherwise, changes hardly an answer."""
    stored, moved = ([x for x, _ in published_logits(1000, made)] for made in (published_weights, rounded_again))
    before, after = np.concatenate(stored), np.concatenate(moved)
    assert 0 < np.abs(before - after).max() < 0.1
    assert (before.argmax(1) != after.argmax(1)).mean() <= 0.002


@pytest.mark.realdata
@pytest.mark.slow
@needs_data
def test_published_weights_reach_the_recorded_accuracy():
    recorded = json.loads((REFERENCE / "metrics.json").read_text())
    assert recorded["test_images"] == 10_000
    right = sum(accuracy_score(y, x.argmax(1), normalize=False) for x, y in published_logits(10_000))
    assert 100 * right / 10_000 == pytest.approx(100 * recorded["test_accuracy"], abs=0.01)

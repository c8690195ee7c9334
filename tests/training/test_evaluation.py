"""Prediction, test-time augmentation and scores: against the plain forward pass, by hand, and scikit-learn."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss
from torch import Tensor
from torchvision.transforms.v2.functional import affine, hflip

from gradcam_report import model
from gradcam_report.analysis.predictions import softmax
from gradcam_report.config import DataConfig
from gradcam_report.data import datasets
from gradcam_report.training import evaluation
from gradcam_report.training.device import Device

CPU = Device(torch.device("cpu"), "fp32")

pytestmark = pytest.mark.usefixtures("few_threads")


@pytest.fixture(scope="module")
def dataset() -> datasets.Dataset:
    return datasets.load(DataConfig(dataset="shapes", train_size=40, test_size=20, val_size=8))


def test_predict_is_the_plain_forward_pass(dataset: datasets.Dataset):
    net = model.build(seed=0, width=8)
    for training in (True, False):
        net.train(training)
        logits = evaluation.predict(net, dataset.test, dataset.normalizer, CPU, batch=7)
        assert net.training is training and net.layer3[0].bn1.training is training
        assert not logits.requires_grad and logits.dtype == torch.float32
        with torch.no_grad():
            plain = net.eval()(dataset.normalizer(dataset.test.images))
        torch.testing.assert_close(logits, plain, rtol=1e-4, atol=1e-5)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.floats(0.1, 3))
def test_score_is_that_of_scikit_learn(seed: int, scale: float):
    random = np.random.default_rng(seed)
    logits, labels = random.normal(size=(9, 10)) * scale, random.integers(10, size=9)
    loss, accuracy = evaluation.score(torch.from_numpy(logits), torch.from_numpy(labels))
    assert loss == pytest.approx(log_loss(labels, softmax(logits), labels=range(10)), rel=1e-6, abs=1e-9)
    assert accuracy == pytest.approx(accuracy_score(labels, logits.argmax(1)))


@settings(max_examples=10)
@given(st.integers(-1, 1), st.integers(-1, 1))
def test_moved_images_are_those_of_torchvision_but_for_the_border(down: int, right: int):
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    found = evaluation.moved(images, down, right)
    wanted = affine(images, angle=0.0, translate=[right, down], scale=1.0, shear=[0.0, 0.0])
    assert found.dtype == torch.uint8 and found.shape == images.shape
    assert torch.equal(found[..., 1:-1, 1:-1], wanted[..., 1:-1, 1:-1])


def test_what_comes_into_view_is_reflected():
    images = torch.arange(32, dtype=torch.uint8).expand(1, 3, 32, 32)
    assert evaluation.moved(images, 0, 1)[0, 0, 0].tolist() == [1, *range(31)]
    assert evaluation.moved(images, 0, -1)[0, 0, 0].tolist() == [*range(1, 32), 30]
    assert torch.equal(evaluation.moved(images, 1, 0), images) and torch.equal(evaluation.moved(images, 0, 0), images)


def test_test_time_augmentation_is_the_mean_that_its_source_describes(dataset: datasets.Dataset):
    """Jordan 2024: half for the image and its mirror image, half for both of two diagonally moved copies."""
    net = model.build(seed=0, width=8).eval()

    def logits(images: Tensor) -> Tensor:
        with torch.no_grad():
            return net(dataset.normalizer(images))

    images = dataset.test.images
    plain = evaluation.predict(net, dataset.test, dataset.normalizer, CPU)
    found = evaluation.predict_augmented(net, dataset.test, dataset.normalizer, CPU, plain)
    padded = F.pad(images.float(), (1, 1, 1, 1), mode="reflect").byte()
    corners = [padded[..., :32, :32], padded[..., 2:, 2:]]
    flip = (logits(images) + logits(hflip(images))) / 2
    moved = sum(logits(corner) + logits(hflip(corner)) for corner in corners) / 4
    torch.testing.assert_close(found["flip"], flip, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found["crops"], 0.5 * flip + 0.5 * moved, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(found["flip"], plain) and not torch.allclose(found["crops"], found["flip"])

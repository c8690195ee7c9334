"""What is kept of layer4: the features before the linear layer, reduced, and the class activation maps."""

import numpy as np
import pytest
import torch
from torch import nn

from gradcam_report import model
from gradcam_report.data import datasets
from gradcam_report.training import evaluation, results
from gradcam_report.training.device import Device

CPU = Device(torch.device("cpu"), "fp32")


def test_reducing_keeps_the_distances_that_the_variance_is_in():
    random = np.random.default_rng(0)  # 40 dimensions, of which five directions are used
    points = ((12 * np.eye(5)[:3])[np.arange(60) % 3] + random.normal(size=(60, 5))) @ random.normal(size=(5, 40))
    found = results.reduced(points, points[:10], dimensions=5)
    assert found["train"].dtype == found["test"].dtype == np.float16
    assert found["train"].shape == (60, 5) and found["test"].shape == (10, 5)
    before, after = (np.linalg.norm(p[:, None] - p[None], axis=2) for p in (points, found["train"].astype(float)))
    np.testing.assert_allclose(after, before, atol=0.01 * before.max())
    assert results.reduced(points[:4], points, dimensions=32)["test"].shape == (60, 4)  # no more than images


def test_features_are_what_the_linear_layer_is_given(small_shapes: datasets.Dataset):
    net = model.build(0, width=8).train()
    head = net.linear
    found = evaluation.features(net, small_shapes.test, small_shapes.normalizer, CPU, batch=20)
    assert net.linear is head and net.training and found.shape == (48, 64)
    logits = evaluation.predict(net, small_shapes.test, small_shapes.normalizer, CPU)
    torch.testing.assert_close(head(found), logits, atol=1e-4, rtol=1e-4)
    net.linear = nn.Linear(3, 3)
    net.conv1 = nn.Conv2d(1, 1, 1)  # whatever goes wrong, the network keeps its head
    with pytest.raises(RuntimeError):
        evaluation.features(net, small_shapes.test, small_shapes.normalizer, CPU)
    assert isinstance(net.linear, nn.Linear)


def test_the_cells_of_a_map_sum_to_the_logit_without_its_bias(small_shapes: datasets.Dataset):
    net = model.build(0, width=8)
    maps = evaluation.layer4_maps(net, small_shapes.test, small_shapes.normalizer, CPU, batch=20)
    logits = evaluation.predict(net, small_shapes.test, small_shapes.normalizer, CPU)
    assert maps.shape == (48, 10, 4, 4) and maps.min() < 0 and not net.layer4._forward_hooks
    torch.testing.assert_close(maps.sum((2, 3)) + net.linear.bias, logits, atol=1e-4, rtol=1e-4)

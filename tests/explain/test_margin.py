"""The margin between two classes against captum, and which two classes are compared."""

from pathlib import Path

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from torch import Tensor

from gradcam_report.analysis import selection
from gradcam_report.config import SelectionConfig
from gradcam_report.data import datasets
from gradcam_report.explain import cam, contrast
from gradcam_report.explain.margin import margin_map
from gradcam_report.model import ResNet18

pytestmark = pytest.mark.usefixtures("few_threads")


def test_margin_map_sums_to_what_decided_between_the_classes(model: ResNet18, images: Tensor, targets):
    cells, margin = margin_map(model, images, targets["predicted"], targets["true"])
    logits = model(images).detach()
    rows, bias = torch.arange(len(images)), model.linear.bias.detach()
    expected = logits[rows, targets["predicted"]] - logits[rows, targets["true"]]
    expected = expected - bias[targets["predicted"]] + bias[targets["true"]]
    assert cells.shape == (5, 4, 4) and cells.dtype == torch.float32
    torch.testing.assert_close(cells.sum(dim=(1, 2)), margin, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(margin, expected, rtol=1e-4, atol=1e-4)
    assert (cells < 0).any() and (cells > 0).any()


def test_margin_map_is_the_difference_of_two_signed_grad_cams(model: ResNet18, images: Tensor, targets):
    """Captum's Grad-CAM without ReLU at layer4, where the gradient of a logit is its weight over the 16 cells."""
    captum = LayerGradCam(lambda x: model(x), model.layer4)
    signed = [
        torch.cat([captum.attribute(image[None], target=int(c)) for image, c in zip(images, classes, strict=True)])
        for classes in (targets["predicted"], targets["true"])
    ]
    cells, _ = margin_map(model, images, targets["predicted"], targets["true"])
    torch.testing.assert_close(cells, (signed[0] - signed[1])[:, 0].detach(), rtol=1e-4, atol=1e-5)


def test_exchanging_the_classes_turns_the_sign(model: ResNet18, images: Tensor, targets):
    one, _ = margin_map(model, images, targets["predicted"], targets["true"])
    other, _ = margin_map(model, images, targets["true"], targets["predicted"])
    torch.testing.assert_close(one, -other)
    assert not margin_map(model, images, targets["true"], targets["true"])[0].any()
    torch.testing.assert_close(margin_map(model, images, targets["predicted"], targets["true"], batch_size=2)[0], one)
    assert not model.layer4._forward_hooks and not model.training


def test_the_contrast_class_is_the_true_one_or_of_a_right_answer_the_runner_up():
    probabilities = np.array([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6]])
    predicted, against = contrast.contrast_classes(probabilities, np.array([2, 0, 2]))
    assert predicted.tolist() == [0, 0, 2] and against.tolist() == [2, 1, 0]
    assert contrast.contrast_classes(probabilities, None)[1].tolist() == [1, 1, 0]


def test_examples_are_explained_for_both_classes_on_one_scale(model: ResNet18, six_errors: Path):
    examples = selection.choose("runs/six", SelectionConfig(indices=[31, 3]))  # an error and a right answer
    found = contrast.explain_examples(model, examples, ["layer3"], "layercam")
    images = datasets.NORMALIZERS["shapes"](torch.from_numpy(examples.images))
    runner_up = np.argsort(-examples.probabilities[1], kind="stable")[1]
    classes = {"predicted": examples.predicted, "contrast": np.array([examples.true[0], runner_up])}
    targets = {name: torch.from_numpy(c) for name, c in classes.items()}
    torch.testing.assert_close(found.maps, cam.explain(model, images, targets, ["layer3"], "layercam", shared=True))
    torch.testing.assert_close((found.cells, found.margin), margin_map(model, images, *targets.values()))


def test_the_lead_of_a_decision_is_the_difference_of_the_logits(model: ResNet18, six_errors: Path):
    examples = selection.choose("runs/six", SelectionConfig(indices=[31, 3]))
    cells, lead = contrast.decisions(model, examples)
    logits = model(datasets.NORMALIZERS["shapes"](torch.from_numpy(examples.images))).detach()
    predicted, against = contrast.contrast_classes(examples.probabilities, examples.true)
    torch.testing.assert_close(lead, logits[[0, 1], predicted] - logits[[0, 1], against], rtol=1e-4, atol=1e-4)
    bias = model.linear.bias.detach()
    torch.testing.assert_close(cells.sum((1, 2)), lead - bias[predicted] + bias[against], rtol=1e-4, atol=1e-4)

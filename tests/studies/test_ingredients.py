"""The ingredients that only the ablation trains with: by what whitening means, and steps worked out by hand."""

import ingredients
import pytest
import torch
import torch.nn.functional as F

from gradcam_report.config import DataConfig, parse_params
from gradcam_report.data import datasets
from gradcam_report.training.device import resolve
from gradcam_report.training.trainer import Trainer, TrainingSettings

pytestmark = pytest.mark.usefixtures("few_threads", "narrow")


def trainer(epochs: int = 2, **values: object) -> Trainer:
    dataset = datasets.load(DataConfig(dataset="shapes", train_size=24, test_size=8))
    params = parse_params("training", {"epochs": epochs, "batch_size": 8, "precision": "fp32", **values})
    return Trainer(dataset, TrainingSettings(params.augment, params.optim, params.schedule, 0), resolve("cpu", "fp32"))


def train(one: Trainer) -> None:
    for epoch in range(one.settings.schedule.epochs):
        one.epoch = epoch
        one.train_epoch(one.batches())


def test_whitened_answers_are_uncorrelated_and_of_variance_one() -> None:
    images = torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    images = images + 2 * images.mean((1, 2, 3), keepdim=True)  # strongly correlated
    filters = ingredients.whitening_filters(images, floor=0.0)
    assert filters.shape == (54, 3, 3, 3)
    torch.testing.assert_close(filters[27:], -filters[:27])
    answers = F.conv2d(images, filters[:27]).transpose(0, 1).flatten(1)
    torch.testing.assert_close(torch.cov(answers), torch.eye(27), atol=2e-3, rtol=0)


def test_the_whitening_layer_stays_and_the_others_learn() -> None:
    one = trainer()
    ingredients.whitening(one)
    first, last = one.net.conv1.weight.clone(), one.net.linear.weight.clone()
    images = one.data.normalizer(one.data.train.images)
    assert torch.equal(first, ingredients.whitening_filters(images)[: len(first)])
    train(one)
    assert torch.equal(one.net.conv1.weight, first) and not torch.equal(one.net.linear.weight, last)


def test_lookahead_by_hand() -> None:
    """Two weights follow the plain training until the second step of four, and go back to the average then."""
    one = trainer()
    weight = one.net.linear.bias
    looking = ingredients.Lookahead(one, every=2)
    looking.steps = 4
    start = weight.detach().clone()
    kept = 0.95**2 * (2 / 4) ** 3
    expected = [1, 2 * (1 - kept), 2 * (1 - kept) + 1, 2 * (1 - kept) + 2 * (1 - 0.95**2)]
    for moved in expected:
        with torch.no_grad():
            weight += 1.0
        looking()
        torch.testing.assert_close(weight, start + moved)


def test_after_the_last_step_the_network_is_the_slow_average() -> None:
    one, plain = trainer(), trainer()
    looking = ingredients.Lookahead(one)
    one.optimizer.register_step_post_hook(looking)
    train(one)
    train(plain)
    assert looking.step == looking.steps == 6, "one step of each of two epochs' three batches"
    assert all(torch.equal(a, b) for a, b in zip(looking.weights, looking.slow, strict=True))
    assert not torch.equal(plain.net.linear.weight, one.net.linear.weight)


@pytest.mark.parametrize("optimizer", ["muon", "sgd"])
def test_batchnorm_biases_have_a_rate_of_their_own_and_nothing_else_has(optimizer: str) -> None:
    one = trainer(optimizer=optimizer, epochs=1)
    before = sum(len(g["params"]) for g in one.optimizer.param_groups)
    names = {p: name for name, p in one.net.named_parameters()}
    ingredients.faster_batchnorm_bias(one)
    *others, own = one.optimizer.param_groups
    assert {names[p] for p in own["params"]} == {n for n in names.values() if n.endswith("bias") and "linear" not in n}
    assert sum(len(g["params"]) for g in one.optimizer.param_groups) == before
    train(one)
    assert own["lr"] == pytest.approx(8 * others[-1]["lr"]) and own["momentum"] == others[-1]["momentum"]

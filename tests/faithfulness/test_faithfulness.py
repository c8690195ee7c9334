"""Tests of the trials' measures: cases whose answer is known, and scipy as an oracle."""

import itertools

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr
from sklearn.metrics import jaccard_score
from torch import Tensor, nn

from gradcam_report import model
from gradcam_report.faithfulness import metrics

pytestmark = pytest.mark.usefixtures("few_threads")

SIZE = 32


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def block(top: int, left: int, side: int) -> Tensor:
    mask = torch.zeros(SIZE, SIZE)
    mask[top : top + side, left : left + side] = 1
    return mask


class Sum(nn.Module):
    """A network whose answer is known pixel by pixel: the share of a fixed weight that is not hidden."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, images: Tensor) -> Tensor:
        return (images.mean(dim=1) * self.weight).sum(dim=(1, 2)) / self.weight.sum()


# Localisation


def test_a_map_that_is_the_mask_points_into_it_and_covers_it() -> None:
    masks = torch.stack([block(4, 8, 10), block(0, 0, 6)]).bool()
    found = metrics.localise(masks.float(), masks)
    assert found.pointing.tolist() == [1, 1] and found.overlap.tolist() == [1, 1]
    torch.testing.assert_close(found.energy, torch.ones(2))


def test_a_map_that_is_the_masks_opposite_does_not() -> None:
    masks = block(4, 8, 10).bool()[None]
    found = metrics.localise(1 - masks.float(), masks)
    assert (found.pointing.item(), found.energy.item(), found.overlap.item()) == (0, 0, 0)


def test_a_flat_map_is_as_good_as_chance() -> None:
    masks = torch.stack([block(i % 16, i % 13, 16) for i in range(400)]).bool()  # a quarter of the pixels
    order = metrics.ranked(torch.ones(1, SIZE * SIZE))[0]
    assert sorted(order.tolist()) == list(range(SIZE * SIZE)) and not torch.equal(order, order.sort().values)
    found = metrics.localise(torch.ones(400, 4, 4), masks)
    torch.testing.assert_close(found.energy, torch.full((400,), 0.25))
    assert found.overlap.mean().item() == pytest.approx(0.25 * 0.25 / (0.25 + 0.25 - 0.25 * 0.25), abs=0.02)


def test_half_of_the_energy_inside_is_half_and_an_empty_map_has_none() -> None:
    mask = block(0, 0, 16)
    heat = mask + torch.roll(mask, (16, 16), (0, 1))
    found = metrics.localise(heat[None], mask.bool()[None])
    assert found.energy.item() == pytest.approx(0.5)
    assert not metrics.localise(torch.zeros(1, 4, 4), mask.bool()[None]).energy.any()


def test_overlap_equals_scikit_learns_jaccard_score() -> None:
    heat, mask = drawn(1, SIZE, SIZE), block(3, 5, 17).bool()
    top = heat.flatten() >= heat.flatten().sort(descending=True).values[int(mask.sum()) - 1]
    expected = jaccard_score(mask.flatten(), top)
    assert metrics.localise(heat, mask[None]).overlap.item() == pytest.approx(expected)


# Deletion and insertion


def perturbed(net: nn.Module, images: Tensor, fill: Tensor, maps: Tensor, steps: int) -> Tensor:
    return metrics.perturbation_curves(net, images, fill, maps, steps, (net(images), net(fill)))


def test_deleting_in_the_order_of_the_weights_gives_the_curve_computed_by_hand() -> None:
    weight = drawn(SIZE, SIZE) + 0.1
    images = torch.ones(1, 3, SIZE, SIZE)
    curve = perturbed(Sum(weight), images, torch.zeros_like(images), weight[None], steps=8)[0]
    kept = weight.flatten().sort(descending=True).values.flip(0).cumsum(0)
    expected = [float(kept[SIZE * SIZE - 1 - k * SIZE * SIZE // 8] / weight.sum()) for k in range(8)] + [0.0]
    np.testing.assert_allclose(curve, expected, atol=1e-5)


def test_deleting_everything_leaves_the_fill_and_nothing_the_image() -> None:
    net = Sum(torch.ones(SIZE, SIZE))
    images, fill = drawn(3, 3, SIZE, SIZE), torch.full((3, 3, SIZE, SIZE), 0.25)
    curves = perturbed(net, images, fill, metrics.random_maps(3, 4), steps=4)
    torch.testing.assert_close(curves[:, 0], net(images))
    torch.testing.assert_close(curves[:, -1], net(fill))


def test_the_right_map_deletes_faster_and_inserts_faster_than_any_other() -> None:
    weight = block(4, 4, 12) + 0.01
    net, images = Sum(weight), torch.ones(2, 3, SIZE, SIZE)
    dark = torch.zeros_like(images)

    def areas(maps: Tensor) -> tuple[float, float]:
        deleted = metrics.area(perturbed(net, images, dark, maps, 16))
        inserted = metrics.area(perturbed(net, dark, images, maps, 16))
        return deleted.mean().item(), inserted.mean().item()

    right = areas(weight.expand(2, -1, -1))
    for other in (metrics.random_maps(2, 4), metrics.centre_maps(2), 1 - weight.expand(2, -1, -1)):
        deleted, inserted = areas(other)
        assert right[0] < deleted and right[1] > inserted


def test_area_is_the_mean_height() -> None:
    assert metrics.area(torch.tensor([[1.0, 1, 1], [1, 0.5, 0], [0, 1, 0]])).tolist() == [1, 0.5, 0.5]


def test_blurring_is_scipys_away_from_the_border_and_keeps_colours() -> None:
    plain, noise = torch.full((1, 3, SIZE, SIZE), 0.7), drawn(1, 3, SIZE, SIZE)
    torch.testing.assert_close(metrics.blurred(plain), plain)
    expected = gaussian_filter(noise[0, 0].numpy(), 2.0, mode="mirror", truncate=3.0)
    np.testing.assert_allclose(metrics.blurred(noise, sigma=2.0)[0, 0], expected, atol=1e-4)


def test_an_image_under_a_map_of_ones_is_itself_and_under_zeros_the_mean() -> None:
    net, images = Sum(torch.ones(SIZE, SIZE)), drawn(2, 3, SIZE, SIZE)
    torch.testing.assert_close(metrics.under_the_map(net, images, torch.ones(2, 4, 4)), net(images))
    assert not metrics.under_the_map(net, images, torch.zeros(2, 4, 4)).any()


def test_drop_by_hand() -> None:
    fell = metrics.drop(torch.tensor([0.8, 0.5, 0.4]), torch.tensor([0.4, 0.6, 0.4]))
    assert fell.tolist() == [0.5, 0, 0]


# Baselines


def test_edges_are_where_the_brightness_changes_and_nowhere_else() -> None:
    images = torch.zeros(1, 3, SIZE, SIZE, dtype=torch.uint8)
    images[..., 16:] = 255
    edges = metrics.edge_maps(images)[0]
    assert edges[:, 15:17].min() > 0.999 and edges[:, :15].max() < 1e-6 and edges[:, 17:].max() < 1e-6
    assert not metrics.edge_maps(torch.full((1, 3, SIZE, SIZE), 9, dtype=torch.uint8)).any()


def test_the_centre_is_highest_in_the_middle_and_symmetric() -> None:
    (blob,) = metrics.centre_maps(1)
    assert blob.argmax().item() in (15 * 32 + 15, 15 * 32 + 16, 16 * 32 + 15, 16 * 32 + 16)
    torch.testing.assert_close(blob, blob.flip(0))
    torch.testing.assert_close(blob, blob.T)


def test_random_maps_differ_between_images_and_are_the_same_at_every_call() -> None:
    coarse = metrics.random_maps(3, 4)
    assert torch.equal(coarse, metrics.random_maps(3, 4)) and not torch.equal(coarse[0], coarse[1])
    assert 0.4 < metrics.random_maps(5, 32).mean() < 0.6


# Forgetting


def test_rank_correlation_equals_scipys() -> None:
    a, b = drawn(3, 4, 4), drawn(3, 4, 4, seed=1)
    a[1] = a[1].round(decimals=1)  # ties
    a[2] = 0.5
    found = metrics.rank_correlation(a, b)
    expected = [spearmanr(x.flatten(), y.flatten()).statistic for x, y in zip(a[:2], b[:2], strict=True)]
    np.testing.assert_allclose(found[:2], expected, atol=1e-12)
    assert torch.isnan(found[2])


def test_each_further_part_forgets_and_the_network_itself_does_not() -> None:
    net = model.build(seed=0, width=8)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(0.5)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    changed: list[set[str]] = []
    for count in range(len(metrics.PARTS) + 1):
        state = metrics.randomised(net, metrics.PARTS[:count], seed=1).state_dict()
        changed.append({key.split(".")[0] for key in before if not torch.equal(before[key], state[key])})
    assert changed[:3] == [set(), {"linear"}, {"linear", "layer4"}]
    assert all(a < b for a, b in itertools.pairwise(changed))
    assert changed[-1] == {"linear", "layer4", "layer3", "layer2", "layer1", "conv1", "bn1"}
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_parts_that_two_cascades_share_forget_alike_and_the_callers_randomness_is_untouched() -> None:
    net = model.build(seed=0, width=8)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, two = (metrics.randomised(net, metrics.PARTS[:n], seed=1) for n in (1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(one.linear.weight, two.linear.weight)
    with pytest.raises(KeyError):
        metrics.randomised(net, ["layer5"])

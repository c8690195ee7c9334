"""Metrics and baselines in cases whose answer is known, and against scipy and scikit-learn."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr
from sklearn.metrics import jaccard_score
from torch import Tensor, nn

from gradcam_report.faithfulness import baselines, metrics

pytestmark = pytest.mark.usefixtures("few_threads")

SIZE = 32


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def block(top: int, left: int, side: int) -> Tensor:
    mask = torch.zeros(SIZE, SIZE)
    mask[top : top + side, left : left + side] = 1
    return mask


class WeightedMean(nn.Module):
    """A network whose answer is known pixel by pixel: the share of a fixed weight that is not deleted."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, images: Tensor) -> Tensor:
        return (images.mean(dim=1) * self.weight).sum(dim=(1, 2)) / self.weight.sum()


def localised(maps: Tensor, masks: Tensor) -> tuple[list[float], list[float], list[float]]:
    found = (metrics.pointing_game, metrics.energy_in_mask, metrics.mask_overlap)
    pointing, energy, overlap = (score(maps, masks).tolist() for score in found)
    return pointing, energy, overlap


def test_a_map_that_is_the_mask_finds_it_and_its_opposite_does_not() -> None:
    masks = torch.stack([block(4, 8, 10), block(0, 0, 6)]).bool()
    assert localised(masks.float(), masks) == ([1, 1], [1, 1], [1, 1])
    assert localised(1 - masks.float(), masks) == ([0, 0], [0, 0], [0, 0])


def test_a_flat_map_is_as_good_as_chance() -> None:
    masks = torch.stack([block(i % 16, i % 13, 16) for i in range(400)]).bool()  # a quarter of the pixels
    order = metrics.rank_pixels(torch.ones(1, SIZE * SIZE))[0]
    assert sorted(order.tolist()) == list(range(SIZE * SIZE)) and not torch.equal(order, order.sort().values)
    _, energy, overlap = localised(torch.ones(400, 4, 4), masks)
    np.testing.assert_allclose(energy, 0.25)
    assert np.mean(overlap) == pytest.approx(0.25 * 0.25 / (0.25 + 0.25 - 0.25 * 0.25), abs=0.02)


def test_half_of_the_energy_inside_is_half_and_an_empty_map_has_none() -> None:
    mask = block(0, 0, 16)
    heat = mask + torch.roll(mask, (16, 16), (0, 1))
    assert metrics.energy_in_mask(heat[None], mask.bool()[None]).item() == pytest.approx(0.5)
    assert not metrics.energy_in_mask(torch.zeros(1, 4, 4), mask.bool()[None]).any()


def test_overlap_equals_scikit_learns_jaccard_score() -> None:
    heat, mask = noise(1, SIZE, SIZE), block(3, 5, 17).bool()
    top = heat.flatten() >= heat.flatten().sort(descending=True).values[int(mask.sum()) - 1]
    expected = jaccard_score(mask.flatten(), top)
    assert metrics.mask_overlap(heat, mask[None]).item() == pytest.approx(expected)


def perturbed(net: nn.Module, images: Tensor, fill: Tensor, maps: Tensor, steps: int) -> Tensor:
    return metrics.perturbation_curves(net, images, fill, maps, steps, (net(images), net(fill)))


def test_deleting_in_the_order_of_the_weights_gives_the_curve_computed_by_hand() -> None:
    weight = noise(SIZE, SIZE) + 0.1
    images = torch.ones(1, 3, SIZE, SIZE)
    curve = perturbed(WeightedMean(weight), images, torch.zeros_like(images), weight[None], steps=8)[0]
    kept = weight.flatten().sort(descending=True).values.flip(0).cumsum(0)
    expected = [float(kept[SIZE * SIZE - 1 - k * SIZE * SIZE // 8] / weight.sum()) for k in range(8)] + [0.0]
    np.testing.assert_allclose(curve, expected, atol=1e-5)


def test_area_and_drop_by_hand() -> None:
    assert metrics.area(torch.tensor([[1.0, 1, 1], [1, 0.5, 0], [0, 1, 0]])).tolist() == [1, 0.5, 0.5]
    assert metrics.drop(torch.tensor([0.8, 0.5, 0.4]), torch.tensor([0.4, 0.6, 0.4])).tolist() == [0.5, 0, 0]


def test_blurring_is_scipys_away_from_the_border_and_keeps_colours() -> None:
    plain, image = torch.full((1, 3, SIZE, SIZE), 0.7), noise(1, 3, SIZE, SIZE)
    torch.testing.assert_close(metrics.blur(plain), plain)
    expected = gaussian_filter(image[0, 0].numpy(), 2.0, mode="mirror", truncate=3.0)
    np.testing.assert_allclose(metrics.blur(image, sigma=2.0)[0, 0], expected, atol=1e-4)


def test_an_image_masked_by_ones_is_itself_and_by_zeros_the_mean() -> None:
    net, images = WeightedMean(torch.ones(SIZE, SIZE)), noise(2, 3, SIZE, SIZE)
    torch.testing.assert_close(metrics.masked_probability(net, images, torch.ones(2, 4, 4)), net(images))
    assert not metrics.masked_probability(net, images, torch.zeros(2, 4, 4)).any()


def test_rank_correlation_equals_scipys() -> None:
    a, b = noise(3, 4, 4), noise(3, 4, 4, seed=1)
    a[1] = a[1].round(decimals=1)  # ties
    a[2] = 0.5
    found = metrics.rank_correlation(a, b)
    expected = [spearmanr(x.flatten(), y.flatten()).statistic for x, y in zip(a[:2], b[:2], strict=True)]
    np.testing.assert_allclose(found[:2], expected, atol=1e-12)
    assert torch.isnan(found[2])


def test_edges_are_where_the_brightness_changes_and_nowhere_else() -> None:
    images = torch.zeros(1, 3, SIZE, SIZE, dtype=torch.uint8)
    images[..., 16:] = 255
    edges = baselines.edge_maps(images)[0]
    assert edges[:, 15:17].min() > 0.999 and edges[:, :15].max() < 1e-6 and edges[:, 17:].max() < 1e-6
    assert not baselines.edge_maps(torch.full((1, 3, SIZE, SIZE), 9, dtype=torch.uint8)).any()


def test_the_centre_is_symmetric_and_random_maps_are_the_same_at_every_call() -> None:
    (blob,) = baselines.centre_maps(1)
    assert blob.argmax().item() in (15 * 32 + 15, 15 * 32 + 16, 16 * 32 + 15, 16 * 32 + 16)
    torch.testing.assert_close(blob, blob.flip(0))
    torch.testing.assert_close(blob, blob.T)
    coarse = baselines.random_maps(3, 4)
    assert torch.equal(coarse, baselines.random_maps(3, 4)) and not torch.equal(coarse[0], coarse[1])

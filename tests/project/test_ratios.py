"""What this report is faster at stays faster: ratios measured in turns on the machine at hand, never seconds.

Bounds are about half of what benchmarks/costs.py and speed.py found on two CPU cores, so that a busy machine does not
fail them.
"""

import common
import costs
import pytest
import speed
import torch

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_threads")]
CPU = torch.device("cpu")


def ratio(ways: dict[str, common.Way], above: str, below: str) -> float:
    seconds = common.in_turns(ways, CPU, repeats=3)
    return common.ratio(seconds[above], seconds[below])["median"]


def test_explaining_is_several_times_as_fast_as_pytorch_grad_cam() -> None:
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    ours, theirs = map(common.Way, speed.explaining(images, CPU))
    assert ratio({"ours": ours, "theirs": theirs}, "theirs", "ours") > 4


def test_augmenting_is_several_times_as_fast_as_torchvisions_transforms() -> None:
    assert ratio(costs.augmenting(1000, CPU), "torchvision", "ours") > 6


@pytest.mark.usefixtures("narrow")
def test_a_range_test_costs_hardly_more_than_training_as_many_steps() -> None:
    assert ratio(costs.stepping(64, 20, "cpu"), "range_test", "training") < 2

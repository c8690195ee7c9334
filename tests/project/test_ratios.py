"""What this report is faster at stays faster: ratios measured in turns on the machine at hand, never seconds.

Bounds are about half of what benchmarks/costs.py and speed.py found on two CPU cores, so that a busy machine does not
fail them.
"""

import sys

import common
import costs
import pytest
import speed
import torch

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_threads")]
CPU = torch.device("cpu")


def test_explaining_is_several_times_as_fast_as_pytorch_grad_cam() -> None:
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    ours, theirs = speed.explaining(images, CPU)
    found = common.in_turns({"ours": ours, "theirs": theirs}, CPU, repeats=3)
    assert common.ratio(found["theirs"], found["ours"])["median"] > 4


def test_augmenting_is_several_times_as_fast_as_torchvisions_transforms() -> None:
    ours, torchvisions = costs.augmenting(1000, CPU)
    found = common.in_turns({"ours": ours, "torchvision": torchvisions}, CPU, repeats=3)
    assert common.ratio(found["torchvision"], found["ours"])["median"] > 6


@pytest.mark.usefixtures("narrow")
def test_a_range_test_costs_hardly_more_than_training_as_many_steps() -> None:
    testing, training = costs.steps(64, 20, "cpu")
    found = common.in_turns({"testing": testing, "training": training}, CPU, repeats=3)
    assert common.ratio(found["testing"], found["training"])["median"] < 2


def test_the_command_answers_long_before_pytorch_could_be_imported() -> None:
    ways = {
        "help": lambda: common.seconds([sys.executable, "-m", "gradcam_report", "--help"]),
        "torch": lambda: common.seconds([sys.executable, "-c", "import torch"]),
    }
    found = common.in_turns(ways, CPU, repeats=3)
    assert common.ratio(found["torch"], found["help"])["median"] > 3

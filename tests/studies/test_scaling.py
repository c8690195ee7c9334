"""The arithmetic of more processes, by hand and against the network itself."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from gradcam_report import model
from gradcam_report.config import ReportError, ScalingConfig, project_root
from gradcam_report.runs import io
from gradcam_report.studies import scaling
from gradcam_report.training import optimizer

CONFIG = ScalingConfig()
SIZES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]


def test_the_constants_are_those_of_the_network() -> None:
    net = model.build(0)
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules()) == scaling.NORMS
    assert sum(4 * p.numel() for p in net.parameters()) == scaling.GRADIENT_BYTES
    with FlopCounterMode(display=False) as counted:
        net(torch.randn(2, 3, 32, 32)).sum().backward()
    assert counted.get_total_flops() / 2 == pytest.approx(scaling.TRAINING_FLOP, rel=0.02)


def test_muons_operations_are_those_that_pytorch_counts() -> None:
    filters = [tuple(p.shape) for p in model.build(0).parameters() if p.ndim > 2]
    with FlopCounterMode(display=False) as counted:
        for shape in filters:
            optimizer.orthogonalise(torch.randn(shape).flatten(1))
    assert counted.get_total_flops() == scaling.muon_flop(filters)
    assert scaling.muon_flop(filters) == pytest.approx(scaling.MUON_FLOP, rel=1e-3)


def test_a_step_by_hand() -> None:
    config = ScalingConfig(
        gpus_per_node=4,
        peak_tflops=100.0,
        share_of_peak=0.5,
        floor_milliseconds=0.0,
        link_gbytes=100.0,
        link_microseconds=10.0,
        network_gbytes=10.0,
        network_microseconds=20.0,
    )
    one, four, eight = (scaling.step(config, gpus, 500) for gpus in (1, 4, 8))
    assert one.gradients == one.norms == 0.0
    assert one.computing == pytest.approx(500 * 3.35e9 / 50e12) and four.computing == pytest.approx(one.computing / 4)
    assert four.gradients == pytest.approx(2 * 0.75 * 44_695_848 / 100e9 + 4 * 10e-6)
    assert eight.gradients == pytest.approx(2 * 0.875 * 44_695_848 / 10e9 + 6 * 20e-6)  # between machines
    assert eight.norms == pytest.approx(40 * 6 * 20e-6)
    assert one.muon == four.muon == eight.muon
    assert four.seconds == pytest.approx(four.computing + four.muon + four.gradients + four.norms)


@given(st.integers(0, 9), st.integers(1, 4096))
def test_no_number_of_gpus_is_more_than_that_many_times_as_fast(power: int, batch: int) -> None:
    gpus = 2**power
    one, many = (scaling.training_seconds(CONFIG, size, batch, 2) for size in (1, gpus))
    assert one / many <= gpus * (1 + 1e-9)
    assert scaling.step(CONFIG, gpus, batch).computing >= 1e-3 * CONFIG.floor_milliseconds


@given(st.integers(1, 600), st.floats(1, 1e5))
def test_a_sweep_takes_as_many_rounds_as_it_needs(gpus: int, one: float) -> None:
    found = scaling.sweep_seconds(CONFIG, gpus, one)
    assert found == pytest.approx(math.ceil(512 / gpus) * (one + 60))
    assert gpus < 512 or found == pytest.approx(one + 60)


def test_where_it_stops_paying() -> None:
    assert scaling.pays_until(SIZES, [100 / size for size in SIZES]) == 512
    assert scaling.pays_until([1, 2, 4, 8], [100, 60, 45, 20]) == 2  # from 2 to 4 only 1.33 times as fast
    assert scaling.pays_until([1, 2], [100, 99]) == 1


def parts(**milliseconds: float) -> dict[str, dict[str, float]]:
    return {name: {"median": value / 1000} for name, value in milliseconds.items()}


def test_a_prediction_adds_up_its_parts() -> None:
    measured = parts(part=300, gradients=50, few=1)
    assert scaling.predicted(measured, 2) == pytest.approx(0.3 + 0.05 + 40 * 0.001)
    assert scaling.predicted(measured, 1) == pytest.approx(0.3)


@pytest.mark.parametrize("results", [{}, {"scaling": None}, {"scaling": {"shared": {}}}])
def test_results_without_scaling_say_what_to_run(results: dict[str, Any], tmp_path: Path) -> None:
    io.write_json(tmp_path / "results.json", results)
    with pytest.raises(ReportError, match=r"run python benchmarks/scaling\.py first"):
        scaling.measured(tmp_path / "results.json")


def test_what_was_published_can_be_read() -> None:
    found = scaling.measured(project_root() / "benchmarks" / "results.json")
    steps = {int(size): parts["step"]["median"] for size, parts in found["shared"].items()}
    assert steps.keys() == {1, 2, 4} and all(scaling.predicted(found["shared"][str(n)], n) > 0 for n in steps)


@pytest.mark.parametrize(("gpus", "nodes"), [(6, 5), (1, 1), (8, 64), (3, 1)])
def test_a_forecast_holds_one_node_and_all_of_them(gpus: int, nodes: int) -> None:
    config = ScalingConfig(gpus_per_node=gpus, nodes=nodes)
    found = scaling.forecast(config, 500, 20)
    words = scaling.in_words(config, found, 500, 700.0, 450.0)
    assert {1, gpus, gpus * nodes} <= found.shared.keys() == found.sweep.keys() == found.parts.keys()
    assert words["gpus_most"] == gpus * nodes and words["all_gpus"] == found.shared[gpus * nodes]
    assert words["pays_until"] in found.doubled and int(words["large_batch"].replace(",", "")) <= 50_000

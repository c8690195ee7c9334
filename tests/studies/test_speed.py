"""The records of benchmarks/results.json, and the numbers that follow from them."""

from pathlib import Path

import numpy as np
import pytest

from gradcam_report.config import BenchmarkConfig, ReportError, project_root
from gradcam_report.runs import io
from gradcam_report.studies import speed

AMD = Path(__file__).parents[2] / "benchmarks" / "elsewhere" / "amd-epyc.json"


def test_results_of_all_machines_are_read_and_others_refused(project: Path) -> None:
    config, folder = BenchmarkConfig(results="mine.json"), project / "benchmarks" / "elsewhere"
    assert speed.elsewhere() == []
    with pytest.raises(ReportError, match=r"mine\.json is missing; run python benchmarks/speed\.py --out mine\.json"):
        speed.load(config)
    found = io.read_json(AMD)
    io.write_json(project / "mine.json", found)
    io.write_json(folder / "b.json", found)
    io.write_json(folder / "a.json", found | {"provenance": found["provenance"] | {"compute": "a GPU"}})
    assert [one.provenance.compute for one in speed.elsewhere()] == ["a GPU", found["provenance"]["compute"]]
    rates, usual = speed.load(config).speed.by_task(), found["speed"]["images_per_second"]["train_usual"]
    assert rates["training"]["usual loop"] == (usual["median"], usual["low"], usual["high"])
    assert {task: len(ways) for task, ways in rates.items()} == {"training": 2, "evaluation": 3, "explanation": 2}
    del found["speed"]["images_per_second"]
    io.write_json(folder / "c.json", found)
    with pytest.raises(ReportError, match=r"c\.json cannot be read \(speed: images_per_second.*benchmarks/speed\.py"):
        speed.elsewhere()


def test_the_published_results_hold_every_part() -> None:
    found = speed.load(BenchmarkConfig())
    assert found.costs and found.growth and found.scaling
    sizes = {name: list(points) for name, points in speed.by_size(found.growth).items()}
    assert list(sizes.values()) == [[32, 128, 512], [16, 64, 256], [1, 2, 5, 10]]
    stored = io.read_json(project_root() / "benchmarks" / "results.json")["scaling"]
    assert found.scaling.shared[2].step.median == stored["shared"]["2"]["step"]["median"]
    assert found.scaling.side_by_side == {int(size): value for size, value in stored["side_by_side"].items()}


@pytest.mark.parametrize(
    ("compute", "watts"),
    [
        ("2 CPU threads of Abacus 3000, bf16", 40.0),
        ("NVIDIA H200, bf16", 700.0),
        ("Tesla T4, fp32", 70.0),
        ("NVIDIA Next, bf16", 700.0),
        ("Apple GPU, fp32", 60.0),
    ],
)
def test_power_is_what_the_hardware_is_rated_for(compute: str, watts: float) -> None:
    assert speed.power(BenchmarkConfig(), compute) == watts
    assert speed.power(BenchmarkConfig(watts=5.0), compute) == 5.0


def test_when_an_accuracy_was_reached() -> None:
    history = {"seconds": np.array([10.0, 20.0, 30.0]), "test_accuracy": np.array([0.5, 0.9, 0.8])}
    assert speed.time_to(history, 0.7) == (30.0, 2) and speed.time_to(history, 0.95) is None

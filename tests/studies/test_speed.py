"""The benchmark programs, on a small scale: what they store, and that a study goes on where it stopped."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import common
import costs
import numpy as np
import pytest
import scaling
import speed
import study
import torch

from gradcam_report.config import CHAPTERS, BenchmarkConfig, DataConfig, ReportError, parse_params, project_root
from gradcam_report.data import datasets
from gradcam_report.runs import io
from gradcam_report.studies import speed as measured

pytestmark = pytest.mark.usefixtures("few_threads")
AMD = Path(__file__).parents[2] / "benchmarks" / "elsewhere" / "amd-epyc.json"


def start(program: object, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["program", *arguments])
    program.main()


SMALL = ["--dataset", "shapes", "--train-size", "32", "--val-size", "24", "--epochs", "1", "--device", "cpu"]


def test_every_point_of_every_study_is_a_recipe_and_differs_from_the_others():
    for points in study.STUDIES.values():
        named = [changes.get("ingredient", "") for changes in points.values()]
        assert {*named} <= {"", *study.INGREDIENTS}
        own = [{k: v for k, v in changes.items() if k != "ingredient"} for changes in points.values()]
        recipes = [(name, parse_params("training", values)) for name, values in zip(named, own, strict=True)]
        assert all(one != other for i, one in enumerate(recipes) for other in recipes[:i])
    assert study.STUDIES["ablation"]["the recipe"] == {}


def test_a_study_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, narrow: None):
    points = {"as it is": {}, "no cutout": {"cutout": 0}}
    monkeypatch.setitem(study.STUDIES, "ablation", points)
    out, trained = tmp_path / "ablation.json", []
    real = study.train_point

    def stopped(dataset: datasets.Dataset, changes: dict, *rest: object) -> dict:
        trained.append(changes)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return real(dataset, changes, *rest)

    monkeypatch.setattr(study, "train_point", stopped)
    with pytest.raises(KeyboardInterrupt):
        start(study, monkeypatch, "ablation", *SMALL, "--out", str(out))
    first = io.read_json(out)["points"]
    start(study, monkeypatch, "ablation", *SMALL, "--out", str(out))
    found = io.read_json(out)
    assert trained == [{}, {"cutout": 0}, {"cutout": 0}] and found["points"][0] == first[0]
    assert [(p["name"], p["seed"]) for p in found["points"]] == [("as it is", 0), ("no cutout", 0)]
    assert all(0 <= p["val_accuracy"] <= 1 and p["val_loss"] > 0 for p in found["points"])
    assert found["protocol"] == {"dataset": "shapes", "train_size": 32, "val_size": 24, "epochs": 1}
    with pytest.raises(ReportError, match=r"another protocol \(epochs 1 there, 2 requested\); use another --out"):
        start(study, monkeypatch, "ablation", *SMALL, "--epochs", "2", "--out", str(out))


def test_a_point_is_the_reports_own_training_judged_on_the_validation_images(narrow: None):
    """A point without changes gives the loss and accuracy that the training chapter records for those images."""
    from gradcam_report.training import trainer as train

    dataset = datasets.load(DataConfig(dataset="shapes", train_size=48, val_size=24, test_size=8))
    found = study.train_point(dataset, {"precision": "fp32", "batch_size": 16}, seed=1, epochs=2, device="cpu")
    params = parse_params("training", {"epochs": 2, "seed": 1, "batch_size": 16})
    recipe = train.Recipe(params.augment, params.optim, params.schedule, 1)
    trainer = train.Trainer(dataset, recipe, study.resolve("cpu", "fp32"))
    from tqdm import tqdm

    for trainer.epoch in range(2):
        trainer.train_epoch(tqdm(disable=True))
    scores = trainer.evaluate(study.resolve("cpu", "fp32"))
    assert found["val_loss"] == pytest.approx(scores["val_loss"], rel=1e-6)
    assert found["val_accuracy"] == scores["val_accuracy"]


@pytest.mark.realdata
def test_the_speed_benchmark_stores_ratios_of_what_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, narrow: None, cifar10_folder: str
):
    out = tmp_path / "results.json"
    small = [
        "--batch",
        "8",
        "--large-batch",
        "16",
        "--steps",
        "1",
        "--test-images",
        "16",
        "--repeats",
        "2",
        "--workers",
        "0",
        "--explained",
        "2",
        "--rest",
        "0",
    ]
    start(speed, monkeypatch, "--device", "cpu", *small, "--out", str(out))
    found = io.read_json(out)["speed"]
    rates = found["images_per_second"]
    assert rates["train_ours"]["repeats"] == 2 and rates["train_ours"]["low"] <= rates["train_ours"]["median"]
    low, high = (rates["train_ours"][a] / rates["train_usual"][b] for a, b in (("low", "high"), ("high", "low")))
    assert low <= found["ratio_train"]["median"] <= high
    assert found["test_set_seconds"]["ours"] == pytest.approx(10_000 / rates["test_ours"]["median"])
    assert found["ratio_kept"]["repeats"] == 2 and found["settings"]["large_batch"] == 16
    assert found["ratio_explain"]["repeats"] == rates["explain_ours"]["repeats"] == 2
    assert found["share_of_peak"] > 0 and found["memory_gib"]["resident"] > 0.1


def test_keeping_memory_is_timed_on_a_cpu_against_not_keeping_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now, inside = [0.0], [False]

    class Ours:
        def __init__(self, dataset: object, batch: int, compute: object) -> None:
            assert batch == 500

        def train(self, steps: int) -> None:
            now[0] += steps * (2 if inside[0] else 3)  # seconds

    @contextlib.contextmanager
    def kept() -> Iterator[None]:
        inside[0] = True
        yield
        inside[0] = False

    monkeypatch.setattr(speed, "Ours", Ours)
    monkeypatch.setattr(speed, "memory_kept", kept)
    monkeypatch.setattr(common.time, "perf_counter", lambda: now[0])
    asked, nothing = (
        argparse.Namespace(large_batch=500, steps=4, repeats=3),
        datasets.load(DataConfig(dataset="shapes", train_size=1, test_size=1)),
    )
    found = speed.memory_gain(asked, nothing, study.resolve("cpu", "fp32"))
    assert found["ratio_kept"] == {"median": 1.5, "low": 1.5, "high": 1.5, "repeats": 3}
    assert [found["images_per_second"][f"train_{name}"]["median"] for name in ("kept", "returned")] == [250, 500 / 3]
    assert speed.memory_gain(asked, nothing, speed.Compute(torch.device("meta"), "fp32")) == {}


def test_both_ways_of_explaining_give_the_same_maps(narrow: None, monkeypatch: pytest.MonkeyPatch):
    """Otherwise their speeds would not compare."""
    import pytorch_grad_cam

    images, kept = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)), []
    real = pytorch_grad_cam.GradCAM.__call__
    monkeypatch.setattr(
        pytorch_grad_cam.GradCAM, "__call__", lambda self, *args: kept.append(real(self, *args)) or kept[-1]
    )
    ours, theirs = speed.explaining(images, torch.device("cpu"))
    theirs()
    found = ours()
    assert len(kept) == 4 * 2 and all(maps.shape == (3, 32, 32) for maps in kept)
    for target, whose in (("first", kept[0::2]), ("second", kept[1::2])):
        for maps, (layer, mine) in zip(whose, found[target].items(), strict=True):
            large = torch.nn.functional.interpolate(mine[:, None], (32, 32), mode="bilinear")[:, 0]
            low, high = large.amin((1, 2), keepdim=True), large.amax((1, 2), keepdim=True)
            scaled = (large - low) / (high - low).clamp(min=1e-12)
            assert torch.allclose(scaled, torch.from_numpy(maps), atol=1e-4), (target, layer)


def test_a_matrix_product_is_timed_in_the_precision_of_training(monkeypatch: pytest.MonkeyPatch):
    from gradcam_report.training.device import Compute

    kinds = []

    def timed(device: torch.device, work: Callable[[], torch.Tensor]) -> float:
        kinds.append(work().dtype)
        return 0.5 + len(kinds) % 2  # 1.5, 0.5, ...

    monkeypatch.setattr(speed, "timed", timed)
    for precision, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        assert speed.matmul_rate(Compute(torch.device("cpu"), precision), 8) == 2 * 8**3 / 0.5
        assert set(kinds) == {kind}
        kinds.clear()


@pytest.mark.parametrize(
    ("compute", "watts"),
    [
        ("2 CPU threads of Abacus 3000, bf16", 40.0),
        ("NVIDIA H200, bf16", 700.0),
        ("Tesla T4, fp32", 70.0),
        ("NVIDIA L40S, bf16", 300.0),
        ("NVIDIA Next, bf16", 700.0),
        ("Apple GPU, fp32", 60.0),
    ],
)
def test_power_is_what_the_hardware_is_rated_for(compute: str, watts: float) -> None:
    assert measured.power(BenchmarkConfig(), compute) == watts
    assert measured.power(BenchmarkConfig(watts=5.0), compute) == 5.0


def test_a_training_whose_last_step_spoils_the_weights_is_a_result_too(monkeypatch: pytest.MonkeyPatch, narrow: None):
    monkeypatch.setattr(study, "score", lambda logits, labels: (float("nan"), 0.1))
    dataset = datasets.load(DataConfig(dataset="shapes", train_size=32, val_size=24, test_size=1))
    found = study.train_point(dataset, {}, 0, 1, "cpu")
    assert found["val_accuracy"] is found["val_loss"] is None and "compute" in found


@pytest.mark.parametrize("program", [speed, costs, scaling])
def test_results_that_could_not_be_kept_are_told_before_measuring(
    program: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "damaged.json").write_text("[1")
    for name, fault in (("damaged.json", "is damaged; delete it"), ("no/such/folder.json", "cannot be written; name")):
        with pytest.raises(ReportError, match=fault):
            start(program, monkeypatch, "--device", "cpu", "--out", str(tmp_path / name))


@pytest.mark.slow
def test_costs_and_processes_are_added_to_what_was_measured_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, narrow: None
):
    out = tmp_path / "results.json"
    io.write_json(out, io.read_json(AMD))
    monkeypatch.setattr(costs, "GROWTH", {"training, images in a batch": [{"batch": 2}, {"batch": 4}]})
    cost = "--device cpu --images 64 --batch 8 --repeats 2 --no-build"
    share = "--device cpu --batch 4 --repeats 1 --sizes 1 2 --points 1 --images 20"
    for program, options in ((costs, cost), (scaling, share)):
        start(program, monkeypatch, *options.split(), "--out", str(out))
    found = measured.read(out)
    assert found.speed == measured.read(AMD).speed
    ours, theirs = found.costs.augmentation["ours"], found.costs.augmentation["torchvision"]
    assert ours.low / theirs.high <= found.costs.ratio_augmentation.median <= ours.high / theirs.low
    assert found.costs.chapters.keys() == set(CHAPTERS)
    assert all(took.seconds > took.papermill >= 0 for took in found.costs.chapters.values())
    (points,) = measured.by_size(found.growth).values()
    assert points.keys() == {2, 4} and all(seconds > 0 and gib > 0.1 for seconds, gib in points.values())
    assert found.scaling.shared.keys() == found.scaling.side_by_side.keys() == {1, 2}
    one, two = found.scaling.shared.values()
    assert two.gradients.median > one.gradients.median  # there is a sum
    assert not (project_root() / scaling.SWEEP).exists()


def test_a_command_that_fails_is_told_with_its_last_line(tmp_path: Path):
    with pytest.raises(ReportError, match=r"failed: ValueError: seven$"):
        common.output([sys.executable, "-c", "raise ValueError('seven')"])
    with pytest.raises(ReportError, match="nowhere cannot be started"):
        common.output([str(tmp_path / "nowhere")])


def test_results_of_all_machines_are_read_and_others_refused(project: Path) -> None:
    config, folder = BenchmarkConfig(results="mine.json"), project / "benchmarks" / "elsewhere"
    assert measured.elsewhere() == []
    with pytest.raises(ReportError, match=r"mine\.json is missing; run python benchmarks/speed\.py --out mine\.json"):
        measured.load(config)
    found = io.read_json(AMD)
    io.write_json(project / "mine.json", found)
    folder.mkdir(parents=True)
    io.write_json(folder / "b.json", found)
    io.write_json(folder / "a.json", found | {"provenance": found["provenance"] | {"compute": "a GPU"}})
    assert [one.provenance.compute for one in measured.elsewhere()] == ["a GPU", found["provenance"]["compute"]]
    rates, speed = measured.load(config).speed.by_task(), found["speed"]
    usual = speed["images_per_second"]["train_usual"]
    assert rates["training"]["usual loop"] == (usual["median"], usual["low"], usual["high"])
    assert {task: len(ways) for task, ways in rates.items()} == {"training": 2, "evaluation": 3, "explanation": 2}
    del speed["images_per_second"]
    io.write_json(folder / "c.json", found)
    with pytest.raises(ReportError, match=r"c\.json cannot be read \(speed: images_per_second"):
        measured.elsewhere()


def test_when_an_accuracy_was_reached() -> None:
    history = {"seconds": np.array([10.0, 20.0, 30.0]), "test_accuracy": np.array([0.5, 0.9, 0.8])}
    assert measured.time_to(history, 0.7) == (30.0, 2) and measured.time_to(history, 0.95) is None

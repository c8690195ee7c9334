"""The benchmark programs, on a small scale: what they store, and that a study goes on where it stopped."""

import sys
from pathlib import Path

import costs
import pytest
import scaling
import speed
import study
import torch
from sweeping import write_chapter

from gradcam_report.config import DataConfig, ReportError, parse_params
from gradcam_report.data import datasets
from gradcam_report.runs import io
from gradcam_report.studies import speed as measured
from gradcam_report.training import trainer as training
from gradcam_report.training.device import Device

pytestmark = pytest.mark.usefixtures("few_threads", "narrow")
AMD = Path(__file__).parents[2] / "benchmarks" / "elsewhere" / "amd-epyc.json"
CPU = Device(torch.device("cpu"), "fp32")


# A program that is started as a process of its own, with networks an eighth as wide.
NARROW = """
import runpy, sys
from gradcam_report import model
build = model.build
model.build = lambda seed, classes=10, width=64: build(seed, classes, 8)
sys.path.insert(0, {folder!r})
runpy.run_path({file!r}, run_name="__main__")
"""


def start(program: object, monkeypatch: pytest.MonkeyPatch, options: str, out: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["program", *options.split(), "--device", "cpu", "--out", str(out)])
    program.main()


def test_a_study_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(study.STUDIES, "ablation", {"as it is": {}, "no cutout": {"cutout": 0}})
    out, trained, real = tmp_path / "ablation.json", [], study.train_point
    small = "ablation --dataset shapes --train-size 32 --val-size 24 --epochs "

    def stopped(dataset: datasets.Dataset, changes: dict, *rest: object) -> dict:
        trained.append(changes)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return real(dataset, changes, *rest)

    monkeypatch.setattr(study, "train_point", stopped)
    with pytest.raises(KeyboardInterrupt):
        start(study, monkeypatch, small + "1", out)
    first = io.read_json(out)["points"]
    start(study, monkeypatch, small + "1", out)
    found = io.read_json(out)
    assert trained == [{}, {"cutout": 0}, {"cutout": 0}] and found["points"][0] == first[0]
    assert [(p["name"], p["seed"]) for p in found["points"]] == [("as it is", 0), ("no cutout", 0)]
    assert all(0 <= p["val_accuracy"] <= 1 and p["val_loss"] > 0 for p in found["points"])
    assert found["protocol"] == {"dataset": "shapes", "train_size": 32, "val_size": 24, "epochs": 1}
    with pytest.raises(ReportError, match=r"another protocol \(epochs 1 there, 2 requested\); use another --out"):
        start(study, monkeypatch, small + "2", out)


def test_a_point_is_the_reports_own_training_judged_on_the_validation_images(monkeypatch: pytest.MonkeyPatch):
    """A point without changes gives the loss and accuracy that the training chapter records for those images."""
    monkeypatch.setattr(training, "FEW_STEPS", 0)
    dataset = datasets.load(DataConfig(dataset="shapes", train_size=48, val_size=24, test_size=8))
    found = study.train_point(dataset, {"precision": "fp32", "batch_size": 16}, seed=1, epochs=2, device_name="cpu")
    params = parse_params("training", {"epochs": 2, "batch_size": 16})
    recipe = training.TrainingSettings(params.augment, params.optim, params.schedule, 1)
    trainer = training.Trainer(dataset, recipe, CPU)
    for trainer.epoch in range(2):
        trainer.train_epoch(trainer.batches())
    scores = trainer.evaluate(last=False)
    assert found["val_loss"] == pytest.approx(scores["val_loss"], rel=1e-6)
    assert found["val_accuracy"] == scores["val_accuracy"]


@pytest.mark.realdata
def test_the_speed_benchmark_stores_ratios_of_what_it_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cifar10_folder: str
):
    out = tmp_path / "results.json"
    small = "--batch 8 --large-batch 16 --steps 1 --test-images 16 --repeats 2 --workers 0 --explained 2 --rest 0"
    start(speed, monkeypatch, small, out)
    found = measured.read(out).speed
    ours, usual = found.images_per_second["train_ours"], found.images_per_second["train_usual"]
    assert ours.low / usual.high <= found.ratio_train.median <= ours.high / usual.low
    assert found.test_set_seconds["ours"] == pytest.approx(10_000 / found.images_per_second["test_ours"].median)
    assert found.ratio_kept and found.settings.large_batch == 16


def test_both_ways_of_explaining_give_the_same_maps(monkeypatch: pytest.MonkeyPatch):
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


@pytest.mark.parametrize("program", [speed, costs, scaling])
def test_results_that_could_not_be_kept_are_refused_before_measuring(
    program: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "damaged.json").write_text("[1")
    for name in ("damaged.json", "damaged.json/below.json"):
        with pytest.raises(ReportError, match=r"is damaged or cannot be written; name another file with --out"):
            start(program, monkeypatch, "", tmp_path / name)


@pytest.mark.slow
def test_costs_and_processes_are_added_to_what_was_measured_before(project: Path, monkeypatch: pytest.MonkeyPatch):
    """The trainings side by side are a stub here: what a sweep makes of the chapter is tested with the sweep."""
    write_chapter(project, "", "training")
    for program in (costs, scaling):
        script, path = project / Path(program.__file__).name, Path(program.__file__)
        script.write_text(NARROW.format(folder=str(path.parent), file=str(path)))
        monkeypatch.setattr(program, "__file__", str(script))
    out = project / "results.json"
    io.write_json(out, io.read_json(AMD))
    monkeypatch.setattr(costs, "GROWTH", {"training, images in a batch": [{"batch": 2}]})
    start(costs, monkeypatch, "--images 64 --repeats 1", out)
    start(scaling, monkeypatch, "--batch 4 --repeats 1 --sizes 2 --points 1", out)
    found = measured.read(out)
    assert found.speed == measured.read(AMD).speed
    ours, theirs = found.costs.augmentation["ours"], found.costs.augmentation["torchvision"]
    assert found.costs.ratio_augmentation.median == pytest.approx(ours.median / theirs.median)
    (points,) = measured.by_size(found.growth).values()
    assert points.keys() == {2} and points[2][1] > 0.1, "GiB of the process"
    assert found.scaling.shared.keys() == found.scaling.side_by_side.keys() == {2}

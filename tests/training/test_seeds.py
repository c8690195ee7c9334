"""Several seeds of one recipe: what is trained, what is found again, and its mean and spread."""

import json
from pathlib import Path

import numpy as np
import pytest
from test_schedule import store_range_test

from gradcam_report.config import ReportError, TrainingParams
from gradcam_report.runs import folder as run_folder
from gradcam_report.runs import io
from gradcam_report.runs.records import Metrics
from gradcam_report.training import seeds, trainer
from gradcam_report.training.trained_run import train_or_load

pytestmark = pytest.mark.usefixtures("few_threads", "narrow")


def params_of(**more: object) -> TrainingParams:
    given = {"run_dir": "runs/try", "dataset": "shapes", "train_size": 16, "test_size": 20, "batch_size": 16}
    given |= {"epochs": 1, "seed": 3, "precision": "fp32", "device": "cpu"}
    return TrainingParams.parse({**given, **more})


def results(params: TrainingParams) -> list[seeds.SeedResult]:
    return seeds.train_seeds(params, train_or_load(params))


def test_each_seed_is_trained_as_if_it_were_alone_and_only_once(project: Path, monkeypatch: pytest.MonkeyPatch):
    found = results(params_of(seeds=3))
    assert [result.seed for result in found] == [3, 4, 5]
    alone = train_or_load(params_of(seed=5, run_dir="runs/alone")).folder
    inside = run_folder.RunFolder("runs/try/seed-5")
    for name in ("test_loss", "test_accuracy", "test_accuracy_flip", "test_accuracy_crops", "train_loss"):
        assert io.read_json(inside / "metrics.json")[name] == io.read_json(alone / "metrics.json")[name]
    assert len({result.metrics.test_loss for result in found}) == 3
    with monkeypatch.context() as patched:
        patched.setattr(trainer.Trainer, "fit", lambda *a: pytest.fail("trained again"))
        again = results(params_of(seeds=2))  # those that are there are shown, whether asked for or not
    assert [result.metrics for result in again] == [result.metrics for result in found]


def test_all_seeds_have_the_peak_rate_that_was_found_for_the_first(project: Path):
    params = params_of(max_lr=0.0, seeds=2)
    store_range_test(project / "runs/try", 0.07, batch_size=16)
    assert [result.metrics.max_lr for result in results(params)] == [0.07, 0.07]


def test_seeds_of_another_recipe_are_not_counted(project: Path):
    results(params_of(seeds=2))
    other = json.loads((project / "runs/try/seed-4/run.json").read_text())
    other["parameters"]["epochs"] = 7
    (project / "runs/try/seed-4/run.json").write_text(json.dumps(other))
    (project / "runs/try/seed-9").mkdir()  # one that never got to its end
    assert [result.seed for result in results(params_of())] == [3]
    with pytest.raises(
        ReportError, match=r"runs/try/seed-4 holds a run of another recipe.*epochs 7 there, 1 requested"
    ):
        results(params_of(seeds=2))


def test_mean_and_deviation_are_numpys_and_one_seed_has_none():
    values = [0.95, 0.955, 0.948]
    several = [seeds.SeedResult(i, Metrics.model_construct(test_accuracy=v)) for i, v in enumerate(values)]
    mean, deviation = seeds.mean_and_deviation(values)
    assert (mean, deviation) == (pytest.approx(np.mean(values)), pytest.approx(np.std(values, ddof=1)))
    assert seeds.format_mean(several, "test_accuracy") == "95.10 ± 0.36"
    assert seeds.format_mean(several, "test_accuracy", scale=1, digits=4) == "0.9510 ± 0.0036"
    assert seeds.format_count(several) == "mean ± sd of 3 seeds"
    assert seeds.mean_and_deviation(values[:1]) == (0.95, None)
    assert seeds.format_mean(several[:1], "test_accuracy") == "95.00"
    assert seeds.format_count(several[:1]) == "one seed"

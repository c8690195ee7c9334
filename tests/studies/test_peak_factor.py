"""The study of the peak: settings put together by hand, and the published file."""

from pathlib import Path
from typing import Any

import pytest

from gradcam_report.config import ReportError
from gradcam_report.runs import io
from gradcam_report.studies import peak_factor

PROTOCOL = {"width": 32, "epochs": 5, "train_size": 10_000, "val_size": 5_000}
SGD = {"optimizer": "sgd", "batch_size": 500, "seed": 0}
MUON = {"optimizer": "muon", "batch_size": 128, "seed": 1}


def training(setting: dict[str, Any], factor: float, accuracy: float | None) -> dict[str, Any]:
    return {**setting, "factor": factor, "max_lr": 0.1 * factor, "val_accuracy": accuracy, "seconds": 1.0}


def write(project: Path, onsets: list[tuple[dict[str, Any], float | None]], trainings: list[dict[str, Any]]) -> None:
    tests = [{**setting, "suggestions": {"divergence onset": onset, "valley": None}} for setting, onset in onsets]
    stored = {"protocol": PROTOCOL, "range_tests": tests, "trainings": trainings}
    io.write_json(project / "benchmarks" / "peak_factor.json", stored)


def test_a_setting_has_its_onset_its_best_factor_and_what_the_onset_costs(project: Path) -> None:
    rows = [training(SGD, 1, 0.5), training(SGD, 2, None), training(SGD, 0.5, 0.625), training(SGD, 0.25, 0.25)]
    write(project, [(SGD, 0.4), (MUON, 0.1)], [training(MUON, 1, 0.75), *rows])
    muon, sgd = peak_factor.load().curves()
    assert (muon.name, muon.seed, muon.steps) == ("Muon, batches of 128", 1, 5 * 79)
    assert (muon.best_factor, muon.cost, muon.enclosed) == (1.0, 0.0, False)
    assert (sgd.name, sgd.onset, sgd.steps) == ("SGD, batches of 500", 0.4, 100)
    assert sgd.factors.tolist() == [0.25, 0.5, 1, 2]
    assert sgd.accuracies.tolist() == [0.25, 0.625, 0.5, 0.1], "a training that diverged counts as guessing"
    assert (sgd.best_factor, sgd.at_onset, sgd.cost, sgd.enclosed) == (0.5, 0.5, 0.125, True)
    assert peak_factor.load().standard_error == pytest.approx((2 * 0.75 * 0.25 / 5000) ** 0.5)


def test_settings_without_trainings_or_without_an_onset_are_left_out(project: Path) -> None:
    write(project, [(SGD, 0.4), (MUON, None)], [training(SGD, 2, 0.5), training(MUON, 1, 0.5)])
    (only,) = peak_factor.load().curves()
    assert (only.optimizer, only.at_onset, only.cost) == ("sgd", None, None)


def test_a_missing_or_foreign_file_is_refused_with_what_to_run(project: Path) -> None:
    with pytest.raises(ReportError, match=r"peak_factor\.json is missing; run python benchmarks/peak_factor\.py first"):
        peak_factor.load()
    io.write_json(project / "benchmarks" / "peak_factor.json", {"points": []})
    with pytest.raises(ReportError, match=r"run python benchmarks/peak_factor\.py"):
        peak_factor.load()


def test_the_published_study_can_be_read() -> None:
    study = peak_factor.load()
    curves = study.curves()
    assert {curve.optimizer for curve in curves} == {"muon", "sgd"}
    for curve in curves:
        tried = [row for row in study.trainings if row.key == (curve.optimizer, curve.batch_size, curve.seed)]
        assert len(tried) == len(curve.factors) and 0 <= (curve.cost or 0) < 1
        assert all(row.max_lr == pytest.approx(row.factor * curve.onset) for row in tried)

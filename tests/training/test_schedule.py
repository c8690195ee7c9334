"""The one-cycle schedule by hand and by its properties; where its peak comes from."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcam_report.config import AugmentConfig, OptimConfig, ReportError, TrainingParams
from gradcam_report.training.schedule import OneCycle, peak_lr


def rates(total: int, max_lr: float, warmup: float) -> np.ndarray:
    return np.array([OneCycle(max_lr, total, warmup)(step) for step in range(total)])


def test_one_cycle_by_hand():
    by_hand = np.array([0.04, 0.52, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])
    np.testing.assert_allclose(rates(60, 1.0, 0.2)[::6], by_hand)
    np.testing.assert_allclose(rates(10, 6.0, 0.2), by_hand)  # a sixth of 60 steps, a sixth of the peak
    np.testing.assert_allclose(rates(4, 7.5, 0.0), [0.5, 0.375, 0.25, 0.125])


@given(st.integers(60, 3000), st.floats(1e-6, 100), st.floats(0, 0.9))
def test_one_cycle_rises_to_its_peak_and_falls_to_almost_zero(total: int, max_lr: float, warmup: float):
    lrs, rising = rates(total, max_lr, warmup), round(warmup * total)
    assert (lrs > 0).all() and lrs.max() <= max_lr * (1 + 1e-12)
    assert (np.diff(lrs[: rising + 1]) > 0).all() and (np.diff(lrs[rising:]) < 0).all()
    if rising:
        assert lrs[0] == pytest.approx(max_lr / 25)
    if rising < total:
        assert lrs[rising] == pytest.approx(max_lr, rel=1e-12)
        assert lrs[-1] == pytest.approx(max_lr / (total - rising))


def params(**more: object) -> TrainingParams:
    given = {"run_dir": "runs/try", "dataset": "shapes", "batch_size": 128, "max_lr": 0.0}
    return TrainingParams.parse({**given, **more})


def store_range_test(folder: Path, onset: float | None, batch_size: int = 128, optimizer: str = "muon") -> None:
    folder.mkdir(parents=True)
    optim = OptimConfig(batch_size=batch_size, optimizer=optimizer)
    record = {
        "parameters": AugmentConfig().model_dump() | optim.model_dump() | {"dataset": "shapes"},
        "result": {"ended": "", "suggestions": {"divergence onset": onset, "steepest": 7.0}},
        "provenance": {
            "finished": "2026-01-01T00:00:00+00:00", "seconds": 1.0, "compute": "a test", "data": "shapes",
            "system": "Linux", "versions": {}, "commit": None,
        },
    }  # fmt: skip
    (folder / "lr_find.json").write_text(json.dumps(record))


def test_the_peak_is_the_parameter_then_the_runs_range_test_then_the_published_one(project: Path):
    assert peak_lr(params(max_lr=0.7)) == (0.7, "the parameter max_lr")
    store_range_test(project / "artifacts/reference", 0.04)
    rate, source = peak_lr(params())
    assert rate == 0.04 and "the published range test" in source and "scaled" not in source
    store_range_test(project / "runs/try", 0.03)
    rate, source = peak_lr(params())
    assert rate == 0.03 and "this run's range test" in source
    source = peak_lr(params(momentum=0.5, cutout=4))[1]
    assert source.endswith("which was made with another cutout and momentum")


def test_sgds_peak_grows_with_the_batch_and_says_nothing_about_muon(project: Path):
    store_range_test(project / "runs/try", 0.03, batch_size=64, optimizer="sgd")
    rate, source = peak_lr(params(batch_size=512, optimizer="sgd"))
    assert rate == pytest.approx(0.24) and "scaled from batch size 64 to 512" in source
    with pytest.raises(ReportError, match="run the chapter lr_finder"):
        peak_lr(params(batch_size=512))
    store_range_test(project / "runs/muon", 0.03, batch_size=64)
    assert peak_lr(params(batch_size=512, run_dir="runs/muon"))[0] == 0.03, "Muon's rate is relative to the filters"


@pytest.mark.parametrize("tested", [False, True])
def test_without_an_onset_the_chapter_is_named(project: Path, tested: bool):
    if tested:
        store_range_test(project / "runs/try", None)
    with pytest.raises(ReportError, match="run the chapter lr_finder"):
        peak_lr(params())

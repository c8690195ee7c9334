"""Results of a sweep of trainings: read from a run's folder and from the published file, ranked, drawn, published."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample_records import metrics, run_record
from scipy import stats

from gradcam_report import plots
from gradcam_report.config import PUBLISHED_SWEEP, ReportError, SweepConfig
from gradcam_report.execution import publish, runner
from gradcam_report.execution.sweep import plan
from gradcam_report.runs import io
from gradcam_report.runs import sweep as records
from gradcam_report.runs.folder import RunFolder
from gradcam_report.runs.records import TrainingRecipe
from gradcam_report.studies import sweep_results

Score = Callable[[dict[str, Any]], float]
TWO_AXES = ("max_lr=0.05,0.1,0.2", "cutout=0,8", "seed=0..2")


def score(values: dict[str, Any]) -> float:
    return 0.5 - abs(np.log10(values["max_lr"] / 0.1)) / 10 + 0.01 * values["seed"] - 0.001 * values.get("cutout", 0)


def train(folder: RunFolder, record: records.SweepRecord, point: records.SweepPoint, accuracy: float) -> None:
    """Write the files of a finished training with this validation accuracy, and one that is never published."""
    place = folder / point.slug
    recipe = TrainingRecipe.of(plan.params_class("training").parse(record.parameters(point, folder)))
    io.write_json(place / "metrics.json", metrics(val_accuracy=accuracy, val_loss=2 - accuracy))
    io.write_json(place / "run.json", run_record(**recipe.model_dump()))
    io.write_table(place / "history.csv", {"epoch": [1, 2], "val_accuracy": [accuracy / 3, accuracy]})
    mark = {"recipe": record.recipe(point), "finished": "", "seconds": 10.0, "host": "", "results": {}}
    io.write_json(place / records.DONE, mark)
    (place / "model.safetensors").write_bytes(b"large")


def sweep(*pairs: str, score: Score = score, out: str = "runs/x", dataset: str = "shapes") -> records.SweepRecord:
    """Write a finished sweep whose points have the validation accuracies that `score` gives to their values."""
    folder = RunFolder(out)
    record = plan.request("training", [f"dataset={dataset}", "val_size=800", *pairs], {}, folder)
    io.write_json(folder / records.SWEEP, record)
    for point in record.points:
        train(folder, record, point, score(point.values))
    return record


def compared(*pairs: str, score: Score = score, metric: str = "val_accuracy") -> sweep_results.Comparison:
    sweep(*pairs, score=score)
    return sweep_results.load(SweepConfig(sweep_dir="runs/x", metric=metric))


def test_settings_are_ranked_by_their_mean_over_seeds(project: Path) -> None:
    result = compared(*TWO_AXES)
    assert result.axes == ["max_lr", "cutout"] and len(result.settings) == 6 and len(result.trainings) == 18
    best = result.settings[0]
    accuracies = [score({**best.values, "seed": seed}) for seed in range(3)]
    assert best.name == "max_lr=0.1 cutout=0" and best.mean == pytest.approx(np.mean(accuracies))
    assert best.deviation == pytest.approx(stats.tstd(accuracies))
    means = [setting.mean for setting in result.settings]
    assert means == sorted(means, reverse=True)
    by_loss = sweep_results.load(SweepConfig(sweep_dir="runs/x", metric="val_loss"))
    assert [s.values for s in by_loss.settings] == [s.values for s in result.settings] and not by_loss.higher_is_better


def test_effects_are_means_over_the_other_axes(project: Path) -> None:
    result = compared(*TWO_AXES)
    cutout = dict(sweep_results.effects(result)["cutout"])
    expected = {c: np.mean([s.mean for s in result.settings if s.values["cutout"] == c]) for c in (0, 8)}
    assert cutout == pytest.approx(expected)


def test_seeds_alone_are_an_axis_that_nothing_is_compared_over(project: Path) -> None:
    result = compared("seed=0..3", score=lambda values: 0.4 + 0.01 * values["seed"])
    assert result.axes == ["seed"] and result.settings[0].values == {"seed": 3}
    assert sweep_results.indistinguishable(result) is None


@pytest.mark.parametrize("gap", [0.0, 0.01, 0.02, 0.03, 0.05, 0.08])
@pytest.mark.parametrize("apart", [(0.02, 0.001), (0.01, 0.01), (0.001, 0.03)])
def test_two_settings_are_told_apart_as_by_a_t_test(project: Path, gap: float, apart: tuple[float, float]) -> None:
    """Student's test by scipy: with two settings the pooled variance is the usual one."""
    scores = {0: [0.5, 0.5 - apart[0]], 8: [0.5 - gap, 0.5 - gap - apart[1]]}
    result = compared("cutout=0,8", "seed=0,1", score=lambda values: scores[values["cutout"]][values["seed"]])
    together = stats.ttest_ind(scores[0], scores[8]).pvalue > 0.05
    assert sweep_results.indistinguishable(result) == (result.settings[1:] if together else [])


def test_one_lucky_pair_of_seeds_rules_no_setting_out(project: Path) -> None:
    """Two seeds that happen to agree do not make their setting certain: the spread is that of all settings."""
    scores = {0.05: (0.42, 0.34), 0.1: (0.355, 0.354), 0.2: (0.37, 0.31)}
    result = compared("max_lr=0.05,0.1,0.2", "seed=0,1", score=lambda v: scores[v["max_lr"]][v["seed"]])
    assert len(sweep_results.indistinguishable(result) or []) == 2


def test_standard_error_is_that_of_a_binomial_share() -> None:
    assert sweep_results.standard_error(0.3, 800) == pytest.approx(stats.binom(800, 0.3).std() / 800)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda x: (x / "sweep.json").unlink(), "holds no sweep.json"),
        (lambda x: (x / "sweep.json").write_text('{"chapter": '), "sweep.json cannot be read"),
        (lambda x: [p.unlink() for p in x.glob("*/done.json")], "holds no finished training"),
        (lambda x: (x / "seed-0/metrics.json").unlink(), "seed-0 holds no metrics.json"),
    ],
)
def test_what_cannot_be_compared_is_told(project: Path, spoil: Callable[[Path], object], sentence: str) -> None:
    sweep("seed=0,1", score=lambda values: 0.5)
    spoil(project / "runs" / "x")
    with pytest.raises(ReportError, match=sentence):
        sweep_results.load(SweepConfig(sweep_dir="runs/x"))


def test_figures_show_every_setting_and_mark_the_best(project: Path) -> None:
    result = compared(*TWO_AXES)
    curves = plots.sweep_curves({"accuracy": sweep_results.learning_curves(result, "val_accuracy")}, result.axes)
    ends = sorted(line.get_ydata()[-1] for line in curves.axes[0].lines if len(line.get_ydata()) == 2)
    assert ends == pytest.approx(sorted(setting.mean for setting in result.settings))
    settings = [(setting.values, setting.mean, setting.deviation) for setting in result.settings]
    ax = plots.sweep_results(settings, result.axes, "accuracy", True).axes[0]
    (frame,) = [patch for patch in ax.patches if not patch.get_fill()]
    columns, rows = ([t.get_text() for t in labels] for labels in (ax.get_xticklabels(), ax.get_yticklabels()))
    assert (columns[int(frame.get_x())], rows[int(frame.get_y())]) == ("0.1", "0")


# Publishing


@pytest.fixture
def executed(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    (project / "artifacts").mkdir()
    calls: list[str] = []

    def execute(name: str, out: Path, parameters: dict[str, Any], checkout: Path) -> float:
        calls.append(name)
        io.write_atomic(out, b"executed")
        return 1.0

    monkeypatch.setattr(runner, "execute", execute)
    monkeypatch.setattr(runner, "choose_dataset", lambda values: values["dataset"])
    return calls


def test_a_published_sweep_is_one_file_that_compares_alike(project: Path, executed: list[str]) -> None:
    sweep(*TWO_AXES, "data_root=/secret", dataset="cifar10")
    publish.publish_any("runs/x")
    files = [p for p in (project / PUBLISHED_SWEEP).rglob("*") if p.is_file()]
    assert files == [project / PUBLISHED_SWEEP / records.SWEEP] and "/secret" not in files[0].read_text()
    assert executed == ["sweep"] and (project / "book" / "sweep.ipynb").read_bytes() == b"executed"
    before, after = (sweep_results.load(SweepConfig(sweep_dir=x)) for x in ("runs/x", PUBLISHED_SWEEP))
    assert before.settings == after.settings


@pytest.mark.parametrize(
    ("dataset", "unfinished", "sentence"),
    [("shapes", False, "of trainings on cifar10"), ("cifar10", True, "is not finished: seed-1 is not")],
)
def test_a_sweep_that_is_not_fit_to_be_published_is_refused(
    project: Path, executed: list[str], dataset: str, unfinished: bool, sentence: str
) -> None:
    sweep("seed=0,1", score=lambda values: 0.6, dataset=dataset)
    if unfinished:
        (project / "runs/x/seed-1" / records.DONE).unlink()
        assert len(sweep_results.load(SweepConfig(sweep_dir="runs/x")).trainings) == 1
    with pytest.raises(ReportError, match=sentence):
        publish.publish_any("runs/x")
    assert not (project / PUBLISHED_SWEEP).exists() and not executed


def test_the_published_sweep_holds_every_training_and_nothing_of_a_machine() -> None:
    record = records.read_trainings(str(Path(__file__).parents[2] / PUBLISHED_SWEEP))
    machine = {"data_root": "", "device": "auto", "force": False}
    assert record.fixed["dataset"] == "cifar10" and record.machine == machine
    for point in record.points:
        assert point.training is not None
        recipe = point.training.run.parameters.model_dump()
        assert recipe.items() >= {k: v for k, v in (record.fixed | point.values).items() if k != "seeds"}.items()

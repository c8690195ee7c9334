"""What the trainings of a sweep came to: read, ranked, told, drawn and published."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from scipy import stats

from gradcam_report import plots
from gradcam_report.config import PUBLISHED_SWEEP, ReportError, SweepConfig
from gradcam_report.execution import publish, runner
from gradcam_report.execution.sweep import plan
from gradcam_report.pages import tables
from gradcam_report.runs import folder as run_folder
from gradcam_report.runs import io as files
from gradcam_report.studies import sweep_results

Score = Callable[[dict[str, Any]], float]


def trained(sweep: plan.Sweep, slug: str, accuracy: float) -> None:
    """The files of a finished training with this validation accuracy, and of what is never published."""
    place, parameters = sweep.point_folder(slug), sweep.parameters(slug)
    made = {k: v for k, v in parameters.items() if k not in ("run_dir", "data_root", "device", "force", "seeds")}
    provenance = {"seconds": 10.0, "compute": "a test", "versions": {}, "finished": "2026-01-01T00:00:00+00:00"}
    metrics = {"val_accuracy": accuracy, "val_loss": 2 - accuracy, "train_loss": 1.5, "test_accuracy": 1 - accuracy}
    metrics |= {"epochs": 3, "train_images": 64, "training_seconds": 9.0}
    rows = {"epoch": [1, 2, 3], "train_loss": [3, 2, 1.5], "val_accuracy": [accuracy / 3, accuracy / 2, accuracy]}
    files.write_table(place / "history.csv", rows)
    files.write_json(place / "metrics.json", metrics)
    files.write_json(place / "run.json", {"parameters": made, "result": {}, "provenance": provenance})
    files.write_json(place / plan.DONE, {"recipe": sweep.recipe(slug), "seconds": 10.0, "results": {}})
    (place / "model.safetensors").write_bytes(b"large")


def swept(*pairs: str, score: Score, out: str = "runs/x", dataset: str = "shapes") -> plan.Sweep:
    """A finished sweep whose points have the validation accuracies that `score` gives to their values."""
    sweep = plan.asked("training", [f"dataset={dataset}", "val_size=800", *pairs], {}, run_folder.RunFolder(out))
    sweep.save()
    for slug, values in sweep.points.items():
        trained(sweep, slug, score(values))
    return sweep


def two_axes(values: dict[str, Any]) -> float:
    return (
        0.5
        - abs(np.log10(values["max_lr"] / 0.1)) / 10
        + 0.01 * values.get("seed", 0)
        - 0.001 * values.get("cutout", 0)
    )


TWO = ("max_lr=0.05,0.1,0.2", "cutout=0,8", "seed=0..2")


def compared(*pairs: str, score: Score = two_axes, metric: str = "val_accuracy") -> sweep_results.Comparison:
    swept(*pairs, score=score)
    return sweep_results.load(SweepConfig(sweep_dir="runs/x", metric=metric))


def texts(figure: plots.ReportFigure) -> list[str]:
    return [t.get_text() for t in figure.findobj(matplotlib.text.Text) if t.get_text() and t.get_visible()]


def test_settings_are_ranked_by_their_mean_over_seeds(project: Path) -> None:
    found = compared(*TWO)
    assert found.axes == ["max_lr", "cutout"] and len(found.settings) == 6 and len(found.trainings) == 18
    best = found.settings[0]
    assert best.values == {"max_lr": 0.1, "cutout": 0} and best.name == "max_lr=0.1 cutout=0"
    accuracies = [two_axes({**best.values, "seed": seed}) for seed in range(3)]
    assert best.mean == pytest.approx(np.mean(accuracies))
    assert best.deviation == pytest.approx(stats.tstd(accuracies))
    means = [setting.mean for setting in found.settings]
    assert means == sorted(means, reverse=True)


def test_a_loss_is_ranked_the_other_way_round(project: Path) -> None:
    found = compared(*TWO, metric="val_loss")
    assert found.settings[0].values == {"max_lr": 0.1, "cutout": 0}
    assert found.settings[0].mean == min(s.mean for s in found.settings)


def test_only_finished_points_are_compared_and_the_others_counted(project: Path) -> None:
    sweep = swept(*TWO, score=two_axes)
    (sweep.point_folder("max_lr-0.1_cutout-0_seed-1") / "run.json").unlink()
    found = sweep_results.load(SweepConfig(sweep_dir="runs/x"))
    assert found.unfinished == 1 and len(found.trainings) == 17
    assert sweep_results.in_words(found)["sweep_points"] == "17 of 18"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda x: (x / "sweep.json").unlink(), "holds no sweep.json"),
        (lambda x: [p.unlink() for p in x.glob("*/run.json")], "holds no finished training"),
        (lambda x: (x / "seed-0/metrics.json").unlink(), "seed-0 holds no metrics.json"),
        (lambda x: (x / "seed-0/metrics.json").write_text('{"test_accuracy": 1}'), "sweep anew with -p val_size=2000"),
        (
            lambda x: (x / "seed-0/run.json").write_text((x / "seed-1/run.json").read_text()),
            "seed-0 holds a training of another recipe .seed 1 there, 0 requested",
        ),
    ],
)
def test_what_cannot_be_compared_is_told(project: Path, spoil: Callable[[Path], object], sentence: str) -> None:
    swept("seed=0,1", score=lambda values: 0.5)
    spoil(project / "runs" / "x")
    with pytest.raises(ReportError, match=sentence):
        sweep_results.load(SweepConfig(sweep_dir="runs/x"))


def test_words_tell_the_best_the_effects_and_what_is_luck(project: Path) -> None:
    found = compared(*TWO)
    words = sweep_results.in_words(found)
    assert words["sweep_axes"] == "max_lr (0.05, 0.1, 0.2), cutout (0, 8) and seed (0, 1, 2)"
    assert words["sweep_best_value"] == "51.0 ± 1.0 %" and words["sweep_points"] == "18"
    assert "cutout from 48.2 % at 8 to 49.0 % at 0" in words["sweep_effects"]
    error = 2 * (0.01**2 / 3 * 2) ** 0.5
    near = [s.name for s in found.settings[1:] if found.settings[0].mean - s.mean <= error]
    assert words["sweep_rivals"] == "; ".join(near) and len(near) == 1
    assert "800 images adds a standard error of 1.8 points" in words["sweep_noise"]
    assert words["sweep_changes"] == ""


@pytest.mark.parametrize("gap", [0.0, 0.01, 0.02, 0.03, 0.05, 0.08])
@pytest.mark.parametrize("apart", [(0.02, 0.001), (0.01, 0.01), (0.001, 0.03)])
def test_rivals_of_two_settings_are_those_of_a_t_test(project: Path, gap: float, apart: tuple[float, float]) -> None:
    """Students' own test, by scipy: with two settings the pooled variance is the usual one."""
    scores = {0: [0.5, 0.5 - apart[0]], 8: [0.5 - gap, 0.5 - gap - apart[1]]}
    found = compared("cutout=0,8", "seed=0,1", score=lambda values: scores[values["cutout"]][values["seed"]])
    together = stats.ttest_ind(scores[0], scores[8]).pvalue > 0.05
    assert sweep_results.in_words(found)["sweep_rivals"] == (found.settings[1].name if together else "none")


def test_one_lucky_pair_of_seeds_rules_no_setting_out(project: Path) -> None:
    """Two seeds that happen to agree do not make their setting certain: the spread is that of all settings."""
    scores = {0.05: (0.42, 0.34), 0.1: (0.355, 0.354), 0.2: (0.37, 0.31)}
    found = compared("max_lr=0.05,0.1,0.2", "seed=0,1", score=lambda v: scores[v["max_lr"]][v["seed"]])
    assert set(sweep_results.in_words(found)["sweep_rivals"].split("; ")) == {"max_lr=0.1", "max_lr=0.2"}


def test_the_table_shows_every_setting_and_never_the_test_images(project: Path) -> None:
    found = compared(*TWO)
    header, rows = sweep_results.table(found)
    assert header[:3] == ["max_lr", "cutout", "validation accuracy"] and "test" not in " ".join(header)
    assert [row[2][0] for row in rows] == [
        sweep_results.written(found.metric, s.mean, s.deviation) for s in found.settings
    ]
    html = tables.sortable_table(header, rows, "a <label>", by=(2, False)).data
    assert html.count("<tr>") == 7 and html.count('aria-sort="descending"') == 1
    assert '<th scope="col" class="number" aria-sort="descending">validation accuracy</th>' in html
    assert 'aria-label="a &lt;label&gt;"' in html and '<td class="number" data-key="0.1">0.1</td>' in html


def test_curves_are_means_over_seeds(project: Path) -> None:
    found = compared(*TWO)
    rows = sweep_results.by_epoch(found, "val_accuracy")
    figure = plots.sweep_curves({"validation accuracy (%)": rows}, found.axes)
    lines = [line.get_ydata() for line in figure.axes[0].lines if len(line.get_ydata()) == 3]
    assert len(lines) == 6
    assert sorted(line[-1] for line in lines) == pytest.approx(sorted(100 * s.mean for s in found.settings))
    assert {"max_lr", "0.05", "0.1", "0.2", "cutout", "0", "8"} <= set(texts(figure))


def test_two_axes_make_a_map_with_every_mean_and_a_frame_around_the_best(project: Path) -> None:
    found = compared(*TWO)
    figure = plots.sweep_results(found.shown, found.axes, found.words, found.rising)
    ax = figure.axes[0]
    notes = {t.get_text() for t in ax.texts}
    assert notes == {f"{mean:.1f}\n± {deviation:.1f}" for _, mean, deviation in found.shown}
    (frame,) = [p for p in ax.patches if not p.get_fill()]
    columns = [t.get_text() for t in ax.get_xticklabels()]
    rows = [t.get_text() for t in ax.get_yticklabels()]
    assert (columns[int(frame.get_x())], rows[int(frame.get_y())]) == ("0.1", "0")


def test_one_axis_makes_points_with_bars_and_seeds_alone_are_an_axis(project: Path) -> None:
    found = compared("max_lr=0.05,0.1,0.8", "seed=0,1", score=two_axes)
    figure = plots.sweep_results(found.shown, found.axes, found.words, found.rising)
    line = figure.axes[0].lines[0]
    expected = {s.values["max_lr"]: 100 * s.mean for s in found.settings}
    assert dict(zip(line.get_xdata(), line.get_ydata(), strict=True)) == pytest.approx(expected)
    assert figure.axes[0].get_xscale() == "log"


def test_seeds_alone_are_an_axis(project: Path) -> None:
    found = compared("seed=0..3", score=lambda v: 0.4 + 0.01 * v["seed"])
    assert found.axes == ["seed"] and found.settings[0].values == {"seed": 3}
    figure = plots.sweep_results(found.shown, found.axes, found.words, found.rising)
    assert figure.axes[0].get_xlabel() == "seed"
    assert sweep_results.in_words(found)["sweep_rivals"] == "unknown, for there is one seed"


def test_more_axes_make_parallel_scales_with_the_best_above_the_others(project: Path) -> None:
    found = compared("max_lr=0.05,0.1", "cutout=0,8", "flip=random,none", "seed=0", score=two_axes)
    assert found.axes == ["max_lr", "cutout", "flip"]
    figure = plots.sweep_results(found.shown, found.axes, found.words, found.rising)
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 4]
    assert len(lines) == 8 and lines[-1].get_linewidth() > lines[0].get_linewidth()
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == [*found.axes, found.words]


def test_a_hundred_values_are_drawn_without_a_legend_of_a_hundred(project: Path) -> None:
    found = compared("seed=0..29", score=lambda v: 0.4 + 0.001 * v["seed"])
    figure = plots.sweep_curves({"loss": sweep_results.by_epoch(found, "train_loss")}, found.axes)
    assert "30 values of seed, from 0 (pale) to 29 (dark)" in texts(figure) and "17" not in texts(figure)


# Publishing


@pytest.fixture
def executed(project: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    calls: list[str] = []

    def execute(name: str, out: Path, parameters: dict[str, Any], book: Path | None = None) -> float:
        assert (project / PUBLISHED_SWEEP / "sweep.json").is_file() and parameters["sweep_dir"] == PUBLISHED_SWEEP
        calls.append(name)
        files.write_atomic(out, b"executed")
        return 1.0

    monkeypatch.setattr(runner, "execute", execute)
    monkeypatch.setattr(runner, "choose_dataset", lambda values: values["dataset"])
    return calls


def test_publishing_a_sweep_takes_what_was_measured_and_nothing_else(project: Path, executed: list[str]) -> None:
    sweep = swept("seed=0,1", "data_root=/secret", score=lambda v: 0.5, dataset="cifar10")
    publish.publish_any("runs/x")
    target = project / PUBLISHED_SWEEP
    files = {str(p.relative_to(target)) for p in target.rglob("*") if p.is_file()}
    assert files == {"sweep.json", *(f"seed-{n}/{name}" for n in (0, 1) for name in publish.POINT_FILES)}
    assert "/secret" not in (target / "sweep.json").read_text()
    assert executed == ["sweep"] and (project / "book" / "sweep.ipynb").read_bytes() == b"executed"
    assert len(sweep_results.load(SweepConfig()).trainings) == len(sweep.points)
    assert run_folder.RunFolder(f"{PUBLISHED_SWEEP}/seed-0").published, "no rerun writes to it"


def test_a_sweep_that_is_not_fit_to_be_published_changes_nothing(project: Path, executed: list[str]) -> None:
    swept("seed=0,1", score=lambda v: 0.5, dataset="cifar10")
    publish.publish_any("runs/x")
    before = (project / PUBLISHED_SWEEP / "sweep.json").read_bytes()
    for pairs, name, sentence in (
        (["val_size=0"], "runs/no-val", "with images held out"),
        (["dataset=shapes"], "runs/shapes", "of trainings on cifar10"),
        ([], "runs/open", "is not finished: seed-1 is not"),
    ):
        sweep = swept("seed=0,1", *pairs, score=lambda v: 0.6, out=name, dataset="cifar10")
        if name == "runs/open":
            (sweep.point_folder("seed-1") / plan.DONE).unlink()
        with pytest.raises(ReportError, match=sentence):
            publish.publish_any(name)
    assert (project / PUBLISHED_SWEEP / "sweep.json").read_bytes() == before


def test_a_chapter_that_fails_puts_the_published_sweep_back(
    project: Path, executed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    swept("seed=0,1", score=lambda v: 0.5, dataset="cifar10")
    publish.publish_any("runs/x")
    before = (project / PUBLISHED_SWEEP / "sweep.json").read_bytes()

    def fail(*arguments: Any, **options: Any) -> float:
        raise ReportError("The chapter sweep stopped.")

    monkeypatch.setattr(runner, "execute", fail)
    swept("seed=5,6", score=lambda v: 0.6, out="runs/y", dataset="cifar10")
    with pytest.raises(ReportError):
        publish.publish_any("runs/y")
    assert (project / PUBLISHED_SWEEP / "sweep.json").read_bytes() == before
    assert [p.name for p in (project / "artifacts").iterdir()] == ["sweep"]


def test_the_published_sweep_is_complete_small_and_tells_of_no_machine() -> None:
    top = Path(__file__).parents[2] / PUBLISHED_SWEEP
    found = json.loads((top / "sweep.json").read_text())
    assert found["fixed"]["dataset"] == "cifar10" and found["fixed"]["val_size"] >= 500
    files = {str(p.relative_to(top)) for p in top.rglob("*") if p.is_file()}
    assert files == {"sweep.json", *(f"{p['slug']}/{name}" for p in found["points"] for name in publish.POINT_FILES)}
    assert sum((top / name).stat().st_size for name in files) < 300_000
    assert {"data_root": "", "device": "auto", "force": False}.items() >= found["machine"].items()
    for point in found["points"]:
        made = json.loads((top / point["slug"] / "run.json").read_text())["parameters"]
        assert {**made, **found["fixed"], **point["values"], "seeds": 1} == made | {"seeds": 1}

"""The studies that the chapters show: which file is taken, what is compared, and what is said of an unfinished one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text

from gradcam_report import plots
from gradcam_report.config import ReportError
from gradcam_report.runs import io
from gradcam_report.studies import ablation

PROTOCOL = {"dataset": "cifar10", "train_size": 10_000, "val_size": 5_000, "epochs": 5}


def point(name: str, accuracy: float | None, seed: int = 0, **changes: Any) -> dict[str, Any]:
    return {"name": name, "changes": changes, "seed": seed, "val_accuracy": accuracy, "compute": "a CPU"}


def write(folder: Path, name: str, *points: dict[str, Any], **protocol: Any) -> None:
    recipe = {"optimizer": "muon", "batch_size": 500}
    provenance = {"compute": "the last one"}
    found = {"protocol": PROTOCOL | protocol, "recipe": recipe, "points": list(points), "provenance": provenance}
    io.write_json(folder / f"{name}.json", found)


@pytest.fixture
def folder(project: Path) -> Path:
    return project / "benchmarks"


def load(name: str) -> ablation.Study:
    found = ablation.load(name)
    assert found is not None
    return found


def test_seeds_of_a_point_are_put_together(folder: Path) -> None:
    write(folder, "ablation", point("the recipe", 0.8), point("other", 0.7, x=1), point("the recipe", 0.82, seed=1))
    found = load("ablation")
    assert [(p.name, p.accuracies, p.changes) for p in found.points] == [
        ("the recipe", (0.8, 0.82), {}),
        ("other", (0.7,), {"x": 1}),
    ]
    assert ablation.differences(found) == {"other": pytest.approx(-0.11)}
    assert found.in_words == (
        "CIFAR-10, Muon, batches of 500; 10,000 training images, 5 epochs, judged on 5,000 images held out of the "
        "training set, up to 2 seeds"
    )
    assert found.standard_error == pytest.approx(np.sqrt(2 * 0.81 * 0.19 / 5000))
    assert found.compute == "a CPU"


def test_all_machines_of_a_study_are_named(folder: Path) -> None:
    elsewhere = point("a", 0.7, cutout=0) | {"compute": "a GPU"}
    write(folder, "ablation", point("the recipe", 0.8), elsewhere, point("b", 0.7, cutout=4))
    assert load("ablation").compute == "a CPU and a GPU"


def test_the_study_at_full_length_comes_first(folder: Path) -> None:
    assert ablation.load("ablation") is None
    write(folder, "ablation", point("the recipe", 0.7))
    assert load("ablation").points[0].mean == 0.7
    write(folder, "ablation-full", point("the recipe", 0.95), train_size=0, epochs=20)
    assert load("ablation").points[0].mean == 0.95
    assert load("ablation").in_words.startswith("CIFAR-10, Muon, batches of 500; all other training images, 20 epochs")


def test_peaks_are_ordered_and_read_off_between_points(folder: Path) -> None:
    write(folder, "max_lr", point("0.4", 0.5, max_lr=0.4), point("0.1", 0.7, max_lr=0.1), point("4", None, max_lr=4.0))
    rates, accuracies = ablation.by_peak(load("max_lr"))
    assert rates.tolist() == [0.1, 0.4, 4.0] and accuracies.tolist() == [0.7, 0.5, 0.1]  # diverged: chance
    assert ablation.at(load("max_lr"), 0.2) == pytest.approx(0.6)
    assert ablation.at(load("max_lr"), 0.01) is None and ablation.at(load("max_lr"), 5.0) is None
    told = ablation.peaks_in_words(load("max_lr"), {"divergence onset": 0.2, "valley": 0.01, "steepest": None})
    assert told["peak_best"] == "0.1" and told["peak_best_accuracy"] == "70.0 %" and told["peak_at_onset"] == "60.0 %"
    assert told["peak_others"] == "valley: below the peaks tried; steepest: no rate"
    assert told["peak_rivals"] == "none"
    write(folder, "max_lr", point("0.4", 0.69, max_lr=0.4), point("0.1", 0.7, max_lr=0.1), point("1", 0.6, max_lr=1.0))
    told = ablation.peaks_in_words(load("max_lr"), {})
    assert told["peak_rivals"] == "0.4 (69.0 %)", "two standard errors are 1.8 points"
    assert told["peak_at_onset"] == "not to be told for this test" and told["peak_others"] == "neither"
    assert set(ablation.peaks_in_words(None, {}).values()) == {"unknown"} and set(told) == set(
        ablation.peaks_in_words(None, {})
    )


def test_rates_are_compared_only_with_runs_of_the_same_kind(folder: Path) -> None:
    write(folder, "max_lr", point("0.1", 0.7, max_lr=0.1))
    same = {"dataset": "cifar10", "optimizer": "muon", "batch_size": 500, "epochs": 20}
    assert load("max_lr").fits(same)
    for other in ({"dataset": "shapes"}, {"optimizer": "sgd"}, {"batch_size": 64}, {"sgd_lr_factor": 4.0}):
        assert not load("max_lr").fits(same | other)


@pytest.mark.parametrize("content", ["[]", '{"points": 3}', '{"points": [{"name": "x"}]}'])
def test_a_file_that_is_no_study_is_named(folder: Path, content: str) -> None:
    folder.mkdir()
    (folder / "ablation.json").write_text(content)
    with pytest.raises(ReportError, match=r"ablation\.json.*; (delete|run)"):
        ablation.load("ablation")


def test_the_ablations_table_and_a_study_that_lacks_its_base(folder: Path) -> None:
    write(folder, "ablation", point("the recipe", 0.8), point("no cutout", 0.795, cutout=0))
    assert ablation.better_than(load("ablation")) == "none"
    write(folder, "ablation", point("the recipe", 0.8), point("a", 0.81, cutout=0), point("b", 0.85, flip="none"))
    assert ablation.better_than(load("ablation")) == "b (+5.00)", "a point more can be chance"
    write(folder, "ablation", point("the recipe", 0.8), point("no cutout", 0.795, cutout=0))
    rows = ablation.ablation_rows(load("ablation"))
    assert rows == [["the recipe", "80.0 %", ""], ["no cutout", "79.5 %", "−0.50"]]
    write(folder, "ablation", point("a", 0.7, cutout=0), point("the recipe", 0.8), point("b", 0.9, cutout=1))
    assert [row[0] for row in ablation.ablation_rows(load("ablation"))] == ["the recipe", "b", "a"]
    write(folder, "ablation", point("no cutout", 0.7, cutout=0))
    assert ablation.ablation_rows(load("ablation")) == [["no cutout", "70.0 %", ""]]


def test_what_to_mind_depends_on_how_long_and_how_often_was_trained(folder: Path) -> None:
    write(folder, "ablation", point("the recipe", 0.8))
    short = ablation.caution(load("ablation"), 20)
    assert short.startswith("With one seed each") and "another race than a long one" in short
    write(folder, "ablation-full", point("the recipe", 0.9), point("the recipe", 0.9, seed=1), train_size=0, epochs=20)
    assert ablation.caution(load("ablation"), 20) == "These trainings are as long as the published one."


def test_the_figure_carries_the_points_and_the_rules() -> None:
    rules = {"divergence onset": 0.03, "valley": 0.003, "none": None}
    figure = plots.accuracy_by_peak([0.01, 0.1, 1], [0.5, 0.75, 0.25], rules, "divergence onset")
    ax = figure.axes[0]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [50, 75, 25])
    marks = {line.get_gid(): line.get_xdata()[0] for line in ax.lines if line.get_gid()}
    assert marks == {"rule:divergence onset": 0.03, "rule:valley": 0.003}
    shown = {t.get_text(): t.get_fontweight() for t in figure.findobj(Text)}
    assert shown["75.0"] == "bold" and shown["50.0"] == "normal"

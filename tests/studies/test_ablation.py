"""Studies of the recipe: which file is read, and the numbers that follow from its points."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text

from gradcam_report import plots
from gradcam_report.config import ReportError
from gradcam_report.runs import io
from gradcam_report.runs.records import TrainingRecipe
from gradcam_report.studies import ablation

PROTOCOL = {"dataset": "cifar10", "train_size": 10_000, "val_size": 5_000, "epochs": 5}


def point(name: str, accuracy: float | None, seed: int = 0, **changes: Any) -> dict[str, Any]:
    return {"name": name, "changes": changes, "seed": seed, "val_accuracy": accuracy, "compute": "a CPU"}


def study(folder: Path, name: str, *points: dict[str, Any], **protocol: Any) -> ablation.Study:
    """Write a study, and read what is loaded then."""
    stored = {"protocol": PROTOCOL | protocol, "recipe": {"optimizer": "muon"}, "points": list(points)}
    io.write_json(folder / f"{name}.json", stored)
    return ablation.load(name.removesuffix("-full"))


@pytest.fixture
def folder(project: Path) -> Path:
    return project / "benchmarks"


def test_seeds_of_a_point_are_put_together_and_compared_with_the_recipe(folder: Path) -> None:
    elsewhere = point("the recipe", 0.82, seed=1) | {"compute": "a GPU"}
    found = study(folder, "ablation", point("the recipe", 0.8), point("b", 0.85), point("a", 0.7), elsewhere)
    assert found.accuracies == {"the recipe": [0.8, 0.82], "b": [0.85], "a": [0.7]}
    assert found.differences() == {"b": pytest.approx(0.04), "a": pytest.approx(-0.11)}
    assert list(found.differences()) == ["b", "a"], "the best first"
    assert found.standard_error == pytest.approx(np.sqrt(2 * 0.85 * 0.15 / 5000))
    assert (found.compute, found.seeds) == ("a CPU and a GPU", 2)
    assert found.description == (
        "CIFAR-10, Muon, batches of 500; 10,000 training images, 5 epochs, judged on 5,000 images held out of the "
        "training set, up to 2 seeds"
    )


def test_the_study_at_full_length_comes_first(folder: Path) -> None:
    with pytest.raises(ReportError, match=r"ablation\.json is missing; run python benchmarks/study\.py ablation first"):
        ablation.load("ablation")
    assert study(folder, "ablation", point("the recipe", 0.7)).means == {"the recipe": 0.7}
    full = study(folder, "ablation-full", point("the recipe", 0.95), train_size=0, epochs=20)
    assert full.means == {"the recipe": 0.95} and "all other training images, 20 epochs" in full.description


def test_peaks_are_ordered_and_interpolated_over_the_logarithm_of_the_rate(folder: Path) -> None:
    peaks = [point("0.4", 0.5, max_lr=0.4), point("0.1", 0.7, max_lr=0.1), point("4", None, max_lr=4.0)]
    found = study(folder, "max_lr", *peaks)
    rates, accuracies = found.by_peak()
    assert rates.tolist() == [0.1, 0.4, 4.0] and accuracies.tolist() == [0.7, 0.5, 0.1]  # diverged: chance
    assert found.accuracy_at(0.2) == pytest.approx(0.6)
    assert found.accuracy_at(0.01) is None and found.accuracy_at(5.0) is None


def test_rates_are_compared_only_with_runs_of_the_same_kind(folder: Path) -> None:
    found = study(folder, "max_lr", point("0.1", 0.7, max_lr=0.1))
    assert found.fits(TrainingRecipe(seed=3))
    for other in ({"dataset": "shapes"}, {"optimizer": "sgd"}, {"batch_size": 64}, {"sgd_lr_factor": 4.0}):
        assert not found.fits(TrainingRecipe(**other))


def test_the_figure_carries_the_points_and_the_rules() -> None:
    rules = {"divergence onset": 0.03, "valley": 0.003, "none": None}
    figure = plots.accuracy_by_peak([0.01, 0.1, 1], [0.5, 0.75, 0.25], rules, "divergence onset")
    ax = figure.axes[0]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [50, 75, 25])
    marks = {line.get_gid(): line.get_xdata()[0] for line in ax.lines if line.get_gid()}
    assert marks == {"rule:divergence onset": 0.03, "rule:valley": 0.003}
    shown = {t.get_text(): t.get_fontweight() for t in figure.findobj(Text)}
    assert shown["75.0"] == "bold" and shown["50.0"] == "normal"

"""Trainings of other recipes beside the published one: what is compared, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from sample_records import metrics, run_record

from gradcam_report import plots
from gradcam_report.config import ReportError
from gradcam_report.runs import io
from gradcam_report.studies import recipe_comparison


def training(folder: Path, predicted: list[int], accuracy: list[float], **changes: object) -> None:
    """A run on four images of classes 0 to 3."""
    folder.mkdir(parents=True)
    io.write_json(folder / "run.json", run_record(dataset="shapes", **changes))
    ways = dict.fromkeys(("test_accuracy", "test_accuracy_flip", "test_accuracy_crops"), accuracy[-1])
    io.write_json(folder / "metrics.json", metrics(test_loss=0.25, test_images=4, **ways))
    io.write_table(folder / "history.csv", {"epoch": list(range(1, len(accuracy) + 1)), "test_accuracy": accuracy})
    logits = np.eye(8, dtype=np.float32)[predicted]
    io.write_arrays(folder / "predictions.npz", logits=logits, labels=np.arange(4), indices=np.array([2, 3, 5, 7]))


@pytest.fixture
def published(project: Path) -> Path:
    training(project / "artifacts/reference", [0, 1, 0, 0], [0.2, 0.4, 0.4, 0.5])
    return project / "artifacts"


def test_a_training_is_compared_epoch_by_epoch_and_image_by_image(published: Path) -> None:
    training(published / "variants/b", [0, 0, 0, 3], [0.4, 0.5, 0.4, 0.5], sgd_lr_factor=0.25)
    base, other = recipe_comparison.load()
    assert (base.name, base.changes, base.wrong) == ("as published", {}, {5, 7})
    assert (other.name, other.changes, other.wrong) == ("sgd_lr_factor 0.25", {"sgd_lr_factor": 0.25}, {3, 5})
    lead = recipe_comparison.lead(base, other)
    assert (lead.early, lead.end, lead.shared, lead.own) == (pytest.approx(0.2), 0.0, 1, 1)
    assert lead.standard_error == pytest.approx(2**0.5 / 4)  # one image is wrong for the one only, one for the other


def test_without_other_recipes_there_is_nothing_to_compare(published: Path) -> None:
    assert [one.name for one in recipe_comparison.load()] == ["as published"]


@pytest.mark.parametrize("fault", ["the same parameters", "another length"])
def test_what_does_not_compare_is_refused(published: Path, fault: str) -> None:
    if fault == "another length":
        training(published / "variants/b", [0, 1, 2, 3], [0.5], cutout=0)
    else:
        training(published / "variants/b", [0, 1, 2, 3], [0.2, 0.4, 0.4, 0.5])
    with pytest.raises(ReportError, match=r"artifacts/variants/b cannot be compared.*elsewhere\."):
        recipe_comparison.load()


def test_the_race_shows_every_training_and_the_lead_over_the_first() -> None:
    figure = plots.recipe_comparison({"a": [0.5, 0.6], "b": [0.7, 0.6], "c": [0.4, 0.5]}, 0.05)
    left, right = figure.axes
    assert [line.get_label() for line in left.lines] == ["a", "b", "c"]
    assert left.lines[1].get_ydata().tolist() == pytest.approx([70, 60])
    assert [line.get_ydata().tolist() for line in right.lines[1:]] == [
        pytest.approx([20, 0], abs=1e-9),
        pytest.approx([-10, -10]),
    ]
    band = right.patches[0].get_extents().transformed(right.transData.inverted())
    assert (band.y0, band.y1) == pytest.approx((-5, 5))

"""The images that the error chapters show: all there are where fewer errors were made than asked for."""

from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from gradcam_report.analysis import calibration, selection
from gradcam_report.analysis import predictions as errors
from gradcam_report.config import ReportError, parse_params
from gradcam_report.data import datasets
from gradcam_report.execution import runner
from gradcam_report.runs import folder as run_folder
from gradcam_report.runs import io
from gradcam_report.runs.records import RunRecord


def test_six_errors_are_all_that_is_shown(six_errors: Path) -> None:
    chosen = selection.choose(parse_params("error_analysis", {"run_dir": "runs/six"}))
    assert chosen.indices.tolist() == [31, 23, 17, 11, 5, 2]  # the most confident first
    assert np.array_equal(
        chosen.images, datasets.synthetic_images(40, datasets.SHAPES_TEST_SEED).images.numpy()[chosen.indices]
    )
    assert (chosen.true != chosen.predicted).all() and chosen.dataset == "shapes"
    assert (chosen.probability(chosen.predicted) > chosen.probability(chosen.true)).all()
    assert chosen.names(chosen.true) == [chosen.classes[label] for label in chosen.true]


def test_training_images_come_with_their_features_row_for_row(six_errors: Path) -> None:
    folder = run_folder.RunFolder("runs/six")
    record = folder.record(RunRecord)
    assert record is not None
    train, features = selection.training_images(folder, record, "")
    config = parse_params("training", {"dataset": "shapes", "train_size": 24, "test_size": 40}).data
    expected = datasets.load(config).train
    assert np.array_equal(train.images, expected.images) and features.shape == (24, 8)
    assert selection.test_features(folder).shape == (40, 8)
    (folder / "features.npz").unlink()
    with pytest.raises(ReportError, match=r"holds no features\.npz; run the chapter training"):
        selection.test_features(folder)


def test_a_temperature_is_fitted_on_validation_images_where_there_are_some(six_errors: Path) -> None:
    folder = run_folder.RunFolder("runs/six")
    predictions = selection.predictions_of(folder)
    chances, temperatures, source = selection.calibrated(folder, predictions)
    assert len(temperatures) == 2 and "other half" in source
    arrays = io.read_arrays(folder / "predictions.npz")
    val = {"val_logits": 5 * arrays["logits"][:20], "val_labels": arrays["labels"][:20]}
    io.write_arrays(folder / "predictions.npz", **arrays, **val)
    chances, (temperature,), source = selection.calibrated(folder, selection.predictions_of(folder))
    assert temperature == calibration.fit_temperature(val["val_logits"], val["val_labels"])
    np.testing.assert_allclose(chances, errors.softmax(arrays["logits"] / temperature))
    assert source == "fitted on the validation images"


def another_seed(folder: Path, seed: int, **changed: object) -> None:
    """Lay a run of another seed into a run's folder; it makes the last three of the run's six errors."""
    record, stored = io.read_json(folder / "run.json"), io.read_arrays(folder / "predictions.npz")
    logits = stored["logits"].copy()
    logits[[2, 5, 11]] = 3 * np.eye(10, dtype=np.float32)[stored["labels"][[2, 5, 11]]]
    arrays = {"logits": logits, "labels": stored["labels"], "indices": stored["indices"]}
    order = np.random.default_rng(seed).permutation(40)
    io.write_arrays(folder / f"seed-{seed}/predictions.npz", **{name: a[order] for name, a in arrays.items()})
    record["parameters"] |= {"seed": seed, **changed}
    io.write_json(folder / f"seed-{seed}/run.json", record)


def test_other_seeds_of_the_same_recipe_are_found_by_number(six_errors: Path) -> None:
    folder = run_folder.RunFolder("runs/six")
    record = folder.record(RunRecord)
    own = selection.predictions_of(folder)
    assert record is not None and selection.of_other_seeds(folder, record, own) == {}
    assert selection.missed_by_all(selection.choose(parse_params("error_analysis", {"run_dir": "runs/six"}))).all()
    for seed in (10, 2, 0):
        another_seed(six_errors, seed)
    another_seed(six_errors, 5, val_size=8)  # another recipe
    found = selection.of_other_seeds(folder, record, own)
    assert list(found) == [2, 10]  # 0 is the run's own
    params = parse_params("error_analysis", {"run_dir": "runs/six", "indices": [2, 17, 0, 31]})
    assert selection.missed_by_all(selection.choose(params)).tolist() == [False, True, False, True]
    repeated = errors.repetition(own, list(found.values()))
    assert repeated.again.tolist() == repeated.alike.tolist() == [0, 0, 0, 1, 1, 1]


def test_another_seed_that_answered_other_questions_is_refused(six_errors: Path) -> None:
    another_seed(six_errors, 1)
    folder, path = run_folder.RunFolder("runs/six"), six_errors / "seed-1/predictions.npz"
    record, own, stored = folder.record(RunRecord), selection.predictions_of(folder), io.read_arrays(path)
    assert record is not None
    for spoilt in (
        {"labels": (stored["labels"] + 1) % 10},
        {"logits": np.hstack([stored["logits"], np.zeros((40, 2), np.float32)])},
    ):
        io.write_arrays(path, **stored | spoilt)
        with pytest.raises(ReportError, match=r"seed-1/predictions\.npz .*not those of runs/six"):
            selection.of_other_seeds(folder, record, own)
    path.unlink()
    with pytest.raises(ReportError, match=r"seed-1 holds no predictions\.npz"):
        selection.of_other_seeds(folder, record, own)


def test_titles_and_images_of_any_rows(six_errors: Path) -> None:
    params = parse_params("error_analysis", {"run_dir": "runs/six"})
    chosen, rows = selection.choose(params), np.array([3, 5])
    drawn = datasets.synthetic_images(40, datasets.SHAPES_TEST_SEED).images.numpy()
    assert np.array_equal(selection.images_at(chosen, params, rows), drawn[[3, 5]])
    assert selection.images_at(chosen, params, rows[:0]).shape == (0, 3, 32, 32)
    right, wrong = selection.titles(chosen.predictions, rows, chosen.classes)
    assert right.startswith("# 3\n✓") and "✗" not in right and wrong.startswith("# 5\n✗")
    assert chosen.titles()[0].startswith("# 31\n✗")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: (folder / "run.json").unlink(), "holds no run.json; run the chapter training"),
        (lambda folder: (folder / "predictions.npz").unlink(), "holds no predictions.npz; run the chapter training"),
        (lambda folder: (folder / "predictions.npz").write_bytes(b"PK"), r"predictions\.npz cannot be read"),
        (
            lambda folder: io.write_arrays(folder / "predictions.npz", logits=np.zeros((2, 10), np.float32)),
            "labels and indices missing",
        ),
        (lambda folder: (folder / "run.json").write_text("{"), r"run\.json cannot be read"),
        (
            lambda folder: io.write_arrays(
                folder / "predictions.npz",
                logits=np.eye(10, dtype=np.float32),
                labels=np.arange(10),
                indices=np.arange(10),
            ),
            "made no error on 10 test images",
        ),
    ],
    ids=["no run", "no predictions", "truncated", "incomplete", "no JSON", "no errors"],
)
def test_a_run_without_errors_to_show_says_what_is_wrong(six_errors: Path, spoil: Any, sentence: str) -> None:
    spoil(six_errors)
    with pytest.raises(ReportError, match=sentence):
        selection.choose(parse_params("error_analysis", {"run_dir": "runs/six"}))


@pytest.mark.slow
def test_the_error_analysis_shows_six_of_ten_and_what_another_seed_answers(project: Path, six_errors: Path) -> None:
    another_seed(six_errors, 1)
    book = Path(__file__).parents[2] / "book"
    out = project / "error_analysis.ipynb"
    runner.execute("error_analysis", out, runner.parameters_for("error_analysis", {"run_dir": "runs/six"}), book)
    notebook = nbformat.read(out, as_version=4)
    glued = {
        output.metadata.scrapbook.name: output.data["application/papermill.record/text/plain"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "scrapbook" in output.get("metadata", {})
    }
    assert (glued["shown"], glued["asked"], glued["n_errors"]) == ("6", "10", "'6'")
    assert "Of these errors 50 % are also made by seed 1, 50 % with the same wrong class" in glued["again_words"]
    shown = next(c for c in notebook.cells if c.id == "again-shown").outputs[0].data["text/markdown"]
    assert len([line for line in shown.splitlines() if line.startswith("| # ")]) == 6
    assert notebook.metadata.papermill.exception is None

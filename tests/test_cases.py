"""The images that the error chapters show: all there are where fewer errors were made than asked for."""

from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from gradcam_report import calibration, cases, data, errors, files, report, run
from gradcam_report.config import ReportError, parse_params


def test_six_errors_are_all_that_is_shown(six_errors: Path) -> None:
    chosen = cases.choose(parse_params("error_analysis", {"run_dir": "runs/six"}))
    assert chosen.indices.tolist() == [31, 23, 17, 11, 5, 2]  # the most confident first
    assert np.array_equal(chosen.images, data.draw_shapes(40, data.SHAPES_TEST_SEED).images.numpy()[chosen.indices])
    assert (chosen.true != chosen.predicted).all() and chosen.dataset == "shapes"
    assert (chosen.probability(chosen.predicted) > chosen.probability(chosen.true)).all()
    assert chosen.names(chosen.true) == [chosen.classes[label] for label in chosen.true]


def test_training_images_come_with_their_features_row_for_row(six_errors: Path) -> None:
    folder = run.RunFolder("runs/six")
    record = folder.record("run")
    assert record is not None
    train, features = cases.training_images(folder, record, "")
    config = parse_params("training", {"dataset": "shapes", "train_size": 24, "test_size": 40})["data"]
    expected = data.load(config).train
    assert np.array_equal(train.images, expected.images) and features.shape == (24, 8)
    assert cases.test_features(folder).shape == (40, 8)
    (folder / "features.npz").unlink()
    with pytest.raises(ReportError, match=r"holds no features\.npz; run the chapter training"):
        cases.test_features(folder)


def test_a_temperature_is_fitted_on_validation_images_where_there_are_some(six_errors: Path) -> None:
    folder = run.RunFolder("runs/six")
    predictions = cases.predictions_of(folder)
    chances, temperatures, source = cases.calibrated(folder, predictions)
    assert len(temperatures) == 2 and "other half" in source
    arrays = files.read_arrays(folder / "predictions.npz")
    val = {"val_logits": 5 * arrays["logits"][:20], "val_labels": arrays["labels"][:20]}
    files.write_arrays(folder / "predictions.npz", **arrays, **val)
    chances, (temperature,), source = cases.calibrated(folder, cases.predictions_of(folder))
    assert temperature == calibration.fit_temperature(val["val_logits"], val["val_labels"])
    np.testing.assert_allclose(chances, errors.softmax(arrays["logits"] / temperature))
    assert source == "fitted on the validation images"


def test_titles_and_images_of_any_rows(six_errors: Path) -> None:
    params = parse_params("error_analysis", {"run_dir": "runs/six"})
    chosen, rows = cases.choose(params), np.array([3, 5])
    drawn = data.draw_shapes(40, data.SHAPES_TEST_SEED).images.numpy()
    assert np.array_equal(cases.images_at(chosen, params, rows), drawn[[3, 5]])
    assert cases.images_at(chosen, params, rows[:0]).shape == (0, 3, 32, 32)
    right, wrong = cases.titles(chosen.predictions, rows, chosen.classes)
    assert right.startswith("# 3\n✓") and "✗" not in right and wrong.startswith("# 5\n✗")
    assert chosen.titles()[0].startswith("# 31\n✗")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: (folder / "run.json").unlink(), "holds no run.json; run the chapter training"),
        (lambda folder: (folder / "predictions.npz").unlink(), "holds no predictions.npz; run the chapter training"),
        (lambda folder: (folder / "predictions.npz").write_bytes(b"PK"), r"predictions\.npz cannot be read"),
        (
            lambda folder: files.write_arrays(folder / "predictions.npz", logits=np.zeros((2, 10), np.float32)),
            "labels and indices missing",
        ),
        (lambda folder: (folder / "run.json").write_text("{"), r"run\.json cannot be read"),
        (
            lambda folder: files.write_arrays(
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
        cases.choose(parse_params("error_analysis", {"run_dir": "runs/six"}))


@pytest.mark.slow
def test_the_error_analysis_says_that_six_of_ten_are_shown(project: Path, six_errors: Path) -> None:
    book = Path(__file__).parent.parent / "book"
    out = project / "error_analysis.ipynb"
    report.execute("error_analysis", out, report.parameters_for("error_analysis", {"run_dir": "runs/six"}), book)
    notebook = nbformat.read(out, as_version=4)
    glued = {
        output.metadata.scrapbook.name: output.data["application/papermill.record/text/plain"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "scrapbook" in output.get("metadata", {})
    }
    assert (glued["shown"], glued["asked"], glued["n_errors"]) == ("6", "10", "'6'")
    assert notebook.metadata.papermill.exception is None

"""The images that the error chapters show: all there are where fewer errors were made than asked for."""

from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

from gradcam_report import cases, data, report, run
from gradcam_report.config import ReportError, parse_params


def six_errors(folder: Path) -> None:
    """A finished run on `shapes` whose predictions of 40 test images hold six errors."""
    labels = data.draw_shapes(40, seed=data.SHAPES_TEST_SEED).labels.numpy()
    logits = np.zeros((40, 10), np.float32)
    logits[np.arange(40), labels] = 3
    wrong = np.array([2, 5, 11, 17, 23, 31])
    logits[wrong, (labels[wrong] + 1) % 10] = 4 + np.arange(6)
    run.write_arrays(folder / "predictions.npz", logits=logits, labels=labels, indices=np.arange(40))
    made = run.provenance("a test", "shapes", 1.0, commit=None)
    result = {"classes": list(data.CLASSES["shapes"])}
    run.write_json(folder / "run.json", {"parameters": {"dataset": "shapes"}, "result": result, "provenance": made})


def test_six_errors_are_all_that_is_shown(project: Path) -> None:
    six_errors(project / "runs" / "six")
    chosen = cases.choose(parse_params("error_analysis", {"run_dir": "runs/six"}))
    assert chosen.indices.tolist() == [31, 23, 17, 11, 5, 2]  # the most confident first
    assert np.array_equal(chosen.images, data.draw_shapes(40, data.SHAPES_TEST_SEED).images.numpy()[chosen.indices])
    assert (chosen.true != chosen.predicted).all() and chosen.dataset == "shapes"
    assert (chosen.probability(chosen.predicted) > chosen.probability(chosen.true)).all()
    assert chosen.names(chosen.true) == [chosen.classes[label] for label in chosen.true]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: (folder / "run.json").unlink(), "holds no run.json; run the chapter training"),
        (lambda folder: (folder / "predictions.npz").unlink(), "holds no predictions.npz; run the chapter training"),
        (lambda folder: (folder / "predictions.npz").write_bytes(b"PK"), r"predictions\.npz cannot be read"),
        (
            lambda folder: run.write_arrays(folder / "predictions.npz", logits=np.zeros((2, 10), np.float32)),
            "labels and indices missing",
        ),
        (lambda folder: (folder / "run.json").write_text("{"), r"run\.json cannot be read"),
        (
            lambda folder: run.write_arrays(
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
def test_a_run_without_errors_to_show_says_what_is_wrong(project: Path, spoil: Any, sentence: str) -> None:
    six_errors(project / "runs" / "six")
    spoil(project / "runs" / "six")
    with pytest.raises(ReportError, match=sentence):
        cases.choose(parse_params("error_analysis", {"run_dir": "runs/six"}))


@pytest.mark.slow
def test_the_error_analysis_says_that_six_of_ten_are_shown(project: Path) -> None:
    six_errors(project / "runs" / "six")
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

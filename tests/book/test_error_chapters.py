"""The chapters about errors for runs with few errors or none, and without CIFAR-10."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reading
from answers_by_hand import another_seed
from PIL import Image

from gradcam_report import model
from gradcam_report.config import ReportError, parse_params
from gradcam_report.data import datasets
from gradcam_report.execution import runner
from gradcam_report.runs import io

pytestmark = pytest.mark.slow

BOOK = Path(__file__).parents[2] / "book"


def execute(chapter: str, project: Path, **given: Any) -> tuple[dict[str, Any], str]:
    """What a chapter recorded for the prose, and the text of all its outputs."""
    out = project / "out.ipynb"
    shutil.copy(BOOK / f"{chapter}.ipynb", project / "book")
    runner.execute(chapter, out, parse_params(chapter, {"run_dir": "runs/six"} | given).flat())
    shown = [output.get("data", {}) for output in reading.outputs(out) if "scrapbook" not in output.get("metadata", {})]
    texts = [str(data.get(kind, "")) for data in shown for kind in ("text/markdown", "text/html")]
    return reading.glued(out), "\n".join(texts)


def without_errors(folder: Path) -> None:
    """Make every answer of the run right, and leave out class 0."""
    arrays = io.read_arrays(folder / "predictions.npz")
    kept = arrays["labels"] != 0
    logits = 3 * np.eye(10, dtype=np.float32)[arrays["labels"]]
    rows = {"logits": logits[kept], "labels": arrays["labels"][kept], "indices": arrays["indices"][kept]}
    io.write_arrays(folder / "predictions.npz", **rows)
    features = io.read_arrays(folder / "features.npz")
    io.write_arrays(folder / "features.npz", **features | {"test": features["test"][kept]})


def weights(folder: Path) -> None:
    net = model.build(0, width=8)
    io.write_tensors(folder / "model.safetensors", net.state_dict(), {"classes": "10", "width": "8"})


def test_the_error_analysis_shows_six_of_ten_and_what_another_seed_answers(project: Path, six_errors: Path) -> None:
    another_seed(six_errors, 1)
    glued, texts = execute("error_analysis", project)
    assert (glued["shown"], glued["asked"], glued["n_errors"]) == (6, 10, "6")
    assert "seed 1" in glued["again_words"] and glued["again_words"].count(" 50 %") == 2
    assert glued["finding"].startswith("The network gets 6 of 40 test images wrong")
    assert "There are no human labels" in texts
    assert glued["people_words"].endswith("No label is known to be at fault in an error.")


def test_without_errors_the_analysis_says_so_and_shows_right_answers(project: Path, six_errors: Path) -> None:
    without_errors(six_errors)
    another_seed(six_errors, 1)
    glued, texts = execute("error_analysis", project)
    assert "**No errors.**" in texts and glued["top_mistake"] == glued["again_words"] == "There are no errors."
    assert (glued["n_errors"], glued["shown"], glued["macro_f1"], glued["hardest"]) == ("0", 10, 100, "none")
    assert (
        glued["finding"].startswith("The network gets all") and glued["near_words"] == "There are no errors to compare."
    )
    assert datasets.CLASSES["shapes"][0] in glued["means_over"] and "unknown" not in glued["median_wrong"]


def test_without_errors_right_answers_are_explained(project: Path, six_errors: Path) -> None:
    without_errors(six_errors)
    weights(six_errors)
    given = {"layers": ["layer4"], "score_cam": False, "n_images": 2}
    glued, texts = execute("gradcam", project, **given)
    assert "**No errors.**" in texts and glued["cam_images"] == 2 and texts.count("which is right") == 2
    assert "runner-up" in glued["margin_contrast"] and "In half of the right answers" in glued["finding"]
    glued, texts = execute("explorer", project, contrast=1)
    assert "**No errors.**" in texts and glued["explorer_finding"] == "The network makes no error."
    assert "Each point" not in glued["glance_words"]


def test_a_readers_picture_gets_a_card_and_needs_no_cifar10(
    project: Path, six_errors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights(six_errors)
    Image.new("RGB", (40, 40), "red").save(project / "mine.png")
    given = {"picture": "mine.png", "layers": ["layer4"], "score_cam": False, "n_images": 1}
    _, texts = execute("gradcam", project, **given)
    assert 'id="your-picture"' in texts
    record = io.read_json(six_errors / "run.json")
    record["parameters"] |= {"dataset": "cifar10"}
    record["result"] |= {"classes": list(datasets.CLASSES["cifar10"])}
    io.write_json(six_errors / "run.json", record)
    monkeypatch.setenv("CIFAR10_ROOT", str(project / "nowhere"))
    glued, texts = execute("gradcam", project, **given)
    assert "explains your picture alone" in texts and glued["cam_images"] == 1 and 'id="your-picture"' in texts
    with pytest.raises(ReportError, match="no such folder; correct it or name a run of shapes with -p run_dir"):
        execute("gradcam", project, **given | {"picture": ""})

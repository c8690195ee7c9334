"""The chapters in `book/`: written by the house's rules, executed from top to bottom, and true to the recorded run."""

import ast
import re
import statistics
from pathlib import Path
from typing import Any

import matplotlib
import nbformat
import numpy as np
import papermill
import pytest
import reading
from myst_nb.core.variables import format_plain_text
from sklearn.metrics import accuracy_score, f1_score, log_loss

from gradcam_report.analysis.predictions import softmax
from gradcam_report.config import CHAPTERS, PUBLISHED, parse_params
from gradcam_report.execution import publish
from gradcam_report.runs import folder as run_folder
from gradcam_report.runs import io
from gradcam_report.training import lr_rules

TOP = Path(__file__).parents[2]
BOOK, REFERENCE = TOP / "book", TOP / PUBLISHED
chapters = pytest.mark.parametrize("name", CHAPTERS)
MACHINE_PATH = re.compile(r"(?<![\w.:/-])(/(home|root|tmp|var|mnt|opt|work|Users)/|[A-Z]:\\)")


def path(name: str) -> Path:
    return BOOK / f"{name}.ipynb"


def code(name: str) -> list[nbformat.NotebookNode]:
    return reading.cells(path(name))


def tags(cell: nbformat.NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def glued(name: str) -> dict[str, Any]:
    return reading.glued(path(name))


def fields(name: str) -> list[tuple[str, str, Any]]:
    """(name, annotation, default) of every parameter of a chapter, in order."""
    lists = {"indices": "list[int]", "layers": "list[str]"}
    return [(n, lists.get(n, type(v).__name__), v) for n, v in parse_params(name, {}).flat().items()]


# As written


@chapters
def test_the_first_code_cell_holds_exactly_the_chapters_parameters_each_explained(name: str) -> None:
    cell = code(name)[0]
    assert "parameters" in cell.metadata.tags and set(cell.metadata.tags) <= {"parameters", "hide-input"}
    stated = [(ast.unparse(s.target), ast.unparse(s.annotation), ast.literal_eval(s.value))
              for s in ast.parse(cell.source).body if isinstance(s, ast.AnnAssign)]  # fmt: skip
    assert stated == fields(name) and len(ast.parse(cell.source).body) == len(stated)
    assert [type(value) for *_, value in stated] == [type(default) for *_, default in fields(name)]
    shown = papermill.inspect_notebook(str(path(name)))
    assert [(n, p["inferred_type_name"]) for n, p in shown.items()] == [(n, kind) for n, kind, _ in fields(name)]
    assert all(len(p["help"]) >= 10 for p in shown.values())


@chapters
def test_parameters_are_validated_before_any_other_variable_is_assigned(name: str) -> None:
    """The chapter's imports add no plain value that `begin` would take for a parameter."""
    imports, begin = [], []
    for statement in ast.parse(code(name)[1].source).body:
        (imports if isinstance(statement, ast.Import | ast.ImportFrom) else begin).append(ast.unparse(statement))
    assert begin[0] == f"params = notebook.begin('{name}', globals())"
    namespace: dict[str, Any] = {}
    with matplotlib.rc_context():
        exec("\n".join([code(name)[0].source, *imports, begin[0]]), namespace)
    assert namespace["params"] == parse_params(name, {})


@chapters
def test_every_figure_was_drawn_and_has_a_name_a_caption_and_a_description(name: str) -> None:
    for cell in code(name):
        drawn = any("image/png" in output.get("data", {}) for output in cell.outputs)
        assert drawn == ("mystnb" in cell.metadata), cell.source
        if drawn:
            settings = cell.metadata.mystnb
            assert settings.figure.name.startswith("fig-") and len(settings.figure.caption) >= 20
            assert len(settings.image.alt) >= 40 and settings.image.alt != settings.figure.caption


def test_figure_names_are_unique_in_the_book() -> None:
    names = [c.metadata.mystnb.figure.name for name in CHAPTERS for c in code(name) if "mystnb" in c.metadata]
    pages = "".join(page.read_text(encoding="utf-8") for page in BOOK.glob("*.md"))
    names += re.findall(r"^:name: (fig-\S+)", pages, re.MULTILINE)
    assert sorted(names) == sorted(set(names))


@chapters
def test_nothing_written_tells_of_a_machine_or_a_warning(name: str) -> None:
    written = reading.texts(path(name))
    assert not [text for text in written if "Warning" in text]
    metadata = str(nbformat.read(path(name), as_version=4).metadata)
    for text in [*written, *(c.source for c in code(name)), metadata.replace("'", " ")]:
        assert not MACHINE_PATH.search(text) and str(TOP) not in text and str(Path.home()) not in text


@chapters
def test_visible_code_is_short_and_only_the_parameters_are_folded(name: str) -> None:
    first, *others = code(name)
    assert "parameters" in tags(first)
    assert not [cell.source for cell in others if {"hide-input", "hide-cell"} & tags(cell)]
    visible = [cell.source for cell in others if not {"remove-input", "remove-cell"} & tags(cell)]
    assert not [source for source in visible if len(source.splitlines()) > 20 or "notebook.glue(" in source]
    assert not [line for source in visible for line in source.splitlines() if len(line) > 88], "wraps on the page"
    assert not [cell.source for cell in others if len(cell.source.splitlines()) > 30]


@chapters
def test_a_chapter_ends_with_exercises_and_their_answers(name: str) -> None:
    prose = [cell.source for cell in reading.cells(path(name), "markdown")]
    headings = [line for source in prose for line in source.splitlines() if line.startswith("## ")]
    assert headings[-1] == "## Exercises"
    assert "\n".join(prose).split("## Exercises")[1].count("{dropdown}") >= 2


@chapters
def test_one_line_at_the_foot_tells_where_results_come_from(name: str) -> None:
    telling = [cell for cell in code(name) if "show_provenance(" in cell.source]
    assert telling in ([], code(name)[-1:]) and all("remove-input" in tags(cell) for cell in telling)


# As executed


@chapters
def test_executed_once_from_top_to_bottom_without_error_with_its_defaults(name: str) -> None:
    reading.assert_completed(path(name))
    assert not nbformat.read(path(name), as_version=4).metadata.papermill.parameters
    assert not [c for c in code(name) if "injected-parameters" in c.metadata.get("tags", [])]


def test_every_number_in_the_prose_is_recorded_and_can_be_formatted() -> None:
    recorded = {name: glued(name) for name in CHAPTERS}
    for page in (*BOOK.glob("*.md"), *BOOK.glob("*.ipynb")):
        prose = page.read_text(encoding="utf-8")
        if page.suffix == ".ipynb":
            prose = "\n".join(c.source for c in reading.cells(page, "markdown"))
        for where, key, form in re.findall(r"\{glue:text\}`(?:(\w+)\.ipynb::)?(\w+)(?::([^`]*))?`", prose):
            assert isinstance(format_plain_text(repr(recorded[where or page.stem][key]), form), str), (page.name, key)


# Against the artifacts


@pytest.fixture(scope="module")
def metrics() -> dict[str, Any]:
    return io.read_json(REFERENCE / "metrics.json")


@pytest.fixture(scope="module")
def predictions() -> dict[str, np.ndarray]:
    return io.read_arrays(REFERENCE / "predictions.npz")


def test_the_training_page_shows_the_recorded_metrics(metrics: dict[str, Any]) -> None:
    shown, record = glued("training"), io.read_json(REFERENCE / "run.json")
    assert shown["test_percent"] == 100 * metrics["test_accuracy"]
    for key in ("images_per_second", "epochs", "max_lr"):
        assert shown[key] == metrics[key]
    for key in ("errors", "parameters", "train_images", "test_images"):
        assert shown[key] == f"{metrics[key]:,}"
    for key in ("dataset", "epochs", "seed", "max_lr"):
        assert shown[key] == record["parameters"][key]
    assert shown["compute"] == record["provenance"]["compute"] and shown["parameters"] == "11,173,962"
    assert shown["finished"] == record["provenance"]["finished"][:10]


def test_the_training_page_shows_mean_and_deviation_of_the_recorded_seeds(metrics: dict[str, Any]) -> None:
    shown, seeds = glued("training"), [metrics, *map(io.read_json, REFERENCE.glob("seed-*/metrics.json"))]
    names = {"accuracy": "test_accuracy", "flip": "test_accuracy_flip", "crops": "test_accuracy_crops"}
    names |= {"clean_train": "clean_train_accuracy", "augmented_train": "train_accuracy", "loss": "test_loss"}
    for name, key in names.items():
        values, (scale, digits) = [m[key] for m in seeds], (1, 4) if name == "loss" else (100, 2)
        expected = [f"{scale * statistics.mean(values):.{digits}f}"]
        expected += [f"{scale * statistics.stdev(values):.{digits}f}"] if len(values) > 1 else []
        assert shown[f"{name}_words"].split(" ± ") == expected
        if name != "augmented_train":  # the model card's column of the published weights
            assert shown[f"own_{name}"] == f"{scale * metrics[key]:.{digits}f}"
    assert (str(len(seeds)) in shown["seeds_words"]) == (len(seeds) > 1)


def test_the_metrics_are_those_of_history_and_predictions(
    metrics: dict[str, Any], predictions: dict[str, np.ndarray]
) -> None:
    history = io.read_table(REFERENCE / "history.csv")
    assert history["epoch"].tolist() == list(range(1, metrics["epochs"] + 1))
    assert all(metrics[k] == v[-1] for k, v in history.items() if k.endswith(("_loss", "_accuracy")))
    assert metrics["training_seconds"] == pytest.approx(history["seconds"].sum())
    logits, labels = predictions["logits"], predictions["labels"]
    assert len(labels) == metrics["test_images"] == len(set(predictions["indices"]))
    assert accuracy_score(labels, logits.argmax(1)) == pytest.approx(metrics["test_accuracy"], abs=1e-12)
    assert log_loss(labels, softmax(logits), labels=range(10)) == pytest.approx(metrics["test_loss"], rel=1e-6)


def test_the_error_page_shows_what_scikit_learn_makes_of_the_predictions(predictions: dict[str, np.ndarray]) -> None:
    labels, answers = predictions["labels"], predictions["logits"].argmax(1)
    right = int(accuracy_score(labels, answers, normalize=False))
    shown = glued("error_analysis")
    assert shown["n_errors"] == f"{len(labels) - right:,}" and shown["n_images_tested"] == f"{len(labels):,}"
    assert shown["accuracy_percent"] == pytest.approx(100 * right / len(labels))
    assert shown["macro_f1"] == pytest.approx(100 * f1_score(labels, answers, average="macro"))
    assert shown["n_errors"] == glued("training")["errors"]


def test_the_error_page_shows_how_many_errors_other_seeds_make_too(predictions: dict[str, np.ndarray]) -> None:
    labels, answers = predictions["labels"], predictions["logits"].argmax(1)
    others = [io.read_arrays(found) for found in sorted(REFERENCE.glob("seed-*/predictions.npz"))]
    assert others and all(np.array_equal(other["indices"], predictions["indices"]) for other in others)
    wrong = np.array([other["logits"].argmax(1) != labels for other in others])
    told = re.findall(r"[\d.]+ %", glued("error_analysis")["again_words"])
    assert told[0] == f"{100 * wrong[:, answers != labels].mean():.0f} %" and f"{100 * wrong.mean():.1f} %" in told


def test_ten_errors_are_shown_and_explained() -> None:
    assert glued("error_analysis")["shown"] == 10 and glued("gradcam")["cam_images"] == 10


def test_the_range_test_page_shows_the_recorded_range_test() -> None:
    record, shown = io.read_json(REFERENCE / "lr_find.json"), glued("lr_finder")
    curve = io.read_table(REFERENCE / "lr_find.csv")
    assert record["result"]["suggestions"] == lr_rules.suggestions(curve["lr"], curve["loss"])
    assert shown["onset"] == f"{record['result']['suggestions']['divergence onset']:.3g}"
    assert shown["steps"] == len(curve["lr"])


def test_the_published_run_is_of_the_chapters_recipe_on_real_photographs() -> None:
    publish.require_defaults(run_folder.RunFolder(REFERENCE))
    assert io.read_json(REFERENCE / "run.json")["parameters"]["dataset"] == "cifar10"
    assert not [text for name in CHAPTERS for text in reading.texts(path(name)) if "Not CIFAR-10" in text]

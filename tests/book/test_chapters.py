"""The chapters in `book/`: written as they should be and, once published, executed and true to the recorded run."""

import ast
import json
import re
import statistics
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import papermill
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss

from gradcam_report.analysis.predictions import softmax
from gradcam_report.config import CHAPTERS, PUBLISHED, parse_params
from gradcam_report.execution import publish
from gradcam_report.execution.parameters import parameters_for
from gradcam_report.runs import folder as run_folder
from gradcam_report.runs import io
from gradcam_report.training import lr_range_test

TOP = Path(__file__).parents[2]
BOOK, REFERENCE = TOP / "book", TOP / PUBLISHED
chapters = pytest.mark.parametrize("name", CHAPTERS)
MACHINE_PATH = re.compile(r"(?<![\w.:/-])(/(home|root|tmp|var|mnt|opt|work|Users)/|[A-Z]:\\)")


def cells(name: str) -> list[nbformat.NotebookNode]:
    return nbformat.read(BOOK / f"{name}.ipynb", as_version=4).cells


def code(name: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in cells(name) if cell.cell_type == "code"]


def tagged(name: str, tag: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in cells(name) if tag in cell.metadata.get("tags", [])]


def texts(cell: nbformat.NotebookNode) -> list[str]:
    """All that a cell wrote, except pictures."""
    found = []
    for output in cell.get("outputs", []):
        found += [output.get("text", ""), output.get("evalue", "")]
        found += [str(data) for kind, data in output.get("data", {}).items() if not kind.startswith("image/")]
    return found


def draws(cell: nbformat.NotebookNode) -> bool:
    """Whether a code cell ends in a figure: by its source, or by what it left."""
    drawn = any("image/png" in output.get("data", {}) for output in cell.outputs)
    return drawn or re.search(r"^plots\.(?!use_style)", cell.source, re.MULTILINE) is not None


def glued(name: str) -> dict[str, Any]:
    """What a chapter recorded for the prose, as the values that it had."""
    key = "application/papermill.record/text/plain"
    outputs = [o for cell in code(name) for o in cell.outputs if "scrapbook" in o.get("metadata", {})]
    return {o.metadata.scrapbook.name: ast.literal_eval(o.data[key]) for o in outputs}


def fields(name: str) -> list[tuple[str, str, Any]]:
    """(name, annotation, default) of every parameter that a chapter's concerns have, in order."""
    lists = {"indices": "list[int]", "layers": "list[str]"}
    return [(n, lists.get(n, type(v).__name__), v) for n, v in parse_params(name, {}).flat().items()]


def test_every_chapter_is_there_and_no_other_notebook() -> None:
    assert {path.stem for path in BOOK.glob("*.ipynb")} == set(CHAPTERS)


# As written


@chapters
def test_the_first_code_cell_holds_exactly_the_chapters_parameters(name: str) -> None:
    (cell,) = tagged(name, "parameters")
    assert cell == code(name)[0]
    statements = ast.parse(cell.source).body
    assert all(isinstance(s, ast.AnnAssign) for s in statements)
    stated = [(ast.unparse(s.target), ast.unparse(s.annotation), ast.literal_eval(s.value)) for s in statements]
    assert stated == fields(name)
    assert [type(value) for *_, value in stated] == [type(default) for *_, default in fields(name)]
    assert len(cell.source.splitlines()) == len(stated), "one parameter a line, each with its comment"


@chapters
def test_papermill_shows_type_default_and_help_of_each_parameter(name: str) -> None:
    shown = papermill.inspect_notebook(str(BOOK / f"{name}.ipynb"))
    assert [(n, p["inferred_type_name"]) for n, p in shown.items()] == [(n, kind) for n, kind, _ in fields(name)]
    for (parameter, _, default), p in zip(fields(name), shown.values(), strict=True):
        assert ast.literal_eval(p["default"]) == default and len(p["help"]) >= 10, parameter


@chapters
def test_parameters_are_checked_before_any_other_variable_is_assigned(name: str) -> None:
    _, begin, *_ = code(name)
    assignments = [s for s in ast.parse(begin.source).body if isinstance(s, ast.Assign)]
    assert ast.unparse(assignments[0]) == f"params = notebook.begin('{name}', globals())"


@chapters
def test_every_figure_has_a_name_a_caption_and_a_description(name: str) -> None:
    drawing = [cell for cell in code(name) if draws(cell)]
    assert drawing
    for cell in drawing:
        settings = cell.metadata.mystnb
        assert settings.figure.name.startswith("fig-") and len(settings.figure.caption) >= 20
        assert len(settings.image.alt) >= 40 and settings.image.alt != settings.figure.caption


@chapters
def test_only_cells_that_draw_are_set_as_figures(name: str) -> None:
    assert all(draws(cell) for cell in code(name) if "mystnb" in cell.metadata)


def test_figure_names_are_unique_in_the_book() -> None:
    names = [c.metadata.mystnb.figure.name for name in CHAPTERS for c in code(name) if "mystnb" in c.metadata]
    pages = "".join(path.read_text(encoding="utf-8") for path in BOOK.glob("*.md"))
    names += re.findall(r"^:name: (fig-\S+)", pages, re.MULTILINE)
    assert sorted(names) == sorted(set(names))


@chapters
def test_code_cells_are_short(name: str) -> None:
    assert [c.source for c in code(name) if len(c.source.splitlines()) > 25] == []


@chapters
def test_a_chapter_opens_with_its_title_and_has_prose_between_its_cells(name: str) -> None:
    first, *_ = cells(name)
    assert first.cell_type == "markdown" and first.source.startswith("# ")
    assert sum(cell.cell_type == "markdown" for cell in cells(name)) >= 3


@chapters
def test_cells_have_distinct_ids(name: str) -> None:
    path = BOOK / f"{name}.ipynb"
    nbformat.validate(nbformat.read(path, as_version=4))
    ids = [cell["id"] for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    assert len(ids) == len(set(ids))


@chapters
def test_nothing_written_tells_of_a_machine_or_a_warning(name: str) -> None:
    for cell in cells(name):
        for text in [cell.source, *texts(cell)]:
            assert not MACHINE_PATH.search(text) and str(TOP) not in text and str(Path.home()) not in text
        assert not [text for text in texts(cell) if "Warning" in text]
    metadata = json.dumps(nbformat.read(BOOK / f"{name}.ipynb", as_version=4).metadata)
    assert not MACHINE_PATH.search(metadata.replace('"', " "))


def test_what_counts_as_a_machines_path() -> None:
    assert MACHINE_PATH.search("saved in /home/me/run") and MACHINE_PATH.search("'C:\\data'")
    assert not MACHINE_PATH.search("https://arxiv.org/home/x book/tmp/x `runs/work/x` and/or")


@chapters
def test_no_parameters_of_an_earlier_execution_are_left(name: str) -> None:
    assert not tagged(name, "injected-parameters")


@chapters
def test_a_chapter_is_small_enough_to_be_committed(name: str) -> None:
    assert (BOOK / f"{name}.ipynb").stat().st_size < 2_500_000


# As executed


@chapters
def test_executed_once_from_top_to_bottom_without_error(name: str) -> None:
    cells = code(name)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert {cell.metadata.papermill.status for cell in cells} == {"completed"}
    assert not [o for cell in cells for o in cell.outputs if o.output_type == "error"]
    record = nbformat.read(BOOK / f"{name}.ipynb", as_version=4).metadata.papermill
    assert record.exception is None and record.duration > 0 and not record.parameters


@chapters
def test_every_figure_was_drawn(name: str) -> None:
    for cell in code(name):
        assert draws(cell) == any("image/png" in o.get("data", {}) for o in cell.outputs), cell.source


def test_the_pages_name_only_numbers_that_are_recorded_and_can_be_formatted() -> None:
    from myst_nb.core.variables import format_plain_text

    for page in (*BOOK.glob("*.md"), *BOOK.glob("*.ipynb")):
        prose = page.read_text(encoding="utf-8")
        if page.suffix == ".ipynb":
            prose = "\n".join(c.source for c in cells(page.stem) if c.cell_type == "markdown")
        for where, key, form in re.findall(r"\{glue:text\}`(?:(\w+)\.ipynb::)?(\w+)(?::([^`]*))?`", prose):
            assert format_plain_text(repr(glued(where or page.stem)[key]), form), (page.name, key)


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
    assert shown["parameters"] == "11,173,962"
    for key in ("dataset", "epochs", "seed", "max_lr"):
        assert shown[key] == record["parameters"][key]
    assert shown["compute"] == record["provenance"]["compute"]
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
    assert shown["seeds_words"] == (f"mean ± sd of {len(seeds)} seeds" if len(seeds) > 1 else "one seed")


def test_the_published_training_stands_where_the_page_says_it_does(metrics: dict[str, Any]) -> None:
    (words,) = (cell.source for cell in cells("training") if "name: tab-others" in cell.source)
    assert "The published training stands between the two, after fewer epochs than either." in words
    theirs = dict(re.findall(r"- (26|80)\n  - (\d\d\.\d) %", words))
    seeds = [metrics, *map(io.read_json, REFERENCE.glob("seed-*/metrics.json"))]
    mean = statistics.mean(seed["test_accuracy"] for seed in seeds)
    assert float(theirs["26"]) < 100 * mean < float(theirs["80"]) and metrics["epochs"] < 26


def test_the_metrics_are_the_histories_last_row(metrics: dict[str, Any]) -> None:
    history = io.read_table(REFERENCE / "history.csv")
    assert history["epoch"].tolist() == list(range(1, metrics["epochs"] + 1))
    for column, values in history.items():
        if column.endswith(("_loss", "_accuracy")):
            assert metrics[column] == values[-1]
    assert metrics["training_seconds"] == pytest.approx(history["seconds"].sum())


def test_the_metrics_are_what_scikit_learn_makes_of_the_predictions(
    metrics: dict[str, Any], predictions: dict[str, np.ndarray]
) -> None:
    logits, labels = predictions["logits"], predictions["labels"]
    assert len(labels) == metrics["test_images"] and len(set(predictions["indices"])) == len(labels)
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


def test_the_error_page_tells_which_errors_other_seeds_make_again(predictions: dict[str, np.ndarray]) -> None:
    labels, answers = predictions["labels"], predictions["logits"].argmax(1)
    others = [io.read_arrays(path) for path in sorted(REFERENCE.glob("seed-*/predictions.npz"))]
    shown = glued("error_analysis")
    if not others:
        assert "No other network" in shown["again_words"]
        return
    for other in others:
        np.testing.assert_array_equal(other["indices"], predictions["indices"])
    wrong = np.array([other["logits"].argmax(1) != labels for other in others])
    assert (
        f"Of these errors {100 * wrong[:, answers != labels].mean():.0f} % are also made by seed"
        in shown["again_words"]
    )
    assert f"of all images {100 * wrong.mean():.1f} % are wrong there" in shown["again_words"]


def test_ten_errors_are_shown_and_explained() -> None:
    layers = parameters_for("gradcam", {})["layers"]
    assert glued("error_analysis")["shown"] == 10
    assert glued("gradcam")["cam_maps"] == 10 * 2 * len(layers)


def test_the_range_test_page_shows_the_recorded_range_test() -> None:
    record, shown = io.read_json(REFERENCE / "lr_find.json"), glued("lr_finder")
    curve = io.read_table(REFERENCE / "lr_find.csv")
    assert record["result"]["suggestions"] == lr_range_test.suggestions(curve["lr"], curve["loss"])
    onset = record["result"]["suggestions"]["divergence onset"]
    assert shown["onset"] == f"{onset:.3g}"
    assert shown["steps"] == len(curve["lr"])


def test_the_published_run_is_of_the_chapters_recipe_on_real_photographs() -> None:
    publish.require_defaults(run_folder.RunFolder(REFERENCE))
    assert io.read_json(REFERENCE / "run.json")["parameters"]["dataset"] == "cifar10"
    assert not [text for name in CHAPTERS for cell in code(name) for text in texts(cell) if "Not CIFAR-10" in text]

"""The whole way on synthetic images, as a user types it: every chapter, the site, a stored run shown again."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import links
import matplotlib
import pytest
import reading

from gradcam_report.config import CHAPTERS, PUBLISHED, PUBLISHED_SWEEP, FaithfulnessConfig, ReportError
from gradcam_report.data import datasets
from gradcam_report.faithfulness import shapes_model

TOP = Path(__file__).parents[2]
# The smallest sizes that still fill every figure and table.
TRAINING = {"dataset": "shapes", "train_size": 32, "test_size": 40, "batch_size": 16, "epochs": 1, "max_lr": 0.05}
OTHERS = {"iterations": 10, "score_cam": "false", "contrast": 1}
TRIALS = {"photographs": 10, "drawings": 40, "steps": 2, "draws": 100, "score_cam_on": "nowhere"}
SHAPES_MODEL = {"probe_epochs": 1, "probe_dir": "runs/probe"}


def run_command(top: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One of the environment's commands in the project `top`, without CIFAR-10 and without network."""
    offline = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    environment = {k: v for k, v in os.environ.items() if k != "CIFAR10_ROOT"} | offline
    program = Path(sys.executable).with_name(command)
    return subprocess.run([program, *arguments], cwd=top, env=environment, capture_output=True, text=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's tree without its code, which is installed, and with a published run that must stay as it is."""
    top = tmp_path_factory.mktemp("project").resolve()
    shutil.copytree(TOP / "book", top / "book", symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(TOP / PUBLISHED_SWEEP, top / PUBLISHED_SWEEP)
    for path in (TOP / name for name in ("_config.yml", "_toc.yml", "pyproject.toml")):
        shutil.copy(path, top)
    (top / "benchmarks").mkdir()
    for path in (TOP / "benchmarks").glob("*.json"):
        shutil.copy(path, top / "benchmarks")
    (top / PUBLISHED).mkdir(parents=True)
    (top / PUBLISHED / "kept.txt").write_text("published")
    with pytest.MonkeyPatch.context() as patch:  # a shapes model that has seen a tenth of the images
        patch.chdir(top)
        patch.setattr(datasets, "SHAPES_TRAIN", 1000)
        patch.setattr(datasets, "SHAPES_TEST", 100)
        shapes_model.train_or_load(FaithfulnessConfig.model_validate(SHAPES_MODEL), PUBLISHED, "auto")
    return top


@pytest.fixture(scope="module")
def run(copy: Path) -> Path:
    """The run folder of a tiny run of all chapters with its site."""
    before = contents(copy)
    given = [
        word
        for name, value in (TRAINING | OTHERS | TRIALS | SHAPES_MODEL).items()
        for word in ("-p", f"{name}={value}")
    ]
    done = run_command(copy, "gradcam-report", "run", "--run-dir", "runs/tiny", *given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Open {copy / 'runs/tiny/_build/html/index.html'}" in done.stdout
    after = {k: v for k, v in contents(copy).items() if not k.startswith("runs/tiny/") and "__pycache__" not in k}
    assert after == before, "a run writes nothing outside its folder"
    return copy / "runs" / "tiny"


@pytest.mark.slow
def test_every_chapter_is_executed_and_the_site_shows_the_runs_own_numbers(run: Path) -> None:
    for name in CHAPTERS:
        reading.assert_completed(run / "book" / f"{name}.ipynb")
    assert {path.stem for path in (run / "book").glob("*.ipynb")} == set(CHAPTERS), "nothing is left behind"
    html = run / "_build" / "html"
    assert links.broken(html) == []
    pages = {path.stem: path.read_text(encoding="utf-8") for path in html.glob("*.html")}
    for name in (*CHAPTERS, "index", "model_card"):
        announcement = re.search(r"announcement__content\">([^<]*)<", pages[name])
        assert announcement and "runs/tiny" in announcement[1] and "not CIFAR-10" in announcement[1], name
    for name in ("data", "lr_finder", "training", "error_analysis", "gradcam", "faithfulness", "benchmarks"):
        assert "Not CIFAR-10." in pages[name]
    metrics = json.loads((run / "metrics.json").read_text())
    front, card = (set(re.findall(r'class="pasted-text">([^<]*)<', pages[name])) for name in ("index", "model_card"))
    assert {f"{100 * metrics['test_accuracy']:.2f}", "11,173,962", "shapes"} <= front
    ways = ("clean_train_accuracy", "test_accuracy", "test_accuracy_flip", "test_accuracy_crops")
    assert {*(f"{100 * metrics[way]:.2f}" for way in ways), f"{metrics['test_loss']:.4f}"} <= card
    assert f"{100 * metrics['train_accuracy']:.2f}" in pages["training"]


@pytest.mark.slow
def test_papermill_as_a_user_types_it_shows_the_stored_training(run: Path, copy: Path) -> None:
    files = ("run.json", "metrics.json", "model.safetensors", "checkpoint.safetensors")
    before = {name: (run / name).stat().st_mtime_ns for name in files}
    given = [word for name, value in TRAINING.items() for word in ("-p", name, str(value))]
    done = run_command(copy, "papermill", "book/training.ipynb", "out.ipynb", *given, "-p", "run_dir", "runs/tiny")
    assert done.returncode == 0, done.stderr
    assert {name: (run / name).stat().st_mtime_ns for name in files} == before
    assert reading.glued(copy / "out.ipynb") == reading.glued(run / "book" / "training.ipynb")


@pytest.mark.slow
def test_one_chapter_alone_needs_only_what_changes(run: Path, copy: Path) -> None:
    options = "--run-dir runs/tiny --only gradcam -p selection=stratified -p n_images=3 -p layers=[layer4] --no-site"
    done = run_command(copy, "gradcam-report", "run", *options.split(), "-p", "score_cam=false")
    assert done.returncode == 0, done.stderr
    assert reading.glued(run / "book" / "gradcam.ipynb")["cam_images"] == 3


@pytest.mark.slow
def test_papermill_ends_with_one_clear_sentence(copy: Path) -> None:
    done = run_command(copy, "papermill", "book/training.ipynb", "refused.ipynb", "-p", "epohcs", "1")
    assert done.returncode != 0
    *_, last = [line for line in done.stderr.splitlines() if line.strip()]
    assert last == "ReportError: The chapter training has no parameter 'epohcs'; did you mean epochs?"


@pytest.mark.parametrize(
    ("chapter", "given", "sentence"),
    [
        ("gradcam", {}, "runs/x holds no run.json; run the chapter training with -p run_dir runs/x"),
        ("error_analysis", {}, "runs/x holds no run.json; run the chapter training"),
        (
            "training",
            {"dataset": "shapes", "train_size": 32, "test_size": 32, "max_lr": 0},
            "run the chapter lr_finder",
        ),
    ],
)
def test_a_chapter_without_its_inputs_names_the_chapter_to_run(
    project: Path, chapter: str, given: dict[str, Any], sentence: str
) -> None:
    first, *others = [cell.source for cell in reading.cells(TOP / "book" / f"{chapter}.ipynb")[:3]]
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(first, namespace)
    namespace |= given | {"run_dir": "runs/x"}
    with pytest.raises(ReportError, match=sentence), matplotlib.rc_context():
        for source in others:
            exec(source, namespace)
    assert not (project / "runs").exists() or not list((project / "runs").rglob("*.json"))

"""The whole way on drawn shapes, as a user types it: every chapter, the site, and what is refused."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import links
import matplotlib
import nbformat
import pytest
import torch
import yaml

from gradcam_report.config import CHAPTERS, PUBLISHED, PUBLISHED_SWEEP, ReportError
from gradcam_report.runs import folder as run_folder
from gradcam_report.runs import io as files

TOP = Path(__file__).parents[2]
TINY = ["dataset=shapes", "train_size=128", "test_size=64", "batch_size=32", "iterations=20", "epochs=1"]
TINY += ["score_cam=false", "photographs=10", "drawings=20", "steps=2", "probe_epochs=1", "score_cam_on=nowhere"]
OFFLINE = {"https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}


def run_command(top: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One of the environment's commands in the project `top`, without CIFAR-10 and without network."""
    environment = {k: v for k, v in os.environ.items() if k != "CIFAR10_ROOT"} | OFFLINE
    program = Path(sys.executable).with_name(command)
    return subprocess.run([program, *arguments], cwd=top, env=environment, capture_output=True, text=True)


def with_p(assignments: list[str]) -> list[str]:
    return [word for pair in assignments for word in ("-p", pair)]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def glued(path: Path) -> dict[str, Any]:
    key = "application/papermill.record/text/plain"
    outputs = [o for c in nbformat.read(path, as_version=4).cells for o in c.get("outputs", [])]
    found = [o for o in outputs if "scrapbook" in o.get("metadata", {})]
    return {o.metadata.scrapbook.name: ast.literal_eval(o.data[key]) for o in found}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's tree without its code, which is installed, and with a published run that must stay as it is."""
    top = tmp_path_factory.mktemp("project").resolve()
    shutil.copytree(TOP / "book", top / "book", symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(TOP / "params", top / "params")
    for name in ("_config.yml", "_toc.yml", "pyproject.toml"):
        shutil.copy(TOP / name, top)
    (top / "benchmarks").mkdir()
    for path in (TOP / "benchmarks").glob("*.json"):
        shutil.copy(path, top / "benchmarks")
    shutil.copytree(TOP / PUBLISHED_SWEEP, top / PUBLISHED_SWEEP)
    (top / PUBLISHED).mkdir(parents=True)
    (top / PUBLISHED / "kept.txt").write_text("published")
    return top


@pytest.fixture(scope="module")
def whole(copy: Path) -> Path:
    """The run folder of a tiny run of all chapters with its site."""
    before = contents(copy)
    done = run_command(copy, "gradcam-report", "run", "--run-dir", "runs/tiny", *with_p(TINY))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Open {copy / 'runs/tiny/_build/html/index.html'}" in done.stdout
    after = {k: v for k, v in contents(copy).items() if not k.startswith("runs/tiny/") and "__pycache__" not in k}
    assert after == before, "a run writes nothing outside its folder"
    return copy / "runs" / "tiny"


@pytest.fixture(scope="module")
def pages(whole: Path) -> dict[str, str]:
    html = whole / "_build" / "html"
    return {path.stem: path.read_text(encoding="utf-8") for path in html.glob("*.html")}


@pytest.mark.slow
def test_every_chapter_was_executed_without_error(whole: Path) -> None:
    for name in CHAPTERS:
        notebook = nbformat.read(whole / "book" / f"{name}.ipynb", as_version=4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert {cell.metadata.papermill.status for cell in code} == {"completed"}
        assert not [o for cell in code for o in cell.outputs if o.output_type == "error"]
    assert not list((whole / "book").glob("*.failed.ipynb")) + list((whole / "book").glob("*.source.ipynb"))


@pytest.mark.slow
def test_every_page_is_there_and_says_that_it_is_about_drawn_shapes(pages: dict[str, str]) -> None:
    toc = yaml.safe_load((TOP / "_toc.yml").read_text())
    assert {toc["root"], *(chapter["file"] for chapter in toc["chapters"])} <= set(pages)
    for name, page in pages.items():
        announcement = re.search(r"announcement__content\">([^<]*)<", page)
        assert announcement and "runs/tiny on the embedded drawn shapes, not CIFAR-10" in announcement[1], name
    for name in ("data", "lr_finder", "training", "error_analysis", "gradcam", "faithfulness", "benchmarks"):
        assert "<strong>Not CIFAR-10.</strong>" in pages[name]


@pytest.mark.slow
def test_the_front_page_shows_the_runs_numbers(whole: Path, pages: dict[str, str]) -> None:
    metrics = json.loads((whole / "metrics.json").read_text())
    shown = re.findall(r'class="pasted-text">([^<]*)<', pages["index"])
    expected = [f"{100 * metrics[k]:.2f}" for k in ("clean_train_accuracy", "train_accuracy")]
    ways = ("test_accuracy", "test_accuracy_flip", "test_accuracy_crops")
    expected += ["one seed", *(f"{100 * metrics[k]:.2f}" for k in ways)]
    expected += [f"{metrics['test_loss']:.4f}", f"{metrics['max_lr']:.3g}", "11,173,962", "shapes", "128", "1"]
    assert set(expected) <= set(shown)


@pytest.mark.slow
def test_every_picture_and_link_within_the_site_leads_somewhere(whole: Path, pages: dict[str, str]) -> None:
    html = whole / "_build" / "html"
    drawn = [(name, src) for name, page in pages.items() for src in re.findall(r'<img[^>]*\ssrc="([^"]+)"', page)]
    assert len({src for _, src in drawn if src.startswith("_images/")}) > 10
    assert links.broken(html) == []


@pytest.mark.slow
def test_a_second_run_shows_the_stored_training(whole: Path, copy: Path) -> None:
    files = ("lr_find.json", "run.json", "metrics.json", "model.safetensors", "checkpoint.safetensors")
    before = {name: (whole / name).stat().st_mtime_ns for name in files}
    shown = glued(whole / "book" / "training.ipynb")
    done = run_command(
        copy, "gradcam-report", "run", "--run-dir", "runs/tiny", *with_p(TINY), "--only", "training", "--no-site"
    )
    assert done.returncode == 0, done.stderr
    assert {name: (whole / name).stat().st_mtime_ns for name in files} == before
    assert glued(whole / "book" / "training.ipynb") == shown


@pytest.mark.slow
def test_one_chapter_alone_needs_only_what_changes(whole: Path, copy: Path) -> None:
    options = "--run-dir runs/tiny --only gradcam -p selection=stratified -p n_images=3 -p layers=[layer4] --no-site"
    done = run_command(copy, "gradcam-report", "run", *options.split())
    assert done.returncode == 0, done.stderr
    shown = glued(whole / "book" / "gradcam.ipynb")
    assert shown["cam_maps"] == 6


@pytest.mark.slow
def test_papermill_as_a_user_types_it(copy: Path) -> None:
    words = "-p epochs 1 -p train_size 64 -p test_size 50 -p dataset shapes -p max_lr 1e-2 -p run_dir runs/typed"
    done = run_command(copy, "papermill", "book/training.ipynb", "out.ipynb", *words.split())
    assert done.returncode == 0, done.stderr
    assert files.read_json(copy / "runs/typed/run.json")["parameters"]["max_lr"] == 0.01
    assert glued(copy / "out.ipynb")["test_images"] == "50"


@pytest.mark.slow
def test_papermill_ends_with_one_clear_sentence(copy: Path) -> None:
    done = run_command(copy, "papermill", "book/training.ipynb", "refused.ipynb", "-p", "epohcs", "1")
    assert done.returncode != 0
    *_, last = [line for line in done.stderr.splitlines() if line.strip()]
    assert last == "ReportError: The chapter training has no parameter 'epohcs'; did you mean epochs?"


# What is refused. The chapters' first cells run here, in this process, as papermill would run them.


@pytest.fixture
def style() -> Iterator[None]:
    with matplotlib.rc_context():
        yield


def refusal(chapter: str, given: dict[str, Any]) -> str:
    """The sentence with which a chapter stops in one of its first three code cells."""
    notebook = nbformat.read(TOP / "book" / f"{chapter}.ipynb", as_version=4)
    first, *others = [cell.source for cell in notebook.cells if cell.cell_type == "code"][:3]
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(first, namespace)
    namespace |= given
    with pytest.raises(ReportError) as caught:
        for source in others:
            exec(source, namespace)
    sentence = str(caught.value)
    assert sentence.endswith((".", "?")) and "\n" not in sentence
    return sentence


SHAPES = {"dataset": "shapes", "train_size": 32, "test_size": 32, "run_dir": "runs/x"}


@pytest.mark.parametrize(
    ("chapter", "given", "sentence"),
    [
        ("training", {"epohcs": 1}, "no parameter 'epohcs'; did you mean epochs?"),
        ("gradcam", {"layer": "layer4"}, "no parameter 'layer'; did you mean layers?"),
        ("training", {"epochs": "ten"}, "epochs is 'ten', which is str; it must be a whole number."),
        ("training", {"force": "maybe"}, "force is 'maybe', which is str; it must be True or False."),
        ("gradcam", {"layers": "layer4"}, "layers is 'layer4', which is not a list"),
        ("gradcam", {"layers": '["layer5"]'}, "layers is 'layer5'; choose one of 'layer1'"),
        ("error_analysis", {"n_images": 0}, "n_images is 0; it must be at least 1."),
        ("error_analysis", {"indices": "[3]", "selection": "first"}, "leave out one of them."),
        ("data", {"cutout": 40}, "cutout is 40; it must be at most 31."),
        ("lr_finder", {"start_lr": 1.0, "end_lr": 0.1}, "start_lr must be the smaller one."),
        ("gradcam", {"run_dir": "runs/x"}, "runs/x holds no run.json; run the chapter training with -p run_dir runs/x"),
        ("error_analysis", {"run_dir": "runs/x"}, "runs/x holds no run.json; run the chapter training"),
        (
            "training",
            SHAPES | {"max_lr": 0},
            "runs/x holds no range test that found an onset; run the chapter lr_finder",
        ),
    ],
)
def test_bad_parameters_and_missing_results_stop_a_chapter(
    project: Path, style: None, chapter: str, given: dict[str, Any], sentence: str
) -> None:
    assert sentence in refusal(chapter, given)
    assert not (project / "runs").exists() or not list((project / "runs").rglob("*.json"))


@pytest.mark.parametrize("chapter", ["data", "lr_finder", "training"])
def test_a_missing_data_set_is_told_with_both_ways_out(
    project: Path, style: None, monkeypatch: pytest.MonkeyPatch, chapter: str
) -> None:
    for name, proxy in OFFLINE.items():
        monkeypatch.setenv(name, proxy)
    (project / "images").mkdir()
    more = {"max_lr": 0.1} if chapter == "training" else {}
    sentence = refusal(chapter, {"data_root": "images"} | more)
    assert sentence.startswith(f"CIFAR-10 is not in {project / 'images'} and could not be downloaded")
    assert "set data_root" in sentence and "-p dataset shapes" in sentence


@pytest.mark.parametrize(("chapter", "stage"), [("lr_finder", "lr_find"), ("training", "run")])
def test_a_run_folder_of_another_recipe_is_neither_shown_nor_overwritten(
    project: Path, style: None, chapter: str, stage: str
) -> None:
    record = {"parameters": {"batch_size": 64}, "result": {"suggestions": {}}, "provenance": {}}
    path = run_folder.RunFolder("runs/x") / f"{stage}.json"
    files.write_json(path, record)
    sentence = refusal(chapter, SHAPES | ({"max_lr": 0.1} if chapter == "training" else {}))
    assert sentence.startswith("runs/x holds a run of another recipe") and "-p force True" in sentence
    assert files.read_json(path) == record


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("chapter", ["lr_finder", "training"])
def test_cuda_where_there_is_none_is_refused(project: Path, style: None, chapter: str) -> None:
    more = {"max_lr": 0.1} if chapter == "training" else {}
    sentence = refusal(chapter, SHAPES | more | {"device": "cuda"})
    assert sentence.startswith("device is 'cuda', but PyTorch finds none") and "choose auto or cpu" in sentence

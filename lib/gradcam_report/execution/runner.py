"""The chapters through papermill: one of them, or a whole run and its site."""

import logging
import os
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import nbformat

from ..config import CHAPTERS, ReportError, project_root, user_path
from ..formatting import PROGRESS, duration
from ..runs.folder import RunFolder
from ..runs.io import write_atomic
from ..runs.lock import FolderInUse
from . import site
from .parameters import check_names, parameters_for

SITE_SECONDS = 25.0  # of the machine that `expected_seconds` is about


class Refused(ReportError):
    """A chapter raised a `ReportError`: the same parameters would stop it again, unless the error is `retryable`.

    Another process in the run folder is retryable: it ends some time.
    """

    def __init__(self, sentence: str, retryable: bool = False) -> None:
        super().__init__(sentence)
        self.retryable = retryable


def source_of(chapter: str, checkout: Path | None = None) -> Path:
    """The chapter's notebook in a checkout (default: this one); raises `ReportError` when it is missing."""
    source = (checkout or project_root()) / "book" / f"{chapter}.ipynb"
    if not source.is_file():
        raise ReportError(f"{source} is missing; work from the top of a checkout that holds it.")
    return source


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The chapter as it was written: no outputs, no injected parameters, no record of an execution."""
    notebook.metadata.pop("papermill", None)
    notebook.cells = [c for c in notebook.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def execute(chapter: str, out: Path, parameters: Mapping[str, Any], checkout: Path | None = None) -> float:
    """Execute a chapter with papermill from its clean source and write it to `out`; returns seconds.

    The chapter runs with this command's own Python in the working directory; with `checkout`, that checkout's chapter
    runs in its top folder. `parameters` that differ from the chapter's defaults are injected. A chapter that fails is
    written beside `out` as `<name>.failed.ipynb` and raises `Refused`, or another `ReportError`, with its last line;
    `out` keeps what it held.
    """
    source, defaults = source_of(chapter, checkout), parameters_for(chapter, {})
    changed = {name: value for name, value in parameters.items() if value != defaults[name]}
    out.parent.mkdir(parents=True, exist_ok=True)
    prepared, done = out.with_suffix(".source.ipynb"), out.with_suffix(".failed.ipynb")
    nbformat.write(clean(nbformat.read(source, as_version=4)), prepared)
    os.environ[PROGRESS] = "bar" if sys.stderr.isatty() else "lines"
    started = time.perf_counter()
    try:
        _run_papermill(chapter, prepared, done, changed, checkout)
    finally:
        prepared.unlink(missing_ok=True)
        os.environ.pop(PROGRESS, None)
    notebook = nbformat.read(done, as_version=4)
    notebook.metadata.papermill.update(input_path=f"book/{chapter}.ipynb", output_path=f"book/{chapter}.ipynb")
    write_atomic(out, nbformat.writes(notebook).encode() + b"\n")
    done.unlink()
    return time.perf_counter() - started


def _run_papermill(chapter: str, source: Path, done: Path, changed: Mapping[str, Any], cwd: Path | None) -> None:
    """Execute the notebook `source` with this Python's kernel, write it to `done`, and turn failures into sentences."""
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from .kernel import ThisPython

    for logger in ("papermill", "asyncio"):  # what they log of an error is in the exception too
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    try:
        papermill.execute_notebook(
            str(source),
            str(done),
            changed,
            kernel_name="python3",
            kernel_manager_class=ThisPython,
            progress_bar=False,
            cwd=str(cwd) if cwd else None,
            stderr_file=sys.stderr,  # the progress of long steps
            coalesce_streams=True,
            extra_arguments=["--IPKernelApp.log_level=50"],  # a local kernel's own log helps nobody, least at Ctrl-C
        )
    except PapermillExecutionError as error:
        raise _stopped(chapter, done, error) from None
    except DeadKernelError:
        raise ReportError(
            f"The chapter {chapter} was killed (see {done}), most likely for want of memory; use a smaller batch_size."
        ) from None


def _stopped(chapter: str, done: Path, error: Any) -> ReportError:
    """The error for a chapter that raised one; of a `ReportError` the kernel sends a traceback of one line."""
    where = f"The chapter {chapter} stopped (see {done})"
    if len(error.traceback) == 1:
        return Refused(f"{where}: {error.evalue}", retryable=error.ename == FolderInUse.__name__)
    return ReportError(f"{where}: {error.ename}: {error.evalue}")


def choose_chapters(first: str | None, only: str | None) -> list[str]:
    """The chapters from `first` on, or `only` one, or all."""
    names = list(CHAPTERS)
    return [only] if only else names[names.index(first or names[0]) :]


def run_all(
    values: Mapping[str, Any], run_dir: str, chapters: Iterable[str] = tuple(CHAPTERS), build_site: bool = True
) -> Path | None:
    """Execute `chapters` with `values` into `run_dir`, then build a site from them; returns its index page.

    Every parameter is checked before the first chapter starts. Prints a line per chapter with the time left.
    """
    check_names(values)
    full = {chapter: parameters_for(chapter, dict(values, run_dir=run_dir)) for chapter in chapters}
    folder = RunFolder(user_path(run_dir))
    if folder.published or (folder / "book").resolve() == (project_root() / "book").resolve():
        raise ReportError(f"run_dir is {run_dir!r}, the published report, which a rerun never writes; use runs/<name>.")
    for chapter in full:
        source_of(chapter)
    if build_site and (missing := _missing(folder, full)):
        print(f"No site will be built: {folder.name} does not hold the chapters {', '.join(missing)} yet.", flush=True)
        build_site = False
    folder.prepare()
    on_data = [parameters for parameters in full.values() if "dataset" in parameters]
    dataset = choose_dataset(values) if on_data else ""
    for parameters in on_data:
        parameters["dataset"] = dataset
    _execute_all(folder, full, SITE_SECONDS if build_site else 0.0)
    return site.build_run(folder) if build_site else None


def _missing(folder: RunFolder, chapters: Iterable[str]) -> list[str]:
    """The chapters that the folder will not hold once `chapters` are executed into it."""
    return [c for c in CHAPTERS if c not in chapters and not (folder / "book" / f"{c}.ipynb").exists()]


def _execute_all(folder: RunFolder, full: Mapping[str, Mapping[str, Any]], afterwards: float) -> None:
    """Execute the chapters, with a line about each; `afterwards` are the seconds that the run will take then."""
    expected = [expected_seconds(chapter, parameters) for chapter, parameters in full.items()]
    spent = 0.0
    for number, (chapter, parameters) in enumerate(full.items(), 1):
        print(f"[{number}/{len(full)}] {chapter} ...", flush=True)
        seconds = execute(chapter, folder / "book" / f"{chapter}.ipynb", parameters)
        spent += seconds
        left = spent / sum(expected[:number]) * (sum(expected[number:]) + afterwards)
        words = f"; about {duration(left)} left" if left else ""
        print(f"[{number}/{len(full)}] {chapter} took {duration(seconds)}{words}", flush=True)


def expected_seconds(chapter: str, parameters: Mapping[str, Any]) -> float:
    """About how long a chapter takes on two CPU cores that train on 90 images a second, nothing being stored yet.

    On other machines `run_all` scales it by the chapters that are finished.
    """
    start, rate, forward = 4.0, 90.0, 1 / 3  # seconds, images a second, cost of a prediction in training images
    if chapter == "lr_finder":  # which stops about half-way, where the loss rises
        return start + 8.0 + 0.6 * parameters["iterations"] * parameters["batch_size"] / rate
    if chapter == "training":
        train, test = parameters["train_size"] or 50_000, parameters["test_size"] or 10_000
        scored = parameters["epochs"] * (test + min(train, test, 5_000))
        looked_at = train + 6 * test  # for their features, and for test-time augmentation
        images = parameters["epochs"] * train + forward * (scored + looked_at)
        return start + 6.0 + parameters["seeds"] * images / rate
    if chapter in ("error_analysis", "gradcam"):
        shown = len(parameters["indices"]) or parameters["n_images"]
        each = 0.8 if chapter == "error_analysis" else 1.8 + 2.7 * parameters["score_cam"]
        return start + 12.0 + each * shown
    if chapter == "faithfulness":
        photographs, drawings = parameters["photographs"] or 100, parameters["drawings"]
        each = 0.7 + 0.1 * (2 * parameters["steps"] - 1)  # randomised and shifted; with pixels deleted and inserted
        score_cam = 0.1 * drawings if parameters["score_cam_on"] != "nowhere" else 0.0
        return start + 10.0 + 25.0 * parameters["probe_epochs"] + each * photographs + score_cam
    others = {"data": 8.0, "model": 3.0, "explorer": 15.0, "try_it": 8.0}
    return start + others.get(chapter, 4.0)


def choose_dataset(values: Mapping[str, Any]) -> str:
    """The data set of a whole run, chosen once; raises `ReportError` where CIFAR-10 is asked for and cannot be had."""
    from ..config import DataConfig
    from ..data import cifar10, datasets

    config = DataConfig(**{k: v for k, v in values.items() if k in ("dataset", "data_root")})
    if config.dataset == "cifar10":
        cifar10.locate(config.data_root, datasets.CHOOSE_SHAPES)
    return datasets.resolve_auto(config).dataset

"""The chapters through papermill, and the site around them.

`execute` runs one chapter, `run_all` all of them into a run folder with a site of its own. A chapter is always executed
from its clean source: outputs and parameters of an earlier execution are stripped.
"""

import difflib
import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import nbformat
import yaml

from ..config import CHAPTERS, RETIRED, ReportError, known_names, parse_params, project_root
from ..runs import plain
from ..runs.folder import RunFolder
from ..runs.io import clear_temporaries, write_atomic


class Refused(ReportError):
    """A chapter stopped with a sentence of its own: the same parameters would stop it again."""


def read_parameters(path: Path) -> dict[str, Any]:
    """Parameters from a YAML file, one flat mapping; raises `ReportError` when it is not one."""
    try:
        values = plain.yaml_file(path) or {}
    except (OSError, ValueError) as error:
        raise ReportError(f"{path} cannot be read ({' '.join(str(error).split())[:160]}); give a YAML file.") from None
    if not isinstance(values, dict) or not all(isinstance(k, str) for k in values):
        raise ReportError(f"{path} is not a mapping of parameter names to values; see params/quick.yaml for one.")
    return values


def parameters_for(chapter: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The full, checked parameter set of a chapter: `values` where it has such a parameter, defaults elsewhere."""
    return parse_params(chapter, values).flat()


def check_names(values: Mapping[str, Any]) -> None:
    """Raise `ReportError` for a name that no chapter knows; say which are left aside because they are gone."""
    known = known_names()
    for name in values:
        if name in RETIRED:
            print(f"{name} is left aside: {RETIRED[name]}.")
        elif name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the parameters are {', '.join(sorted(known))}."
            raise ReportError(f"No chapter has a parameter {name!r}; {hint}")


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


def source_of(chapter: str, book: Path | None = None) -> Path:
    """The chapter's notebook in `book` (default: the project's); raises `ReportError` when it is missing."""
    source = (book or project_root() / "book") / f"{chapter}.ipynb"
    if not source.is_file():
        raise ReportError(f"{source} is missing; work from the top of a checkout that holds it.")
    return source


def execute(chapter: str, out: Path, parameters: Mapping[str, Any], book: Path | None = None) -> float:
    """Execute a chapter of `book` with papermill from the project's top folder and write it to `out`; returns seconds.

    `parameters` that differ from the chapter's defaults are injected. A chapter that fails is written beside `out` as
    `<name>.failed.ipynb` and raises `ReportError` with its last line; `out` keeps what it held.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").setLevel(logging.ERROR)
    for name in ("papermill", "asyncio"):
        logging.getLogger(name).addFilter(of_something_else)
    root, source = project_root(), source_of(chapter, book)
    changed = {k: v for k, v in parameters.items() if v != parameters_for(chapter, {})[k]}
    out.parent.mkdir(parents=True, exist_ok=True)
    prepared, done = out.with_suffix(".source.ipynb"), out.with_suffix(".failed.ipynb")
    nbformat.write(clean(nbformat.read(source, as_version=4)), prepared)
    clear_temporaries(out.parent, out.name)
    started = time.perf_counter()
    try:
        papermill.execute_notebook(
            str(prepared),
            str(done),
            changed,
            kernel_name="python3",
            progress_bar=False,
            cwd=str(root),
            stderr_file=sys.stderr if sys.stderr.isatty() else None,  # the progress bars of long steps
            extra_arguments=["--IPKernelApp.log_level=50"],  # a local kernel's own log helps nobody, least at Ctrl-C
        )
    except PapermillExecutionError as error:
        ours = error.ename in ("ReportError", "Diverged")  # their text is a sentence and needs no name
        last = str(error.evalue) if ours else f"{error.ename}: {error.evalue}"
        raise (Refused if ours else ReportError)(f"The chapter {chapter} stopped (see {done}): {last}") from None
    except DeadKernelError:
        raise ReportError(
            f"The chapter {chapter} was killed (see {done}), most likely for want of memory; use a smaller batch_size."
        ) from None
    finally:
        prepared.unlink(missing_ok=True)
    notebook = nbformat.read(done, as_version=4)
    notebook.metadata.papermill.update(input_path=f"book/{chapter}.ipynb", output_path=f"book/{chapter}.ipynb")
    write_atomic(out, nbformat.writes(notebook).encode() + b"\n")
    done.unlink()
    return time.perf_counter() - started


def of_something_else(record: logging.LogRecord) -> bool:
    """Whether a log record is of anything but a kernel's end, which `execute` and the command tell in a sentence."""
    from nbclient.exceptions import DeadKernelError

    ended = record.exc_info is not None and isinstance(record.exc_info[1], DeadKernelError)
    return not ended and not record.getMessage().startswith("Kernel died")


def expected_images(chapter: str, parameters: Mapping[str, Any]) -> float:
    """A chapter's work in training images, for telling the time that is left."""
    train = parameters.get("train_size") or 50_000
    if chapter == "lr_finder":
        return 0.7 * parameters["iterations"] * parameters["batch_size"] + 500
    if chapter == "training":
        tested = (parameters["test_size"] or 10_000) + min(train, 5_000)
        return parameters["seeds"] * (parameters["epochs"] * (train + tested / 3) + 3 * tested + 500)
    if chapter == "gradcam" and parameters["score_cam"]:
        return 700.0 + 200 * (len(parameters["indices"]) or parameters["n_images"])
    if chapter == "faithfulness":
        return 1000 * parameters["probe_epochs"] + 10 * (parameters["photographs"] or 100) * parameters["steps"]
    return 700.0


def run_all(
    values: Mapping[str, Any], run_dir: str, chapters: Iterable[str] = tuple(CHAPTERS), site: bool = True
) -> Path | None:
    """Execute `chapters` with `values` into `run_dir`, then build a site from them; returns its index page.

    Every parameter is checked before the first chapter starts. Prints a line per chapter with the time left.
    """
    check_names(values)
    folder = RunFolder(run_dir)
    if folder.published or (folder / "book").resolve() == (project_root() / "book").resolve():
        raise ReportError(f"run_dir is {run_dir!r}, the published report, which a rerun never writes; use runs/<name>.")
    values = dict(values, run_dir=run_dir)
    full = {chapter: parameters_for(chapter, values) for chapter in chapters}
    for chapter in full:
        source_of(chapter)
    present = {chapter for chapter in CHAPTERS if (folder / "book" / f"{chapter}.ipynb").exists()}
    if site and (missing := [chapter for chapter in CHAPTERS if chapter not in present | full.keys()]):
        print(f"No site will be built: {folder.name} does not hold the chapters {', '.join(missing)} yet.", flush=True)
        site = False
    folder.prepare()
    on_data = [parameters for parameters in full.values() if "dataset" in parameters]
    dataset = choose_dataset(values) if on_data else ""
    for parameters in on_data:
        parameters["dataset"] = dataset
    work = {chapter: expected_images(chapter, parameters) for chapter, parameters in full.items()}
    started, done = time.perf_counter(), 0.0
    for number, (chapter, parameters) in enumerate(full.items(), 1):
        print(f"[{number}/{len(full)}] {chapter} ...", flush=True)
        seconds = execute(chapter, folder / "book" / f"{chapter}.ipynb", parameters)
        done += work[chapter]
        left = (time.perf_counter() - started) * (sum(work.values()) - done) / done
        print(f"[{number}/{len(full)}] {chapter} took {seconds:.0f} s; about {left:.0f} s left", flush=True)
    return build_run_site(folder) if site else None


def choose_dataset(values: Mapping[str, Any]) -> str:
    """The data set of a whole run, chosen once; raises `ReportError` where CIFAR-10 is asked for and cannot be had."""
    from ..config import DataConfig
    from ..data import cifar10, datasets

    asked = DataConfig(**{k: v for k, v in values.items() if k in ("dataset", "data_root")})
    if asked.dataset == "cifar10":
        cifar10.locate(asked.data_root, datasets.CHOOSE_SHAPES)
    return datasets.resolve(asked).dataset


def build_run_site(folder: RunFolder) -> Path:
    """Build a site of the executed chapters in `folder/book` and the book's other pages; every page names the run."""
    root = project_root()
    book = folder / "book"
    for page in (root / "book").iterdir():
        if page.suffix != ".ipynb" and not page.is_symlink():
            if page.is_dir():
                shutil.copytree(page, book / page.name, dirs_exist_ok=True)
            else:
                shutil.copy(page, book / page.name)
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    record = folder.record("run")
    shapes = record is not None and record["parameters"]["dataset"] == "shapes"
    drawn = " on the embedded drawn shapes, not CIFAR-10" if shapes else ""
    options = config["sphinx"]["config"].setdefault("html_theme_options", {})
    options["announcement"] = f"A run of your own, {folder.name}{drawn}: not the published results."
    write_atomic(folder / "_config.yml", yaml.safe_dump(config, sort_keys=False).encode())
    shutil.copy(root / "_toc.yml", folder / "_toc.yml")
    build(book, folder.path, folder / "_config.yml", folder / "_toc.yml")
    return folder / "_build" / "html" / "index.html"


def build(book: Path, out: Path, config: Path, toc: Path) -> None:
    """Build a book into `out/_build/html` with warnings as errors; raises `ReportError` when that fails."""
    folder = Path(sys.executable).parent
    script = shutil.which("jupyter-book", path=str(folder))  # it cannot be run by `python -m`
    if script is None:
        raise ReportError(
            f"jupyter-book is not in {folder}; install it with pip install -c constraints.txt -e '.[book]'."
        )
    command = [script, "build", "--all", "-W", "-n", "--keep-going", str(book)]
    command += ["--path-output", str(out), "--config", str(config), "--toc", str(toc)]
    done = subprocess.run(command, cwd=project_root(), capture_output=True, text=True)
    if done.returncode:
        log = out / "build.log"
        write_atomic(log, (done.stdout + done.stderr).encode())
        warnings = [x for x in (done.stdout + done.stderr).splitlines() if "WARNING" in x or "ERROR" in x]
        raise ReportError(f"The site could not be built ({(warnings or ['no warning'])[0][:200]}); see {log}.")

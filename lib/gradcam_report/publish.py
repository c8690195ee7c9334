"""Making a finished run the published one."""

import contextlib
import shutil
from pathlib import Path

from . import lock, report
from .config import CHAPTERS, PUBLISHED, ReportError, project_root
from .run import RunFolder

RANGE_TEST_FILES = ("lr_find.json", "lr_find.csv")
TRAINING_FILES = ("run.json", "history.csv", "metrics.json", "predictions.npz", "features.npz", "model.safetensors")
# Beside the published run while another takes its place.
STAGED, OLD = f"{PUBLISHED}.new", f"{PUBLISHED}.old"
CHAPTERS_STAGED, CHAPTERS_NEW = "artifacts/chapters.part", "artifacts/chapters.new"
SEED_FILES = ("run.json", "history.csv", "metrics.json")  # of the seeds beside the run's own


def require_defaults(source: RunFolder) -> None:
    """Raise `ReportError` when a run is unfinished, or of another recipe than the chapters' defaults.

    Publishing executes the chapters with their defaults; they would not find their results in such a run.
    """
    stages = {"lr_find": ("lr_finder", RANGE_TEST_FILES), "run": ("training", TRAINING_FILES)}
    onset = 0.0
    for stage, (chapter, files) in stages.items():
        for name in files:
            source.need(name, chapter)
        record = source.record(stage)
        assert record is not None
        defaults = report.parameters_for(chapter, {})
        if stage == "lr_find":
            onset = record["result"].get("suggestions", {}).get("divergence onset")
        else:
            defaults["max_lr"] = defaults["max_lr"] or onset
        other = [f"{k} {v!r}, not {defaults.get(k)!r}" for k, v in record["parameters"].items() if v != defaults.get(k)]
        if other:
            raise ReportError(
                f"{source.name} was not made with the defaults of the chapter {chapter} ({'; '.join(other[:4])}); "
                "the published pages show those, so publish a run of params/full.yaml."
            )


def publish(run_dir: str) -> None:
    """Make a finished run the published one: its files in artifacts/reference, every chapter of `book/` executed anew.

    All or nothing, whenever it is killed: the chapters are executed first, on a copy, and the old ones are put back
    when anything fails. What a killed publication left is mended before anything else. Raises `ReportError` for a run
    that cannot be published, and while another process publishes.
    """
    root = project_root()
    fresh = RunFolder("runs/publish")
    source = RunFolder(run_dir)
    require_defaults(source)
    with lock.held(fresh):
        mend(root)
        _exchange(root, _staged(root, source))
        try:
            for chapter in CHAPTERS:
                seconds = report.execute(chapter, fresh / f"{chapter}.ipynb", report.parameters_for(chapter, {}))
                print(f"{chapter} took {seconds:.0f} s", flush=True)
            _decide(root, fresh)
        finally:
            mend(root)
        shutil.rmtree(fresh.path)


def mend(root: Path) -> None:
    """Bring a publication that did not reach its end to one: all of the new, or all of the old, nothing between.

    For whoever holds the lock. `artifacts/chapters.new` is there from the moment on at which the new ones count; until
    then `artifacts/reference.old` is what was published.
    """
    target, old, chapters = root / PUBLISHED, root / OLD, root / CHAPTERS_NEW
    for started in (root / STAGED, root / CHAPTERS_STAGED):
        shutil.rmtree(started, ignore_errors=True)
    if chapters.exists():
        for path in sorted(chapters.iterdir()):
            path.replace(root / "book" / path.name)
        shutil.rmtree(old, ignore_errors=True)
        chapters.rmdir()
    elif old.exists():
        shutil.rmtree(target, ignore_errors=True)
        old.rename(target)
        with contextlib.suppress(OSError):
            target.rmdir()  # nothing was published before


def _staged(root: Path, source: RunFolder) -> Path:
    """A copy of what of a run is published, in a folder of its own."""
    staged = root / STAGED
    staged.mkdir(parents=True)
    for name in (*RANGE_TEST_FILES, *TRAINING_FILES):
        shutil.copy(source / name, staged / name)
    for seed in sorted(source.path.glob("seed-*")):
        if RunFolder(seed).record("run"):
            (staged / seed.name).mkdir()
            for name in SEED_FILES:
                shutil.copy(seed / name, staged / seed.name / name)
    return staged


def _exchange(root: Path, staged: Path) -> None:
    """Put the staged run where the published one is, which is set aside: the chapters read it there."""
    target = root / PUBLISHED
    target.mkdir(exist_ok=True)  # an empty one is set aside too, so that `mend` knows what was there before
    target.rename(root / OLD)
    staged.rename(target)


def _decide(root: Path, fresh: RunFolder) -> None:
    """Lay all executed chapters ready, by one rename: from here on the new run is the published one."""
    ready = root / CHAPTERS_STAGED
    ready.mkdir()
    for chapter in CHAPTERS:
        shutil.copy(fresh / f"{chapter}.ipynb", ready / f"{chapter}.ipynb")  # runs/ may be on another disk
    ready.rename(root / CHAPTERS_NEW)

"""Making a finished run the published one."""

import shutil

from . import report
from .config import CHAPTERS, PUBLISHED, ReportError, project_root
from .run import RunFolder

RANGE_TEST_FILES = ("lr_find.json", "lr_find.csv")
TRAINING_FILES = ("run.json", "history.csv", "metrics.json", "predictions.npz", "features.npz", "model.safetensors")
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

    All or nothing: the chapters are executed first, on a copy, and the old ones are put back when anything fails.
    """
    root = project_root()
    source, target = RunFolder(run_dir), root / PUBLISHED
    require_defaults(source)
    staged, old = target.with_name("reference.new"), target.with_name("reference.old")
    fresh = root / "runs" / "publish"
    for folder in (staged, fresh):
        shutil.rmtree(folder, ignore_errors=True)
    staged.mkdir(parents=True)
    for name in (*RANGE_TEST_FILES, *TRAINING_FILES):
        shutil.copy(source / name, staged / name)
    for seed in sorted(source.path.glob("seed-*")):
        if RunFolder(seed).record("run"):
            (staged / seed.name).mkdir()
            for name in SEED_FILES:
                shutil.copy(seed / name, staged / seed.name / name)
    if old.exists():  # an earlier publish was killed before its end: what it had set aside is the published run
        shutil.rmtree(target, ignore_errors=True)
        old.rename(target)
    if target.exists():
        target.rename(old)
    staged.rename(target)
    try:
        for chapter in CHAPTERS:
            seconds = report.execute(chapter, fresh / f"{chapter}.ipynb", report.parameters_for(chapter, {}))
            print(f"{chapter} took {seconds:.0f} s", flush=True)
    except BaseException:
        shutil.rmtree(target)
        if old.exists():
            old.rename(target)
        raise
    for chapter in CHAPTERS:
        (fresh / f"{chapter}.ipynb").replace(root / "book" / f"{chapter}.ipynb")
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(fresh)

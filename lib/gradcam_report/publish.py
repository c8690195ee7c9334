"""Making a finished run the published one."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from . import report
from .config import CHAPTERS, PUBLISHED, PUBLISHED_SWEEP, ReportError, project_root
from .run import RunFolder

RANGE_TEST_FILES = ("lr_find.json", "lr_find.csv")
TRAINING_FILES = ("run.json", "history.csv", "metrics.json", "predictions.npz", "features.npz", "model.safetensors")
SEED_FILES = ("run.json", "history.csv", "metrics.json")  # of the seeds beside the run's own, and of a sweep's points


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


def publish_any(folder: str) -> None:
    """Publish what a folder holds: a sweep, or else a run."""
    (publish_sweep if (RunFolder(folder) / "sweep.json").is_file() else publish)(folder)


def publish(run_dir: str) -> None:
    """Make a finished run the published one: its files in artifacts/reference, every chapter of `book/` executed anew.

    All or nothing: the chapters are executed first, on a copy, and the old ones are put back when anything fails.
    """
    root = project_root()
    source, target = RunFolder(run_dir), root / PUBLISHED
    require_defaults(source)
    staged, fresh = target.with_name("reference.new"), root / "runs" / "publish"
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
    with _in_place(staged, target):
        for chapter in CHAPTERS:
            seconds = report.execute(chapter, fresh / f"{chapter}.ipynb", report.parameters_for(chapter, {}))
            print(f"{chapter} took {seconds:.0f} s", flush=True)
        for chapter in CHAPTERS:
            (fresh / f"{chapter}.ipynb").replace(root / "book" / f"{chapter}.ipynb")
    shutil.rmtree(fresh)


@contextmanager
def _in_place(staged: Path, target: Path) -> Iterator[None]:
    """Put `staged` where `target` is; what was there before comes back when the block fails, and goes when it ends."""
    old = target.with_name(f"{target.name}.old")
    if old.exists():  # an earlier publish was killed before its end: what it had set aside is the published one
        shutil.rmtree(target, ignore_errors=True)
        old.rename(target)
    if target.exists():
        target.rename(old)
    staged.rename(target)
    try:
        yield
    except BaseException:
        shutil.rmtree(target)
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def publish_sweep(sweep_dir: str) -> None:
    """Make a finished sweep of trainings the published one, and execute the chapter that shows it.

    Only what was measured goes to artifacts/sweep: no weights, no notebooks, and nothing of the machine. Raises
    `ReportError` for a sweep that is not finished, not of CIFAR-10, or that held out no images to choose by.
    """
    from .sweep import plan

    root, source = project_root(), RunFolder(sweep_dir)
    sweep, target = plan.read(source), root / PUBLISHED_SWEEP
    if sweep.chapter != "training" or sweep.fixed.get("dataset") != "cifar10" or not sweep.fixed.get("val_size"):
        raise ReportError(
            f"{source.name} is no sweep of trainings on cifar10 with images held out (val_size); publish one."
        )
    if open_points := [slug for slug in sweep.points if not sweep.done(slug)]:
        raise ReportError(
            f"{source.name} is not finished: {open_points[0]} is not; give the command of the sweep again."
        )
    staged, fresh = target.with_name("sweep.new"), root / "runs" / "publish"
    shutil.rmtree(staged, ignore_errors=True)
    neutral = {name: report.parameters_for("training", {})[name] for name in sweep.machine}
    replace(sweep, folder=RunFolder(staged), machine=neutral).save()
    for slug in sweep.points:
        (staged / slug).mkdir()
        for name in SEED_FILES:
            shutil.copy(source / slug / name, staged / slug / name)
    with _in_place(staged, target):
        report.execute("sweep", fresh / "sweep.ipynb", report.parameters_for("sweep", {}))
        (fresh / "sweep.ipynb").replace(root / "book" / "sweep.ipynb")

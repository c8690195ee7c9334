"""Making a finished run, or a finished sweep, the published one."""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..config import CHAPTERS, PUBLISHED, PUBLISHED_SWEEP, ReportError, project_root
from ..runs import lock, sweep
from ..runs.folder import RunFolder, other_seeds
from . import runner

RANGE_TEST_FILES = ("lr_find.json", "lr_find.csv")
TRAINING_FILES = ("run.json", "history.csv", "metrics.json", "predictions.npz", "features.npz", "model.safetensors")
# Of the seeds beside the run's own, without weights.
SEED_FILES = ("run.json", "history.csv", "metrics.json", "predictions.npz")
WORK = "runs/publish"
# Beside what is published while something else takes its place.
NEW, OLD = ".new", ".old"
CHAPTERS_STAGED, CHAPTERS_NEW = "artifacts/chapters.part", "artifacts/chapters.new"


def require_defaults(source: RunFolder) -> dict[int, RunFolder]:
    """The other seeds of a run; raises `ReportError` when it is unfinished, or of another recipe than the defaults.

    Publishing executes the chapters with their defaults; they would not find their results in such a run.
    """
    stages = {"lr_find": ("lr_finder", RANGE_TEST_FILES), "run": ("training", TRAINING_FILES)}
    onset, seeds = 0.0, {}
    for stage, (chapter, files) in stages.items():
        for name in files:
            source.need(name, chapter)
        record = source.record(stage)
        assert record is not None
        defaults = runner.parameters_for(chapter, {})
        if stage == "lr_find":
            onset = record["result"].get("suggestions", {}).get("divergence onset")
        else:
            defaults["max_lr"] = defaults["max_lr"] or onset
            seeds = other_seeds(source, record)
        other = [f"{k} {v!r}, not {defaults.get(k)!r}" for k, v in record["parameters"].items() if v != defaults.get(k)]
        if other:
            raise ReportError(
                f"{source.name} was not made with the defaults of the chapter {chapter} ({'; '.join(other[:4])}); "
                "the published pages show those, so publish a run of params/full.yaml."
            )
    for seed in seeds.values():
        for name in SEED_FILES:
            seed.need(name, "training")
    return seeds


def publish_any(folder: str) -> None:
    """Publish what a folder holds: a sweep, or else a run."""
    (publish_sweep if (RunFolder(folder) / sweep.SWEEP).is_file() else publish)(folder)


def publish(run_dir: str) -> None:
    """Make a finished run the published one: its files in artifacts/reference, every chapter of `book/` executed anew.

    All or nothing, whenever it is killed: the chapters are executed first, on a copy, and the old ones are put back
    when anything fails. What a killed publication left is mended before anything else. Raises `ReportError` for a run
    that cannot be published, and while another process publishes.
    """
    source = RunFolder(run_dir)
    seeds = require_defaults(source)
    with _exchanged(PUBLISHED, list(CHAPTERS)) as staged:
        for name in (*RANGE_TEST_FILES, *TRAINING_FILES):
            shutil.copy(source / name, staged / name)
        for number, seed in seeds.items():
            (staged / f"seed-{number}").mkdir()
            for name in SEED_FILES:
                shutil.copy(seed / name, staged / f"seed-{number}" / name)


def publish_sweep(sweep_dir: str) -> None:
    """Make a finished sweep of trainings the published one, and execute the chapter that shows it; as `publish` does.

    Only what was measured goes to artifacts/sweep: no weights, no notebooks, and nothing of the machine. Raises
    `ReportError` for a sweep that is not finished, not of CIFAR-10, or that held out no images to choose by.
    """
    record = sweep.publishable(sweep_dir)
    with _exchanged(PUBLISHED_SWEEP, ["sweep"]) as staged:
        sweep.write(staged / sweep.SWEEP, record)


@contextmanager
def _exchanged(published: str, chapters: Sequence[str]) -> Iterator[Path]:
    """A folder for the block to fill; afterwards it takes the place of `published`, and `chapters` are executed."""
    root, fresh = project_root(), RunFolder(WORK)
    with lock.held(fresh):
        mend(root)
        try:
            staged, target = root / f"{published}{NEW}", root / published
            staged.mkdir(parents=True)
            yield staged
            target.mkdir(exist_ok=True)  # an empty one is set aside too, so that `mend` knows what was there before
            target.rename(root / f"{published}{OLD}")
            staged.rename(target)
            for chapter in chapters:
                seconds = runner.execute(chapter, fresh / f"{chapter}.ipynb", runner.parameters_for(chapter, {}))
                print(f"{chapter} took {seconds:.0f} s", flush=True)
            _decide(root, fresh, chapters)
        finally:
            mend(root)
        shutil.rmtree(fresh.path)


def mend(root: Path) -> None:
    """Bring a publication that did not reach its end to one: all of the new, or all of the old, nothing between.

    For whoever holds the lock. `artifacts/chapters.new` is there from the moment on at which the new ones count; until
    then what was published is beside its place, under the name that ends in ".old".
    """
    targets, chapters = [root / PUBLISHED, root / PUBLISHED_SWEEP], root / CHAPTERS_NEW
    for started in (root / CHAPTERS_STAGED, *(target.with_name(target.name + NEW) for target in targets)):
        shutil.rmtree(started, ignore_errors=True)
    olds = {target: target.with_name(target.name + OLD) for target in targets}
    if chapters.exists():
        for path in sorted(chapters.iterdir()):
            path.replace(root / "book" / path.name)
        for old in olds.values():
            shutil.rmtree(old, ignore_errors=True)
        chapters.rmdir()
        return
    for target, old in olds.items():
        if old.exists():
            shutil.rmtree(target, ignore_errors=True)
            old.rename(target)
            with contextlib.suppress(OSError):
                target.rmdir()  # nothing was published before


def _decide(root: Path, fresh: RunFolder, chapters: Sequence[str]) -> None:
    """Lay all executed chapters ready, by one rename: from here on what is new is what is published."""
    ready = root / CHAPTERS_STAGED
    ready.mkdir()
    for chapter in chapters:
        shutil.copy(fresh / f"{chapter}.ipynb", ready / f"{chapter}.ipynb")  # runs/ may be on another disk
    ready.rename(root / CHAPTERS_NEW)

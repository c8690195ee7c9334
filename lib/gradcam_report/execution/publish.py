"""Make a finished run, or a finished sweep, the published one, and execute the chapters that show it.

All of it is made ready in a copy of the checkout, `_build/publish`, and then moved to its place. A publication that is
killed while it moves is completed by the same command; before that it has changed nothing.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from ..config import CHAPTERS, PUBLISHED, PUBLISHED_SWEEP, ReportError, parse_params, project_root, user_path
from ..runs import io, sweep
from ..runs.folder import RunFolder, difference, other_seeds
from ..runs.provenance import git
from ..runs.records import Provenance, RangeTestRecipe, TrainingRecipe
from . import runner
from .parameters import parameters_for

RANGE_TEST_FILES = ("lr_find.json", "lr_find.csv")
TRAINING_FILES = ("run.json", "history.csv", "metrics.json", "predictions.npz", "features.npz", "model.safetensors")
# Of the seeds beside the run's own, without weights.
SEED_FILES = ("run.json", "history.csv", "metrics.json", "predictions.npz")
MAPS_FILE = "layer4_maps.npz"  # of every seed; the first runs that were published have none
STAGE = "_build/publish"
READY = "ready"  # a file of the stage that names the published folder: from then on the rest is to be moved
EXECUTED = "executed"


def publish_any(folder: str) -> None:
    """Publish what a folder holds, a sweep or else a run, or complete the publication that was killed."""
    root = project_root()
    if (root / STAGE / READY).exists():
        _move(root)
        print("The publication that was interrupted is complete.", flush=True)
    elif (RunFolder(user_path(folder)) / sweep.SWEEP).is_file():
        publish_sweep(folder)
    else:
        publish(folder)


def publish(run_dir: str) -> None:
    """Make a finished run the published one: its files in artifacts/reference, every chapter of `book/` executed anew.

    Given the published run itself, it executes the chapters. Raises `ReportError` for a run that cannot be published,
    and for a checkout with uncommitted changes in `artifacts/` or `book/`.
    """
    source = RunFolder(user_path(run_dir))
    require_defaults(source)
    seeds = other_seeds(source, source.run())
    for seed in seeds.values():
        for name in SEED_FILES:
            seed.need(name, "training")
        _require_committed(seed, seed.run().provenance)

    def fill(staged: Path) -> None:
        _copy(source, (*RANGE_TEST_FILES, *TRAINING_FILES), staged)
        for number, seed in seeds.items():
            _copy(seed, SEED_FILES, staged / f"seed-{number}")

    _exchange(PUBLISHED, list(CHAPTERS), fill)


def require_defaults(source: RunFolder) -> None:
    """Raise `ReportError` for a run that is unfinished, or of another recipe than the chapters' defaults.

    Publishing executes the chapters with their defaults; they would not find their results in such a run. Neither is
    one published that was made with uncommitted changes: nobody else could make it.
    """
    for chapter, read, recipe, files in (
        ("lr_finder", source.range_test, RangeTestRecipe, RANGE_TEST_FILES),
        ("training", source.run, TrainingRecipe, TRAINING_FILES),
    ):
        for name in files:
            source.need(name, chapter)
        record, defaults = read(), recipe.of(parse_params(chapter, {}))
        if record.parameters != defaults:
            raise ReportError(
                f"{source.name} was not made with the defaults of the chapter {chapter} "
                f"({difference(dict(record.parameters), dict(defaults))}); the published pages show those, so publish "
                "a run of params/full.yaml."
            )
        _require_committed(source, record.provenance)


def _require_committed(folder: RunFolder, provenance: Provenance) -> None:
    """Raise `ReportError` for a run that was made with uncommitted changes; the published one is what it is."""
    if (provenance.commit or "").endswith("+") and not folder.published:
        raise ReportError(
            f"{folder.name} was made with uncommitted changes (commit {provenance.commit}), so nobody else "
            "could make it; commit them and make it anew, as in -p force true."
        )


def publish_sweep(sweep_dir: str) -> None:
    """Make a finished sweep of trainings the published one, and execute the chapter that shows it; as `publish` does.

    Only what was measured goes to artifacts/sweep: no weights, no notebooks, and nothing of the machine. Raises
    `ReportError` for a sweep that is not finished, not of CIFAR-10, or that held out no images to choose by.
    """
    record = sweep.publishable(sweep_dir)
    _exchange(PUBLISHED_SWEEP, ["sweep"], lambda staged: io.write_json(staged / sweep.SWEEP, record))


def _copy(source: RunFolder, names: Sequence[str], target: Path) -> None:
    """Copy a run's files of these `names`, and its maps if it has any."""
    target.mkdir(exist_ok=True)
    maps = [MAPS_FILE] if (source / MAPS_FILE).exists() else []
    for name in (*names, *maps):
        shutil.copy(source / name, target / name)


def _exchange(published: str, chapters: Sequence[str], fill: Callable[[Path], None]) -> None:
    """Let `fill` make the new `published` folder, execute `chapters` with it, and move all to their places."""
    root = project_root()
    _refuse_uncommitted()
    stage = _copy_of_checkout(root)
    shutil.rmtree(stage / published, ignore_errors=True)
    (stage / published).mkdir(parents=True)
    fill(stage / published)
    for number, chapter in enumerate(chapters, 1):
        out = stage / EXECUTED / f"{chapter}.ipynb"
        seconds = runner.execute(chapter, out, parameters_for(chapter, {}), checkout=stage)
        print(f"[{number}/{len(chapters)}] {chapter} took {seconds:.0f} s", flush=True)
    (stage / READY).write_text(published, encoding="utf-8")
    _move(root)


def _copy_of_checkout(root: Path) -> Path:
    """A checkout with its own book/ and artifacts/, and links to the rest of this one."""
    stage = root / STAGE
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    (root / "runs").mkdir(exist_ok=True)
    for path in root.iterdir():
        if path.name in ("book", "artifacts"):
            shutil.copytree(path, stage / path.name)
        elif path.name not in (".git", Path(STAGE).parts[0]):
            (stage / path.name).symlink_to(path)
    return stage


def _move(root: Path) -> None:
    """Move the new folder and the executed chapters out of the ready stage; may be killed and called again.

    The old folder stays beside the new one where git does not keep it.
    """
    stage = root / STAGE
    published = (stage / READY).read_text(encoding="utf-8")
    new, target, old = stage / published, root / published, root / f"{published}.old"
    if new.exists():
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
            target.rename(old)
        new.rename(target)
    for path in sorted((stage / EXECUTED).glob("*.ipynb")):
        path.replace(root / "book" / path.name)
    if git("ls-files", "book"):
        shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(stage)


def _refuse_uncommitted() -> None:
    if git("ls-files", "book") and (changed := git("status", "--porcelain", "--", "artifacts", "book")):
        first = changed.splitlines()[0].split()[-1]
        raise ReportError(
            f"{first} has uncommitted changes, which publishing could overwrite; commit them, or undo them with "
            "git restore artifacts book."
        )

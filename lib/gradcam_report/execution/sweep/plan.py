"""What a sweep is asked for: from the command's parameters to the record that its folder keeps."""

import itertools
import math
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from ...config import ReportError, field_names, params_class, project_root, user_path
from ...runs.folder import RunFolder, difference
from ...runs.sweep import MACHINE, SWEEP, WRITES_RUN, SweepPoint, SweepRecord, read_sweep
from .. import runner
from ..parameters import assignments, check_names
from . import grid


def request(chapter: str, pairs: Sequence[str], values: Mapping[str, Any], folder: RunFolder) -> SweepRecord:
    """Return the sweep that a command asks for: `pairs` as given to -p, `values` of a parameter file.

    A single value of a parameter that is an axis of the sweep in `folder` is one of that axis. Raises `ReportError` for
    parameters that the chapter would refuse, and for trainings without held-out images.
    """
    check_names(values)
    shared = {name: value for name, value in values.items() if name in field_names(chapter)}
    known = list(read_sweep(folder).axes) if (folder / SWEEP).exists() else []
    axes: dict[str, list[Any]] = {}
    for name, text in assignments(pairs).items():
        expanded, several = grid.expand(name, text)
        shared.pop(name, None)
        if several or name in known:
            axes[name] = expanded
        else:
            shared[name] = expanded[0]
    if not axes:
        raise ReportError(
            "No parameter is given several values; give a list or a range, as in -p max_lr=0.1,0.2 -p seed=0..4."
        )
    if chapter in WRITES_RUN and "run_dir" in shared | axes:
        raise ReportError("run_dir is given, but in a sweep every point has its own; name the sweep's folder by --out.")
    ordered = {name: axes[name] for name in [*known, *axes] if name in axes}  # the order makes the points' names
    return _build(chapter, ordered, shared)


def _build(chapter: str, axes: Mapping[str, Sequence[Any]], shared: Mapping[str, Any]) -> SweepRecord:
    """Return the sweep over every combination of the axes' values, the last axis fastest, all parameters checked."""
    count = math.prod(map(len, axes.values()))
    if count > grid.MAX_POINTS:
        raise ReportError(f"{count:,} points are too many; a sweep has at most {grid.MAX_POINTS:,}: give fewer values.")
    combinations = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    every = [params_class(chapter).parse({**shared, **values}).flat() for values in combinations]
    points: dict[str, SweepPoint] = {}
    for parameters in every:
        point = SweepPoint(slug=grid.slug(v := {name: parameters[name] for name in axes}), values=v)
        if point.slug in points:
            raise ReportError(f"The point {point.label} is asked for twice; give each value once.")
        points[point.slug] = point
    if chapter == "training" and not all(parameters["val_size"] for parameters in every):
        raise ReportError(
            "val_size is 0, which leaves only the test images to compare trainings by; hold out training images, as in "
            "-p val_size=2000."
        )
    own = {"run_dir"} if chapter in WRITES_RUN else set()
    fixed = {name: value for name, value in every[0].items() if name not in axes and name not in own}
    resolved = _resolve_datasets(every)
    if "dataset" in fixed:
        fixed["dataset"] = resolved[fixed["dataset"]]
    machine = {name: fixed.pop(name) for name in MACHINE if name in fixed}
    record = {"chapter": chapter, "fixed": fixed, "machine": machine, "key": uuid.uuid4().hex[:12]}
    return SweepRecord.build(axes, list(points.values()), **record)


def _resolve_datasets(every: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return what each name of a data set stands for, "auto" too; downloads CIFAR-10, once for all points."""
    points = {parameters["dataset"]: parameters for parameters in every if "dataset" in parameters}
    if len(points) > 1 and "auto" in points:
        raise ReportError("dataset is 'auto' for some points; name the data sets, as in -p dataset=cifar10,shapes.")
    return {name: runner.choose_dataset(parameters) for name, parameters in points.items()}


def join(folder: RunFolder, new: SweepRecord) -> SweepRecord:
    """Return `new` with the points that its folder holds already; raises `ReportError` for a different sweep there.

    A parameter that the stored sweep lacks, because it is newer, has its default there.
    """
    if not (folder / SWEEP).exists():
        return new
    old = read_sweep(folder)
    defaults = params_class(new.chapter).parse({}).flat()
    then = {name: defaults[name] for name in new.fixed if name not in old.axes} | old.fixed
    there = {"chapter": old.chapter, "axes": list(old.axes), **then}
    here = {"chapter": new.chapter, "axes": list(new.axes), **new.fixed}
    if there != here:
        raise ReportError(
            f"{folder.name} holds another sweep ({difference(there, here)}); choose another folder with --out."
        )
    points = {point.slug: point for point in [*old.points, *new.points]}
    # The stored `fixed` stays, for the marks of finished points hold its digest.
    record = {"chapter": new.chapter, "fixed": old.fixed, "machine": new.machine, "key": old.key}
    return SweepRecord.build(old.axes, list(points.values()), **record)


def folder_for(out: str) -> RunFolder:
    """Return the folder of a sweep; raises `ReportError` where published results are kept: no rerun writes there."""
    folder, root = RunFolder(user_path(out)), project_root()
    path = folder.path.resolve()
    kept = [root / "book", root / "artifacts"]
    if not out.strip() or any(path == k or k in path.parents or path in k.parents for k in kept):
        raise ReportError(f"--out is {out!r}, where published results are kept; name a folder as in --out runs/mine.")
    return folder

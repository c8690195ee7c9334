"""A sweep and its folder.

    sweep.json                  chapter, axes, fixed parameters, points
    <point>/                    of each point: its run folder where the chapter computes into one, and
    <point>/<chapter>.ipynb     the executed chapter
    <point>/log.txt             what its processes wrote
    <point>/done.json           written last: the point is finished

`sweep.json` may come from elsewhere: what it says is checked as if it had been typed, and paths are made anew.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...config import CHAPTERS, ReportError, field_names, params_class, project_root
from ...runs import folder as run_folder
from ...runs import io, plain
from .. import runner
from . import axes as grammar
from .axes import Values

COMPUTING = ("lr_finder", "training")  # their run_dir is what they write to, so each point has its own
# What belongs to a machine and not to the result: it may be another one when a sweep is continued.
MACHINE = ("data_root", "human_root", "device", "force")
SWEEP, DONE, FAILED, STARTED, LOG = "sweep.json", "done.json", "failed.json", "started.json", "log.txt"


@dataclass(frozen=True)
class Sweep:
    """What to execute: a chapter at every one of `points`, each a value for each of `axes`.

    `fixed` is every other parameter of the chapter, `machine` those of them that do not matter to the result. `folder`
    is where it all is kept; `key` tells this sweep from any other.
    """

    folder: run_folder.RunFolder
    chapter: str
    axes: dict[str, list[Any]]
    points: dict[str, Values]  # slug -> value of each axis
    fixed: Values
    machine: Values = field(default_factory=dict)
    key: str = ""

    def point_folder(self, slug: str) -> Path:
        """The folder of a point."""
        return self.folder / slug

    def parameters(self, slug: str) -> Values:
        """All parameters of the chapter at a point."""
        values = {**self.fixed, **self.machine, **self.points[slug]}
        own = {"run_dir": f"{self.folder.name}/{slug}"} if self.chapter in COMPUTING else {}
        return {name: (values | own)[name] for name in field_names(self.chapter)}

    def recipe(self, slug: str) -> str:
        """Stands for all that decides the result of a point; its mark holds it, so that no other's is taken for it."""
        return grammar.digest([self.chapter, {**self.fixed, **self.points[slug]}])

    def done(self, slug: str) -> run_folder.Record | None:
        """The mark of a finished point, or None."""
        try:
            mark = io.read_json(self.point_folder(slug) / DONE)
        except ReportError:  # missing, or cut off with the machine's power: the point is executed again
            return None
        return mark if mark.get("recipe") == self.recipe(slug) else None

    def save(self) -> None:
        """Write sweep.json."""
        points = [{"slug": slug, "values": values} for slug, values in self.points.items()]
        parts = {"chapter": self.chapter, "axes": self.axes, "fixed": self.fixed, "machine": self.machine}
        io.write_json(self.folder / SWEEP, {**parts, "key": self.key, "points": points})


def asked(chapter: str, pairs: Sequence[str], values: Mapping[str, Any], folder: run_folder.RunFolder) -> Sweep:
    """The sweep that a command asks for: `pairs` as given to -p, `values` of a parameter file.

    A single value of a parameter that is an axis of the sweep in `folder` is one of that axis. Every point's parameters
    are checked. Raises `ReportError` in the words of the user's parameters.
    """
    runner.check_names(values)
    own = {name: value for name, value in values.items() if name in field_names(chapter)}
    known = read(folder).axes if (folder / SWEEP).exists() else {}
    texts = {}  # the last -p of a name counts
    for pair in pairs:
        (name,) = plain.assignments([pair])
        texts[name] = pair.partition("=")[2]
    axes: dict[str, list[Any]] = {}
    for name, text in texts.items():
        own.pop(name, None)
        parts, several = grammar.expanded(name, text)
        read_as = [plain.assignments([f"{name}={part}"])[name] for part in parts]
        if several or name in known:
            axes[name] = read_as
        else:
            own[name] = read_as[0]
    if not axes:
        raise ReportError(
            "No parameter is given several values; give a list or a range, as in -p max_lr=0.1,0.2 -p seed=0..4."
        )
    if chapter in COMPUTING and "run_dir" in own | axes:
        raise ReportError("run_dir is given, but in a sweep every point has its own; name the sweep's folder by --out.")
    ordered = {name: axes[name] for name in [*known, *axes] if name in axes}  # the order makes the points' names
    return settled(build(folder, chapter, ordered, own))


def settled(sweep: Sweep) -> Sweep:
    """The sweep with dataset "auto" turned into the one that is there, and CIFAR-10 downloaded once for all points."""
    if "dataset" in sweep.axes and "auto" in sweep.axes["dataset"]:
        raise ReportError("dataset is 'auto' for some points; name the data sets, as in -p dataset=cifar10,shapes.")
    found = {p["dataset"]: p for p in map(sweep.parameters, sweep.points) if "dataset" in p}
    chosen = {name: runner.choose_dataset(parameters) for name, parameters in found.items()}
    fixed = {name: chosen[value] if name == "dataset" else value for name, value in sweep.fixed.items()}
    return replace(sweep, fixed=fixed)


def build(
    folder: run_folder.RunFolder, chapter: str, axes: Mapping[str, Sequence[Any]], own: Mapping[str, Any]
) -> Sweep:
    """The sweep over every combination of the `axes`' values, with the parameters `own`; all are checked."""
    every = [_full(chapter, {**own, **values}) for values in grammar.points(axes)]
    points: dict[str, Values] = {}
    for parameters in every:
        values = {name: parameters[name] for name in axes}
        if points.setdefault(grammar.slug(values), values) is not values:
            raise ReportError(f"The point {in_words(values)} is asked for twice; give each value once.")
    rest = {name: value for name, value in every[0].items() if name not in axes}
    if chapter in COMPUTING:
        del rest["run_dir"]
    machine = {name: rest.pop(name) for name in MACHINE if name in rest}
    return Sweep(folder, chapter, _columns(axes, points), points, rest, machine, uuid.uuid4().hex[:12])


def read(folder: run_folder.RunFolder) -> Sweep:
    """The sweep in a folder; raises `ReportError` when there is none, or it is not one that `build` could have made."""
    path = folder / SWEEP
    if not path.is_file():
        raise ReportError(
            f"{folder.name} holds no {SWEEP}; make one with gradcam-report sweep training --out {folder.name}."
        )
    found = io.read_json(path)
    try:
        chapter, axes, fixed, machine = (found[part] for part in ("chapter", "axes", "fixed", "machine"))
        given = [point["values"] for point in found["points"]]
        if chapter not in CHAPTERS or not given or any(list(values) != list(axes) for values in given):
            raise ValueError("its points do not fit its axes")
        rest = _full(chapter, {**fixed, **machine, **given[0]}).keys()
        expected = rest - axes.keys() - ({"run_dir"} if chapter in COMPUTING else set())
        if expected != fixed.keys() | machine.keys() or not machine.keys() <= set(MACHINE):
            raise ValueError("its parameters are not those of the chapter")
        checked = [_full(chapter, {**fixed, **machine, **values}) for values in given]
        points = [{name: parameters[name] for name in axes} for parameters in checked]
        named = {grammar.slug(values): values for values in points}  # never the names in the file: they become paths
        return Sweep(folder, chapter, _columns(axes, named), named, fixed, machine, str(found["key"]))
    except (KeyError, TypeError, ValueError, AttributeError, ReportError) as error:
        raise ReportError(f"{path} cannot be read ({error}); give another --out, or delete it.") from None


def joined(new: Sweep) -> Sweep:
    """`new` together with what its folder holds already; raises `ReportError` where the two are different sweeps."""
    if not (new.folder / SWEEP).exists():
        return new
    old = read(new.folder)
    other = ""
    if old.chapter != new.chapter:
        other = f"of the chapter {old.chapter}, not {new.chapter}"
    elif old.axes.keys() != new.axes.keys():
        other = f"over {' and '.join(old.axes)}, not {' and '.join(new.axes)}"
    elif old.fixed != new.fixed:
        other = f"with {run_folder.difference(old.fixed, new.fixed)}"
    if other:
        raise ReportError(f"{new.folder.name} holds a sweep {other}; choose another folder with --out.")
    points = old.points | new.points
    return replace(new, axes=_columns(old.axes, points), points=points, key=old.key)


def in_words(values: Mapping[str, Any]) -> str:
    """The values of a point as they are typed: "max_lr=0.1 seed=3"."""
    return " ".join(f"{name}={value}" for name, value in values.items())


def folder_for(out: str) -> run_folder.RunFolder:
    """The folder of a sweep; raises `ReportError` where published results are kept, which a rerun never writes."""
    folder, root = run_folder.RunFolder(out), project_root()
    path = folder.path.resolve()
    kept = [root / "book", root / "artifacts"]
    if not out.strip() or any(path == k or k in path.parents or path in k.parents for k in kept):
        raise ReportError(
            f"--out is {out!r}, where published results are kept; name a folder as in --out runs/sweep-mine."
        )
    return folder


def _full(chapter: str, given: Mapping[str, Any]) -> Values:
    """Every parameter of the chapter, checked; unlike `report.parameters_for` it refuses names that are not its own."""
    return params_class(chapter).parse(given).flat()


def _columns(axes: Iterable[str], points: Mapping[str, Values]) -> dict[str, list[Any]]:
    """The values that each axis takes in the points, each once, in the order of the points."""
    return {name: list({grammar.canonical(p[name]): p[name] for p in points.values()}.values()) for name in axes}

"""The record of a sweep: one chapter executed at many values of its parameters.

A sweep at work is a folder: `sweep.json` names its points, and each point has a folder of its own within it, a run
folder. `done.json` is written there last and marks the point as finished. A published sweep is `sweep.json` alone: each
point in it holds what its training recorded.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self

from pydantic import Field

from ..config import ReportError, field_names, params_class
from . import io
from .folder import RunFolder
from .records import Metrics, Record, RunRecord

SWEEP, DONE = "sweep.json", "done.json"
WRITES_RUN = ("lr_finder", "training")  # these chapters write to their run_dir, so each point has its own
MACHINE = ("data_root", "human_root", "device", "force")  # parameters that do not decide the result

Value = bool | int | float | str | list[int] | list[str]
Values = dict[str, Value]


class TrainingResult(Record):
    """What a training left: run.json, metrics.json, and the columns of history.csv, each with a number per epoch."""

    run: RunRecord
    metrics: Metrics
    history: dict[str, list[float]]


class SweepPoint(Record):
    """One point: the name of its folder, its value on each axis, and its training once that is known."""

    slug: Annotated[str, Field(pattern=r"^[a-z0-9_][a-z0-9._-]*$", max_length=80)]
    values: Values
    training: TrainingResult | None = Field(None, exclude_if=lambda training: training is None)

    @property
    def label(self) -> str:
        """The values as a user types them: "max_lr=0.1 seed=3"."""
        return format_values(self.values)


class Mark(Record):
    """done.json of a finished point: `recipe` is that of `SweepRecord.recipe`, `results` the main metrics."""

    recipe: str
    finished: str
    seconds: float
    host: str
    results: dict[str, float]


class SweepRecord(Record):
    """sweep.json: the chapter, its points, and the parameters that all points share.

    `fixed` decides the results, `machine` does not (see `MACHINE`). `key` tells this sweep from any other.
    """

    chapter: str
    axes: dict[str, list[Value]]
    fixed: Values
    machine: Values
    key: str
    points: Annotated[list[SweepPoint], Field(min_length=1)]

    @classmethod
    def build(cls, axes: Iterable[str], points: list[SweepPoint], **others: Any) -> Self:
        """Return the record of `points`, with each axis' different values in the order of the points."""
        columns = {name: list({io.canonical(p.values[name]): p.values[name] for p in points}.values()) for name in axes}
        return cls(axes=columns, points=points, **others)

    def parameters(self, point: SweepPoint, folder: RunFolder) -> dict[str, Any]:
        """Return all parameters of the chapter at a point of the sweep in `folder`; raises `ReportError`."""
        own = {"run_dir": f"{folder.name}/{point.slug}"} if self.chapter in WRITES_RUN else {}
        return params_class(self.chapter).parse({**self.fixed, **self.machine, **point.values, **own}).flat()

    def recipe(self, point: SweepPoint) -> str:
        """Return a digest of everything that decides the result of a point."""
        return io.digest([self.chapter, {**self.fixed, **point.values}])

    def mark(self, point: SweepPoint, folder: RunFolder) -> Mark | None:
        """Return the mark of a point that is finished with this recipe, else None."""
        try:
            mark = Mark.model_validate_json((folder / point.slug / DONE).read_bytes())
        except (OSError, ValueError):  # missing, or cut off: the point is executed again
            return None
        return mark if mark.recipe == self.recipe(point) else None


def read_sweep(folder: RunFolder) -> SweepRecord:
    """Read sweep.json; raises `ReportError` where it is missing or damaged."""
    path = folder / SWEEP
    if not path.is_file():
        remedy = f"make one with gradcam-report sweep training --out {folder.name}"
        raise ReportError(f"{folder.name} holds no {SWEEP}; {remedy}.")
    record = io.read_record(path, SweepRecord)
    if not record.axes.keys() <= field_names(record.chapter).keys():
        raise io.unreadable(path, f"the chapter {record.chapter} has no such axes")
    return record


def read_trainings(sweep_dir: str) -> SweepRecord:
    """Read a sweep of trainings, published or at work, with the training of every finished point.

    Raises `ReportError` where the folder holds no sweep of trainings, or a finished point lacks one of its files.
    """
    folder = RunFolder(sweep_dir)
    record = read_sweep(folder)
    if record.chapter != "training":
        raise ReportError(f"{folder.name} is a sweep of the chapter {record.chapter}; name a sweep of training.")
    points = []
    for point in record.points:
        training = point.training
        if training is None and record.mark(point, folder):
            training = _read_training(RunFolder(folder / point.slug))
        points.append(point.model_copy(update={"training": training}))
    return record.model_copy(update={"points": points})


def _read_training(folder: RunFolder) -> TrainingResult:
    """Read the three small files of a run folder."""
    columns = io.read_table(folder.need("history.csv", "training"))
    history = {name: column.tolist() for name, column in columns.items()}
    return TrainingResult(run=folder.run(), metrics=folder.metrics(), history=history)


def publishable(sweep_dir: str) -> SweepRecord:
    """Return a finished sweep as the one record that is published: all that was measured, nothing of the machine.

    Raises `ReportError` for a sweep that is not of trainings on CIFAR-10, has no held-out images, or is unfinished.
    """
    record = read_trainings(sweep_dir)
    values = [record.fixed | point.values for point in record.points]
    if not all(one["dataset"] == "cifar10" and one["val_size"] for one in values):
        raise ReportError(
            f"{sweep_dir} is no sweep of trainings on cifar10 with images held out (val_size); publish one."
        )
    if unfinished := [point.slug for point in record.points if point.training is None]:
        raise ReportError(f"{sweep_dir} is not finished: {unfinished[0]} is not; give the command of the sweep again.")
    defaults = params_class("training").parse({}).flat()
    return record.model_copy(update={"machine": {name: defaults[name] for name in record.machine}})


def format_values(values: Mapping[str, Any]) -> str:
    """Return values as a user types them: "max_lr=0.1 seed=3"."""
    return " ".join(f"{name}={value}" for name, value in values.items())

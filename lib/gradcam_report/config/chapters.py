"""The parameters of each chapter: its groups put together, from the flat names that papermill sets."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import create_model

from . import groups as g
from .errors import ReportError
from .validation import Params


class ChapterParams(Params):
    """Base of the chapters' parameters: each field is a group of parameters, and no name is in two of them."""

    @classmethod
    def names(cls) -> dict[str, str]:
        """Parameter name -> name of its group, in the order of the chapter's first cell."""
        return {
            name: group
            for group, field in cls.model_fields.items()
            for name in field.annotation.model_fields  # type: ignore[union-attr]
        }

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Build the parameters from flat values, defaults elsewhere.

        Raises `ReportError` for an unknown name, a wrong type or a value out of range.
        """
        names = cls.names()
        parts: dict[str, dict[str, Any]] = {group: {} for group in cls.model_fields}
        for name, value in given.items():
            if name not in names:
                raise ReportError(f"There is no parameter {name!r}; {hint(name, names)}")
            parts[names[name]][name] = value
        return cls(**{group: cls.model_fields[group].annotation(**values) for group, values in parts.items()})  # type: ignore[misc]

    def flat(self) -> dict[str, Any]:
        """Every value by its parameter's name."""
        return {name: getattr(getattr(self, group), name) for name, group in self.names().items()}


class RangeTestParams(ChapterParams):
    """Parameters of the chapter `lr_finder`."""

    run: g.RunConfig = g.RunConfig()
    data: g.DataConfig = g.DataConfig()
    augment: g.AugmentConfig = g.AugmentConfig()
    optim: g.OptimConfig = g.OptimConfig()
    range_test: g.RangeTestConfig = g.RangeTestConfig()
    device: g.DeviceConfig = g.DeviceConfig()
    cache: g.CacheConfig = g.CacheConfig()


class TrainingParams(ChapterParams):
    """Parameters of the chapter `training`."""

    run: g.RunConfig = g.RunConfig()
    data: g.DataConfig = g.DataConfig()
    augment: g.AugmentConfig = g.AugmentConfig()
    optim: g.OptimConfig = g.OptimConfig()
    schedule: g.ScheduleConfig = g.ScheduleConfig()
    seeds: g.SeedsConfig = g.SeedsConfig()
    device: g.DeviceConfig = g.DeviceConfig()
    cache: g.CacheConfig = g.CacheConfig()


class GradCamParams(ChapterParams):
    """Parameters of the chapter `gradcam`."""

    run: g.RunConfig = g.RunConfig()
    images: g.ImagesConfig = g.ImagesConfig()
    selection: g.SelectionConfig = g.SelectionConfig()
    cam: g.CamConfig = g.CamConfig()
    human: g.HumanConfig = g.HumanConfig()
    device: g.DeviceConfig = g.DeviceConfig()


class ExplorerParams(ChapterParams):
    """Parameters of the chapter `explorer`."""

    run: g.RunConfig = g.RunConfig()
    images: g.ImagesConfig = g.ImagesConfig()
    human: g.HumanConfig = g.HumanConfig()
    explorer: g.ExplorerConfig = g.ExplorerConfig()
    device: g.DeviceConfig = g.DeviceConfig()


def _groups(**groups: type[Params]) -> type[ChapterParams]:
    """The parameters of a chapter that no function of the library takes as a whole."""
    fields: dict[str, Any] = {name: (group, group()) for name, group in groups.items()}
    return create_model("ChapterParams", __base__=ChapterParams, **fields)


# In the order in which a report executes them.
CHAPTERS: dict[str, type[ChapterParams]] = {
    "data": _groups(data=g.DataConfig, augment=g.AugmentConfig),
    "model": _groups(run=g.RunConfig),
    "lr_finder": RangeTestParams,
    "training": TrainingParams,
    "error_analysis": _groups(run=g.RunConfig, images=g.ImagesConfig, selection=g.SelectionConfig, human=g.HumanConfig),
    "gradcam": GradCamParams,
    "faithfulness": _groups(
        run=g.RunConfig, images=g.ImagesConfig, faithfulness=g.FaithfulnessConfig, device=g.DeviceConfig
    ),
    "explorer": ExplorerParams,
    "try_it": _groups(run=g.RunConfig, images=g.ImagesConfig, live=g.LiveConfig, device=g.DeviceConfig),
    "sweep": _groups(sweep=g.SweepConfig),
    "benchmarks": _groups(run=g.RunConfig, benchmark=g.BenchmarkConfig),
}
_FORECAST = (
    "gpus_per_node", "nodes", "peak_tflops", "share_of_peak", "floor_milliseconds", "link_gbytes", "link_microseconds",
    "network_gbytes", "network_microseconds", "start_seconds", "trainings",
)  # fmt: skip
# Names that earlier versions took -> why they are gone.
RETIRED: dict[str, str] = dict.fromkeys(_FORECAST, "the report no longer forecasts the speed of many GPUs")


def params_class(chapter: str) -> type[ChapterParams]:
    """The model of a chapter's parameters; raises `ReportError` for a chapter that does not exist."""
    if chapter not in CHAPTERS:
        raise ReportError(f"There is no chapter {chapter!r}; the chapters are {', '.join(CHAPTERS)}.")
    return CHAPTERS[chapter]


def field_names(chapter: str) -> dict[str, str]:
    """Parameter name -> name of its group, in the order of the chapter's first cell."""
    return params_class(chapter).names()


def known_names() -> set[str]:
    """The names of the parameters of all chapters."""
    return {name for params in CHAPTERS.values() for name in params.names()}


def for_chapter(chapter: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Split `given` into the chapter's own parameters and the names that only other chapters take, or took once.

    Raises `ReportError` for a name that no chapter knows, with the nearest known one.
    """
    names, known = field_names(chapter), known_names()
    for name in given:
        if name not in known and name not in RETIRED:
            raise ReportError(f"The chapter {chapter} has no parameter {name!r}; {hint(name, names, known)}")
    own = {name: value for name, value in given.items() if name in names}
    return own, [name for name in given if name not in names]


def parse_params(chapter: str, given: Mapping[str, Any]) -> ChapterParams:
    """Build a chapter's parameters from flat values, see `ChapterParams.parse`; leave other chapters' names aside."""
    own, _ = for_chapter(chapter, given)
    return params_class(chapter).parse(own)


def hint(name: str, own: Iterable[str], others: Iterable[str] = ()) -> str:
    """The end of a sentence about an unknown `name`: the nearest known one, else all of one's `own`."""
    near = difflib.get_close_matches(name, [*own, *sorted(others)], n=1)
    return f"did you mean {near[0]}?" if near else f"it takes {', '.join(own)}."

"""The parameters of each chapter: its concerns put together, from the flat names that papermill sets."""

import difflib
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field

from . import concerns as c
from .errors import ReportError
from .validation import Params


class ChapterParams(Params):
    """Base of the chapters' parameters: each field is one concern, and no name is in two of them."""

    @classmethod
    def names(cls) -> dict[str, str]:
        """Parameter name -> name of its concern, in the order of the chapter's first cell."""
        return {
            name: concern
            for concern, field in cls.model_fields.items()
            for name in field.annotation.model_fields  # type: ignore[union-attr]
        }

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Build the parameters from flat values, defaults elsewhere.

        Raises `ReportError` for an unknown name, a wrong type or a value out of range.
        """
        names = cls.names()
        parts: dict[str, dict[str, Any]] = {concern: {} for concern in cls.model_fields}
        for name, value in given.items():
            if name not in names:
                raise ReportError(f"There is no parameter {name!r}; {_hint(name, list(names), set())}")
            parts[names[name]][name] = value
        built = {concern: cls.model_fields[concern].annotation(**values) for concern, values in parts.items()}  # type: ignore[misc]
        return cls(**built)

    def flat(self) -> dict[str, Any]:
        """Every value by its parameter's name."""
        return {name: value for part in self.model_dump().values() for name, value in part.items()}


class DataParams(ChapterParams):
    """Parameters of the chapter `data`."""

    data: c.DataConfig = Field(default_factory=c.DataConfig)
    augment: c.AugmentConfig = Field(default_factory=c.AugmentConfig)


class ModelParams(ChapterParams):
    """Parameters of the chapter `model`."""

    run: c.RunConfig = Field(default_factory=c.RunConfig)


class RangeTestParams(ChapterParams):
    """Parameters of the chapter `lr_finder`."""

    run: c.RunConfig = Field(default_factory=c.RunConfig)
    data: c.DataConfig = Field(default_factory=c.DataConfig)
    augment: c.AugmentConfig = Field(default_factory=c.AugmentConfig)
    optim: c.OptimConfig = Field(default_factory=c.OptimConfig)
    range_test: c.RangeTestConfig = Field(default_factory=c.RangeTestConfig)
    device: c.DeviceConfig = Field(default_factory=c.DeviceConfig)
    cache: c.CacheConfig = Field(default_factory=c.CacheConfig)


class TrainingParams(ChapterParams):
    """Parameters of the chapter `training`."""

    run: c.RunConfig = Field(default_factory=c.RunConfig)
    data: c.DataConfig = Field(default_factory=c.DataConfig)
    augment: c.AugmentConfig = Field(default_factory=c.AugmentConfig)
    optim: c.OptimConfig = Field(default_factory=c.OptimConfig)
    schedule: c.ScheduleConfig = Field(default_factory=c.ScheduleConfig)
    seeds: c.SeedsConfig = Field(default_factory=c.SeedsConfig)
    device: c.DeviceConfig = Field(default_factory=c.DeviceConfig)
    cache: c.CacheConfig = Field(default_factory=c.CacheConfig)


class SweepParams(ChapterParams):
    """Parameters of the chapter `sweep`."""

    sweep: c.SweepConfig = Field(default_factory=c.SweepConfig)


class ErrorAnalysisParams(ChapterParams):
    """Parameters of the chapter `error_analysis`."""

    run: c.RunConfig = Field(default_factory=c.RunConfig)
    images: c.ImagesConfig = Field(default_factory=c.ImagesConfig)
    selection: c.SelectionConfig = Field(default_factory=c.SelectionConfig)
    human: c.HumanConfig = Field(default_factory=c.HumanConfig)


class GradCamParams(ChapterParams):
    """Parameters of the chapter `gradcam`."""

    run: c.RunConfig = Field(default_factory=c.RunConfig)
    images: c.ImagesConfig = Field(default_factory=c.ImagesConfig)
    selection: c.SelectionConfig = Field(default_factory=c.SelectionConfig)
    cam: c.CamConfig = Field(default_factory=c.CamConfig)
    human: c.HumanConfig = Field(default_factory=c.HumanConfig)
    device: c.DeviceConfig = Field(default_factory=c.DeviceConfig)


class ExplorerParams(ChapterParams):
    """Parameters of the chapter `explorer`."""

    run: c.RunConfig = Field(default_factory=c.RunConfig)
    images: c.ImagesConfig = Field(default_factory=c.ImagesConfig)
    human: c.HumanConfig = Field(default_factory=c.HumanConfig)
    explorer: c.ExplorerConfig = Field(default_factory=c.ExplorerConfig)
    device: c.DeviceConfig = Field(default_factory=c.DeviceConfig)


class LiveParams(ChapterParams):
    """Of the chapter `try_it`."""

    run: c.RunConfig = Field(default_factory=c.RunConfig)
    images: c.ImagesConfig = Field(default_factory=c.ImagesConfig)
    live: c.LiveConfig = Field(default_factory=c.LiveConfig)
    device: c.DeviceConfig = Field(default_factory=c.DeviceConfig)


class FaithfulnessParams(ChapterParams):
    """Parameters of the chapter `faithfulness`."""

    run: c.RunConfig = Field(default_factory=c.RunConfig)
    images: c.ImagesConfig = Field(default_factory=c.ImagesConfig)
    faithfulness: c.FaithfulnessConfig = Field(default_factory=c.FaithfulnessConfig)
    device: c.DeviceConfig = Field(default_factory=c.DeviceConfig)


class BenchmarkParams(ChapterParams):
    """Parameters of the chapter `benchmarks`."""

    run: c.RunConfig = Field(default_factory=c.RunConfig)
    benchmark: c.BenchmarkConfig = Field(default_factory=c.BenchmarkConfig)


# In the order in which a report executes them.
CHAPTERS: dict[str, type[ChapterParams]] = {
    "data": DataParams,
    "model": ModelParams,
    "lr_finder": RangeTestParams,
    "training": TrainingParams,
    "error_analysis": ErrorAnalysisParams,
    "gradcam": GradCamParams,
    "faithfulness": FaithfulnessParams,
    "explorer": ExplorerParams,
    "try_it": LiveParams,
    "sweep": SweepParams,
    "benchmarks": BenchmarkParams,
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
    """Parameter name -> name of its concern, in the order of the chapter's first cell."""
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
            raise ReportError(f"The chapter {chapter} has no parameter {name!r}; {_hint(name, list(names), known)}")
    own = {name: value for name, value in given.items() if name in names}
    return own, [name for name in given if name not in names]


def parse_params(chapter: str, given: Mapping[str, Any]) -> ChapterParams:
    """Build a chapter's parameters from flat values, see `ChapterParams.parse`; leave other chapters' names aside."""
    own, _ = for_chapter(chapter, given)
    return params_class(chapter).parse(own)


def _hint(name: str, own: list[str], others: set[str]) -> str:
    near = difflib.get_close_matches(name, [*own, *sorted(others)], n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"it takes {', '.join(own)}."

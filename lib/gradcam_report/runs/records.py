"""The JSON files of a run folder as typed records: run.json, lr_find.json and metrics.json.

A key that a record does not know is ignored, so that a later version may add one. A key that is missing takes its
default; where there is none, the file is damaged.
"""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from ..config import AugmentConfig, ChapterParams, DataConfig, OptimConfig, RangeTestConfig, ScheduleConfig

Accuracy = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


def _optional() -> Any:
    """A field that older or other runs lack: None, and then not written."""
    return Field(None, exclude_if=lambda value: value is None)


class Record(BaseModel):
    """Base of the records: immutable, every number finite."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Recipe(OptimConfig, AugmentConfig, DataConfig):
    """The parameters that decide a result: two computations of the same recipe on one machine give the same numbers."""

    model_config = ConfigDict(extra="ignore")

    dataset: Literal["cifar10", "shapes"] = "cifar10"  # resolved: "auto" is no data set
    data_root: str = Field("", exclude=True)  # where the images lie changes nothing

    @classmethod
    def of(cls, params: ChapterParams, **resolved: Any) -> Self:
        """The recipe of a chapter's parameters; `resolved` values replace those that stood for a choice ("auto", 0)."""
        names = {name for name, field in cls.model_fields.items() if not field.exclude}
        return cls(**{name: value for name, value in (params.flat() | resolved).items() if name in names})


class TrainingRecipe(ScheduleConfig, Recipe):
    """Of a training; `max_lr` is the rate that it used, per step, and `width` the channels of the network's layer1."""

    width: int = Field(64, ge=1, exclude_if=lambda width: width == 64)


class RangeTestRecipe(RangeTestConfig, Recipe):
    """Of a learning-rate range test, which sees no test images."""

    test_size: int = Field(0, exclude=True)


class Provenance(Record):
    """When, on what and with which versions a result was computed; see `provenance.provenance`.

    `seconds` of wall time, of a training those of its steps alone; `wall_seconds` those of a training in all.
    """

    finished: str  # ISO 8601, UTC
    seconds: Seconds
    compute: str
    data: str
    system: str
    versions: dict[str, str]
    commit: str | None = None  # None outside git
    wall_seconds: Seconds | None = _optional()


class RunResult(Record):
    """Where a training's peak rate came from, in words, and the names of its classes."""

    lr_source: str
    classes: list[str]


class RangeTestResult(Record):
    """Why a range test ended, in words, and each rule's rate per step, None where a rule found nothing."""

    ended: str
    suggestions: dict[str, Annotated[float, Field(gt=0)] | None]


class RunRecord(Record):
    """run.json: a finished training."""

    FILE: ClassVar[str] = "run.json"
    parameters: TrainingRecipe
    result: RunResult
    provenance: Provenance


class RangeTestRecord(Record):
    """lr_find.json: a finished range test, whose curve is lr_find.csv."""

    FILE: ClassVar[str] = "lr_find.json"
    parameters: RangeTestRecipe
    result: RangeTestResult
    provenance: Provenance

    @property
    def onset(self) -> float | None:
        """The divergence onset, a rate per step; None where the loss never turned."""
        return self.result.suggestions.get("divergence onset")


class Metrics(Record):
    """metrics.json: the scores of a training's last epoch, and what the training took.

    Losses are mean cross-entropies in nats, accuracies fractions. "train" is measured on the augmented batches of the
    epoch, "clean_train" on some of the same images as they are, "flip" and "crops" are test-time augmentations.
    """

    FILE: ClassVar[str] = "metrics.json"
    train_loss: float
    train_accuracy: Accuracy
    clean_train_loss: float
    clean_train_accuracy: Accuracy
    test_loss: float
    test_accuracy: Accuracy
    val_loss: float | None = _optional()
    val_accuracy: Accuracy | None = _optional()
    test_accuracy_flip: Accuracy | None = _optional()
    test_accuracy_crops: Accuracy | None = _optional()
    errors: Count  # test images
    test_images: Count
    train_images: Count
    epochs: Count
    parameters: Count  # weights of the network
    max_lr: float  # per step
    training_seconds: Seconds  # of the steps alone
    warm_up_seconds: Seconds = 0.0  # of compiling, before the first step
    images_per_second: float

"""Every choice that a rerun can make, in groups: one model per group, each field with its default and limits.

Sizes are in images, rates per optimizer step, lengths in pixels. `chapters` says which chapter takes which groups.
"""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from .errors import ReportError
from .paths import PUBLISHED, PUBLISHED_SWEEP
from .validation import FolderText, Params, PathText

Layer = Literal["layer1", "layer2", "layer3", "layer4"]
LAYERS: tuple[Layer, ...] = ("layer1", "layer2", "layer3", "layer4")
GradientMethod = Literal["gradcam", "layercam", "xgradcam"]  # fast CAM methods: a backward pass each


class RunConfig(Params):
    """Where results are kept: a folder, relative to the project's top."""

    run_dir: FolderText = PUBLISHED


class DeviceConfig(Params):
    """What computes: "auto" is CUDA where there is one, then MPS, then the CPU."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"


class CacheConfig(Params):
    """Whether to compute anew what the run folder already holds."""

    force: bool = False


class ImagesConfig(Params):
    """Where the images of a finished run are: the folder of CIFAR-10, empty for CIFAR10_ROOT or `data/`."""

    data_root: PathText = ""


DATASET_NAMES = {"cifar10": "CIFAR-10", "shapes": "shapes"}  # for prose


class DataConfig(Params):
    """Which images: sizes in images, 0 meaning all there are; `seed` draws every subset and split."""

    dataset: Literal["auto", "cifar10", "shapes"] = "cifar10"
    data_root: PathText = ""
    train_size: int = Field(0, ge=0, le=50_000)
    test_size: int = Field(0, ge=0, le=10_000)
    val_size: int = Field(0, ge=0, le=25_000)
    seed: int = Field(0, ge=0, le=2**31 - 1)


class AugmentConfig(Params):
    """Batch augmentation: crop padding and cutout side in pixels, 0 for none; `flip` is how images are mirrored."""

    crop_padding: int = Field(4, ge=0, le=16)
    flip: Literal["alternating", "random", "none"] = "alternating"
    cutout: int = Field(8, ge=0, le=31)


class OptimConfig(Params):
    """Loss and optimizer, shared by the range test and the training, so that the rate of the one applies to the other.

    With "muon", Muon moves the filters of the convolutions, with `muon_momentum`, and SGD everything else at
    `sgd_lr_factor` times the rate.
    """

    optimizer: Literal["muon", "sgd"] = "muon"
    batch_size: int = Field(500, ge=2, le=10_000)
    momentum: float = Field(0.9, ge=0.0, le=0.999)
    muon_momentum: float = Field(0.6, ge=0.0, le=0.999)
    sgd_lr_factor: float = Field(2.0, gt=0.0, le=1000.0)
    weight_decay: float = Field(5e-4, ge=0.0, le=1.0)
    label_smoothing: float = Field(0.1, ge=0.0, le=0.9)
    precision: Literal["auto", "fp32", "bf16"] = "auto"


class RangeTestConfig(Params):
    """The learning-rate range test: rates per step, `smoothing` the decay of the moving average of the loss."""

    start_lr: float = Field(1e-3, gt=0.0, le=100.0)
    end_lr: float = Field(1.0, gt=0.0, le=1000.0)
    iterations: int = Field(100, ge=10, le=100_000)
    smoothing: float = Field(0.9, ge=0.0, le=0.999)
    stop_factor: float = Field(1.3, gt=1.1, le=1e6)  # above lr_rules.ONSET_FACTOR, or no onset would be seen

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.start_lr >= self.end_lr:
            raise ReportError(
                f"start_lr is {self.start_lr} and end_lr {self.end_lr}; start_lr must be the smaller one."
            )
        return self


class ScheduleConfig(Params):
    """One-cycle: `max_lr` per step (0: the range test's divergence onset), `warmup` a fraction of all steps."""

    epochs: int = Field(20, ge=1, le=1000)
    max_lr: float = Field(0.1, ge=0.0, le=100.0)
    warmup: float = Field(0.2, ge=0.0, le=0.9)


class SeedsConfig(Params):
    """How many seeds to train with, `seed` and those after it; the first one's network is the run's."""

    seeds: int = Field(1, ge=1, le=100)


class SelectionConfig(Params):
    """Which images to show: `indices` are positions in the test set, and turn the default selection into "index"."""

    selection: Literal["representative", "confident", "stratified", "first", "index"] = "representative"
    n_images: int = Field(10, ge=1, le=100)
    indices: list[Annotated[int, Field(ge=0, le=9_999)]] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _select_by_indices(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Naming images is enough to select them: the default may stand in the chapter's first cell or a file."""
        default, named = cls.model_fields["selection"].default, str(values.get("indices", [])).strip("[]() \n")
        return values | {"selection": "index"} if named and values.get("selection", default) == default else values

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.indices and self.selection != "index":
            raise ReportError(f"indices is given but selection is {self.selection!r}; leave out one of them.")
        if self.selection == "index" and not self.indices:
            raise ReportError("selection is 'index' but indices is empty; name images, as in -p indices '[3, 14]'.")
        return self


class HumanConfig(Params):
    """Folder of the human labels; empty for HUMAN_LABELS_ROOT or `data/human-labels`, downloaded where missing."""

    human_root: PathText = ""


class CamConfig(Params):
    """Which layers' maps, the method that weighs their channels, and a picture of the reader's own.

    `score_cam` says whether slow Score-CAM stands beside the other methods; `picture` is a file, empty for none.
    """

    example: ClassVar[dict[str, str]] = {"layers": '["layer3", "layer4"]'}
    layers: list[Layer] = Field(default_factory=lambda: list(LAYERS))
    method: Literal[GradientMethod, "scorecam"] = "gradcam"
    score_cam: bool = True
    picture: PathText = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.layers:
            raise ReportError(f"layers is empty; name at least one of {', '.join(LAYERS)}.")
        return self


class ExplorerConfig(Params):
    """What the error explorer shows besides all errors: whose maps, and how many right answers of each class."""

    map_method: GradientMethod = "gradcam"
    contrast: int = Field(5, ge=0, le=50)


class LiveConfig(Params):
    """What the page "Try it" holds besides all errors: right answers of each class, and the example to begin with.

    `example_image` is a test image's number; -1 takes the right answer of which the network is surest.
    """

    example_image: int = Field(-1, ge=-1, le=9_999)
    right_answers: int = Field(5, ge=0, le=50)


class FaithfulnessConfig(Params):
    """How much to test the maps: `photographs` of the test set (0: 500 on a GPU, 100 on a CPU), `drawings` of shapes.

    `steps` of the deletion and insertion curves, `draws` of the bootstrap; `probe_epochs` trains a narrow network on
    shapes, kept in `probe_dir` (empty: `probe` in the run's folder, or runs/shapes-probe where that is the published
    run's); `score_cam_on` computes slow Score-CAM on drawings, on both, or nowhere.
    """

    photographs: int = Field(0, ge=0, le=10_000)
    drawings: int = Field(300, ge=10, le=2_000)
    sample_seed: int = Field(0, ge=0, le=2**31 - 1)
    steps: int = Field(8, ge=2, le=256)
    draws: int = Field(2000, ge=100, le=100_000)
    probe_epochs: int = Field(4, ge=1, le=100)
    probe_dir: PathText = ""
    score_cam_on: Literal["drawings", "both", "nowhere"] = "drawings"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if 0 < self.photographs < 10:
            raise ReportError(f"photographs is {self.photographs}; it must be 0 or at least 10.")
        return self


class BenchmarkConfig(Params):
    """Which measurements of speed to show, and what an hour of training is taken to cost.

    `results` is the file that benchmarks/speed.py writes, relative to the project's top; `watts` the assumed power of
    what trains (0: what a GPU is rated for, 40 for a CPU), `grams_per_kwh` the CO2 of a kilowatt-hour of electricity.
    """

    results: PathText = "benchmarks/results.json"
    watts: float = Field(0.0, ge=0.0, le=1e6)
    grams_per_kwh: float = Field(450.0, ge=0.0, le=2000.0)


class SweepConfig(Params):
    """Which trainings to compare: those in `sweep_dir`, made by `gradcam-report sweep training`, ranked by `metric`.

    There is no ranking by test images: a choice made by them would be cheating, that set is for the final number.
    """

    sweep_dir: FolderText = PUBLISHED_SWEEP
    metric: Literal["val_accuracy", "val_loss"] = "val_accuracy"

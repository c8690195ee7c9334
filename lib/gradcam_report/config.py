"""Every choice a rerun can make, as frozen dataclasses that refuse what cannot work.

One dataclass per concern. A chapter takes the concerns it needs (``CHAPTERS``); its first cell names their fields, and
`parse_params` turns what papermill put there back into dataclasses. Nothing here imports torch
or any other room than `checked`.
"""

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checked import Checked, option
from .checked import ReportError as ReportError
from .checked import short as short

PUBLISHED = "artifacts/reference"
PUBLISHED_SWEEP = "artifacts/sweep"
PUBLISHED_VARIANTS = "artifacts/variants"  # trainings of other recipes, without their weights
LAYERS = ("layer1", "layer2", "layer3", "layer4")


@dataclass(frozen=True)
class RunConfig(Checked):
    """Where results are kept: a folder, relative to the project's top."""

    run_dir: str = PUBLISHED

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.run_dir.strip():
            raise ReportError("run_dir is empty; name a folder, as in -p run_dir runs/mine.")


@dataclass(frozen=True)
class DeviceConfig(Checked):
    """What computes: "auto" is CUDA where there is one, then MPS, then the CPU."""

    device: str = option("auto", choices=("auto", "cpu", "cuda", "mps"))


@dataclass(frozen=True)
class CacheConfig(Checked):
    """Whether to compute anew what the run folder already holds."""

    force: bool = False


@dataclass(frozen=True)
class ImagesConfig(Checked):
    """Where the images of a finished run are: the folder of CIFAR-10, empty for CIFAR10_ROOT or `data/`."""

    data_root: str = ""


DATASET_NAMES = {"cifar10": "CIFAR-10", "shapes": "shapes"}  # for prose


@dataclass(frozen=True)
class DataConfig(Checked):
    """Which images: sizes in images, 0 meaning all there are; `seed` draws every subset and split."""

    dataset: str = option("cifar10", choices=("auto", "cifar10", "shapes"))
    data_root: str = ""
    train_size: int = option(0, low=0, high=50_000)
    test_size: int = option(0, low=0, high=10_000)
    val_size: int = option(0, low=0, high=25_000)
    seed: int = option(0, low=0, high=2**31 - 1)


@dataclass(frozen=True)
class AugmentConfig(Checked):
    """Batch augmentation: crop padding and cutout side in pixels."""

    crop_padding: int = option(4, low=0, high=16)
    flip: str = option("alternating", choices=("alternating", "random", "none"))
    cutout: int = option(8, low=0, high=31)


@dataclass(frozen=True)
class OptimConfig(Checked):
    """Loss and optimizer, shared by the range test and the training so that the one speaks for the other.

    With "muon", Muon moves the filters of the convolutions, with `muon_momentum`, and SGD everything else at
    `sgd_lr_factor` times the rate.
    """

    optimizer: str = option("muon", choices=("muon", "sgd"))
    batch_size: int = option(500, low=2, high=10_000)
    momentum: float = option(0.9, low=0.0, high=0.999)
    muon_momentum: float = option(0.6, low=0.0, high=0.999)
    sgd_lr_factor: float = option(2.0, above=0.0, high=1000.0)
    weight_decay: float = option(5e-4, low=0.0, high=1.0)
    label_smoothing: float = option(0.1, low=0.0, high=0.9)
    precision: str = option("auto", choices=("auto", "fp32", "bf16"))


@dataclass(frozen=True)
class RangeTestConfig(Checked):
    """The learning-rate range test: rates per step, `smoothing` the decay of the moving average of the loss."""

    start_lr: float = option(1e-3, above=0.0, high=100.0)
    end_lr: float = option(1.0, above=0.0, high=1000.0)
    iterations: int = option(100, low=10, high=100_000)
    smoothing: float = option(0.9, low=0.0, high=0.999)
    stop_factor: float = option(1.3, above=1.1, high=1e6)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start_lr >= self.end_lr:
            raise ReportError(
                f"start_lr is {self.start_lr} and end_lr {self.end_lr}; start_lr must be the smaller one."
            )


@dataclass(frozen=True)
class ScheduleConfig(Checked):
    """One-cycle: `max_lr` per step (0: the range test's divergence onset), `warmup` a fraction of all steps."""

    epochs: int = option(20, low=1, high=1000)
    max_lr: float = option(0.1, low=0.0, high=100.0)
    warmup: float = option(0.2, low=0.0, high=0.9)


@dataclass(frozen=True)
class SeedsConfig(Checked):
    """How many seeds to train with, `seed` and those after it; the first one's network is the run's."""

    seeds: int = option(1, low=1, high=100)


@dataclass(frozen=True)
class SelectionConfig(Checked):
    """Which images to show: `indices` are positions in the test set, and turn the default selection into "index"."""

    selection: str = option("confident", choices=("confident", "stratified", "first", "index"))
    n_images: int = option(10, low=1, high=100)
    indices: list[int] = option([], low=0, high=9_999)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.indices and self.selection == "confident":
            object.__setattr__(self, "selection", "index")
        if self.indices and self.selection != "index":
            raise ReportError(f"indices is given but selection is {self.selection!r}; leave out one of them.")
        if self.selection == "index" and not self.indices:
            raise ReportError("selection is 'index' but indices is empty; name images, as in -p indices '[3, 14]'.")


@dataclass(frozen=True)
class HumanConfig(Checked):
    """Where the human judgements are: empty for HUMAN_LABELS_ROOT or `data/human-labels`, fetched where missing."""

    human_root: str = ""


@dataclass(frozen=True)
class CamConfig(Checked):
    """Which layers' maps, the method that weighs their channels, and a picture of the reader's own.

    `score_cam` says whether slow Score-CAM stands beside the other methods; `picture` is a file, empty for none.
    """

    layers: list[str] = option(list(LAYERS), choices=LAYERS)
    method: str = option("gradcam", choices=("gradcam", "layercam", "xgradcam", "scorecam"))
    score_cam: bool = True
    picture: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.layers:
            raise ReportError(f"layers is empty; name at least one of {', '.join(LAYERS)}.")


@dataclass(frozen=True)
class ExplorerConfig(Checked):
    """What the error explorer shows besides all errors: whose maps, and how many right answers of each class."""

    map_method: str = option("gradcam", choices=("gradcam", "layercam", "xgradcam"))
    contrast: int = option(5, low=0, high=50)


@dataclass(frozen=True)
class FaithfulnessConfig(Checked):
    """How much to test the maps: `photographs` of the test set (0: 500 on a GPU, 100 on a CPU), `drawings` of shapes.

    `steps` of the deletion and insertion curves, `draws` of the bootstrap; `probe_epochs` trains a narrow network on
    shapes, kept in `probe_dir` (empty: `probe` in the run's folder, or runs/shapes-probe where that is the published
    run's); `score_cam_on` computes slow Score-CAM on drawings, on both, or nowhere.
    """

    photographs: int = option(0, low=0, high=10_000)
    drawings: int = option(300, low=10, high=2_000)
    sample_seed: int = option(0, low=0, high=2**31 - 1)
    steps: int = option(8, low=2, high=256)
    draws: int = option(2000, low=100, high=100_000)
    probe_epochs: int = option(4, low=1, high=100)
    probe_dir: str = ""
    score_cam_on: str = option("drawings", choices=("drawings", "both", "nowhere"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.photographs < 10:
            raise ReportError(f"photographs is {self.photographs}; it must be 0 or at least 10.")


@dataclass(frozen=True)
class BenchmarkConfig(Checked):
    """Which measurements of speed to show, and what an hour of training is taken to cost.

    `results` is the file that benchmarks/speed.py writes, relative to the project's top; `watts` the assumed power of
    what trains (0: what a GPU is rated for, 40 for a CPU), `grams_per_kwh` the CO2 of a kilowatt-hour of electricity.
    """

    results: str = "benchmarks/results.json"
    watts: float = option(0.0, low=0.0, high=1e6)
    grams_per_kwh: float = option(450.0, low=0.0, high=2000.0)


@dataclass(frozen=True)
class SweepConfig(Checked):
    """Which trainings to compare: those in `sweep_dir`, made by `gradcam-report sweep training`, ranked by `metric`.

    There is no ranking by test images: a choice made by them would be cheating, that set is for the final number.
    """

    sweep_dir: str = PUBLISHED_SWEEP
    metric: str = option("val_accuracy", choices=("val_accuracy", "val_loss"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sweep_dir.strip():
            raise ReportError("sweep_dir is empty; name a folder, as in -p sweep_dir runs/sweep-training.")


@dataclass(frozen=True)
class ScalingConfig(Checked):
    """The GPUs that a prediction is made for; defaults are an H200 node's published figures and stated guesses.

    `peak_tflops` of dense bf16 and `link_gbytes` (GB/s each way between the GPUs of a node) are NVIDIA's for the H200;
    `network_gbytes` is a 400 Gbit/s adapter for each GPU. Guessed: `share_of_peak` that training reaches, latencies of
    one message, the least time of a step's launches, and the seconds that a training takes to start.
    """

    gpus_per_node: int = option(8, low=1, high=64)
    nodes: int = option(64, low=1, high=10_000)
    peak_tflops: float = option(989.0, above=0.0, high=1e6)
    share_of_peak: float = option(0.35, above=0.0, high=1.0)
    floor_milliseconds: float = option(1.0, low=0.0, high=1e4)
    link_gbytes: float = option(450.0, above=0.0, high=1e5)
    link_microseconds: float = option(5.0, low=0.0, high=1e6)
    network_gbytes: float = option(50.0, above=0.0, high=1e5)
    network_microseconds: float = option(15.0, low=0.0, high=1e6)
    start_seconds: float = option(60.0, low=0.0, high=1e5)
    trainings: int = option(512, low=1, high=1_000_000)


CONCERNS: dict[str, type] = {
    "run": RunConfig,
    "device": DeviceConfig,
    "cache": CacheConfig,
    "images": ImagesConfig,
    "data": DataConfig,
    "augment": AugmentConfig,
    "optim": OptimConfig,
    "range_test": RangeTestConfig,
    "schedule": ScheduleConfig,
    "seeds": SeedsConfig,
    "selection": SelectionConfig,
    "human": HumanConfig,
    "cam": CamConfig,
    "explorer": ExplorerConfig,
    "faithfulness": FaithfulnessConfig,
    "benchmark": BenchmarkConfig,
    "sweep": SweepConfig,
    "scaling": ScalingConfig,
}
_FITTING = ("run", "data", "augment", "optim")
CHAPTERS: dict[str, tuple[str, ...]] = {
    "data": ("data", "augment"),
    "model": ("run",),
    "lr_finder": (*_FITTING, "range_test", "device", "cache"),
    "training": (*_FITTING, "schedule", "seeds", "device", "cache"),
    "sweep": ("sweep",),
    "error_analysis": ("run", "images", "selection", "human"),
    "gradcam": ("run", "images", "selection", "cam", "human", "device"),
    "explorer": ("run", "images", "human", "explorer", "device"),
    "faithfulness": ("run", "images", "faithfulness", "device"),
    "benchmarks": ("run", "benchmark"),
    "scaling": ("run", "benchmark", "scaling"),
}


def field_names(chapter: str) -> dict[str, str]:
    """Parameter name -> name of its concern, in the order of the chapter's first cell."""
    if chapter not in CHAPTERS:
        raise ReportError(f"There is no chapter {chapter!r}; the chapters are {', '.join(CHAPTERS)}.")
    return {f.name: c for c in CHAPTERS[chapter] for f in dataclasses.fields(CONCERNS[c])}


def parse_params(chapter: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a chapter's flat parameters into its concerns, `{"run": RunConfig, "data": DataConfig, ...}`.

    Raises `ReportError` for an unknown name (with the nearest known one), a wrong type or a value out of range.
    """
    names = field_names(chapter)
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(names)}."
            raise ReportError(f"The chapter {chapter} has no parameter {name!r}; {hint}")
    parts: dict[str, dict[str, Any]] = {c: {} for c in CHAPTERS[chapter]}
    for name, value in given.items():
        parts[names[name]][name] = value
    return {concern: CONCERNS[concern](**values) for concern, values in parts.items()}


def project_root(start: Path | None = None) -> Path:
    """The topmost folder at or above `start` (default: here) that holds `book/index.md`, else `start` itself.

    The topmost, for a run folder inside the project has a `book/` too.
    """
    here = (start or Path.cwd()).resolve()
    found = [folder for folder in (here, *here.parents) if (folder / "book" / "index.md").is_file()]
    return found[-1] if found else here

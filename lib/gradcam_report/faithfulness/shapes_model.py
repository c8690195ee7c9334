"""The shapes model: a network that classifies synthetic images, whose decisive pixels are known."""

import torch
from torch import Tensor, nn

from ..config import CacheConfig, FaithfulnessConfig, ReportError, TrainingParams
from ..data import datasets
from ..explain.cam import float32_eval
from ..model import ResNet18
from ..runs.folder import RunFolder
from ..runs.records import RunRecord
from ..training import trained_run
from ..training.device import resolve

WIDTH = 16  # channels of layer1: a sixteenth of the arithmetic, and 99 % of the synthetic images still right


def train_or_load(config: FaithfulnessConfig, run_dir: str, device: str) -> tuple[ResNet18, float]:
    """Return the shapes model and its test accuracy, 0-1; train it if its folder does not hold it.

    The folder is `config.probe_dir`, else `probe` in `run_dir`, or `runs/shapes-probe` where that is the published run.
    A shapes model of other settings, interrupted or damaged, is trained again, which takes a minute. Raises
    `ReportError` for a folder that holds any other run.
    """
    run = RunFolder(run_dir)
    where = config.probe_dir or ("runs/shapes-probe" if run.published else f"{run.name}/probe")
    # Small batches for few epochs; no cutout, which would hide much of an object.
    fixed = {"dataset": "shapes", "epochs": config.probe_epochs, "batch_size": 100, "cutout": 0, "precision": "fp32"}
    params = TrainingParams.parse({**fixed, "run_dir": where, "device": device})
    folder = RunFolder(where)
    stored = folder.record(RunRecord)
    if folder.published or (stored and stored.parameters.width != WIDTH):
        raise ReportError(f"probe_dir is {where!r}, which holds another run; choose another folder, as runs/probe.")
    complete = all((folder / name).exists() for name in ("model.safetensors", "metrics.json"))
    if not complete or stored is None or any(getattr(stored.parameters, k) != v for k, v in fixed.items()):
        params = params.model_copy(update={"cache": CacheConfig(force=True)})
    trained = trained_run.train_or_load(params, WIDTH, for_analysis=False)
    return trained.load_model(resolve(device).torch_device), trained.metrics.test_accuracy


def correct_images(net: nn.Module, count: int) -> tuple[datasets.Split, Tensor]:
    """Return those of the first `count` synthetic test images that `net` classifies right, and the same normalised.

    In an image that is classified wrong, the pixels of the object need not be the decisive ones. Raises `ReportError`
    where no image is classified right.
    """
    images = datasets.synthetic_images(count, seed=datasets.SHAPES_TEST_SEED)
    normalised = datasets.NORMALIZERS["shapes"](images.images)
    with float32_eval(net), torch.no_grad():
        right = net(normalised.to(next(net.parameters()).device)).argmax(1).cpu() == images.labels
    if not right.any():
        raise ReportError(f"The shapes model gets none of {count} synthetic images right; raise probe_epochs.")
    return images.select(right), normalised[right]

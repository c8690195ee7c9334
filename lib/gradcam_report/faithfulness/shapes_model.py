"""The network that tells drawn shapes apart, and the drawings that it gets right, whose deciding pixels are known."""

import torch
from torch import Tensor, nn

from ..config import CacheConfig, FaithfulnessParams, ReportError, TrainingParams
from ..data import datasets
from ..explain import cam
from ..model import ResNet18
from ..runs import folder as run_folder
from ..runs.records import RunRecord
from ..training.device import resolve
from ..training.trained_run import train_or_load

PROBE_WIDTH = 16  # channels of the probe's layer1: a sixteenth of the arithmetic, and 99 % of the drawings still right


def probe(params: FaithfulnessParams) -> tuple[ResNet18, float]:
    """(a narrow ResNet-18 that tells shapes apart, its test accuracy 0-1), trained if its folder does not hold it.

    `params` are the chapter's. A probe of other settings is replaced; raises `ReportError` for a folder that holds any
    other run.
    """
    wanted, device, folder = (
        params.faithfulness,
        params.device.device,
        run_folder.RunFolder(params.run.run_dir),
    )
    where = wanted.probe_dir or ("runs/shapes-probe" if folder.published else f"{folder.name}/probe")
    # Small batches for few epochs; no cutout, which would hide much of a drawn object.
    fixed = {"dataset": "shapes", "epochs": wanted.probe_epochs, "batch_size": 100, "cutout": 0, "precision": "fp32"}
    recipe = TrainingParams.parse({**fixed, "run_dir": where, "device": device})
    kept = run_folder.RunFolder(where)
    stored = kept.record(RunRecord)
    if kept.published or (stored and stored.parameters.width != PROBE_WIDTH):
        raise ReportError(f"probe_dir is {where!r}, which holds another run; choose another folder, as runs/probe.")
    # A probe takes a minute: one of other settings, interrupted or damaged, is simply made anew.
    complete = all((kept / name).exists() for name in ("model.safetensors", "metrics.json"))
    same = stored is not None and all(getattr(stored.parameters, k) == v for k, v in fixed.items())
    if not (same and complete):
        recipe = recipe.model_copy(update={"cache": CacheConfig(force=True)})
    run = train_or_load(recipe, PROBE_WIDTH)
    accuracy = run.metrics.test_accuracy
    return run.load_model(resolve(device).torch_device), accuracy


def drawings(net: nn.Module, count: int) -> tuple[datasets.Split, Tensor]:
    """Those of the first `count` test drawings of shapes that `net` gets right, and the same normalised.

    Of an image that is taken for something else, the object's pixels need not be what decided.
    """
    drawn = datasets.synthetic_images(count, seed=datasets.SHAPES_TEST_SEED)
    normalised = datasets.NORMALIZERS["shapes"](drawn.images)
    with cam.float32_eval(net), torch.no_grad():
        right = net(normalised.to(next(net.parameters()).device)).argmax(1).cpu() == drawn.labels
    if not right.any():
        raise ReportError(f"The probe gets none of {count} drawings right; raise probe_epochs.")
    return drawn.select(right), normalised[right]

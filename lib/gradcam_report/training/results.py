"""What a finished training leaves in its run folder, for the chapters that come after it."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from ..runs import io
from ..runs.folder import RunFolder
from ..runs.provenance import provenance
from ..runs.records import Metrics, RunRecord, RunResult, TrainingRecipe
from . import evaluation
from .trainer import Trainer

DIMENSIONS = 32  # of the features that are kept


def reduced(
    train: NDArray[np.float32], test: NDArray[np.float32], dimensions: int = DIMENSIONS
) -> dict[str, NDArray[np.float16]]:
    """Features (N, K) of both parts on the first principal components of the training part: float16 (N, dimensions).

    Distances between images are kept but for the variance that is cut off.
    """
    from sklearn.decomposition import PCA  # here: importing it takes seconds, and most chapters only load a network

    count = min(dimensions, *train.shape)
    pca = PCA(count, svd_solver="covariance_eigh").fit(train)
    arrays = {"train": pca.transform(train), "test": pca.transform(test)}
    return {name: values.astype(np.float16) for name, values in arrays.items()}


def write(
    trainer: Trainer,
    folder: RunFolder,
    recipe: TrainingRecipe,
    lr_source: str,
    commit: str | None,
    for_analysis: bool = True,
) -> RunRecord:
    """Write a finished training's files; run.json comes last, so that it never speaks of files that are not there.

    - model.safetensors: the weights, fp16;
    - predictions.npz: `logits` float32 (N, classes), `labels` and `indices` int64 (N,) of the test images, by the
      stored weights in fp32; `val_logits` and `val_labels` where images were held out for validation;
    - features.npz: what the linear layer sees of training and test images, see `reduced`;
    - layer4_maps.npz: `maps` float16 (N, classes, 4, 4) of the test images, see `evaluation.layer4_maps`;
    - history.csv: a row for each epoch; metrics.json: the last epoch's scores, and what the training took.

    Unless it is `for_analysis`, a run has neither features nor maps nor scores of test-time augmentation.
    """
    arrays = _predictions(trainer)
    metrics = _metrics(trainer, arrays, _augmented_accuracies(trainer, arrays["logits"]) if for_analysis else {})
    dataset = trainer.data
    # No record must speak of files that are being replaced.
    for name in (RunRecord.FILE, "features.npz", "layer4_maps.npz"):
        (folder / name).unlink(missing_ok=True)
    _write_weights(trainer, folder)
    io.write_arrays(folder / "predictions.npz", **arrays)
    if for_analysis:
        _write_features_and_maps(trainer, folder)
    io.write_table(folder / "history.csv", trainer.history)
    io.write_json(folder / Metrics.FILE, metrics)
    record = RunRecord(
        parameters=recipe,
        result=RunResult(lr_source=lr_source, classes=list(dataset.classes)),
        provenance=provenance(
            " and ".join(trainer.machines), dataset.source, metrics.training_seconds, commit, trainer.wall_seconds
        ),
    )
    io.write_json(folder / RunRecord.FILE, record)
    return record


def _write_weights(trainer: Trainer, folder: RunFolder) -> None:
    net, dataset = trainer.net, trainer.data
    weights = {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}
    about = {"classes": str(len(dataset.classes)), "width": str(net.conv1.out_channels), "dataset": dataset.name}
    io.write_tensors(folder / "model.safetensors", weights, about)


def _write_features_and_maps(trainer: Trainer, folder: RunFolder) -> None:
    net, dataset, device = trainer.net, trainer.data, trainer.device
    parts = (dataset.train, dataset.test)
    train, test = (evaluation.features(net, p, dataset.normalizer, device).cpu().numpy() for p in parts)
    io.write_arrays(folder / "features.npz", **reduced(train, test))
    maps = evaluation.layer4_maps(net, dataset.test, dataset.normalizer, device.exact)
    io.write_arrays(folder / "layer4_maps.npz", maps=maps.cpu().numpy().astype(np.float16))


def _predictions(trainer: Trainer) -> dict[str, np.ndarray]:
    """The arrays of predictions.npz."""
    net, test, val = trainer.net, trainer.data.test, trainer.data.val
    precise = (trainer.data.normalizer, trainer.device.exact)
    logits = trainer.test_logits
    if len(logits) != len(test):  # resumed after the last epoch
        logits = evaluation.predict(net, test, *precise)
    arrays = {"logits": logits, "labels": test.labels, "indices": test.indices}
    if len(val):
        arrays |= {"val_logits": evaluation.predict(net, val, *precise), "val_labels": val.labels}
    return {name: tensor.cpu().numpy() for name, tensor in arrays.items()}


def _augmented_accuracies(trainer: Trainer, logits: np.ndarray) -> dict[str, float]:
    """Test accuracy, 0-1, by each way of test-time augmentation; `logits`, in fp32, are those of the unchanged images.

    The logits of their other views are computed in the precision of training: a mean over views rounds off its errors.
    """
    test, plain = trainer.data.test, torch.from_numpy(logits).to(trainer.device.torch_device)
    ways = evaluation.predict_augmented(trainer.net, test, trainer.data.normalizer, trainer.device, plain)
    return {way: evaluation.score(mean, test.labels)[1] for way, mean in ways.items()}


def _metrics(trainer: Trainer, arrays: Mapping[str, np.ndarray], averaged: Mapping[str, float]) -> Metrics:
    """The contents of metrics.json; `averaged` holds the accuracies by test-time augmentation."""
    history = trainer.history
    scores = {k: history[k][-1] for k in history if k.endswith(("_loss", "_accuracy"))}
    scores |= {f"test_accuracy_{way}": accuracy for way, accuracy in averaged.items()}
    return Metrics(
        **scores,
        errors=int((arrays["logits"].argmax(1) != arrays["labels"]).sum()),
        test_images=len(trainer.data.test),
        train_images=len(trainer.data.train),
        epochs=trainer.epoch,
        parameters=sum(p.numel() for p in trainer.net.parameters()),
        max_lr=trainer.settings.schedule.max_lr,
        training_seconds=sum(history["seconds"]),
        warm_up_seconds=trainer.compile_seconds,
        images_per_second=float(np.median(history["images_per_second"])),
    )

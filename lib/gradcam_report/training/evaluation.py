"""What a network makes of images: logits, plain or averaged over views of each image, and their score."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.datasets import Normalizer, Split
from ..model import ResNet18
from .device import Device

View = Callable[[Tensor], Tensor]


@torch.no_grad()
def predict(
    net: nn.Module,
    split: Split,
    normalizer: Normalizer,
    device: Device,
    batch: int = 500,
    view: View = lambda images: images,
) -> Tensor:
    """Logits, float32 (N, classes), of a split in eval mode; the mode is put back.

    `view` turns uint8 (B, 3, H, W) into the images that are shown instead of them, such as their mirror images.
    """
    training = net.training
    net.eval()
    try:
        logits = []
        for images in split.images.split(batch):
            with device.evaluation_precision(), device.autocast():
                out = net(normalizer(view(images)).contiguous(memory_format=torch.channels_last))
            logits.append(out.float())
        return torch.cat(logits)
    finally:
        net.train(training)


@torch.no_grad()
def features(net: ResNet18, split: Split, normalizer: Normalizer, device: Device, batch: int = 500) -> Tensor:
    """What the linear layer sees of each image, float32 (N, 512), in eval mode; the mode is put back."""
    head, net.linear = net.linear, nn.Identity()  # type: ignore[assignment]
    try:
        return predict(net, split, normalizer, device, batch)
    finally:
        net.linear = head


@torch.no_grad()
def layer4_maps(net: ResNet18, split: Split, normalizer: Normalizer, device: Device, batch: int = 500) -> Tensor:
    """Class activation maps of layer4 for every class, float32 (N, classes, 4, 4), signed, in logits.

    A cell is the class's row of the linear layer times the activations there, divided by the number of cells (Zhou et
    al. 2016, https://arxiv.org/abs/1512.04150, equation 2). The cells of a class sum to its logit without the bias.
    """
    maps = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
        cells = output.shape[2] * output.shape[3]
        weight = net.linear.weight
        maps.append(torch.einsum("kc,nchw->nkhw", weight, output.to(weight.dtype)).float() / cells)

    hook = net.layer4.register_forward_hook(keep)
    try:
        predict(net, split, normalizer, device, batch)
    finally:
        hook.remove()
    return torch.cat(maps)


def mirrored(images: Tensor) -> Tensor:
    """Left and right exchanged: (N, C, H, W) -> the same shape."""
    return images.flip(-1)


def moved(images: Tensor, down: int, right: int) -> Tensor:
    """(N, C, H, W) moved by -1, 0 or 1 pixels each way; the row or column that comes into view is the reflected one."""
    height, width = images.shape[-2:]
    padded = F.pad(images.float(), (1, 1, 1, 1), mode="reflect").to(images.dtype)
    return padded[..., 1 - down : 1 - down + height, 1 - right : 1 - right + width]


def predict_augmented(
    net: nn.Module, split: Split, normalizer: Normalizer, device: Device, plain: Tensor
) -> dict[str, Tensor]:
    """Mean logits over views of each image: {"flip": float32 (N, classes), "crops": ...}; `plain` are `predict`'s.

    Test-time augmentation after Jordan 2024 (https://arxiv.org/abs/2404.00498): "flip" averages the image and its
    mirror image, half each; "crops" gives these two a quarter each, and an eighth each to the same of two copies,
    moved by a pixel up and left, and down and right.
    """

    def both_ways(view: View) -> Tensor:
        return (logits(view) + logits(lambda images: mirrored(view(images)))) / 2

    def logits(view: View) -> Tensor:
        return predict(net, split, normalizer, device, view=view)

    flip = (plain + logits(mirrored)) / 2
    up_left = both_ways(lambda images: moved(images, -1, -1))
    down_right = both_ways(lambda images: moved(images, 1, 1))
    return {"flip": flip, "crops": flip / 2 + (up_left + down_right) / 4}


def score(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """(mean cross-entropy in nats, accuracy 0-1) of logits float (N, classes) against labels int64 (N,)."""
    logits, labels = logits.cpu(), labels.cpu()  # MPS has no float64
    accuracy = (logits.argmax(1) == labels).double().mean()
    return float(F.cross_entropy(logits.double(), labels)), float(accuracy)

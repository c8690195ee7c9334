"""The batches of an epoch: their order, and random crops, mirroring and cutout, for whole batches on the device.

Random choices come from generators seeded by (seed, epoch), so that a resumed run sees the same batches.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from ..config import AugmentConfig
from .datasets import Normalizer, Split

EVERY = slice(None)


def generator(seed: int, epoch: int, device: torch.device) -> torch.Generator:
    """The random source of one epoch; depends on nothing but its arguments."""
    return torch.Generator(device).manual_seed(seed * 1_000_003 + epoch)


def batches(
    train: Split,
    batch_size: int,
    config: AugmentConfig,
    normalizer: Normalizer,
    seed: int,
    epoch: int,
    shard: slice = EVERY,
) -> Iterator[tuple[Tensor, Tensor]]:
    """One shuffled pass over `train`: float32 (B, 3, 32, 32) channels_last, int64 (B,); the last B may be smaller.

    Only the `shard` of each batch is made, the same images as in the whole batch.
    """
    device = train.images.device
    random = generator(seed, epoch, device)
    order = torch.randperm(len(train), generator=random, device=device)
    for rows in order.split(batch_size):
        images = augmented(train.images, rows, config, normalizer, random, seed, epoch, shard)
        yield images.contiguous(memory_format=torch.channels_last), train.labels[rows[shard]]


def augmented(
    images: Tensor,
    rows: Tensor,
    config: AugmentConfig,
    normalizer: Normalizer,
    random: torch.Generator,
    seed: int,
    epoch: int,
    shard: slice = EVERY,
) -> Tensor:
    """Random crop of the reflect-padded image, flip, normalise, cutout.

    `images` uint8 (N, 3, 32, 32), 0-255, and `rows` int64 (B,) -> float32 (B, 3, 32, 32), normalised, or only its rows
    `shard`. Each step draws from `random` for the whole batch, so that every shard sees the same choices, and draws
    nothing when it is switched off, so that the other steps' choices stay. `seed` and `epoch` decide alternating flips.
    """
    count, side, pad = len(rows), images.shape[-1], config.crop_padding
    shift = torch.randint(-pad, pad + 1, (2, count, 1), generator=random, device=images.device)[:, shard]
    place = (
        torch.arange(side, device=images.device) + shift
    )  # (2, B, side): where each output row and column comes from
    y, x = (side - 1) - ((side - 1) - place.abs()).abs()  # reflected at the border: -1 -> 1, side -> side - 2
    flipped = flips(rows, config.flip, random, seed, epoch)[shard]
    rows = rows[shard]
    x = torch.where(flipped[:, None], x.flip(1), x)
    channel = torch.arange(3, device=images.device)
    batch = images[rows[:, None, None, None], channel[None, :, None, None], y[:, None, :, None], x[:, None, None, :]]
    return cutout(normalizer(batch), config.cutout, random, count, shard)


def flips(rows: Tensor, kind: str, random: torch.Generator, seed: int, epoch: int) -> Tensor:
    """Which of the images `rows` to mirror, bool (B,).

    "alternating" (Jordan 2024, https://arxiv.org/abs/2404.00498) draws once per image and then mirrors it every other
    epoch, so that two epochs show each image both ways.
    """
    if kind == "none":
        return torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    if kind == "random":
        return torch.rand(len(rows), generator=random, device=rows.device) < 0.5
    # A fair coin for each image, by Knuth's multiplicative hash; 81,007 makes the coins of different seeds independent.
    mixed = (rows * 2_654_435_761 + seed * 81_007) % 2**32
    return (((mixed >> 16) + epoch) % 2).bool()


def cutout(images: Tensor, side: int, random: torch.Generator, count: int, shard: slice = EVERY) -> Tensor:
    """Set one square of `side` pixels in each normalised image to zero, the data set's mean (DeVries & Taylor 2017).

    Squares are drawn for `count` images, of which `images` are the rows `shard`.
    """
    if side == 0:
        return images
    height, width = images.shape[-2:]
    corner = [
        torch.randint(0, s - side + 1, (count, 1), generator=random, device=images.device)[shard]
        for s in (height, width)
    ]
    inside = []
    for start, length in zip(corner, (height, width), strict=True):
        place = torch.arange(length, device=images.device)
        inside.append((place >= start) & (place < start + side))
    return images.masked_fill((inside[0][:, :, None] & inside[1][:, None, :])[:, None], 0.0)

"""Synthetic images that stand in for CIFAR-10, with the pixels that decide the class.

There are ten classes: five shapes times two textures. The shape alone gives 50 % accuracy, the texture alone 20 %. All
shapes have the same area and one distribution of size, position, rotation and colour. Both textures paint half of the
object in each of its two colours. So neither colour nor position nor size tells the class. The background has lines,
plain blobs and ribbons of either texture, independent of the class.

    from gradcam_report.data import shapes
    images, labels, masks = shapes.generate(5000, seed=0)
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SIZE = 32
SHAPES = ("disc", "square", "triangle", "ring", "cross")
TEXTURES = ("striped", "checked")
CLASSES = tuple(f"{texture} {shape}" for shape in SHAPES for texture in TEXTURES)

_BLOCK = 100  # images generated at once: a multiple of the number of classes, small enough for the CPU's cache
_UNIFORMS = 3300  # random numbers per image; about 3072 of them become pixel noise
_AREA = (130.0, 250.0)  # px² of the object, 13 % to 24 % of the image
_REACH = 0.88  # circumradius / sqrt(area) of the triangle, the shape that reaches farthest
_ROWS, _COLUMNS = np.mgrid[:SIZE, :SIZE].astype(np.float64)


class SyntheticImages(NamedTuple):
    """Images with their classes and the pixels that decide them: those of the object, without a ring's hole."""

    images: NDArray[np.uint8]  # (N, 3, 32, 32), RGB, 0-255
    labels: NDArray[np.int64]  # (N,), positions in `CLASSES`
    masks: NDArray[np.bool_]  # (N, 32, 32)


class _Layers(NamedTuple):
    """What one block of images is composed of; `image = background + coverage * (paint - background)`."""

    background: Floats  # (N, 3, 32, 32), 0-1
    paint: Floats  # (N, 3, 32, 32), 0-1: the object's colours, continued over the whole frame
    coverage: Floats  # (N, 1, 32, 32): 0 outside of the mask, 0.5 to 1 inside (edges are softened inwards)


def generate(n: int, seed: int) -> SyntheticImages:
    """Generate `n` images, classes in random order and as balanced as `n` allows (counts differ by one at most).

    Image i depends on `seed` and i only, not on `n`: `generate(100, s)` is the beginning of `generate(5000, s)`.

    Raises:
        ValueError: `n` or `seed` is negative.
    """
    if n < 0 or seed < 0:
        raise ValueError(f"generate needs n >= 0 and seed >= 0, not n={n} and seed={seed}.")
    images = np.empty((n, 3, SIZE, SIZE), np.uint8)
    labels = np.empty(n, np.int64)
    masks = np.empty((n, SIZE, SIZE), np.bool_)
    # Every block is generated whole, even if only its beginning is kept: rounding may depend on an array's length.
    for start in range(0, n, _BLOCK):
        kept = slice(start, min(start + _BLOCK, n))
        uniforms = _uniforms(seed, start)
        block_labels = _labels(uniforms[:, 0])
        background, paint, coverage = _layers(uniforms[:, 1:], block_labels)
        pixels = np.rint(255 * (background + coverage * (paint - background))).astype(np.uint8)
        count = kept.stop - start
        images[kept], labels[kept], masks[kept] = pixels[:count], block_labels[:count], coverage[:count, 0] > 0
    return SyntheticImages(images, labels, masks)


class _Random:
    """A stream of the random numbers of a block of images, read column by column.

    uniforms: float64 (N, K) in [0, 1), each row from the image's own generator.
    """

    def __init__(self, uniforms: Floats) -> None:
        self._n = len(uniforms)
        self._columns: Iterator[Floats] = iter(uniforms.T)

    def uniform(self, low: float, high: float, *shape: int) -> Floats:
        """(N, *shape) numbers, uniform in [low, high)."""
        columns = np.stack(list(islice(self._columns, int(np.prod(shape)))), axis=1)
        return low + (high - low) * columns.reshape(self._n, *shape)


def _uniforms(seed: int, start: int) -> Floats:
    """(_BLOCK, _UNIFORMS) numbers in [0, 1) for the images from `start` on, each row from its own child seed."""
    return np.stack([np.random.default_rng((seed, i)).random(_UNIFORMS) for i in range(start, start + _BLOCK)])


def _labels(uniforms: Floats) -> NDArray[np.int64]:
    """Class of each image: the rank of its number in its group of ten, so the order is random and exactly balanced."""
    return uniforms.reshape(-1, len(CLASSES)).argsort(axis=1).argsort(axis=1).ravel()


def _layers(uniforms: Floats, labels: NDArray[np.int64]) -> _Layers:
    """Background with distractors, and the object of class `labels` at a random pose; both get the same pixel noise."""
    random = _Random(uniforms)
    shape, texture = np.divmod(labels, len(TEXTURES))
    scale = np.sqrt(random.uniform(*_AREA, 1, 1))
    distance = _signed_distance(shape, scale, *_pose(random, margin=_REACH * scale))
    coverage = np.where(distance < 0, np.minimum(0.5 - distance, 1), 0)[:, None]
    paint = _paint(random, texture)
    background = _background(random)
    for _ in range(2):
        background = _stroke(random, background, length=(3, 6), radius=(1.8, 2.6), textured=True)  # ribbons
        background = _stroke(random, background, length=(5, 14), radius=(0.5, 1.0), textured=False)  # lines
    background = _stroke(random, background, length=(1.5, 3), radius=(2, 3.5), textured=False)  # a blob
    noise = random.uniform(0, 0.1, 1, 1, 1) * random.uniform(-1, 1, 3, SIZE, SIZE)
    return _Layers((background + noise).clip(0, 1), (paint + noise).clip(0, 1), coverage)


def _pose(random: _Random, margin: Floats | float) -> tuple[Floats, Floats]:
    """Pixel centres (y, x), (N, 32, 32) each in px, in a frame with random rotation and origin, `margin` px inside."""
    origin = margin + (SIZE - 1 - 2 * margin) * random.uniform(0, 1, 2, 1)[..., None].swapaxes(0, 1)
    return _rotate(random.uniform(0, 2 * np.pi, 1, 1), _ROWS - origin[0], _COLUMNS - origin[1])


def _rotate(angle: Floats, y: Floats, x: Floats) -> tuple[Floats, Floats]:
    """Coordinates `y` and `x` rotated by `angle` (radians)."""
    return np.cos(angle) * y - np.sin(angle) * x, np.sin(angle) * y + np.cos(angle) * x


def _signed_distance(shape: NDArray[np.int64], scale: Floats, y: Floats, x: Floats) -> Floats:
    """Distance in px to the outline, negative inside; every shape encloses an area of `scale` squared.

    shape: (N,) positions in `SHAPES`; scale: (N, 1, 1) px; y, x: (N, 32, 32) px from the centre of the object.
    """
    y, x = y / scale, x / scale
    radius, tall, wide = np.hypot(y, x), np.abs(y), np.abs(x)
    hole = 0.45  # inner over outer radius of the ring
    outer = (np.pi * (1 - hole**2)) ** -0.5
    slim = 0.3  # width over length of the cross's arms
    arm = 0.5 * (2 * slim - slim**2) ** -0.5
    # Outside, only the sign is used. Inside, the distance softens the edge; it is exact except at the cross's inner
    # corners.
    distances = {
        "disc": radius - np.pi**-0.5,
        "square": np.maximum(tall, wide) - 0.5,
        "triangle": np.maximum(-y, 0.5 * y + 0.75**0.5 * wide) - 27**-0.25,
        "ring": np.maximum(radius - outer, hole * outer - radius),
        "cross": np.maximum(np.maximum(tall, wide) - arm, np.minimum(tall, wide) - slim * arm),
    }
    return scale * np.choose(shape[:, None, None], [distances[name] for name in SHAPES])


def _paint(random: _Random, texture: NDArray[np.int64]) -> Floats:
    """(N, 3, 32, 32): two colours in stripes (texture 0) or checks (texture 1), with a random period, angle and phase.

    Unclipped, so that both colours are equally far from their mean.
    """
    period = random.uniform(5, 7, 1, 1)
    y, x = _rotate(random.uniform(0, 2 * np.pi, 1, 1), _ROWS, _COLUMNS)
    stripes, crossing = (_wave(z / period + random.uniform(0, 1, 1, 1)) for z in (y, x))
    pattern = np.where(texture[:, None, None] == 1, stripes * crossing, stripes)
    colour = random.uniform(0.2, 0.8, 3, 1, 1)
    contrast = random.uniform(0.12, 0.3, 1, 1, 1) * random.uniform(0.2, 1.4, 3, 1, 1)  # one sign: light against dark
    return colour + contrast * pattern[:, None]


def _wave(turns: Floats) -> Floats:
    """A square wave of period 1, between -1 and 1, with flanks about a pixel wide at the periods used."""
    return np.clip(12 * np.abs(turns % 1 - 0.5) - 3, -1, 1)


def _background(random: _Random) -> Floats:
    """(N, 3, 32, 32): random colours on a coarse grid, blended linearly."""
    cells = 5
    knots = random.uniform(0.25, 0.75, 3, 1, 1) + random.uniform(0.1, 0.8, 1, 1, 1) * random.uniform(
        -0.5, 0.5, 3, cells, cells
    )
    position = np.linspace(0, cells - 1, SIZE)[:, None]
    weights = np.clip(1 - np.abs(position - np.arange(cells)), 0, 1)
    return weights @ knots @ weights.T


def _stroke(
    random: _Random, canvas: Floats, length: tuple[float, float], radius: tuple[float, float], textured: bool
) -> Floats:
    """Paint a rounded stroke on `canvas` (N, 3, 32, 32): the only form of distractor; no class has it.

    length: half the length in px, without the round ends; radius in px; textured: stripes or checks, else one colour.
    """
    y, x = _pose(random, margin=0.0)
    beyond = np.maximum(np.abs(y) - random.uniform(*length, 1, 1), 0)
    coverage = np.clip(0.5 + random.uniform(*radius, 1, 1) - np.hypot(beyond, x), 0, 1)[:, None]
    paint = _paint(random, (random.uniform(0, 2) >= 1).astype(np.int64)) if textured else random.uniform(0, 1, 3, 1, 1)
    return canvas + coverage * (paint - canvas)

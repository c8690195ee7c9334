"""The page "Try it": what it carries along, so that a browser can run the network on a reader's picture.

The block holds its data: one picture with all images that the page offers, a table of them, and an example that was
answered beforehand. The modules in `book/_static/live/` bring it to life; the graphs that they run are those of
`live_graph`, the weights those of the run, which `book/_ext/live_files.py` copies to the site.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..analysis.predictions import Predictions
from ..analysis.selection import Examples
from ..config import LAYERS, LiveConfig, ReportError
from ..data.datasets import NORMALIZERS
from ..explain import backward
from ..explain.cam import float32_eval
from ..explain.contrast import contrast_classes, explain_images
from ..model import ResNet18
from ..plots import Card
from ..plots.images import mosaic
from . import case_card, explorer

RUNTIME = "4 MB of runtime"  # book/_static/vendor, packed


@dataclass(frozen=True, eq=False)
class Live:
    """The data of the page: N images with their table, and one of them answered beforehand."""

    classes: Sequence[str]
    dataset: str
    images: NDArray[np.uint8]
    """uint8 (N, 3, 32, 32), 0-255."""
    table: list[dict[str, int]]
    """Of each image its number in the test set, its label and the predicted class: "i", "t", "p"."""
    example: dict[str, Any]
    """The position of the example, and the network's outputs for it, as `network.mjs` reads them."""
    card: Card
    """The example's."""
    size: str
    """What the page has to load, for readers."""


def select_rows(predictions: Predictions, params: LiveConfig) -> NDArray[np.int64]:
    """Return the rows of the images that the page offers, int64 (N,): all errors, some right answers, the example.

    Raises `ReportError` for an example that the run was not tested on.
    """
    offered = explorer.select_rows(predictions, params.right_answers)
    if params.example_image < 0:
        return offered
    row = np.flatnonzero(predictions.indices == params.example_image)
    if not len(row):
        number = params.example_image
        raise ReportError(
            f"example_image is {number}, which this run was not tested on; leave it out, or name another."
        )
    return offered if row[0] in offered else np.append(offered, row[0])


def build(net: ResNet18, examples: Examples, params: LiveConfig) -> Live:
    """Collect the page's data of the images that `select_rows` chose."""
    rows = zip(examples.indices.tolist(), examples.true.tolist(), examples.predicted.tolist(), strict=True)
    table = [{"i": index, "t": label, "p": predicted} for index, label, predicted in rows]
    at = _example_position(examples, params.example_image)
    one = slice(at, at + 1)
    image, probabilities, labels = examples.images[one], examples.probabilities[one], examples.true[one]
    normalised = NORMALIZERS[examples.dataset](torch.from_numpy(image))
    explanation = explain_images(net, normalised, *contrast_classes(probabilities, labels), LAYERS)
    (card,) = case_card.from_explanation(image, probabilities, labels, examples.classes, explanation)
    pair = [card.predicted, card.contrast]
    with float32_eval(net), torch.no_grad():
        device = next(net.parameters()).device
        each_class = torch.eye(len(examples.classes), device=device)
        logits, maps = backward.signed_maps(net, normalised.to(device), each_class)
    example = {
        "at": at,
        "logits": _numbers(logits[0]),
        "cells": [_numbers(cells) for cells in maps[3]],
        "classes": pair,
        "maps": {layer: [_numbers(m[c]) for c in pair] for layer, m in zip(LAYERS[:3], maps[:3], strict=True)},
    }
    size = f"{(examples.folder / 'model.safetensors').stat().st_size / 1e6:.0f} MB of weights, {RUNTIME}"
    return Live(examples.classes, examples.dataset, examples.images, table, example, card, size)


def _example_position(examples: Examples, wanted: int) -> int:
    """The position of the test image `wanted`; for -1 of the most confident right answer, or else of any."""
    if wanted >= 0:
        return int(np.flatnonzero(examples.indices == wanted)[0])
    confidence = examples.probabilities.max(axis=1)
    return int(np.argmax(np.where(examples.wrong, confidence - 1, confidence)))


def _numbers(values: torch.Tensor) -> list[float]:
    """The values row by row, to five digits."""
    return [float(f"{value:.5g}") for value in values.flatten().tolist()]


def to_html(live: Live) -> str:
    """Return the block of HTML; where the network cannot run, it says why and what to do."""
    normalizer = NORMALIZERS[live.dataset]
    kept = {
        "classes": list(live.classes),
        "mean": normalizer.mean,
        "std": normalizer.std,
        "size": live.size,
        "columns": explorer.COLUMNS,
        "cases": live.table,
        "example": live.example,
    }
    # "<" cannot end the script element early when it is written as an escape.
    table = json.dumps(kept, separators=(",", ":")).replace("<", "\\u003c")
    sprite = explorer.image_url(mosaic(live.images.transpose(0, 2, 3, 1), explorer.COLUMNS, gap=0))
    missing = (
        "<p><strong>The network does not run on this page as it is open now.</strong> It needs JavaScript, and a site "
        "that is served: browsers refuse to run it on pages opened from a folder. Give the command "
        "<code>gradcam-report serve</code>, or <code>python3 -m http.server --bind 127.0.0.1</code> in the folder of "
        "the site, and open the address that it names. A prepared example is at the end of this page.</p>"
    )
    return (
        f'<section class="live" id="live" aria-label="The network, live"><div class="prepared">{missing}</div>'
        f'<img class="sprite" src="{sprite}" alt="" hidden>'
        f'<script type="application/json" class="data">{table}</script></section>'
    )

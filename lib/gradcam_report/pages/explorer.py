"""The error explorer: every error of a run, and some right answers, as one block of HTML that needs no server.

The block holds its data: one picture with all images, one with all maps, and a table. `book/_static/explorer.js` brings
it to life on a page of the book; without that script it shows a few cases and says what is missing.
"""

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..analysis.predictions import Predictions
from ..analysis.selection import Examples
from ..config import LAYERS, ExplorerParams, ReportError
from ..data import human_labels
from ..explain import cam
from ..explain.contrast import explain_examples
from ..model import ResNet18
from . import case_card

COLUMNS = 25  # of both pictures
LEVELS = 16  # of a map's values: coarse, so that all of them are small
# Where each layer's map lies in its half of a case's tile of 32 x 96 pixels: row, column, side.
PLACES = {"layer1": (0, 0, 32), "layer2": (0, 32, 16), "layer3": (16, 32, 8), "layer4": (16, 40, 4)}
HALF = 48


@dataclass(frozen=True, eq=False)
class Explorer:
    """All that the page shows: `images` uint8 (N, 3, 32, 32), a `table` row for each, `tiles` of maps (N, 32, 96)."""

    classes: Sequence[str]
    method: str
    images: NDArray[np.uint8]
    tiles: NDArray[np.uint8]
    table: list[dict[str, Any]]
    note: str = ""


def rows(predictions: Predictions, contrast: int) -> NDArray[np.int64]:
    """Rows of the predictions to show, int64 (N,): all errors, the surest first, then `contrast` right ones per class.

    The right answers are drawn at random, the same ones at every call.
    """
    wrong = np.flatnonzero(predictions.wrong)
    wrong = wrong[np.argsort(-predictions.confidence[wrong], kind="stable")]
    random = np.random.default_rng(0)
    classes = range(predictions.logits.shape[1])
    if not len(wrong) and not contrast:
        raise ReportError("The run has no error to show and contrast is 0; show right answers with -p contrast 5.")
    right = [np.flatnonzero(~predictions.wrong & (predictions.labels == c)) for c in classes]
    return np.concatenate([wrong, *(np.sort(random.permutation(r)[:contrast]) for r in right)]).astype(np.int64)


def collect(net: ResNet18, chosen: Examples, params: ExplorerParams) -> Explorer:
    """Explain the images of `chosen` at all layers and put together what the page needs.

    `params` are the chapter's. Goes without people's votes where they cannot be had, and says so in `note`.
    """
    method = params.explorer.map_method
    found = explain_examples(net, chosen, LAYERS, method)
    cards = case_card.from_explanation(chosen.images, chosen.probabilities, chosen.true, chosen.classes, found)
    people, kinds, note = None, None, ""
    try:
        people = human_labels.load(chosen.dataset, params.human.human_root)
        kinds = people.error_kinds(chosen.indices, chosen.true)
    except ReportError as error:
        note = str(error)
    table: list[dict[str, Any]] = []
    for number, (card, index) in enumerate(zip(cards, chosen.indices, strict=True)):
        row: dict[str, Any] = {
            "i": int(index),
            "t": card.label,
            "p": card.predicted,
            "o": card.contrast,
            "q": [round(1000 * float(share)) for share in card.probabilities],
            "m": round(card.margin, 2),
            "c": [round(float(value), 2) for value in card.cells.ravel()],
        }
        if people is not None and kinds is not None:
            card = replace(card, votes=people.votes[index])
            row |= {"v": people.votes[index].tolist(), "k": int(kinds[number])}
        row |= {"s": case_card.sentence(card), "n": f"number {index}, {case_card.title(card)}"}
        table.append(row)
    tiles = np.stack([tile(card.maps) for card in cards])
    return Explorer(chosen.classes, cam.METHODS[method].title, chosen.images, tiles, table, note)


def against_people(found: Explorer) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Of each error the network's confidence, the share of people who chose the label, and its kind.

    float64 (N,), 0-1, twice, and int64 (N,), positions in `human_labels.ERROR_KINDS`; empty without human labels.
    """
    asked = [row for row in found.table if row["p"] != row["t"] and "v" in row]
    confidence = np.array([row["q"][row["p"]] / 1000 for row in asked], np.float64)
    shares = np.array([row["v"][row["t"]] / sum(row["v"]) for row in asked], np.float64)
    return confidence, shares, np.array([row["k"] for row in asked], np.int64)


def tile(maps: Mapping[str, Mapping[str, NDArray[np.floating]]]) -> NDArray[np.uint8]:
    """One case's maps, 0-1, for "predicted" and "contrast" side by side: uint8 (32, 96), in `LEVELS` steps."""
    canvas = np.zeros((32, 2 * HALF), np.uint8)
    for half, target in enumerate(("predicted", "contrast")):
        for layer, (row, column, side) in PLACES.items():
            steps = np.rint(np.asarray(maps[target][layer]) * (LEVELS - 1))
            left = half * HALF + column
            canvas[row : row + side, left : left + side] = np.rint(steps * 255 / (LEVELS - 1))
    return canvas


def mosaic(tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Tiles (N, h, w) or (N, h, w, 3) in rows of `COLUMNS`, without gaps."""
    count, height, width = tiles.shape[:3]
    lines = -(-count // COLUMNS)
    canvas = np.zeros((lines * height, COLUMNS * width, *tiles.shape[3:]), np.uint8)
    for number, one in enumerate(tiles):
        top, left = number // COLUMNS * height, number % COLUMNS * width
        canvas[top : top + height, left : left + width] = one
    return canvas


def address(pixels: NDArray[np.uint8]) -> str:
    """A picture as a data address of lossless WebP."""
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "WEBP", lossless=True, quality=100, method=6)
    return "data:image/webp;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")


def page(found: Explorer, shown: int = 10) -> str:
    """The block of HTML; without its script it shows the first `shown` errors, linked to their cards."""
    items = []
    wrong = ((row, image) for row, image in zip(found.table, found.images, strict=True) if row["p"] != row["t"])
    for row, image in islice(wrong, shown):
        words, source = html.escape(row["n"]), address(image.transpose(1, 2, 0))
        link = f"gradcam.html#case-{row['i']}"
        items.append(f'<li><a href="{link}"><img src="{source}" alt="{words}" width="64" height="64"></a></li>')
    kept = {"classes": list(found.classes), "method": found.method, "columns": COLUMNS, "half": HALF}
    kept |= {"places": PLACES, "kinds": list(human_labels.ERROR_KINDS), "cases": found.table}
    # "<" cannot end the script element early when it is written as an escape.
    table = json.dumps(kept, separators=(",", ":")).replace("<", "\\u003c")
    sprite = address(mosaic(found.images.transpose(0, 2, 3, 1)))
    maps = address(mosaic(found.tiles))
    note = f'<p class="note">{html.escape(found.note)}</p>' if found.note else ""
    missing = (
        f"Here are {len(items)} of {len(found.table)} cases, the surest errors. All of them, with filters and maps, "
        "are shown on the built site in a browser with JavaScript; there each image leads to its card, if the chapter "
        "before has one."
    )
    return (
        f'<section class="explorer" id="explorer" aria-label="Error explorer">{note}<p class="missing">{missing}</p>'
        f'<ul class="tiles">{"".join(items)}</ul>'
        f'<img class="sprite" src="{sprite}" alt="" hidden><img class="maps" src="{maps}" alt="" hidden>'
        f'<script type="application/json" class="data">{table}</script></section>'
    )

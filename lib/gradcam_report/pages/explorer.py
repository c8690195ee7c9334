"""The error explorer: every error of a run, and some right answers, as one block of HTML that needs no server.

The block holds its data: one picture with all images, one with all maps, one with the nearest training images, and a
table. `book/_static/explorer.js` makes it interactive on a page of the book; without that script it shows the first
errors. `book/_ext/case_links.py` tells it which images have a case card in the chapter `gradcam`.
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

from ..analysis import features
from ..analysis.predictions import Predictions
from ..analysis.selection import Examples
from ..config import LAYERS, ExplorerParams, ReportError
from ..data import human_labels
from ..explain import cam
from ..explain.contrast import explain_examples
from ..model import ResNet18
from ..plots.images import mosaic
from . import case_card

COLUMNS = 25  # of both pictures
LEVELS = 16  # of a map's values: coarse, so that all maps together are a small picture
# Position of each layer's map in its half of a case's tile of 32 x 96 pixels: row, column, side.
PLACES = {"layer1": (0, 0, 32), "layer2": (0, 32, 16), "layer3": (16, 32, 8), "layer4": (16, 40, 4)}
HALF = 48


@dataclass(frozen=True, eq=False)
class Explorer:
    """The explorer's data: N images with their maps and their table."""

    classes: Sequence[str]
    method: str
    """The maps' name."""
    images: NDArray[np.uint8]
    """uint8 (N, 3, 32, 32), 0-255."""
    tiles: NDArray[np.uint8]
    """uint8 (N, 32, 96): all maps of each image, see `map_tile`."""
    table: list[dict[str, Any]]
    """A row of each image, as `explorer.js` reads it."""
    near: NDArray[np.uint8] | None = None
    """uint8 (N, 3, 32, 32 K): the K = `features.NEIGHBOURS` nearest training images side by side;
    None where they cannot be had."""
    note: str = ""
    """What the explorer lacks."""


def select_rows(predictions: Predictions, right_per_class: int) -> NDArray[np.int64]:
    """Return the rows of all errors, the most confident first, then those of some right answers of each class.

    The right answers are drawn at random, the same ones at every call.
    """
    if not predictions.wrong.any() and not right_per_class:
        raise ReportError("The run has no error to show and contrast is 0; show right answers with -p contrast 5.")
    wrong = np.flatnonzero(predictions.wrong)
    wrong = wrong[np.argsort(-predictions.confidence[wrong], kind="stable")]
    random, classes = np.random.default_rng(0), range(predictions.logits.shape[1])
    right = [np.flatnonzero(~predictions.wrong & (predictions.labels == c)) for c in classes]
    drawn = [np.sort(random.permutation(rows)[:right_per_class]) for rows in right]
    return np.concatenate([wrong, *drawn]).astype(np.int64)


def build(net: ResNet18, examples: Examples, params: ExplorerParams) -> Explorer:
    """Explain the examples at all layers and collect the explorer's data.

    It goes without the votes or the nearest training images where these cannot be had.
    """
    explanation = explain_examples(net, examples, LAYERS, params.explorer.map_method)
    cards = case_card.from_explanation(
        examples.images, examples.probabilities, examples.true, examples.classes, explanation
    )
    votes, kinds, near, near_labels, notes = None, None, None, None, []
    try:
        people = human_labels.load(examples.dataset, params.human.human_root)
        votes, kinds = people.votes[examples.indices], people.error_kinds(examples.indices, examples.true)
    except ReportError as error:
        notes.append(str(error))
    try:
        images, near_labels = features.neighbours(
            examples.folder, examples.record, examples.rows, params.images.data_root
        )
        near = np.concatenate(list(images.swapaxes(0, 1)), axis=3)
    except ReportError as error:
        notes.append(f"The nearest training images are not shown. {error}")
    table: list[dict[str, Any]] = []
    for number, (card, index) in enumerate(zip(cards, examples.indices, strict=True)):
        row: dict[str, Any] = {
            "index": int(index),
            "true": card.label,
            "predicted": card.predicted,
            "other": card.contrast,
            "percent": [round(100 * float(probability), 2) for probability in card.probabilities],
            "margin": round(card.margin, 2),
            "cells": [round(float(value), 2) for value in card.cells.ravel()],
        }
        if votes is not None and kinds is not None:
            card = replace(card, votes=votes[number])
            row |= {"votes": votes[number].tolist(), "kind": int(kinds[number])}
        if near_labels is not None:
            row["near"] = near_labels[number].tolist()
        row |= {"sentence": case_card.sentence(card), "name": f"number {index}, {case_card.title(card)}"}
        table.append(row)
    tiles = np.stack([map_tile(card.maps) for card in cards])
    method = cam.METHODS[params.explorer.map_method].title
    return Explorer(examples.classes, method, examples.images, tiles, table, near, " ".join(notes))


def human_agreement(explorer: Explorer) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return of each error the network's confidence, the share of people who chose the label, and the kind of error.

    float64 (N,), 0-1, twice, and int64 (N,), positions in `human_labels.ERROR_KINDS`; empty without votes.
    """
    rows = [row for row in explorer.table if row["predicted"] != row["true"] and "votes" in row]
    confidence = np.array([row["percent"][row["predicted"]] / 100 for row in rows], np.float64)
    shares = np.array([row["votes"][row["true"]] / sum(row["votes"]) for row in rows], np.float64)
    return confidence, shares, np.array([row["kind"] for row in rows], np.int64)


def map_tile(maps: Mapping[str, Mapping[str, NDArray[np.floating]]]) -> NDArray[np.uint8]:
    """Return one image's maps, 0-1, of the predicted and the contrast class as uint8 (32, 96), in `LEVELS` steps."""
    canvas = np.zeros((32, 2 * HALF), np.uint8)
    for half, target in enumerate(("predicted", "contrast")):
        for layer, (row, column, side) in PLACES.items():
            steps = np.rint(np.asarray(maps[target][layer]) * (LEVELS - 1))
            left = half * HALF + column
            canvas[row : row + side, left : left + side] = np.rint(steps * 255 / (LEVELS - 1))
    return canvas


def image_url(pixels: NDArray[np.uint8], lossless: bool = True) -> str:
    """Return pixels, uint8 (H, W) or (H, W, 3), as a data address of WebP."""
    encoded = io.BytesIO()
    # Lossless of quality 100 would be half a percent smaller, and take twenty times as long.
    Image.fromarray(pixels).save(encoded, "WEBP", lossless=lossless, quality=80, method=6)
    return "data:image/webp;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")


def to_html(explorer: Explorer, shown: int = 10) -> str:
    """Return the block of HTML; without its script it shows the first `shown` images."""
    items = []
    for row, image in islice(zip(explorer.table, explorer.images, strict=True), shown):
        source, alt = image_url(image.transpose(1, 2, 0)), html.escape(row["name"])
        items.append(f'<li><img src="{source}" alt="{alt}" width="64" height="64"></li>')
    data = {"classes": list(explorer.classes), "method": explorer.method, "columns": COLUMNS, "half": HALF}
    data |= {"places": PLACES, "kinds": list(human_labels.ERROR_KINDS), "cases": explorer.table}
    # "<" cannot end the script element early when it is written as an escape.
    script = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    sprite = image_url(mosaic(explorer.images.transpose(0, 2, 3, 1), COLUMNS, gap=0))
    maps = image_url(mosaic(explorer.tiles, COLUMNS, gap=0))
    near = ""
    if explorer.near is not None:
        source = image_url(mosaic(explorer.near.transpose(0, 2, 3, 1), COLUMNS, gap=0), lossless=False)
        near = f'<img class="near" src="{source}" alt="" hidden>'
    note = f'<p class="note">{html.escape(explorer.note)}</p>' if explorer.note else ""
    missing = (
        f"Here are {len(items)} of {len(explorer.table)} images, the surest errors first. The built site shows all of "
        "them, with filters and maps, in a browser with JavaScript."
    )
    return (
        f'<section class="explorer" id="explorer" aria-label="Error explorer">{note}<p class="missing">{missing}</p>'
        f'<ul class="tiles">{"".join(items)}</ul>'
        f'<img class="sprite" src="{sprite}" alt="" hidden><img class="maps" src="{maps}" alt="" hidden>{near}'
        f'<script type="application/json" class="data">{script}</script></section>'
    )

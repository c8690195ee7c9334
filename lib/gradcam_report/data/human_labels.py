"""What people see in the CIFAR-10 test images: votes (CIFAR-10H) and raters' verdicts on doubtful labels.

Both are small public files, fetched once from their repositories at fixed commits and believed only if their checksum
is right. Where they cannot be had, a page goes on without them and says so.
"""

import hashlib
import http.client
import io
import json
import os
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..config import ReportError, project_root
from ..runs.io import write_atomic

Ints = NDArray[np.int64]
RAW = "https://raw.githubusercontent.com"
# name -> address, SHA-256
VOTES = (
    "cifar10h-counts.npy",  # Peterson et al. 2019, https://arxiv.org/abs/1908.07086
    f"{RAW}/jcpeterson/cifar-10h/48da312b193b82e6939ec20f23d1f09cbdd849c8/data/cifar10h-counts.npy",
    "9b36b4550349af56c79083356312eb4af856cc5fd3caf1f669d40b9d0bbb69ff",
)
VERDICTS = (
    "cifar10_mturk.json",  # Northcutt et al. 2021, https://arxiv.org/abs/2103.14749
    f"{RAW}/cleanlab/label-errors/6d5d6b31a13216290afc40e5c6319399c4d15c06/mturk/cifar10_mturk.json",
    "81b2c16c9eee060d6cc2390f6bbce1e0e7be0a050574be5177c9428f3596b5b5",
)
AGREED = 0.8  # below this share of votes for the label, people are taken to disagree about an image
KINDS = ("label probably wrong", "people disagree too", "model plainly wrong")


@dataclass(frozen=True, eq=False)
class Judgements:
    """`votes`: int64 (10000, 10), how many people chose each class; `rejected`: bool (10000,), labels raters refused.

    A label is rejected when fewer than three of the five raters of a flagged image kept it (the others chose another
    class, both, or neither): the 54 label errors of Northcutt et al. 2021, table 2.
    """

    votes: Ints
    rejected: np.ndarray

    def share(self, indices: Ints, classes: Ints) -> np.ndarray:
        """Share of the votes, float64 (N,), 0-1, for one class of each test image; both arguments int64 (N,)."""
        votes = self.votes[indices]
        return votes[np.arange(len(votes)), classes] / votes.sum(axis=1)

    def majority(self, indices: Ints) -> Ints:
        """The class that more people chose than any other, int64 (N,); the lower class where two tie."""
        return self.votes[indices].argmax(axis=1)

    def kinds(self, indices: Ints, labels: Ints) -> Ints:
        """Which of `KINDS` an error on each test image is, int64 (N,).

        The label is probably wrong where raters rejected it or more people chose another class; people disagree where
        fewer than `AGREED` of them chose the label; everything else is the model's own fault.
        """
        votes = self.votes[indices]
        doubtful = self.rejected[indices] | (votes.max(axis=1) > votes[np.arange(len(votes)), labels])
        return np.where(doubtful, 0, np.where(self.share(indices, labels) < AGREED, 1, 2))


def in_words(judged: Judgements, index: int, classes: Sequence[str]) -> str:
    """The two classes that most people chose for a test image, with their shares: "cat 60 %, dog 30 %"."""
    votes = judged.votes[index]
    top = np.argsort(-votes, kind="stable")[:2]
    return ", ".join(f"{classes[c]} {100 * votes[c] / votes.sum():.0f} %" for c in top if votes[c])


def asked_about(dataset: str, root: str) -> tuple[Judgements | None, str]:
    """(the judgements of a data set's test images, "") or (None, a sentence that says why there are none)."""
    if dataset != "cifar10":
        return None, "Nobody was asked about drawn images."
    try:
        return load(root), ""
    except ReportError as error:
        return None, f"There are no people's votes here. {error}"


def load(root: str = "") -> Judgements:
    """The judgements from the folder `root`, else HUMAN_LABELS_ROOT, else `data/human-labels`, fetched where missing.

    Raises `ReportError` when a file can neither be read nor fetched, or is not the published one.
    """
    folder = project_root() / (root or os.environ.get("HUMAN_LABELS_ROOT", "") or "data/human-labels")
    votes = np.load(io.BytesIO(_content(folder, *VOTES)), allow_pickle=False)
    rejected = np.zeros(len(votes), dtype=bool)
    for flagged in json.loads(_content(folder, *VERDICTS)):
        rejected[flagged["id"]] = flagged["mturk"]["given"] < 3
    return Judgements(votes.astype(np.int64), rejected)


def _content(folder: Path, name: str, address: str, checksum: str) -> bytes:
    """The file's bytes, fetched first where `folder` does not hold it; only what has the right checksum is kept."""
    path = folder / name
    try:
        content = path.read_bytes() if path.exists() else _fetch(address)
    except (OSError, http.client.HTTPException) as error:
        reason = " ".join(str(error).split())[:120]
        raise ReportError(
            f"{path} is missing and could not be fetched ({reason}); set HUMAN_LABELS_ROOT to a folder that holds it."
        ) from None
    if hashlib.sha256(content).hexdigest() != checksum:
        remedy = f"delete {path}" if path.exists() else f"put the published file into {folder}"
        raise ReportError(f"{name} differs from the file that was published; {remedy} and run again.")
    if not path.exists():
        write_atomic(path, content)
    return content


def _fetch(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return answer.read()

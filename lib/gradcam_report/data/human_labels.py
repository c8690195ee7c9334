"""What people see in the CIFAR-10 test images: their votes (CIFAR-10H), and which labels raters found wrong.

Both are small public files. They are downloaded once, from fixed commits of their repositories, and used only if their
SHA-256 is right.
"""

import contextlib
import hashlib
import http.client
import io
import json
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..config import ReportError, data_folder
from ..runs.io import write_atomic

Ints = NDArray[np.int64]
RAW = "https://raw.githubusercontent.com"
# name, address, SHA-256
VOTES = (
    "cifar10h-counts.npy",  # Peterson et al. 2019, https://arxiv.org/abs/1908.07086
    f"{RAW}/jcpeterson/cifar-10h/48da312b193b82e6939ec20f23d1f09cbdd849c8/data/cifar10h-counts.npy",
    "9b36b4550349af56c79083356312eb4af856cc5fd3caf1f669d40b9d0bbb69ff",
)
LABEL_ERRORS = (
    "cifar10_mturk.json",  # Northcutt et al. 2021, https://arxiv.org/abs/2103.14749
    f"{RAW}/cleanlab/label-errors/6d5d6b31a13216290afc40e5c6319399c4d15c06/mturk/cifar10_mturk.json",
    "81b2c16c9eee060d6cc2390f6bbce1e0e7be0a050574be5177c9428f3596b5b5",
)
AGREEMENT = 0.8  # share of votes for the label below which people disagree about an image
ERROR_KINDS = ("label probably wrong", "people disagree too", "people side with the label")


@dataclass(frozen=True, eq=False)
class HumanLabels:
    """`votes`: int64 (10000, 10), how many people chose each class; `label_error`: bool (10000,), the label is wrong.

    A label counts as an error where fewer than three of the five raters of a flagged image kept it (the others chose
    another class, both, or neither): the 54 label errors of Northcutt et al. 2021, table 2.
    """

    votes: Ints
    label_error: NDArray[np.bool_]

    def vote_share(self, indices: Ints, classes: Ints) -> NDArray[np.float64]:
        """Share of the votes, float64 (N,), 0-1, for one class of each test image; both arguments int64 (N,)."""
        votes = self.votes[indices]
        return votes[np.arange(len(votes)), classes] / votes.sum(axis=1)

    def majority(self, indices: Ints) -> Ints:
        """The class with the most votes, int64 (N,); the lower class where two tie."""
        return self.votes[indices].argmax(axis=1)

    def error_kinds(self, indices: Ints, labels: Ints) -> Ints:
        """Position in `ERROR_KINDS`, int64 (N,), of the network's error on each test image with its label.

        The label is probably wrong where raters found an error or another class has more votes. People disagree where
        the label has less than `AGREEMENT` of the votes. Else people side with the label.
        """
        votes = self.votes[indices]
        doubtful = self.label_error[indices] | (votes.max(axis=1) > votes[np.arange(len(votes)), labels])
        return np.where(doubtful, 0, np.where(self.vote_share(indices, labels) < AGREEMENT, 1, 2))


def load(dataset: str, root: str = "") -> HumanLabels:
    """Load the human labels of a data set's test images; download the files that are missing.

    They lie in the folder `root`, else in HUMAN_LABELS_ROOT, else in `data/human-labels`.

    Raises:
        ReportError: the data set is not "cifar10", the named folder does not exist, a file can neither be read nor
            downloaded, or its SHA-256 is wrong.
    """
    if dataset != "cifar10":
        raise ReportError("There are no human labels for synthetic images; they exist for CIFAR-10's test images.")
    folder, name = data_folder("human_root", root, "HUMAN_LABELS_ROOT", "data/human-labels")
    if name and not folder.is_dir():
        raise ReportError(f"{name} is {str(folder)!r}, but there is no such folder; correct it.")
    votes = np.load(io.BytesIO(_content(folder, *VOTES)), allow_pickle=False)
    label_error = np.zeros(len(votes), dtype=bool)
    for flagged in json.loads(_content(folder, *LABEL_ERRORS)):
        label_error[flagged["id"]] = flagged["mturk"]["given"] < 3
    return HumanLabels(votes.astype(np.int64), label_error)


def _content(folder: Path, name: str, address: str, checksum: str) -> bytes:
    """The file's bytes, downloaded into `folder` where it is missing; only what has the right checksum is kept."""
    path = folder / name
    stored = path.exists()
    try:
        content = path.read_bytes() if stored else _download(address)
    except (OSError, http.client.HTTPException) as error:
        reason = " ".join(str(error).split())[:120]
        fault = "cannot be read" if stored else "is missing and could not be downloaded"
        raise ReportError(
            f"{path} {fault} ({reason}); set human_root or HUMAN_LABELS_ROOT to a folder that holds the file."
        ) from None
    if hashlib.sha256(content).hexdigest() != checksum:
        remedy = f"delete {path}" if stored else f"put the published file into {folder}"
        raise ReportError(f"{name} differs from the published file; {remedy} and run again.")
    if not stored:
        with contextlib.suppress(ReportError):  # in a read-only checkout it is downloaded every time
            write_atomic(path, content)
    return content


def _download(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return answer.read()

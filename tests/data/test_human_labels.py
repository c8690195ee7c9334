"""Human judgements: only the published files are believed, and what is made of votes and verdicts."""

import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from gradcam_report.config import ReportError
from gradcam_report.data import human_labels


def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Small stand-ins for the published files, with their checksums: five images, three classes."""
    votes = np.array([[50, 1, 0], [10, 30, 11], [45, 6, 0], [20, 20, 11], [51, 0, 0]])
    raw = io.BytesIO()
    np.save(raw, votes)
    flagged = [
        {"id": 2, "mturk": {"given": 1, "guessed": 3, "neither": 1, "both": 0}},
        {"id": 4, "mturk": {"given": 3, "guessed": 0, "neither": 0, "both": 2}},
    ]
    content = {human_labels.VOTES[0]: raw.getvalue(), human_labels.LABEL_ERRORS[0]: json.dumps(flagged).encode()}
    for constant in ("VOTES", "LABEL_ERRORS"):
        name, address, _ = getattr(human_labels, constant)
        monkeypatch.setattr(human_labels, constant, (name, address, hashlib.sha256(content[name]).hexdigest()))
    return content


@pytest.fixture
def stored(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("HUMAN_LABELS_ROOT", raising=False)
    folder = project / "votes"
    folder.mkdir()
    for name, content in files(monkeypatch).items():
        (folder / name).write_bytes(content)
    return folder


def test_votes_become_shares_majorities_and_kinds_of_errors(stored: Path):
    found = human_labels.load("cifar10", "votes")
    indices, labels = np.array([0, 1, 2, 3, 4]), np.array([0, 0, 0, 0, 0])
    np.testing.assert_allclose(found.vote_share(indices, labels), [50 / 51, 10 / 51, 45 / 51, 20 / 51, 1])
    assert found.majority(indices).tolist() == [0, 1, 0, 0, 0]
    assert found.label_error.tolist() == [False, False, True, False, False]  # 1 and 3 of 5 kept it
    # plainly wrong; most people say otherwise; raters rejected the label; people disagree; plainly wrong
    assert found.error_kinds(indices, labels).tolist() == [2, 0, 0, 1, 2]
    assert found.error_kinds(np.array([4]), np.array([1])).tolist() == [0]
    assert found.error_kinds(np.array([3]), np.array([1])).tolist() == [1]  # a tie: people disagree


def test_the_folder_is_the_parameter_or_the_environments(stored: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HUMAN_LABELS_ROOT", str(stored))
    assert human_labels.load("cifar10").votes.shape == (5, 3)


def test_missing_files_are_fetched_once_and_kept(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HUMAN_LABELS_ROOT", raising=False)
    content, fetched = files(monkeypatch), []
    monkeypatch.setattr(
        human_labels, "_download", lambda address: fetched.append(address) or content[address.split("/")[-1]]
    )
    human_labels.load("cifar10")
    human_labels.load("cifar10")
    assert fetched == [human_labels.VOTES[1], human_labels.LABEL_ERRORS[1]]
    assert sorted(p.name for p in (project / "data/human-labels").iterdir()) == sorted(content)


def test_an_altered_file_is_refused_wherever_it_comes_from(stored: Path, monkeypatch: pytest.MonkeyPatch):
    (stored / human_labels.VOTES[0]).write_bytes(b"something else")
    with pytest.raises(
        ReportError,
        match=r"cifar10h-counts\.npy differs from the published file; delete .*cifar10h-counts\.npy and",
    ):
        human_labels.load("cifar10", "votes")
    monkeypatch.setattr(human_labels, "_download", lambda address: b"not what was published")
    with pytest.raises(ReportError, match="differs from the published file; put the published file into"):
        human_labels.load("cifar10", "elsewhere")
    assert not (stored.parent / "elsewhere").exists()


def test_without_files_and_network_the_remedy_is_named(project: Path, monkeypatch: pytest.MonkeyPatch):
    def offline(address: str) -> bytes:
        raise OSError("no route to host")

    monkeypatch.delenv("HUMAN_LABELS_ROOT", raising=False)
    monkeypatch.setattr(human_labels, "_download", offline)
    with pytest.raises(ReportError, match=r"could not be downloaded \(no route to host\); set human_root or"):
        human_labels.load("cifar10")


@pytest.mark.realdata
def test_the_published_judgements_are_of_the_test_set(cifar10_folder: str):
    """Peterson et al.: most people choose the given label on about 99 % of the images (their 94.9 % counts votes)."""
    from torchvision.datasets import CIFAR10

    if not os.environ.get("HUMAN_LABELS_ROOT"):
        pytest.skip("HUMAN_LABELS_ROOT names no folder")
    labels = np.array(CIFAR10(cifar10_folder, train=False).targets)
    found, indices = human_labels.load("cifar10"), np.arange(10_000)
    assert found.votes.shape == (10_000, 10) and found.votes.sum(1).min() >= 40
    assert np.mean(found.majority(indices) == labels) > 0.98
    assert np.mean(found.vote_share(indices, labels)) == pytest.approx(0.95, abs=0.01)
    assert found.label_error.sum() == 54  # Northcutt et al. 2021, table 2

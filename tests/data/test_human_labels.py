"""Human labels: only the published files are used, and what follows from votes and label errors."""

import hashlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10

from gradcam_report.config import ReportError
from gradcam_report.data import human_labels

VOTES, ERRORS = human_labels.VOTES[0], human_labels.LABEL_ERRORS[0]


@pytest.fixture
def published(project: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Small stand-ins for the published files, with their checksums: five images, three classes; no network."""
    raw = io.BytesIO()
    np.save(raw, np.array([[50, 1, 0], [10, 30, 11], [45, 6, 0], [20, 20, 11], [51, 0, 0]]))
    raters = [{"id": 2, "mturk": {"given": 1, "guessed": 3}}, {"id": 4, "mturk": {"given": 3, "guessed": 0}}]
    files = {VOTES: raw.getvalue(), ERRORS: json.dumps(raters).encode()}
    for constant in ("VOTES", "LABEL_ERRORS"):
        name = getattr(human_labels, constant)[0]
        line = (name, f"http://127.0.0.1:9/{name}", hashlib.sha256(files[name]).hexdigest())
        monkeypatch.setattr(human_labels, constant, line)
    monkeypatch.delenv("HUMAN_LABELS_ROOT", raising=False)
    return files


def test_votes_become_shares_majorities_and_kinds_of_errors(published: dict[str, bytes], project: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(project))
    monkeypatch.setenv("HUMAN_LABELS_ROOT", "~/votes")
    (project / "votes").mkdir()
    for name, content in published.items():
        (project / "votes" / name).write_bytes(content)
    people = human_labels.load("cifar10")
    indices, labels = np.arange(5), np.zeros(5, np.int64)
    np.testing.assert_allclose(people.vote_share(indices, labels), [50 / 51, 10 / 51, 45 / 51, 20 / 51, 1])
    assert people.majority(indices).tolist() == [0, 1, 0, 0, 0]
    assert people.label_error.tolist() == [False, False, True, False, False]  # 1 and 3 of 5 kept it
    # people side with the label; most say otherwise; raters found an error; people disagree; they side with the label
    assert people.error_kinds(indices, labels).tolist() == [2, 0, 0, 1, 2]
    assert people.error_kinds(np.array([4, 3]), np.array([1, 1])).tolist() == [0, 1]  # a tie: people disagree


def test_missing_files_are_downloaded_once_and_kept(published: dict[str, bytes], project: Path, monkeypatch):
    fetched = []
    monkeypatch.setattr(human_labels, "_download", lambda url: fetched.append(url) or published[url.split("/")[-1]])
    for _ in range(2):
        assert human_labels.load("cifar10").votes.shape == (5, 3)
    assert len(fetched) == 2
    assert sorted(p.name for p in (project / "data/human-labels").iterdir()) == sorted(published)
    (project / "data").rename(project / "moved")
    (project / "data").touch()  # nothing can be written below it
    assert human_labels.load("cifar10").votes.shape == (5, 3)


def test_what_is_not_published_or_cannot_be_had_is_named(published: dict[str, bytes], project: Path, monkeypatch):
    with pytest.raises(ReportError, match="no human labels for synthetic images"):
        human_labels.load("shapes")
    with pytest.raises(ReportError, match=f"{VOTES} is missing and could not be downloaded .*; set human_root"):
        human_labels.load("cifar10")
    (project / VOTES).write_bytes(b"something else")
    with pytest.raises(ReportError, match=f"{VOTES} differs from the published file; delete {project / VOTES}"):
        human_labels.load("cifar10", ".")
    monkeypatch.setattr(human_labels, "_download", lambda url: b"something else")
    (project / "empty").mkdir()
    with pytest.raises(ReportError, match=f"{VOTES} differs from the published file; put the published file into"):
        human_labels.load("cifar10", "empty")
    assert not list((project / "empty").iterdir())
    with pytest.raises(ReportError, match=f"human_root is '{project / 'mistyped'}', but there is no such folder"):
        human_labels.load("cifar10", "mistyped")
    assert not (project / "mistyped").exists()


@pytest.mark.realdata
def test_the_published_labels_are_of_the_test_set(cifar10_folder: str):
    """Peterson et al.: most people choose the given label on about 99 % of the images (their 94.9 % counts votes)."""
    if not os.environ.get("HUMAN_LABELS_ROOT"):
        pytest.skip("HUMAN_LABELS_ROOT names no folder")
    labels, indices = np.array(CIFAR10(cifar10_folder, train=False).targets), np.arange(10_000)
    people = human_labels.load("cifar10")
    assert people.votes.shape == (10_000, 10) and people.votes.sum(1).min() >= 40
    assert np.mean(people.majority(indices) == labels) > 0.98
    assert np.mean(people.vote_share(indices, labels)) == pytest.approx(0.95, abs=0.01)
    assert people.label_error.sum() == 54  # Northcutt et al. 2021, table 2

"""Fixtures that several test files share; torch is imported only by those that need it.

Several workers (`pytest -n 2 --dist loadfile`) take a test file each. What is costly and read only, the built site, is
made by the first that needs it.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings
from sample_records import run_record

from gradcam_report.config import DataConfig
from gradcam_report.runs import io

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from visiting import Open

    from gradcam_report.data.datasets import Dataset

settings.register_profile("busy", deadline=None)  # how long an example takes says more about the machine than the code
settings.register_profile("long", deadline=None, max_examples=10_000)  # what reads files that others made
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "busy"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(specs: list[Any]) -> None:
    """Give each of several workers, and what it starts, its share of the cores."""
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // len(specs))))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The top of an empty project, made the working directory: runs/, artifacts/ and data/ are looked for in it."""
    root = tmp_path.resolve() / "project"
    (root / "book").mkdir(parents=True)
    (root / "book" / "index.md").touch()
    (root / "pyproject.toml").write_text('[project]\nname = "gradcam-report"\n')
    monkeypatch.chdir(root)
    monkeypatch.delenv("CIFAR10_ROOT", raising=False)
    return root


@pytest.fixture
def six_errors(project: Path) -> Path:
    """`runs/six`, a finished run on `shapes` whose predictions of 40 test images hold six errors."""
    from gradcam_report.data import datasets

    folder = project / "runs" / "six"
    labels = datasets.synthetic_images(40, seed=datasets.SHAPES_TEST_SEED).labels.numpy()
    logits = np.zeros((40, 10), np.float32)
    logits[np.arange(40), labels] = 3
    wrong = np.array([2, 5, 11, 17, 23, 31])
    logits[wrong, (labels[wrong] + 1) % 10] = 4 + np.arange(6)
    io.write_arrays(folder / "predictions.npz", logits=logits, labels=labels, indices=np.arange(40))
    random = np.random.default_rng(0)
    features = {
        part: random.normal(size=(count, 8)).astype(np.float16) for part, count in (("train", 24), ("test", 40))
    }
    io.write_arrays(folder / "features.npz", **features)
    classes = list(datasets.CLASSES["shapes"])
    io.write_json(folder / "run.json", run_record(classes, dataset="shapes", train_size=24, test_size=40))
    return folder


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks have an eighth of their channels, for speed, whoever builds them."""
    from gradcam_report import model

    build = model.build
    monkeypatch.setattr(model, "build", lambda seed, classes=10, width=64: build(seed, classes, 8))


@pytest.fixture(scope="session")
def small_shapes() -> "Dataset":
    """96 training, 32 validation and 48 test images of `shapes`."""
    from gradcam_report.data import datasets

    return datasets.load(DataConfig(dataset="shapes", train_size=96, val_size=32, test_size=48))


@pytest.fixture(scope="session")
def cifar10_folder() -> str:
    """Where the real CIFAR-10 is; skips the test when CIFAR10_ROOT does not say so."""
    folder = os.environ.get("CIFAR10_ROOT", "")
    if not (Path(folder) / "cifar-10-batches-py").is_dir():
        pytest.skip("CIFAR10_ROOT holds no cifar-10-batches-py")
    return str(Path(folder).resolve())


@pytest.fixture(scope="module")
def few_threads() -> Iterator[None]:
    """One thread for torch: small networks are faster with it, and sums are added in one order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The published chapters as a site; SITE names a folder with one that is built already."""
    if os.environ.get("SITE"):
        return Path(os.environ["SITE"]).resolve()
    own = tmp_path_factory.getbasetemp()
    out = (own if worker_id == "master" else own.parent) / "site"  # one for all workers
    with FileLock(f"{out}.lock"):
        if not out.exists():
            build_site(out)
    return out / "_build" / "html"


def build_site(out: Path) -> None:
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "--all", "-W", "-n", "--keep-going"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REPORT_")}
    done = subprocess.run(
        [*command, "--path-output", out, "book/"],
        cwd=Path(__file__).parent.parent, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        shutil.rmtree(out, ignore_errors=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.fixture(scope="module")  # no longer: as long as it is open, no other test can run an event loop
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright
    from visiting import CHROMIUM, WAIT

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=WAIT)
        yield started
        started.close()


@pytest.fixture
def visit(browser: "Browser", site: Path) -> "Iterator[Open]":
    """A function that opens a tab, with the options of a browser context."""
    from visiting import Visit

    with contextlib.ExitStack() as tabs:
        yield lambda **options: tabs.enter_context(contextlib.closing(Visit(browser, site, **options)))

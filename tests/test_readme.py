"""What the README promises: its numbers are recorded ones, its commands exist."""

import json
import re
from pathlib import Path

TOP = Path(__file__).parent.parent
README = (TOP / "README.md").read_text(encoding="utf-8")
METRICS = TOP / "artifacts" / "reference" / "metrics.json"


def test_result_table_holds_the_recorded_numbers():
    metrics = json.loads(METRICS.read_text())
    row = {cells[0]: cells[-1] for line in README.splitlines() if (cells := [c.strip() for c in line.split("|")[1:-1]])}
    assert f"{100 * metrics['test_accuracy']:.2f} %" in row["test accuracy"]
    ways = [f"{100 * metrics[f'test_accuracy_{way}']:.2f} %" for way in ("flip", "crops")]
    assert row["averaged with the mirror image / over moved copies too"] == " / ".join(ways)
    assert f"{metrics['test_loss']:.4f}" in row["test cross-entropy"]
    assert row["epochs"] == str(metrics["epochs"])
    assert f"{metrics['parameters']:,}" in row["parameters"]
    assert f"{metrics['images_per_second']:.0f} images a second" in row["training"]
    assert f"{metrics['training_seconds'] / 60:.1f} min" in row["training"]


def test_files_and_make_targets_exist():
    for path in re.findall(r"(?:book|params|lib|artifacts|tests|benchmarks)/[\w./-]+\.(?:ipynb|yaml|png)", README):
        assert (TOP / path).is_file(), path
    targets = re.findall(r"^([a-z]+):", (TOP / "Makefile").read_text(), flags=re.M)
    for target in re.findall(r"(?:^|`|# )make ([a-z]+)(?=`|\s)", README, flags=re.M):
        assert target in targets, target

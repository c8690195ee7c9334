"""What the README promises: its numbers are recorded ones, its commands exist."""

import json
import re
import statistics
from pathlib import Path

TOP = Path(__file__).parents[2]
README = (TOP / "README.md").read_text(encoding="utf-8")
REFERENCE = TOP / "artifacts" / "reference"


def spread(values: list[float], scale: int, digits: int) -> str:
    """ "95.03 ± 0.12", or "94.81" of a single seed."""
    deviation = f" ± {scale * statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{scale * statistics.mean(values):.{digits}f}{deviation}"


def test_result_table_holds_the_recorded_numbers():
    metrics = json.loads((REFERENCE / "metrics.json").read_text())
    paths = sorted(REFERENCE.glob("seed-*/metrics.json"), key=lambda path: int(path.parent.name.split("-")[1]))
    seeds = [metrics, *(json.loads(path.read_text()) for path in paths)]
    row = {cells[0]: cells[-1] for line in README.splitlines() if (cells := [c.strip() for c in line.split("|")[1:-1]])}
    percent = {way: spread([m[f"test_accuracy{way}"] for m in seeds], 100, 2) for way in ("", "_flip", "_crops")}
    count = f"mean ± sd of {len(seeds)} seeds" if len(seeds) > 1 else "one seed"
    assert row["test accuracy"] == f"**{percent['']} %** (last epoch, {count})"
    ways = "with test-time augmentation: flip / flip and shifts"
    assert row[ways] == f"{percent['_flip']} % / {percent['_crops']} %"
    assert row["test cross-entropy"] == spread([m["test_loss"] for m in seeds], 1, 4)
    assert row["epochs"] == str(metrics["epochs"])
    assert f"{metrics['parameters']:,}" in row["parameters"]


def test_files_and_make_targets_exist():
    for path in re.findall(r"(?:book|params|lib|artifacts|tests|benchmarks)/[\w./-]+\.(?:ipynb|yaml|png)", README):
        assert (TOP / path).is_file(), path
    targets = re.findall(r"^([a-z]+):", (TOP / "Makefile").read_text(), flags=re.M)
    for target in re.findall(r"(?:^|`|# )make ([a-z]+)(?=`|\s)", README, flags=re.M):
        assert target in targets, target

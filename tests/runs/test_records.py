"""Records keep what the published files hold, to the byte, and refuse what no result can be of."""

import datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from sample_records import run_record

from gradcam_report.config import PUBLISHED, AugmentConfig, RangeTestParams, TrainingParams
from gradcam_report.runs import io
from gradcam_report.runs.provenance import provenance
from gradcam_report.runs.records import (
    Metrics,
    RangeTestRecipe,
    RangeTestRecord,
    RunRecord,
    TrainingRecipe,
)

TOP = Path(__file__).parents[2]
KINDS = {kind.FILE: kind for kind in (RunRecord, RangeTestRecord, Metrics)}
STORED = sorted(path for path in (TOP / "artifacts").rglob("*.json") if path.name in KINDS)


@pytest.mark.parametrize("path", STORED, ids=lambda path: str(path.relative_to(TOP / "artifacts")))
def test_published_records_come_back_to_the_byte(path: Path, tmp_path: Path) -> None:
    io.write_json(tmp_path / path.name, io.read_record(path, KINDS[path.name]))
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("kind", [RunRecord, RangeTestRecord])
def test_a_record_from_before_a_parameter_is_read_with_its_default_and_written_without_it(
    kind: type[RunRecord] | type[RangeTestRecord], tmp_path: Path
) -> None:
    stored = io.read_json(TOP / PUBLISHED / kind.FILE)
    del stored["parameters"]["cutout"]
    io.write_json(tmp_path / "stored.json", stored)
    record = io.read_record(tmp_path / "stored.json", kind)
    assert record.parameters.cutout == AugmentConfig().cutout
    io.write_json(tmp_path / "again.json", record)
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "stored.json").read_bytes()


def test_a_recipe_is_the_parameters_that_decide_a_result() -> None:
    given = {"dataset": "auto", "data_root": "/data", "max_lr": 0.0, "seeds": 3, "device": "cpu", "run_dir": "runs/x"}
    recipe = TrainingRecipe.of(TrainingParams.parse(given), dataset="shapes", max_lr=0.05)
    assert (recipe.dataset, recipe.max_lr, recipe.width, recipe.data_root) == ("shapes", 0.05, 64, "")
    assert recipe == TrainingRecipe(dataset="shapes", max_lr=0.05)
    assert not {"data_root", "seeds", "device", "run_dir", "width"} & recipe.model_dump().keys()
    assert TrainingRecipe(width=16).model_dump()["width"] == 16
    test = RangeTestRecipe.of(RangeTestParams.parse({"iterations": 50, "test_size": 7}))
    assert test == RangeTestRecipe(iterations=50) and "test_size" not in test.model_dump()


def test_older_and_newer_records_are_read(tmp_path: Path) -> None:
    stored = run_record().model_dump()
    del stored["parameters"]["flip"]
    stored["parameters"]["mixup"] = 0.2
    stored["provenance"]["host"] = "here"
    io.write_json(tmp_path / "run.json", stored)
    assert io.read_record(tmp_path / "run.json", RunRecord) == run_record()


def test_provenance_says_when_and_on_what() -> None:
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    facts = provenance("2 threads", "shapes", seconds=12.345, commit="abc", wall_seconds=20.01)
    assert before <= datetime.datetime.fromisoformat(facts.finished) <= datetime.datetime.now(datetime.UTC)
    assert (facts.compute, facts.data, facts.seconds, facts.wall_seconds) == ("2 threads", "shapes", 12.3, 20.0)
    assert facts.versions["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert facts.versions["numpy"] == np.__version__ and facts.commit == "abc"

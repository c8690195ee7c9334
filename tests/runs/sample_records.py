"""Records to store in tests, of which a test states only what it is about."""

from typing import Any

from gradcam_report.runs.records import (
    Metrics,
    Provenance,
    RangeTestRecipe,
    RangeTestRecord,
    RangeTestResult,
    RunRecord,
    RunResult,
    TrainingRecipe,
)

CLASSES = [f"class {number}" for number in range(10)]


def provenance(**given: Any) -> Provenance:
    some = {
        "finished": "2026-01-02T03:04:05+00:00",
        "seconds": 60.0,
        "compute": "a test",
        "data": "shapes",
        "system": "Linux x86_64",
        "versions": {"python": "3.11.7", "torch": "2.11.0"},
        "commit": None,
    }
    return Provenance(**{**some, **given})


def run_record(classes: list[str] = CLASSES, **parameters: Any) -> RunRecord:
    result = RunResult(lr_source="the parameter max_lr", classes=classes)
    return RunRecord(parameters=TrainingRecipe(**parameters), result=result, provenance=provenance())


def range_test_record(onset: float | None = 0.03, **parameters: Any) -> RangeTestRecord:
    result = RangeTestResult(ended="reached end_lr", suggestions={"divergence onset": onset})
    return RangeTestRecord(parameters=RangeTestRecipe(**parameters), result=result, provenance=provenance())


def metrics(**given: Any) -> Metrics:
    scores = {f"{part}_loss": 0.5 for part in ("train", "clean_train", "test")}
    scores |= {f"{part}_accuracy": 0.9 for part in ("train", "clean_train", "test")}
    scores |= {"test_accuracy_flip": 0.9, "test_accuracy_crops": 0.9}
    counts = {"errors": 1, "test_images": 10, "train_images": 20, "epochs": 2, "parameters": 11_173_962}
    costs = {"max_lr": 0.1, "training_seconds": 60.0, "images_per_second": 100.0}
    return Metrics(**{**scores, **counts, **costs, **given})

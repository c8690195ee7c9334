"""The training of a run folder as a command: in one process, or in each of those that torchrun starts."""

from collections.abc import Mapping
from typing import Any

from ..config import ReportError, TrainingParams, for_chapter
from ..runs.folder import RunFolder
from ..training import seeds, trainer
from ..training.distributed import assembled
from . import runner


def run(values: Mapping[str, Any], run_dir: str) -> None:
    """Train what the chapter `training` would with these parameters, without executing the chapter, and say the result.

    Raises what `train.in_run` does, and `ReportError` for unknown or wrong parameters and for the published folder.
    """
    runner.check_names(values)
    if RunFolder(run_dir).published:
        raise ReportError(f"run_dir is {run_dir!r}, the published run, which a rerun never writes; use runs/<name>.")
    own, _ = for_chapter("training", dict(values, run_dir=run_dir))
    params = TrainingParams.parse(own)
    with assembled(params.device.device) as team:
        folder, record = trainer.in_run(params, team=team)
        results = seeds.in_run(params, folder, record, team)
        if team.leads:
            made = record["provenance"]
            accuracy = f"{seeds.in_words(results, 'test_accuracy')} % of the test images"
            of = seeds.count_in_words(results)
            print(f"{folder.name}: {accuracy} ({of}), {made['seconds']:.0f} s on {made['compute']}")

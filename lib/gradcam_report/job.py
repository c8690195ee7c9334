"""The training of a run folder as a command: in one process, or in each of those that torchrun starts."""

from collections.abc import Mapping
from typing import Any

from . import report, seed_runs, train
from .config import ReportError, parse_params
from .run import RunFolder
from .team import assembled


def run(values: Mapping[str, Any], run_dir: str) -> None:
    """Train what the chapter `training` would with these parameters, without executing the chapter, and say the result.

    Raises what `train.in_run` does, and `ReportError` for unknown or wrong parameters and for the published folder.
    """
    report.check_names(values)
    if RunFolder(run_dir).published:
        raise ReportError(f"run_dir is {run_dir!r}, the published run, which a rerun never writes; use runs/<name>.")
    params = parse_params("training", report.parameters_for("training", dict(values, run_dir=run_dir)))
    with assembled(params["device"].device) as team:
        folder, record = train.in_run(params, team=team)
        results = seed_runs.in_run(params, folder, record, team)
        if team.leads:
            made = record["provenance"]
            accuracy = f"{seed_runs.in_words(results, 'test_accuracy')} % of the test images"
            of = seed_runs.count_in_words(results)
            print(f"{folder.name}: {accuracy} ({of}), {made['seconds']:.0f} s on {made['compute']}")

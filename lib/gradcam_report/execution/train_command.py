"""The training of a run folder as a command: in one process, or in each of those that torchrun starts."""

from collections.abc import Mapping
from typing import Any

from ..config import ReportError, TrainingParams, for_chapter, user_path
from ..runs.folder import RunFolder
from ..training import seeds
from ..training.distributed import process_group
from ..training.trained_run import train_or_load
from .parameters import check_names


def run(values: Mapping[str, Any], run_dir: str) -> None:
    """Train what the chapter `training` would with these parameters, without executing the chapter, and say the result.

    Raises what `train_or_load` does, and `ReportError` for unknown or wrong parameters and for the published folder.
    """
    check_names(values)
    if RunFolder(user_path(run_dir)).published:
        raise ReportError(f"run_dir is {run_dir!r}, the published run, which a rerun never writes; use runs/<name>.")
    own, _ = for_chapter("training", dict(values, run_dir=run_dir))
    params = TrainingParams.parse(own)
    with process_group(params.device.device) as group:
        trained = train_or_load(params, group=group)
        results = seeds.train_seeds(params, trained, group)
        if group.is_main_process:
            provenance = trained.record.provenance
            accuracy = (
                f"{seeds.format_mean(results, 'test_accuracy')} % of the test images ({seeds.format_count(results)})"
            )
            seconds = f"{provenance.seconds:.0f} s on {provenance.compute}"
            print(f"{trained.folder.name}: {accuracy}, {seconds}")

"""A sweep from what the user types to its finished points: grammar, refusals, resuming.

The chapter is a stub: a line in `journal` when it begins and when it ends, and between it waits for the file `go`.
"""

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sweeping import COMMAND, journal, write_chapter

from gradcam_report import cli
from gradcam_report.config import ReportError, SweepConfig
from gradcam_report.execution.sweep import engine, grid, plan
from gradcam_report.runs import io
from gradcam_report.runs import sweep as records
from gradcam_report.runs.folder import RunFolder
from gradcam_report.studies import sweep_results


@pytest.mark.parametrize(
    ("text", "values", "axis"),
    [
        ("0.1,0.2,0.4", ["0.1", "0.2", "0.4"], True),
        ("0.1", ["0.1"], False),
        ("", [""], False),
        (" a , b ", ["a", "b"], True),
        ("0..4", ["0", "1", "2", "3", "4"], True),
        ("-1..1,7", ["-1", "0", "1", "7"], True),
        ("3..3", ["3"], True),
        ("[a,b]", [["a", "b"]], False),
        ("[a, b],[c]", [["a", "b"], ["c"]], True),
        ("'a,b',c", ["a,b", "c"], True),
        ("007", ["007"], False),
        ("it's,that's", ["it's", "that's"], True),
        ("[3, 14", ["[3, 14"], False),
        ("../photos/a..b.jpg", ["../photos/a..b.jpg"], False),
        ("0.5..2", ["0.5..2"], False),
    ],
)
def test_values_of_p(text: str, values: list[Any], axis: bool) -> None:
    assert grid.expand("name", text) == (values, axis)


paths = st.text() | st.sampled_from(["../..", "/etc/passwd", "a/b", "a\\b", ".", "..", "", " ", "ä", "A", "a", "-1"])


@given(st.lists(st.tuples(paths, st.floats(0, 1)), min_size=1, max_size=8, unique=True))
def test_folder_names_are_safe_and_different_for_different_points(points: list[tuple[str, float]]) -> None:
    names = [grid.slug({"picture": picture, "warmup": warmup}) for picture, warmup in points]
    for name in names:
        assert re.fullmatch(r"picture-[a-z0-9._-]+", name) and len(name) <= 80
    assert len(set(names)) == len(names)
    assert grid.slug({"max_lr": 0.1, "seed": 3, "flip": "random"}) == "max_lr-0.1_seed-3_flip-random"


def requested(*pairs: str, chapter: str = "training", **values: Any) -> records.SweepRecord:
    usual = ["dataset=shapes", "val_size=32"] if chapter == "training" else []
    return plan.request(chapter, [*usual, *pairs], values, RunFolder("runs/x"))


def test_every_point_has_the_whole_parameter_set_and_a_run_folder_of_its_own(project: Path) -> None:
    record = requested("max_lr=0.1,2e-1", "seed=0..2", "epochs=3", train_size=64, layers=["layer4"])
    assert record.axes == {"max_lr": [0.1, 0.2], "seed": [0, 1, 2]}
    order = [(0.1, 0), (0.1, 1), (0.1, 2), (0.2, 0), (0.2, 1), (0.2, 2)]
    assert [tuple(point.values.values()) for point in record.points] == order
    point = next(p for p in record.points if p.slug == "max_lr-0.2_seed-1")
    given = record.parameters(point, RunFolder("runs/x"))
    expected = {"max_lr": 0.2, "seed": 1, "epochs": 3, "train_size": 64, "run_dir": "runs/x/max_lr-0.2_seed-1"}
    assert given.items() >= expected.items()


def test_a_chapter_that_reads_a_run_keeps_the_run_that_is_given(project: Path) -> None:
    record = requested("method=gradcam,layercam", "run_dir=runs/mine", chapter="gradcam")
    parameters = [record.parameters(point, RunFolder("runs/x")) for point in record.points]
    assert [(p["method"], p["run_dir"]) for p in parameters] == [("gradcam", "runs/mine"), ("layercam", "runs/mine")]


@pytest.mark.parametrize(
    ("pairs", "sentence"),
    [
        (["epochs=5"], "No parameter is given several values"),
        (["max_lr=0.1,ten"], "max_lr is 'ten'"),
        (["epochs=1,0"], r"epochs is '?0'?; it must be at least 1\."),
        (["epohcs=1,2"], r"'epohcs'; did you mean epochs\?"),
        (["max_lr=1,1.0"], r"max_lr=1\.0 is asked for twice"),
        (["seed=0..2", "run_dir=runs/y"], "name the sweep's folder by --out"),
        (["seed=0,1", "epochs"], "write -p NAME=VALUE"),
        (["seed=4..0"], "seed is 4..0, which runs backwards"),
        (["seed=0..9" + 15 * "9"], "holds more than the 10,000 points"),
        (["seed=0..999", "epochs=1..999"], "999,000 points are too many"),
        (["dataset=shapes,auto"], "name the data sets"),
        (["seed=0,1", "val_size=0"], "val_size is 0, .*hold out training images, as in -p val_size=2000"),
        (["val_size=0,100"], "val_size is 0"),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(project: Path, pairs: list[str], sentence: str) -> None:
    with pytest.raises(ReportError, match=sentence):
        requested(*pairs)
    assert not (project / "runs").exists()


@pytest.mark.parametrize("out", ["artifacts/sweep", "artifacts", "book", ".", "", "runs/../book/x"])
def test_published_results_are_never_a_sweeps_folder(project: Path, out: str) -> None:
    with pytest.raises(ReportError, match="where published results are kept"):
        plan.folder_for(out)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"workers": 0}, "workers is 0; it must be at least 1"),
        ({"gpus": 1.5}, r"gpus is 1\.5; it must be a whole number or a fraction below 1"),
        ({"workers": 2, "address": "auto"}, "--workers is for this machine"),
    ],
)
def test_resources_that_ray_does_not_give_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ReportError, match=sentence):
        engine.Resources(**options)


@pytest.mark.parametrize(
    ("gpus", "given", "points", "expected"),
    [
        (0, {}, 100, (8, 1, 0)),
        (0, {"cpus": 4}, 100, (2, 4, 0)),
        (0, {"workers": 3}, 2, (2, 4, 0)),
        (2, {}, 100, (2, 4, 1)),
        (2, {"workers": 4}, 100, (4, 2, 0.5)),
        (2, {"workers": 3}, 100, (3, 2, 0.5)),
    ],
)
def test_points_share_cores_and_gpus(
    monkeypatch: pytest.MonkeyPatch, gpus: int, given: dict[str, Any], points: int, expected: tuple[int, int, float]
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert engine.divide(engine.Resources(**given), points, cores=8, gpus=gpus) == expected


def saved(*pairs: str, **options: Any) -> records.SweepRecord:
    folder = RunFolder("runs/x")
    record = plan.join(folder, requested(*pairs, **options))
    io.write_json(folder / records.SWEEP, record)
    return record


def test_more_values_add_points_and_keep_those_that_are_there(project: Path) -> None:
    first = saved("max_lr=0.1,0.2", "seed=0,1")
    assert records.read_sweep(RunFolder("runs/x")) == first
    second = saved("seed=2", "max_lr=0.4", "device=cpu")  # in another order, a single value each, another machine
    assert [p.slug for p in second.points] == [*(p.slug for p in first.points), "max_lr-0.4_seed-2"]
    assert second.axes == {"max_lr": [0.1, 0.2, 0.4], "seed": [0, 1, 2]} and second.key == first.key
    assert [second.recipe(point) for point in first.points] == [first.recipe(point) for point in first.points]


def test_a_sweep_from_before_a_parameter_goes_on_with_the_parameters_default(project: Path) -> None:
    stored, path = saved("seed=0,1"), RunFolder("runs/x") / records.SWEEP
    older = stored.model_copy(update={"fixed": {n: v for n, v in stored.fixed.items() if n != "cutout"}})
    io.write_json(path, older)
    more = saved("seed=2")
    assert [p.slug for p in more.points] == ["seed-0", "seed-1", "seed-2"]
    assert [more.recipe(p) for p in older.points] == [older.recipe(p) for p in older.points], "they stay finished"
    assert more.parameters(more.points[2], RunFolder("runs/x"))["cutout"] == stored.fixed["cutout"]
    with pytest.raises(ReportError, match="cutout 8 there, 0 requested"):
        saved("seed=0,1", "cutout=0")


@pytest.mark.parametrize(
    ("pairs", "chapter", "sentence"),
    [
        (["seed=0,1", "epochs=7"], "training", "epochs 20 there, 7 "),
        (["seed=0,1", "max_lr=0.1,0.2"], "training", "axes .'seed'. there, .'seed', 'max_lr'. "),
        (["seed=0,1", "dataset=shapes"], "lr_finder", "chapter 'training' there, 'lr_finder' "),
    ],
)
def test_another_sweep_in_the_same_folder_is_refused(
    project: Path, pairs: list[str], chapter: str, sentence: str
) -> None:
    saved("seed=0,1")
    with pytest.raises(ReportError, match=sentence):
        saved(*pairs, chapter=chapter)


def test_without_ray_points_run_one_after_another_once(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    write_chapter(project)
    (project / "go").touch()
    assert cli.main([*COMMAND, "watts=0,1"]) == 0
    assert "Without Ray" in capsys.readouterr().out
    assert cli.main([*COMMAND, "watts=0..2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "benchmarks: 3 points in runs/x, 2 of them finished"
    assert lines[-1] == "3 of 3 points are finished, in runs/x"
    assert journal(project) == Counter(f"{what} {n}.0" for n in range(3) for what in ("start", "end"))
    executed = nbformat.read(project / "runs/x/watts-2.0/benchmarks.ipynb", as_version=4)
    assert "watts = 2.0" in executed.cells[1].source and executed.metadata.papermill.exception is None
    (project / "runs/x/watts-0.0" / records.DONE).write_text('{"recipe": ')  # cut off: the point is done again
    assert cli.main([*COMMAND, "watts=0..2"]) == 0 and journal(project)["end 0.0"] == 2
    assert cli.main([*COMMAND, "watts=0..2", "--address", "auto"]) == 0, "nothing is left to do"
    assert cli.main([*COMMAND, "watts=0..3", "--address", "auto"]) == 1
    assert "--address needs Ray, which is not installed; install it with pip install" in capsys.readouterr().err


def test_a_node_that_does_not_see_the_sweep_says_so(project: Path) -> None:
    io.write_json(RunFolder("runs/x") / records.SWEEP, requested("watts=0,1", chapter="benchmarks"))
    error = engine.execute_point(str(project), "runs/x", "watts-0.0", "the key of another sweep")
    assert "does not see" in error and not (project / "runs/x/watts-0.0").exists()


@pytest.mark.slow
def test_a_training_on_shapes_is_read_as_the_command_shows_it(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    checkout = Path(__file__).parents[2]
    (project / "benchmarks").symlink_to(checkout / "benchmarks")
    (project / "book" / "training.ipynb").write_bytes((checkout / "book" / "training.ipynb").read_bytes())
    small = ["dataset=shapes", "train_size=64", "val_size=32", "test_size=32", "batch_size=32", "epochs=1"]
    options = [word for pair in [*small, "seed=3..3"] for word in ("-p", pair)]
    assert cli.main(["sweep", "training", *options]) == 0
    (setting,) = sweep_results.load(SweepConfig(sweep_dir="runs/sweep-training")).settings
    assert setting.values == {"seed": 3}
    assert re.search(rf"^seed-3 +\d+ +{setting.mean:.4f} ", capsys.readouterr().out, re.M)

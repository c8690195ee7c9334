"""What a sweep is asked for: the grammar of -p, names of folders, and what is refused before any work."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcam_report import cli
from gradcam_report.config import ReportError
from gradcam_report.execution.sweep import axes, plan, pool
from gradcam_report.runs import folder as run_folder
from gradcam_report.runs import io, lock

# The grammar


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
        ("[a,b]", ["[a,b]"], False),
        ("[a,b],[c]", ["[a,b]", "[c]"], True),
        ("{a: [1,2], b: 3},x", ["{a: [1,2], b: 3}", "x"], True),
        ('["],",2],3', ['["],",2]', "3"], True),
        ("'a,b',c", ["'a,b'", "c"], True),
        ("it's,that's", ["it's", "that's"], True),
        ("[3, 14", ["[3, 14"], False),
        ("../photos/a..b.jpg", ["../photos/a..b.jpg"], False),
        ("0...4", ["0...4"], False),
        ("[0..4]", ["[0..4]"], False),
        ("0.5..2", ["0.5..2"], False),
    ],
)
def test_what_p_stands_for(text: str, values: list[str], axis: bool) -> None:
    assert axes.expanded("name", text) == (values, axis)


@pytest.mark.parametrize(
    ("text", "why"), [("4..0", "runs backwards"), ("0..10000", "10,000"), ("0..9" + 15 * "9", "10,000")]
)
def test_a_range_that_cannot_be_meant_is_refused_without_making_it(text: str, why: str) -> None:
    with pytest.raises(ReportError, match=why) as caught:
        axes.expanded("seed", text)
    assert f"seed is {text}" in str(caught.value) and "-p seed=0..4" in str(caught.value)


@given(st.lists(st.lists(st.integers() | st.text(st.characters(blacklist_categories=["Cs"]))), min_size=1, max_size=4))
def test_lists_written_as_json_come_back_as_they_were(values: list[list[Any]]) -> None:
    texts, several = axes.expanded("name", ",".join(map(json.dumps, values)))
    assert [json.loads(text) for text in texts] == values and several == (len(values) > 1)


@given(st.text())
def test_no_text_makes_it_crash_or_gives_more_values_than_commas_part(text: str) -> None:
    parts = axes.split(text)
    assert 1 <= len(parts) <= text.count(",") + 1 and all(part in text for part in parts)


def test_points_are_every_combination_the_last_axis_fastest() -> None:
    made = axes.points({"a": [1, 2], "b": [3, 4, 5]})
    assert [(p["a"], p["b"]) for p in made] == [(1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (2, 5)]
    assert len(axes.points({"a": range(100), "b": range(100)})) == axes.MOST_POINTS
    with pytest.raises(ReportError, match=r"100 of a x 101 of b make 10,100 points; a sweep has at most 10,000"):
        axes.points({"a": range(100), "b": range(101)})


# Names of folders

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(
        ["../..", "/etc/passwd", "a/b", "a\\b", ".", "..", "", " ", "CON", "ä", "A", "a", "true", "1", "1.0", "-1"]
    ),
    lambda inner: st.lists(inner, max_size=3),
)  # fmt: skip


@given(st.lists(st.fixed_dictionaries({"max_lr": anything, "picture": anything}), min_size=1, max_size=8))
def test_names_are_safe_short_and_different_for_different_points(points: list[dict[str, Any]]) -> None:
    different = {json.dumps(point, sort_keys=True): point for point in points}
    names = [axes.slug(point) for point in different.values()]
    for name in names:
        assert re.fullmatch(r"(max_lr|picture)-[a-z0-9._-]*", name) and len(name) <= 80 and not name.endswith(".")
        assert (Path("/sweep") / name).resolve().parent == Path("/sweep")
    assert len({name.lower() for name in names}) == len(names)


def test_a_name_says_which_point_it_is() -> None:
    assert axes.slug({"max_lr": 0.1, "seed": 3, "flip": "none"}) != axes.slug({"max_lr": 0.1, "seed": 3, "flip": None})
    assert axes.slug({"max_lr": 0.1, "seed": 3}) == "max_lr-0.1_seed-3"
    assert axes.slug({"flip": "random", "force": True}) == "flip-random_force-true"
    assert re.fullmatch(r"picture-photos-my-cat.jpg_[0-9a-f]{8}", axes.slug({"picture": "../photos/my cat.jpg"}))


# What is asked for


def asked(*pairs: str, chapter: str = "training", out: str = "runs/x", **values: Any) -> plan.Sweep:
    return plan.asked(
        chapter, ["dataset=shapes", *pairs] if chapter == "training" else pairs, values, run_folder.RunFolder(out)
    )


def test_every_point_has_the_whole_parameter_set_and_a_run_folder_of_its_own(project: Path) -> None:
    sweep = asked("max_lr=0.1,2e-1", "seed=0..2", "epochs=3", train_size=64, layers=["layer4"])
    assert sweep.axes == {"max_lr": [0.1, 0.2], "seed": [0, 1, 2]}
    assert len(sweep.points) == 6
    given = sweep.parameters("max_lr-0.2_seed-1")
    assert (given["max_lr"], given["seed"], given["epochs"], given["train_size"]) == (0.2, 1, 3, 64)
    assert given["run_dir"] == "runs/x/max_lr-0.2_seed-1" and "layers" not in given


def test_a_chapter_that_reads_a_run_keeps_the_run_that_is_given(project: Path) -> None:
    sweep = asked("method=gradcam,layercam", "run_dir=runs/mine", chapter="gradcam")
    assert {sweep.parameters(slug)["run_dir"] for slug in sweep.points} == {"runs/mine"}
    assert {sweep.parameters(slug)["method"] for slug in sweep.points} == {"gradcam", "layercam"}
    runs = asked("run_dir=runs/a,runs/b", chapter="gradcam")
    assert [runs.parameters(slug)["run_dir"] for slug in runs.points] == ["runs/a", "runs/b"]


@pytest.mark.parametrize(
    ("pairs", "sentence"),
    [
        (["epochs=5"], "No parameter is given several values"),
        (["max_lr=0.1,ten"], "max_lr is 'ten'"),
        (["epochs=1,0"], "epochs is 0; it must be at least 1."),
        (["seed=0,1", "cutout=40"], "cutout is 40; it must be at most 31."),
        (["epohcs=1,2"], "no parameter 'epohcs'; did you mean epochs?"),
        (["method=gradcam,layercam"], "no parameter 'method'"),
        (["max_lr=0.1,0.1"], r"max_lr=0\.1 is asked for twice"),
        (["max_lr=1,1.0"], r"max_lr=1\.0 is asked for twice"),
        (["seed=0..2", "run_dir=runs/y"], "name the sweep's folder by --out"),
        (["seed=0,1", "epochs"], "write -p NAME=VALUE"),
        (["seed=0..999", "epochs=1..999"], "at most 10,000"),
        (["dataset=shapes,auto"], "name the data sets"),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(project: Path, pairs: list[str], sentence: str) -> None:
    with pytest.raises(ReportError, match=sentence) as caught:
        asked(*pairs)
    assert "\n" not in str(caught.value) and not (project / "runs").exists()


def test_a_parameter_file_with_a_misspelt_name_is_refused(project: Path) -> None:
    with pytest.raises(ReportError, match="No chapter has a parameter 'epohcs'"):
        asked("seed=0,1", epohcs=3)


@pytest.mark.parametrize(
    "out", ["artifacts/sweep", "artifacts/reference/x", "artifacts", "book", ".", "", "runs/../book/x"]
)
def test_published_results_are_never_a_sweeps_folder(project: Path, out: str) -> None:
    with pytest.raises(ReportError, match="where published results are kept"):
        plan.folder_for(out)


def test_without_cifar10_auto_is_settled_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gradcam_report.execution import runner

    monkeypatch.setattr(runner, "choose_dataset", lambda values: {"auto": "shapes"}[values["dataset"]])
    sweep = plan.asked("training", ["dataset=auto", "seed=0,1"], {}, run_folder.RunFolder("runs/x"))
    assert sweep.fixed["dataset"] == "shapes"


# The folder


def saved(*pairs: str, **options: Any) -> plan.Sweep:
    sweep = plan.joined(asked(*pairs, **options))
    sweep.save()
    return sweep


def test_a_sweep_is_read_as_it_was_written(project: Path) -> None:
    sweep = saved("max_lr=0.1,0.2", "flip=random,none", "device=cpu")
    assert replace(plan.read(run_folder.RunFolder("runs/x")), folder=sweep.folder) == sweep


def test_more_values_add_points_and_keep_those_that_are_there(project: Path) -> None:
    first = saved("max_lr=0.1,0.2", "seed=0,1")
    second = saved("seed=2", "max_lr=0.4")  # in another order, a single value each
    assert list(second.points) == [*first.points, "max_lr-0.4_seed-2"] and second.key == first.key
    assert second.axes == {"max_lr": [0.1, 0.2, 0.4], "seed": [0, 1, 2]}
    assert all(second.recipe(slug) == first.recipe(slug) for slug in first.points)


@pytest.mark.parametrize(
    ("pairs", "chapter", "sentence"),
    [
        (
            ["seed=0,1", "epochs=7"],
            "training",
            "holds a sweep with epochs 20 there, 7 requested; choose another folder",
        ),
        (["seed=0,1", "max_lr=0.1,0.2"], "training", "holds a sweep over seed, not seed and max_lr"),
        (["max_lr=0.1,0.2"], "training", "holds a sweep over seed, not max_lr"),
        (["seed=0,1", "dataset=shapes"], "lr_finder", "holds a sweep of the chapter training, not lr_finder"),
    ],
)
def test_another_sweep_in_the_same_folder_is_refused_with_the_difference(
    project: Path, pairs: list[str], chapter: str, sentence: str
) -> None:
    saved("seed=0,1")
    before = (project / "runs/x/sweep.json").read_bytes()
    with pytest.raises(ReportError, match=sentence):
        saved(*pairs, chapter=chapter)
    assert (project / "runs/x/sweep.json").read_bytes() == before


def test_another_machine_may_go_on_with_its_own_device_and_data_folder(project: Path) -> None:
    saved("seed=0,1")
    second = saved("seed=0,1", "device=cpu", "data_root=elsewhere")
    assert second.machine["device"] == "cpu" and second.machine["data_root"] == "elsewhere"


def test_paths_in_sweep_json_are_not_believed(project: Path) -> None:
    saved("seed=0,1")
    path = project / "runs/x/sweep.json"
    found = json.loads(path.read_text())
    found["points"][0]["slug"] = "../../book"
    path.write_text(json.dumps(found))
    assert list(plan.read(run_folder.RunFolder("runs/x")).points) == ["seed-0", "seed-1"]


@pytest.mark.parametrize(
    "change",
    [
        {"chapter": "../../evil"},
        {"chapter": ["training"]},
        {"points": []},
        {"points": [{"slug": "seed-0", "values": {"seed": "../.."}}]},
        {"points": [{"slug": "seed-0", "values": {"seed": 0, "epochs": 1}}]},
        {"points": "seed-0"},
        {"axes": {"../x": [1]}, "points": [{"values": {"../x": 1}}]},
        {"fixed": {"epochs": 1}},
        {"machine": {"epochs": 1}},
        {"fixed": None},
    ],
)
def test_a_sweep_json_that_no_command_wrote_is_refused_in_one_sentence(project: Path, change: dict[str, Any]) -> None:
    saved("seed=0,1")
    path = project / "runs/x/sweep.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ReportError, match=r"sweep\.json cannot be read") as caught:
        plan.read(run_folder.RunFolder("runs/x"))
    assert "\n" not in str(caught.value)


def test_a_mark_of_another_recipe_or_half_a_mark_finishes_nothing(project: Path) -> None:
    sweep = saved("seed=0,1")
    for recipe, finished in ((sweep.recipe("seed-0"), True), (sweep.recipe("seed-1"), False)):
        io.write_json(sweep.point_folder("seed-0") / plan.DONE, {"recipe": recipe})
        assert (sweep.done("seed-0") is not None) == finished
    (sweep.point_folder("seed-0") / plan.DONE).write_text('{"recipe": ')
    assert sweep.done("seed-0") is None and sweep.done("seed-1") is None


# The command


def test_a_folder_in_use_is_refused_with_its_owner(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from test_report import first_cell, write

    write(project / "book" / "benchmarks.ipynb", first_cell("benchmarks"))
    with lock.held(run_folder.RunFolder("runs/x")):
        assert cli.main(["sweep", "benchmarks", "-p", "watts=0,1", "--out", "runs/x"]) == 1
    told = capsys.readouterr()
    assert re.search(
        r"runs/x is in use by another process; wait until that is done, or choose another --out\.", told.err
    )
    assert not told.out and not (project / "runs/x/sweep.json").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--gpus", "1"], "--gpus is for --ray"),
        (["--ray", "auto", "--workers", "2"], "--workers is for this machine"),
        (["--out", "artifacts/sweep"], "where published results are kept"),
    ],
)
def test_options_that_contradict_are_refused(
    project: Path, options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["sweep", "benchmarks", "-p", "watts=0,1", *options]) == 1
    assert sentence in capsys.readouterr().err and not (project / "runs").exists()


def test_processes_share_cores_and_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(pool, "cores", lambda: 8)
    assert pool.shares(None, None, [], 100) == 8 * [{"OMP_NUM_THREADS": "1"}]
    assert pool.shares(None, 4, [], 100) == 2 * [{"OMP_NUM_THREADS": "4"}]
    assert pool.shares(3, None, [], 2) == 2 * [{"OMP_NUM_THREADS": "4"}]
    assert pool.shares(None, None, ["0"], 100) == [{"OMP_NUM_THREADS": "8"}]
    dealt = pool.shares(4, None, ["2", "5"], 100)
    assert [share["CUDA_VISIBLE_DEVICES"] for share in dealt] == ["2", "5", "2", "5"]
    assert {share["OMP_NUM_THREADS"] for share in dealt} == {"2"}

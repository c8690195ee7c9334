"""Files that were damaged or made to harm: one sentence that names the file, never another error, never code that runs.

Real files with bytes changed, and valid files with hostile content. `HYPOTHESIS_PROFILE=long` tries 10,000 of each.
"""

import copy
import functools
import json
import os
import pickle
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from test_human import files as human_files

from gradcam_report import (
    benchmark,
    cases,
    chapter,
    data,
    embedding,
    files,
    human,
    lr_find,
    model,
    picture,
    plain,
    report,
    run,
    scaling,
    schedule,
    seed_runs,
    studies,
    train,
)
from gradcam_report.config import BenchmarkConfig, ReportError, parse_params

pytestmark = pytest.mark.usefixtures("few_threads")
TOP = Path(__file__).parent.parent
LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
EXAMPLES = int(os.environ.get("EXAMPLES", 10_000 if LONG else 20))
# The same examples every time in continuous integration, others in every long run.
SETTINGS = settings(suppress_health_check=list(HealthCheck), max_examples=EXAMPLES, derandomize=not LONG)
SIZES = {"dataset": "shapes", "train_size": 24, "test_size": 12, "batch_size": 12}
Make = dict[str, Callable[[Path], Any]]


def refused_in_a_sentence(read: Callable[[], Any]) -> bool:
    """Whether `read` raised `ReportError`, of one line that ends; any other error, or warning, fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            read()
        except ReportError as error:
            text = str(error)
            assert "\n" not in text and text.endswith(".") and len(text) < 1000, text
            text.encode()
            return True
    return False


# The files of a run and whoever reads them


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every file of a finished run of a narrow network, a range test in the same folder."""
    root = tmp_path_factory.mktemp("finished").resolve()
    (root / "book").mkdir()
    (root / "book" / "index.md").touch()
    here = Path.cwd()
    build = model.build
    os.chdir(root)
    model.build = lambda seed, classes=10, width=64: build(seed, classes, 8)
    try:
        given = {**SIZES, "val_size": 6, "run_dir": "runs/x", "precision": "fp32", "device": "cpu"}
        folder, _ = train.in_run(parse_params("training", {**given, "epochs": 2}), width=8)
        lr_find.in_run(parse_params("lr_finder", {**given, "iterations": 12}))
    finally:
        model.build = build
        os.chdir(here)
    (folder / ".lock").unlink(missing_ok=True)
    return {path.name: path.read_bytes() for path in folder.path.iterdir()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, finished: dict[str, bytes]) -> Path:
    """A project that holds that run in runs/x, and the published measurements."""
    root = tmp_path_factory.mktemp("place").resolve()
    for folder in ("book", "benchmarks", "runs/x"):
        (root / folder).mkdir(parents=True)
    (root / "book" / "index.md").touch()
    for name, content in finished.items():
        (root / "runs" / "x" / name).write_bytes(content)
    for name in ("results.json", "max_lr.json", "ablation.json"):
        (root / "benchmarks" / name).write_bytes((TOP / "benchmarks" / name).read_bytes())
    return root


@pytest.fixture(autouse=True)
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


def params(name: str, **more: Any) -> dict[str, Any]:
    return parse_params(name, {"run_dir": "runs/x", **more})


def read_record() -> None:
    folder, record, _ = cases._finished(params("error_analysis"))
    chapter.told(folder, record)
    seeds = seed_runs.in_run(params("training", **SIZES), folder, record)
    assert seeds and isinstance(record["result"]["lr_source"], str) and record["parameters"]["batch_size"] >= 2


def read_metrics() -> None:
    metrics = files.read_json(Path("runs/x/metrics.json"))
    results = [seed_runs.SeedResult(0, metrics)] * 2
    for name in ("test_accuracy", "test_accuracy_flip", "test_accuracy_crops"):
        seed_runs.in_words(results, name)
    accuracy = metrics["test_accuracy"]
    assert (accuracy * (1 - accuracy) / metrics["test_images"]) ** 0.5 < 1
    assert f"{metrics['parameters']:,} {metrics['errors']:,} {metrics['images_per_second']:.1f}"
    assert chapter.duration(metrics["training_seconds"]) and np.arange(metrics["train_images"]).size


def read_history() -> None:
    history = files.read_table(Path("runs/x/history.csv"))
    benchmark.time_to(history, 0.9)
    assert all(np.isfinite(history[name]).all() for name in ("test_loss", "seconds", "train_loss"))
    assert chapter.duration(history["seconds"].sum())


def read_predictions() -> None:
    folder, _, predictions = cases._finished(params("error_analysis"))
    chosen = cases.of_rows(params("explorer"), lambda found: np.arange(2))
    assert chosen.titles() and len(chosen.images) == 2
    cases.calibrated(folder, predictions)


def read_features() -> None:
    folder = run.RunFolder("runs/x")
    near, _ = embedding.nearest(cases.test_features(folder), cases._features(folder, "train", 24), 3)
    assert near.shape == (12, 3)


def read_range_test() -> None:
    given = params("lr_finder", **SIZES, val_size=6, precision="fp32", iterations=12)
    test, folder, record = lr_find.in_run(given)
    chapter.told(folder, record)
    assert f"{len(lr_find.smooth(test.losses))} {record['result']['suggestions']['divergence onset']}"
    schedule.peak_lr(params("training", max_lr=0.0))


@functools.cache
def trainer() -> train.Trainer:
    """A trainer of that run, with all of its state kept beside it."""
    given = parse_params("training", {**SIZES, "val_size": 6, "epochs": 2})
    recipe = train.Recipe(given["augment"], given["optim"], given["schedule"], 0)
    return train.Trainer(data.load(given["data"]), recipe, train.resolve("cpu", "fp32"), width=8)


def read_checkpoint() -> None:
    subject, identity = (
        trainer(),
        json.loads(files.read_tensors(Path("runs/x/run.safetensors"))[1]["state"])["identity"],
    )
    before = torch.cat([value.flatten().double() for value in subject.net.state_dict().values()])
    subject.history, subject.epoch = {}, 0
    try:
        subject.resume(run.RunFolder("runs/x"), identity)
    except ReportError:  # then nothing was believed
        after = torch.cat([value.flatten().double() for value in subject.net.state_dict().values()])
        assert torch.equal(before, after) and not subject.history
        raise
    assert subject.epoch == len(subject.history.get("test_loss", []))


def read_speed() -> None:
    speed, made = benchmark.stored(BenchmarkConfig())
    benchmark.side_by_side(speed)
    benchmark.power(BenchmarkConfig(), made["compute"])
    if found := benchmark.costs(BenchmarkConfig()):
        benchmark.costs_in_words(found)
        benchmark.chapter_rows(found["chapters"])
        benchmark.growing(found["growth"])
    shared = scaling.measured(benchmark.path(BenchmarkConfig()))["shared"]
    [scaling.predicted(parts, int(size)) for size, parts in shared.items()]
    settings_ = speed["settings"]
    assert f"{settings_['batch'] * settings_['steps']} {settings_['test_images']:,} {made['finished'][:10]}"
    assert f"{speed['ratio_train']['median']:.1f} {100 * speed['share_of_peak']} {speed['peak_flops'] / 1e12:.1f}"
    assert chapter.duration(speed["compile_seconds"]) if speed["compile_seconds"] else True
    benchmark.kept_in_words(speed)
    Path("benchmarks/elsewhere").mkdir(exist_ok=True)
    shutil.copy("benchmarks/results.json", "benchmarks/elsewhere/a.json")
    benchmark.elsewhere()
    benchmark.fp32_in_words(speed["test_set_seconds"], made["compute"])
    assert f"{speed['test_set_seconds']['ours']:.1f} {speed['memory_gib']['resident']:.1f}"


def read_study(name: str) -> None:
    study = studies.load(name)
    if study is None:
        return
    assert study.in_words and study.standard_error >= 0
    study.fits({"dataset": "cifar10"})
    if name == "max_lr":
        studies.peaks_in_words(study, {"divergence onset": 0.05, "valley": None})
    else:
        studies.ablation_rows(study)
        studies.better_than(study)


X = "runs/x/"
READERS: dict[str, Callable[[], Any]] = {
    X + "run.json": read_record,
    X + "metrics.json": read_metrics,
    X + "history.csv": read_history,
    X + "predictions.npz": read_predictions,
    X + "features.npz": read_features,
    X + "lr_find.json": read_range_test,
    X + "lr_find.csv": read_range_test,
    X + "checkpoint.safetensors": read_checkpoint,
    X + "model.safetensors": lambda: train.load_model(run.RunFolder("runs/x")),
    "benchmarks/results.json": read_speed,
    "benchmarks/max_lr.json": lambda: read_study("max_lr"),
    "benchmarks/ablation.json": lambda: read_study("ablation"),
    "parameters.yaml": lambda: report.read_parameters(Path("parameters.yaml")),
}
"""File -> the function through which all that is read of it is read."""
every_file = pytest.mark.parametrize("name", READERS)


def genuine(place: Path, finished: dict[str, bytes], name: str) -> bytes:
    """The file as it should be; a checkpoint's identity is kept beside it."""
    if name == "parameters.yaml":
        return (TOP / "params" / "quick.yaml").read_bytes()
    if name.startswith(X):
        (place / "runs/x/run.safetensors").write_bytes(finished["checkpoint.safetensors"])
        return finished[name.removeprefix(X)]
    return (TOP / name).read_bytes()


class Swapped:
    """Within it the file holds other bytes."""

    def __init__(self, path: Path, content: bytes, real: bytes) -> None:
        self.path, self.content, self.real = path, content, real

    def __enter__(self) -> None:
        self.path.write_bytes(self.content)

    def __exit__(self, *error: object) -> None:
        self.path.write_bytes(self.real)


@every_file
def test_the_files_as_they_are_made_are_read(place: Path, finished: dict[str, bytes], name: str) -> None:
    with Swapped(place / name, genuine(place, finished, name), b""):
        assert not refused_in_a_sentence(READERS[name])
    (place / name).write_bytes(genuine(place, finished, name))


# Bytes changed

edits = st.lists(
    st.tuples(st.sampled_from(["flip", "cut", "insert", "repeat"]), st.floats(0, 1), st.binary(min_size=1, max_size=6)),
    min_size=1,
    max_size=3,
)


def edited(content: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    """`content` with bytes flipped, cut off, inserted or repeated at places given as shares of its length."""
    for kind, share, new in changes:
        at = int(share * max(0, len(content) - 1))
        if kind == "flip":
            content = content[:at] + new + content[at + len(new) :]
        elif kind == "cut":
            content = content[:at]
        elif kind == "insert":
            content = content[:at] + new + content[at:]
        else:
            content = content[: at + 20] + content[at:]
    return content


@every_file
@SETTINGS
@given(changes=edits)
def test_a_file_with_changed_bytes_is_read_or_refused_in_a_sentence(
    place: Path, finished: dict[str, bytes], name: str, changes: list[tuple[str, float, bytes]]
) -> None:
    real = genuine(place, finished, name)
    with Swapped(place / name, edited(real, changes), real):
        refused_in_a_sentence(READERS[name])


# Valid files with hostile content

NUMBERS = (True, -1, 0, 10**17, 10**400, 1e308, -0.5, float("nan"), float("inf"))
TEXTS = ("", "3", "\ud800", "\x00", "a\nb", "x" * 5000, "auto", "<script>", "../../etc/passwd")
odd = st.sampled_from([None, *NUMBERS, *TEXTS, [], [[]], {}, {"a": {}}, [1, "2"], ["<b>"] * 10])


def places(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each part of a JSON value."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [prefix, *(way for key in keys for way in places(value[key], (*prefix, key)))]


def altered(value: Any, way: tuple[Any, ...], new: Any, removed: bool) -> Any:
    """A copy of a JSON value in which one part is another, or missing."""
    if not way:
        return new
    value = copy.deepcopy(value)
    inner = value
    for key in way[:-1]:
        inner = inner[key]
    if removed:
        del inner[way[-1]]
    else:
        inner[way[-1]] = new
    return value


@pytest.mark.parametrize("name", [name for name in READERS if name.endswith((".json", "checkpoint.safetensors"))])
@SETTINGS
@given(where=st.floats(0, 1), new=odd, removed=st.booleans())
def test_json_of_another_shape_is_read_or_refused_in_a_sentence(
    place: Path, finished: dict[str, bytes], name: str, where: float, new: Any, removed: bool
) -> None:
    real = genuine(place, finished, name)
    if name.endswith(".json"):
        content = json.loads(real)
        ways = places(content)
        hostile = json.dumps(altered(content, ways[int(where * (len(ways) - 1))], new, removed)).encode()
    else:
        tensors, metadata = files.read_tensors(place / "runs/x/run.safetensors")
        content = json.loads(metadata["state"])
        ways = places(content)
        text = json.dumps(altered(content, ways[int(where * (len(ways) - 1))], new, removed))
        hostile = save(tensors, {"state": text})
    with Swapped(place / name, hostile, real):
        refused_in_a_sentence(READERS[name])


shapes = st.sampled_from(
    [(), (0,), (1,), (12,), (6,), (12, 10), (6, 10), (12, 3), (0, 10), (24, 11), (2, 2, 2), (12, 0)]
)
dtypes = st.sampled_from(["float32", "float16", "float64", "int64", "int8", "bool", "complex64", "U3", "M8[s]", "V4"])
fills = st.sampled_from([0, 1, -1, 9, 10**9, float("nan"), float("inf")])


@pytest.mark.parametrize(("name", "keys"), [
    (X + "predictions.npz", ["logits", "labels", "indices", "val_logits", "val_labels"]),
    (X + "features.npz", ["train", "test"]),
])  # fmt: skip
@SETTINGS
@given(data=st.data())
def test_arrays_of_another_shape_or_kind_are_read_or_refused_in_a_sentence(
    place: Path, finished: dict[str, bytes], name: str, keys: list[str], data: st.DataObject
) -> None:
    real, arrays = genuine(place, finished, name), dict(files.read_arrays(place / name))
    key = data.draw(st.sampled_from(keys))
    if data.draw(st.booleans()):
        dtype = data.draw(dtypes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = np.zeros(data.draw(shapes), dtype) if dtype in ("M8[s]", "V4") else np.full(
                data.draw(shapes), np.nan_to_num(data.draw(fills)) if dtype[0] not in "fc" else data.draw(fills)
            ).astype(dtype)  # fmt: skip
        arrays[key] = values
    elif data.draw(st.booleans()):
        flat = arrays[key].reshape(-1).copy()
        flat[data.draw(st.integers(0, flat.size - 1))] = data.draw(
            fills if arrays[key].dtype.kind == "f" else st.sampled_from([-1, 10**18, 11])
        )
        arrays[key] = flat.reshape(arrays[key].shape)
    else:
        del arrays[key]
    files.write_arrays(place / name, **arrays)
    try:
        refused_in_a_sentence(READERS[name])
    finally:
        (place / name).write_bytes(real)


@pytest.mark.parametrize("column", ["test_loss", "val_accuracy", "lr", None])
def test_a_history_of_other_columns_is_refused(place: Path, finished: dict[str, bytes], column: str | None) -> None:
    """Found by the test above: the next epoch would have made a table of uneven columns, and lost everything."""
    real = genuine(place, finished, X + "checkpoint.safetensors")
    tensors, metadata = files.read_tensors(place / X / "run.safetensors")
    state = json.loads(metadata["state"])
    state["history"].pop(column) if column else state["history"].update(more=[1.0, 2.0])
    with Swapped(place / X / "checkpoint.safetensors", save(tensors, {"state": json.dumps(state)}), real):
        assert refused_in_a_sentence(read_checkpoint)


def test_weights_of_no_width_are_refused(place: Path, finished: dict[str, bytes]) -> None:
    real = genuine(place, finished, X + "model.safetensors")
    tensors, metadata = files.read_tensors(place / X / "model.safetensors")
    for width in ("0", "-8", "99999999999"):
        with Swapped(place / X / "model.safetensors", save(tensors, {**metadata, "width": width}), real):
            assert refused_in_a_sentence(READERS[X + "model.safetensors"])


def test_features_of_two_widths_are_refused(place: Path, finished: dict[str, bytes]) -> None:
    """Found by the test above: each of them alone is as it should be."""
    path = place / X / "features.npz"
    arrays = dict(files.read_arrays(path))
    files.write_arrays(path, **{**arrays, "test": np.zeros((12, 10), np.float16)})
    try:
        assert refused_in_a_sentence(read_features)
    finally:
        path.write_bytes(finished["features.npz"])


tensor_kinds = st.sampled_from(
    [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn]
)


@pytest.mark.parametrize("name", [X + "model.safetensors", X + "checkpoint.safetensors"])
@SETTINGS
@given(data=st.data())
def test_tensors_of_another_shape_or_kind_are_read_or_refused_in_a_sentence(
    place: Path, finished: dict[str, bytes], name: str, data: st.DataObject
) -> None:
    real = genuine(place, finished, name)
    tensors, metadata = files.read_tensors(place / name)
    key = data.draw(st.sampled_from(sorted(tensors)))
    what = data.draw(st.sampled_from(["kind", "shape", "value", "missing", "more", "metadata"]))
    if what == "kind":
        tensors[key] = torch.zeros_like(tensors[key], dtype=torch.float32).to(data.draw(tensor_kinds))
    elif what == "shape":
        tensors[key] = torch.zeros(data.draw(st.sampled_from([(), (0,), (1, 1), (64, 3, 3, 3)])))
    elif what == "value":
        tensors[key] = torch.full_like(
            tensors[key].float(), data.draw(st.sampled_from([float("nan"), 1e38, -1.0, -float("inf")]))
        )
    elif what == "missing":
        del tensors[key]
    elif what == "more":
        tensors["net.more"] = torch.zeros(2)
    else:
        values = st.sampled_from(["", "10", "-1", "0", "99999999999", "1e9", "ten", "{", "[]", "1" * 5000])
        metadata = {k: data.draw(values) for k in ("classes", "width", "state") if data.draw(st.booleans())}
    with Swapped(place / name, save(tensors, metadata or None), real):
        refused_in_a_sentence(READERS[name])


# Parameters

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
TAGS = ("int", "float", "bool", "null", "timestamp", "binary", "omap", "set", "python/object/apply:os.mkdir")
PIECES = ("a", "epochs", "1", "0x", "1:60", "2001-99-99", ".inf", ".nan", "é", "''", '"', "&x ", "*x", "<<: ")
SIGNS = (": ", ":", "- ", "[", "]", "{", "}", "? ", "| ", "> ", "\n", "%YAML 1.1\n", "---\n", "\t", "\x85")
yaml_pieces = st.lists(st.sampled_from([*PIECES, *SIGNS, *(f"!!{tag} " for tag in TAGS)]), max_size=14).map("".join)


@SETTINGS
@given(text=yaml_pieces)
@example(BOMB)
@example('epochs: !!int ""')  # IndexError within PyYAML
@example("epochs: !!bool maybe")  # KeyError
@example("epochs: !!timestamp x")  # AttributeError
@example("[" * 5000)  # RecursionError
@example("? [1]\n: 2")
@example("epochs: !!python/object/apply:os.mkdir [sprung]")
def test_a_parameter_file_of_any_kind_is_read_or_refused_in_a_sentence(place: Path, text: str) -> None:
    path = place / "any.yaml"
    path.write_text(text, encoding="utf-8")

    def read() -> None:
        values = report.read_parameters(path)
        report.check_names(values)
        report.parameters_for("training", values)

    refused_in_a_sentence(read)
    assert not (place / "sprung").exists()


@SETTINGS
@given(text=yaml_pieces)
@example('!!int ""')
@example("!!bool maybe")
@example("[" * 5000)
def test_any_text_behind_p_is_a_value_or_refused_in_a_sentence(text: str) -> None:
    refused_in_a_sentence(lambda: report.parameters_for("training", plain.assignments([f"epochs={text}"])))


def test_a_swelling_parameter_file_is_refused_at_once(place: Path) -> None:
    (place / "bomb.yaml").write_text(BOMB)
    with pytest.raises(ReportError, match=r"bomb\.yaml cannot be read \(it holds an alias; write the value out"):
        report.read_parameters(place / "bomb.yaml")


# What people see, and pictures


@SETTINGS
@given(changes=edits, which=st.booleans())
def test_changed_judgements_are_never_believed(
    place: Path, changes: list[tuple[str, float, bytes]], which: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        content = human_files(patch)
        patch.setattr(human, "_fetch", lambda address: pytest.fail("fetched"))
        folder = place / "votes"
        folder.mkdir(exist_ok=True)
        name = (human.VOTES if which else human.VERDICTS)[0]
        for other, real in content.items():
            (folder / other).write_bytes(edited(real, changes) if other == name else real)
        if edited(content[name], changes) != content[name]:
            assert refused_in_a_sentence(lambda: human.load("votes"))


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file of these chunks."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def test_pictures_that_swell_are_refused_before_they_do(place: Path) -> None:
    import struct
    import zlib

    zeros = zlib.compress(bytes(100_000_000), 9)
    huge = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    small = struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)
    for content in (
        png((b"IHDR", huge), (b"IDAT", zeros), (b"IEND", b"")),
        png((b"IHDR", small), (b"zTXt", b"a\0\0" + zeros), (b"IEND", b"")),
    ):
        (place / "bomb.png").write_bytes(content)
        assert refused_in_a_sentence(lambda: picture.read("bomb.png"))


# Nothing runs, and nothing is written elsewhere


class Trap:
    """Unpickling this makes a folder."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("sprung",)


@every_file
def test_a_pickle_under_any_name_is_never_loaded(place: Path, finished: dict[str, bytes], name: str) -> None:
    real = genuine(place, finished, name)
    trapped = [pickle.dumps(Trap(), protocol=protocol) for protocol in (0, 2, 5)]
    if name.endswith(".npz"):
        arrays = dict(files.read_arrays(place / name))
        for key in arrays:
            np.savez(place / "trap.npz", **{**arrays, key: np.array([Trap()], dtype=object)})
            trapped.append((place / "trap.npz").read_bytes())
    torch.save(Trap(), place / "trap.pt")
    for content in (*trapped, (place / "trap.pt").read_bytes()):
        with Swapped(place / name, content, real):
            assert refused_in_a_sentence(READERS[name])
    assert not (place / "sprung").exists()
    with pytest.raises(FileExistsError):
        pickle.loads(trapped[0])
        pickle.loads(trapped[0])  # the trap works
    (place / "sprung").rmdir()


def test_what_is_written_replaces_a_link_and_not_what_it_leads_to(place: Path) -> None:
    folder = run.RunFolder("runs/linked")
    folder.prepare()
    (place / "mine.txt").write_text("mine")
    for name in ("run.json", "model.safetensors"):
        (folder / name).symlink_to(place / "mine.txt")
        files.write_atomic(folder / name, b"new")
        assert not (folder / name).is_symlink() and (place / "mine.txt").read_text() == "mine"


def test_no_file_of_a_run_can_name_another_place(place: Path, finished: dict[str, bytes]) -> None:
    """The only names in them are of data sets and classes."""
    for dataset in ("../../../etc", "/etc/passwd", "auto", "imagenet"):
        record = json.loads(finished["run.json"])
        record["parameters"]["dataset"] = dataset
        with Swapped(place / "runs/x/run.json", json.dumps(record).encode(), finished["run.json"]):
            assert refused_in_a_sentence(read_record)


def test_arrays_that_swell_are_refused_before_they_do(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 100_000)
    np.savez_compressed(place / "bomb.npz", logits=np.zeros(100_000))
    with pytest.raises(ReportError, match=re.escape("larger than any file of a run")):
        files.read_arrays(place / "bomb.npz")

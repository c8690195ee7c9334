"""Trials over many kinds of maps: who competes, what is compared, and what is said of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import bootstrap
from torch import Tensor, nn

from gradcam_report import model
from gradcam_report.config import LAYERS, ReportError, parse_params
from gradcam_report.data import datasets
from gradcam_report.explain import cam
from gradcam_report.faithfulness import experiments, measures, metrics
from gradcam_report.runs import io

pytestmark = pytest.mark.usefixtures("few_threads")


@pytest.fixture(scope="module")
def net() -> model.ResNet18:
    """A narrow network whose maps are not empty."""
    built = model.build(seed=0, width=8)
    nn.init.normal_(built.linear.weight, generator=torch.Generator().manual_seed(0))
    return built.eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


CLASSES = torch.tensor([1, 2, 3, 4])


def test_contenders_are_each_methods_own_maps(net: model.ResNet18, images: Tensor) -> None:
    found = experiments.contenders(net, images, CLASSES, LAYERS, list(cam.METHODS))
    per_method = {m: [n.split()[1] for n in found if n.startswith(f"{cam.METHODS[m].title} ")] for m in cam.METHODS}
    assert per_method["gradcam"] == per_method["layercam"] == list(LAYERS)
    assert per_method["xgradcam"] == list(LAYERS[:3]) and per_method["scorecam"] == ["layer4"]
    alone = cam.explain(net, images, {"x": CLASSES}, ["layer3"], "layercam")["x"]["layer3"]
    assert torch.equal(found["LayerCAM layer3"], alone)


def test_a_map_that_never_looks_at_the_network_survives_forgetting(
    net: model.ResNet18, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeing = experiments.randomisation(net, images, CLASSES, ["layer4"], ["gradcam"])
    assert list(seeing) == list(metrics.PARTS)
    assert np.nanmean(seeing["conv1"]["Grad-CAM layer4"]) < 0.7
    monkeypatch.setattr(measures, "contenders", lambda net, x, *rest: {"blind": x.abs().mean(1)})
    blind = experiments.randomisation(net, images, CLASSES, ["layer4"], ["gradcam"])
    assert all(np.allclose(scores["blind"], 1) for scores in blind.values())


def test_a_map_that_moves_with_the_image_is_stable_and_one_that_stays_is_not(
    net: model.ResNet18, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed = torch.rand(4, 32, 32, generator=torch.Generator().manual_seed(2))
    monkeypatch.setattr(measures, "contenders", lambda net, x, *rest: {"follows": x.mean(1), "stays": fixed})
    found = experiments.stability(net, images, CLASSES, ["layer4"], ["gradcam"])
    assert list(found) == ["mirrored", "moved by 1", "moved by 2"]
    for scores in found.values():
        np.testing.assert_allclose(scores["follows"], 1)
        assert abs(scores["stays"]).max() < 0.2


def test_hiding_scores_are_what_the_measures_say(net: model.ResNet18, images: Tensor) -> None:
    probability = experiments.probability_of(net, CLASSES)
    direct = net(images).softmax(1)[torch.arange(4), CLASSES].detach()
    torch.testing.assert_close(probability(images), direct)
    maps = {"some": metrics.random_maps(4, 4), "all": torch.ones(4, 4, 4)}
    found = experiments.hiding(probability, images, maps, steps=2)
    starts = {"deletion": (images, torch.zeros_like(images)), "insertion": (metrics.blurred(images), images)}
    for name, (start, fill) in starts.items():
        ends = probability(start), probability(fill)
        curve = metrics.perturbation_curves(probability, start, fill, maps["some"], 2, ends)
        torch.testing.assert_close(found.curves[name]["some"], curve)
        np.testing.assert_allclose(found.scores[name]["some"], metrics.area(curve), rtol=1e-6)
    assert not found.scores["drop"]["all"].any() and not found.scores["increase"]["all"].any()


def test_drop_and_increase_by_hand() -> None:
    """A "network" that answers the mean of the left half minus that of the right half, plus a half."""

    def probability(images: Tensor) -> Tensor:
        return 0.5 + images[..., :16].mean((1, 2, 3)) - images[..., 16:].mean((1, 2, 3))

    images = torch.full((2, 3, 32, 32), 0.2)
    images[1, ..., 16:] = 0.4  # 0.5 and 0.3
    left = torch.zeros(2, 32, 32)
    left[..., :16] = 1  # hides the right half: 0.7 and 0.7
    found = experiments.hiding(probability, images, {"left": left, "right": 1 - left}, steps=2).scores
    np.testing.assert_allclose(found["drop"]["left"], [0, 0], atol=1e-6)
    np.testing.assert_allclose(found["drop"]["right"], [(0.5 - 0.3) / 0.5, (0.3 - 0.1) / 0.3], rtol=1e-5)
    assert found["increase"]["left"].tolist() == [1, 1] and found["increase"]["right"].tolist() == [0, 0]


def test_ground_truth_rates_the_mask_itself_best() -> None:
    drawn = datasets.synthetic_images(20, seed=2)
    maps = {"truth": drawn.masks.float()} | experiments.baselines(drawn.images)
    found = experiments.ground_truth(maps, drawn.masks)
    assert list(found) == ["pointing", "energy", "overlap"] and list(found["energy"]) == [
        "truth",
        *experiments.BASELINES,
    ]
    assert all(scores["truth"].mean() == pytest.approx(1) for scores in found.values())
    assert found["overlap"]["random cells"].mean() < 0.3


def test_intervals_agree_with_scipys_bootstrap() -> None:
    values = np.random.default_rng(3).exponential(size=200)
    mean, low, high = experiments.rating(values, draws=5000)
    theirs = bootstrap((values,), np.mean, n_resamples=5000, method="percentile", rng=1).confidence_interval
    assert mean == pytest.approx(values.mean())
    assert (low, high) == (pytest.approx(theirs.low, abs=0.02), pytest.approx(theirs.high, abs=0.02))


def test_images_without_a_value_are_left_out_of_a_rating() -> None:
    assert experiments.rating(np.array([1.0, np.nan, 1.0])) == (1, 1, 1)
    assert np.isnan(experiments.rating(np.array([np.nan]))).all()


def scores(ours: float, centre: float) -> dict[str, np.ndarray]:
    noise = np.random.default_rng(0).normal(0, 0.01, 50)
    flat = {"edges": 0.1, "centre": centre, "random cells": 0.2, "random pixels": 0.2}
    return {"ours": ours + noise} | {name: np.full(50, value) for name, value in flat.items()}


@pytest.mark.parametrize(("ours", "up", "down"), [(0.9, "better", "worse"), (0.5, "no different", "worse")])
def test_verdicts_follow_the_direction_of_the_score(ours: float, up: str, down: str) -> None:
    given = scores(ours, 0.5)
    best, differences = experiments.against_baselines(given)
    assert best == "centre" and experiments.word(differences["ours"]) == up
    best, differences = experiments.against_baselines(given, lower_is_better=True)
    assert best == "edges" and experiments.word(differences["ours"]) == down
    table = experiments.verdicts({"overlap": given, "deletion": given})
    assert table == {"ours": {"overlap": up, "deletion": down}}


def test_a_contender_that_was_not_in_a_trial_gets_no_verdict_there() -> None:
    table = experiments.verdicts({"overlap": scores(0.9, 0.5) | {"late": np.ones(50)}, "energy": scores(0.9, 0.5)})
    assert table["late"] == {"overlap": "better", "energy": ""}
    assert experiments.better(table, ["overlap"]) == ["ours", "late"] and experiments.better(
        table, ["overlap", "energy"]
    ) == ["ours"]
    assert experiments.never_worse(table) == ["ours"], "what was not tried cannot count as not worse"


def test_the_sentences_name_winner_baseline_and_numbers() -> None:
    given = scores(0.1, 0.5) | {"other": np.full(50, 0.3)}
    up, down = experiments.in_words({"overlap": given, "deletion": given})
    assert up == ("**overlap**: other does best with 0.300, and is worse than the best baseline, centre, with 0.500.")
    assert down.startswith("**deletion**: ours does best with 0.1") and "edges, with 0.100" in down


def test_only_drawings_that_the_network_gets_right_are_used(net: model.ResNet18) -> None:
    drawn, normalised = experiments.drawings(net, 200)
    everything = datasets.synthetic_images(200, seed=datasets.SHAPES_TEST_SEED)
    right = net(datasets.NORMALIZERS["shapes"](everything.images)).argmax(1) == everything.labels
    assert 0 < len(drawn) < 200 and torch.equal(drawn.indices, everything.indices[right])
    torch.testing.assert_close(normalised, datasets.NORMALIZERS["shapes"](drawn.images))
    never = model.build(seed=0, width=8)
    nn.init.constant_(never.linear.bias, 0)
    with torch.no_grad():
        never.linear.weight.zero_()
        never.linear.bias[0] = 1
    assert datasets.synthetic_images(1, seed=datasets.SHAPES_TEST_SEED).labels[0] != 0
    with pytest.raises(ReportError, match="none of 1 drawings right; raise probe_epochs"):
        experiments.drawings(never, 1)


def test_the_probe_is_trained_once_and_never_over_another_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "SHAPES_TRAIN", 200)
    monkeypatch.setattr(datasets, "SHAPES_TEST", 50)
    params = parse_params("faithfulness", {"run_dir": "runs/x", "probe_epochs": 1, "device": "cpu"})
    net, accuracy = experiments.probe(params)
    assert net.conv1.out_channels == experiments.PROBE_WIDTH and 0 <= accuracy <= 1
    weights = project / "runs/x/probe/model.safetensors"
    written = weights.stat().st_mtime_ns
    again, _ = experiments.probe(params)
    assert weights.stat().st_mtime_ns == written and torch.equal(net.conv1.weight, again.conv1.weight)
    longer = params.model_copy(update={"faithfulness": params.faithfulness.model_copy(update={"probe_epochs": 2})})
    experiments.probe(longer)
    assert io.read_json(project / "runs/x/probe/run.json")["parameters"]["epochs"] == 2
    weights.unlink()  # damaged
    experiments.probe(longer)
    assert weights.exists()
    record = io.read_json(project / "runs/x/probe/run.json")
    del record["parameters"]["width"]  # a run of the report's own network
    io.write_json(project / "runs/x/probe/run.json", record)
    with pytest.raises(ReportError, match="probe_dir is 'runs/x/probe', which holds another run"):
        experiments.probe(params)


def test_an_interrupted_probe_of_other_settings_is_made_anew(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "SHAPES_TRAIN", 200)
    monkeypatch.setattr(datasets, "SHAPES_TEST", 50)
    params = parse_params("faithfulness", {"run_dir": "runs/x", "probe_epochs": 2, "device": "cpu"})
    experiments.probe(params)
    (project / "runs/x/probe/run.json").unlink()  # as if it had been killed before its end
    shorter = params.model_copy(update={"faithfulness": params.faithfulness.model_copy(update={"probe_epochs": 1})})
    experiments.probe(shorter)
    assert io.read_json(project / "runs/x/probe/run.json")["parameters"]["epochs"] == 1

"""Figures say what the data say: values, names and counts are read back from the drawn artists."""

import base64
import io
import sys
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from PIL import Image

from gradcam_report import formatting, plots
from gradcam_report.plots import style
from gradcam_report.plots.training import spread

CLASSES = ("airplane", "automobile", "bird")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)
LRS = np.geomspace(1e-4, 10, 50)
SCORES = {"Grad-CAM layer4": (0.6, 0.5, 0.7), "edges": (0.3, 0.2, 0.4), "centre": (0.65, 0.6, 0.7)}


def texts(figure: plots.ReportFigure) -> list[str]:
    """Every non-empty text that the figure shows."""
    return [text.get_text() for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def history(epochs: int) -> dict[str, np.ndarray]:
    kinds = ("train", "clean_train", "test")
    losses = {f"{kind}_loss": np.linspace(2, 0.3 + 0.1 * i, epochs) for i, kind in enumerate(kinds)}
    return losses | {f"{kind}_accuracy": np.linspace(0.3, 0.9 + 0.01 * i, epochs) for i, kind in enumerate(kinds)}


def cam_maps(*layers: str) -> dict[str, dict[str, np.ndarray]]:
    return {t: {layer: RNG.random((2, 4, 4)).astype(np.float32) for layer in layers} for t in ("predicted", "true")}


def range_test(losses: np.ndarray, suggestions: Any = None, chosen: str = "onset") -> plots.ReportFigure:
    return plots.lr_range_test(LRS, losses, losses, suggestions or {"onset": 0.03}, chosen)


def all_figures() -> list[plots.ReportFigure]:
    """One figure from each function, drawn from read-only arrays."""
    counts = np.array([[8, 1, 1], [0, 10, 0], [2, 3, 5]])
    scores, flags, steps = np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), np.arange(100)
    maps, losses, names, columns = cam_maps("layer3", "layer4"), RNG.random(50) + 1, ["bird", "airplane"], history(3)
    for array in (IMAGES, counts, scores, flags, steps, losses, LRS, *columns.values(), *maps["true"].values()):
        array.setflags(write=False)  # a function that modified its input would now raise
    results = [({"a": a, "b": b, "c": c}, a + b, 0.1) for a in (4, 2) for b in (3, 1) for c in ("x", "y")]
    rows = [(values, epoch, 1 / epoch) for values, *_ in results for epoch in (1, 2)]
    return [
        plots.sweep_curves({"loss": rows}, ["a", "b"]),
        *(plots.sweep_results(results[: 2**n], ["c", "b", "a"][:n], "accuracy (%)", True) for n in (1, 2, 3)),
        plots.image_grid(IMAGES[:2], names),
        plots.class_samples(IMAGES, np.arange(6) % 3, CLASSES),
        plots.augmentations(IMAGES[0], IMAGES),
        range_test(losses),
        plots.lr_schedule(steps, steps / 100, 4),
        plots.training_curves(columns),
        plots.recipe_comparison({"a": scores, "b": scores}, 0.1),
        plots.loss_by_step(losses, 2.3),
        plots.singular_values(torch.from_numpy(LRS[::-1].copy()), torch.ones(4)),
        plots.network([("image", 3, 32), ("layer4", 512, 4)], 10),
        plots.differences({"no cutout": 1.8, "SGD instead of Muon": -18.5}, 1.6, "points"),
        plots.class_scores(scores, scores, scores, CLASSES),
        plots.cam_grid(IMAGES[:2], maps, names),
        plots.margin_maps(IMAGES[:2], LRS[:32].reshape(2, 4, 4), names, losses[:2]),
        plots.reliability({"before": ([0, 0.5, 1], scores[:2], scores[:2], [1, 2])}),
        plots.selective_accuracy(steps[1:] / 99, 1 - steps[1:] / 1000),
        plots.embedding({"pca": LRS[:12].reshape(6, 2)}, np.arange(6) % 3, np.arange(6) < 2, CLASSES),
        plots.nearest_neighbours(IMAGES[:2], names, IMAGES[:4].reshape(2, 2, 3, 32, 32), [names, names]),
        plots.throughput({"training": {"usual": (10.0, 9.0, 11.0), "ours": (30.0, 29.0, 33.0)}}, "ours"),
        plots.accuracy_over_time([60, 30, 90], scores, {"mark": 0.75}),
        plots.time_and_memory({"batch, images": {1: (1.0, 2.0), 2: (2.0, 2.5)}}),
        plots.speedups({"shared": {1: 1.0, 2: 1.8}}),
        plots.mean_scores({"overlap": SCORES}, ("edges", "centre")),
        plots.human_agreement(scores, scores, np.array([0, 1, 1]), names),
        plots.accuracy_by_peak(LRS, losses / 3, {"onset": 0.03, "valley": None}, "onset"),
        plots.accuracy_by_factor({"SGD, batches of 128": [([0.5, 1, 2], scores[:3]), ([1, 2], scores[:2])]}),
        plots.deletion_insertion({"deletion": {"map": steps / 100, "edges": steps / 100}}, ("edges",)),
        plots.model_randomization({"linear": {"map": (0.9, 0.8, 1.0)}}),
        plots.verdict_matrix({"map": dict(zip("abcd", ("better", "worse", "no different", ""), strict=True))}),
        plots.overlay_steps(IMAGES[0], LRS[:16].reshape(4, 4), "automobile"),
        plots.favouring_cells(np.array([3, 16, 16]), 16, "number of errors"),
    ]


# All figures


def test_figures_have_a_legible_version_for_each_page_and_leave_arrays_pyplot_and_settings_alone() -> None:
    before = dict(matplotlib.rcParams)
    for figure in all_figures():
        versions = figure.versions()
        assert set(versions) == {"light", "dark", "light-narrow", "dark-narrow"}
        for name, version in versions.items():
            page = "#121212" if "dark" in name else "#FFFFFF"
            assert float(version.get_figwidth()) == (3.1 if "narrow" in name else 7.2)
            assert version.get_facecolor()[:3] == to_rgb(page)
            for text in version.findobj(Text):
                assert text.get_fontsize() >= (style.PHONE_LABEL if "narrow" in name else style.LABEL), text
                if text.get_color() not in ("black", "white"):  # those stand on coloured cells; see the next test
                    assert style.contrast(to_rgb(text.get_color()), page) >= 4.5, text
    assert dict(matplotlib.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or sys.modules["matplotlib.pyplot"].get_fignums() == []


def test_numbers_in_cells_stand_out_from_every_colour() -> None:
    for level in np.linspace(0, 1, 101):
        for name in ("rocket", "viridis"):
            shade = matplotlib.colormaps[name](level)
            assert style.contrast(style.readable_on(shade), shade) >= 4.5
    assert style.contrast("white", "black") == pytest.approx(21)


def test_a_notebook_gets_an_opaque_png_with_its_size_on_screen_and_the_other_versions() -> None:
    figure = plots.lr_schedule(np.arange(10), np.arange(10) / 10, 1)
    data, metadata = figure._repr_mimebundle_()
    others = [f"application/x.figure-{name}+webp" for name in ("dark", "dark-narrow", "light-narrow")]
    assert set(data) == {"image/png", "text/plain", *others}
    assert metadata["image/png"] == {"width": 720, "height": 260} and metadata[others[1]]["width"] == 310
    image = Image.open(io.BytesIO(figure.png()))
    pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape == (520, 1440, 3) and (pixels[0, 0] == 255).all() and "A" not in image.mode
    np.testing.assert_array_equal(pixels, np.asarray(Image.open(io.BytesIO(figure.webp()))))
    dark = np.asarray(Image.open(io.BytesIO(base64.b64decode(data[others[0]]))))
    assert (dark[0, 0] == 0x12).all() and dark.shape == pixels.shape


def test_nothing_is_clipped_at_the_edges() -> None:
    titles = [formatting.error_title(9999, "checked triangle", 0.999, "striped triangle", 0.001)] * 2
    hard = {"onset": 9.9, "steepest slope of the loss": 9.8, "valley": 1.1e-4, "minimum": 1e-4}
    for figure in (
        plots.cam_grid(IMAGES[:2], cam_maps("layer3", "layer4"), titles),
        plots.image_grid(IMAGES[:5], titles[:1] * 5),
        range_test(np.ones(50), hard),
    ):
        page = np.asarray(Image.open(io.BytesIO(figure.png())).convert("RGB"))
        edge = np.concatenate([page[:4].ravel(), page[-4:].ravel(), page[:, :4].ravel(), page[:, -4:].ravel()])
        assert (edge == 255).all()


# Heat maps


def test_an_overlay_blends_grey_and_colour_by_the_maps_height_cell_by_cell() -> None:
    image = IMAGES[0].transpose(1, 2, 0)
    grey = np.repeat((image @ [0.299, 0.587, 0.114] / 255)[..., None], 3, axis=2)
    top = np.array(matplotlib.colormaps["plasma"](1.0)[:3])
    heat = np.zeros((4, 4))
    heat[1, 2] = 1
    expected = grey.copy()
    expected[8:16, 16:24] = 0.6 * grey[8:16, 16:24] + 0.4 * top
    np.testing.assert_allclose(plots.overlay(image, heat, alpha=0.4), expected)


def test_a_cam_grid_shows_each_map_in_its_place_and_labels_empty_ones() -> None:
    maps = cam_maps("layer3", "layer4") | {"known": {"object": np.ones((2, 8, 8))}}
    maps["true"]["layer4"][1] = 0
    headed = {f"Grad-CAM for the {name} class": layers for name, layers in maps.items()}
    figure = plots.cam_grid(IMAGES[:2], headed, ["first row", "second row"], scale="own scale")
    grid, bar = figure.axes
    names = [label.get_text() for label in grid.get_xticklabels()]
    assert names == ["image", "layer3", "layer4", "layer3", "layer4", "object"]
    shown = [text.replace("\n", " ") for text in texts(figure)]
    assert {"first row", "second row", "own scale", *headed} <= set(shown)
    assert shown.count("no positive evidence") == 1
    heats = [heat for layers in maps.values() for heat in layers.values()]
    for row in (0, 1):
        first, *others = grid.images[6 * row : 6 * row + 6]
        image = IMAGES[row].transpose(1, 2, 0)
        np.testing.assert_array_equal(first.get_array(), image)
        for drawn, heat in zip(others, heats, strict=True):
            np.testing.assert_allclose(drawn.get_array(), plots.overlay(image, heat[row]))
    grey = np.full((1, 1, 3), 128, np.uint8)
    colours = bar.collections[-1].get_cmap()
    assert bar.get_xlim() == (0, 1)
    for level in (0.0, 1.0):
        np.testing.assert_allclose(colours(level)[:3], plots.overlay(grey, np.full((1, 1), level))[0, 0])


def test_margin_maps_share_one_symmetric_scale_and_carry_their_sums() -> None:
    cells = np.array([[[1.0, -2.0], [0.0, 0.5]], [[3.0, 0.0], [0.0, 0.0]]])
    figure = plots.margin_maps(IMAGES[:2], cells, ["# 5", "# 7"], [-0.5, 3.0], columns=2)
    drawn = [image for ax in figure.axes for image in ax.images if image.get_array().shape == (2, 2)]
    assert [image.get_clim() for image in drawn] == [(-3.0, 3.0)] * 2
    assert all(np.array_equal(image.get_array(), heat) for image, heat in zip(drawn, cells, strict=True))
    assert {"sum \u22120.50", "sum +3.00", "# 5", "# 7"} <= set(texts(figure))


# Images


def test_images_come_in_either_layout_and_only_as_bytes() -> None:
    planes, pixels = plots.image_grid(IMAGES[:1], ["a"]), plots.image_grid(IMAGES[:1].transpose(0, 2, 3, 1), ["a"])
    np.testing.assert_array_equal(planes.axes[0].images[0].get_array(), pixels.axes[0].images[0].get_array())
    with pytest.raises(ValueError, match="undo the normalisation"):
        plots.image_grid(IMAGES[:1] / 255, ["a"])
    with pytest.raises(ValueError, match="as many titles"):
        plots.image_grid(IMAGES[:2], ["a"])


def test_long_lines_break_between_words_but_not_before_the_percent_sign() -> None:
    assert style.wrap("✗ striped triangle 95.3 %", 1.34) == "✗ striped triangle\n95.3 %"


def test_class_samples_put_each_class_in_its_column() -> None:
    flat = np.stack([np.full((3, 32, 32), shade, np.uint8) for shade in (10, 20, 30, 40)])
    canvas = plots.class_samples(flat, np.array([1, 0, 1, 2]), CLASSES).axes[0].images[0].get_array()
    empty = [255, 255, 255]
    np.testing.assert_array_equal(canvas[16::34, 16::34, 0], [[20, 10, 40], [255, 30, 255], *[empty] * 4])


def test_neighbours_stand_beside_their_image_each_with_its_own_name() -> None:
    near = IMAGES[:6].reshape(2, 3, 3, 32, 32)
    figure = plots.nearest_neighbours(IMAGES[:2], ["# 5", "# 7"], near, [["a", "b", "c"], ["d", "e", "f"]])
    assert [ax.get_title() for ax in figure.axes] == ["", "a", "b", "c", "", "d", "e", "f"]
    assert [figure.axes[i].get_ylabel() for i in (0, 4)] == ["# 5", "# 7"]
    assert np.array_equal(figure.axes[6].images[0].get_array(), near[1, 1].transpose(1, 2, 0))


# Learning rate and training


def test_a_range_test_carries_the_data_and_marks_each_rule_apart() -> None:
    losses = 2 - np.linspace(0, 1, 50)
    rules = {"onset": 0.03, "valley": 0.03, "steepest": 0.02, "minimum / 10": None}
    figure = plots.lr_range_test(LRS, losses, losses + 0.01, rules, "onset")
    (ax,) = figure.axes
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_array_equal(lines["each batch"].get_xydata(), np.stack([LRS, losses], 1))
    np.testing.assert_array_equal(lines["smoothed"].get_ydata(), losses + 0.01)
    marked = {line.get_gid(): line.get_xdata()[0] for line in ax.lines if line.get_gid()}
    assert marked == {"rule:onset": 0.03, "rule:valley": 0.03, "rule:steepest": 0.02}
    names = {text.get_text().strip(): text.get_weight() for text in ax.texts}
    assert names == {"onset 0.03": "bold", "valley 0.03": "normal", "steepest 0.02": "normal"}
    assert "minimum / 10" in ax.get_xlabel()
    figure.draw_without_rendering()
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # an annotation's own extent includes its line
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    with pytest.raises(ValueError, match="'best' is not among onset"):
        range_test(losses, chosen="best")


@pytest.mark.parametrize("explosion", [1e6, 1e300, np.inf, np.nan])
def test_a_range_test_shows_the_descent_whatever_the_loss_becomes(explosion: float) -> None:
    (ax,) = range_test(np.concatenate([np.linspace(2.3, 1.6, 40), np.full(10, explosion)])).axes
    low, high = ax.get_ylim()
    assert low < 1.6 and 2.3 < high < 4
    assert ("above this axis" in ax.get_xlabel()) == bool(np.isfinite(explosion))
    assert ("10 non-finite" in ax.get_xlabel()) == (not np.isfinite(explosion))
    assert range_test(np.full(50, np.nan), {"onset": None}).png()


def test_a_schedule_runs_over_the_epochs_and_marks_the_peak() -> None:
    lrs = np.concatenate([np.linspace(0, 0.4, 51), np.linspace(0.4, 0, 150)[1:]])
    figure = plots.lr_schedule(np.arange(200), lrs, 8)
    line = figure.axes[0].lines[0]
    np.testing.assert_array_equal(line.get_ydata(), lrs)
    np.testing.assert_allclose(line.get_xdata()[[0, 50, 199]], [0, 2, 7.96])
    assert "peak 0.4 at epoch 2.0" in texts(figure)


def test_training_curves_count_epochs_from_one_print_the_last_values_and_tolerate_gaps() -> None:
    columns = history(5)
    columns["train_loss"][:] = np.nan
    columns["test_loss"][2] = np.inf
    loss, accuracy = plots.training_curves(columns).axes
    assert loss.lines[2].get_xdata().tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(loss.lines[2].get_ydata(), columns["test_loss"])
    np.testing.assert_allclose(accuracy.lines[1].get_ydata(), 100 * columns["clean_train_accuracy"])
    assert {text.get_text() for text in loss.texts} == {"0.400", "0.500"}
    assert "92.0 %" in {text.get_text() for text in accuracy.texts}


def test_spread_keeps_order_and_distance() -> None:
    placed = spread(np.array([0.5, 0.1, 0.52]), 0.1)
    assert placed.argsort().tolist() == [1, 0, 2] and np.diff(np.sort(placed)).min() >= 0.1 - 1e-12
    np.testing.assert_allclose(spread(np.array([1.0, 3.0]), 0.5), [1, 3])


# Classes and confidence


def test_scores_of_classes_are_printed() -> None:
    figure = plots.class_scores(np.array([0.9, 0.8, 0]), np.array([0.7, 0.8, 0]), np.array([0.7875, 0.8, 0]), CLASSES)
    assert {"78.8 %", "80.0 %", "0.0 %"} <= set(texts(figure))
    np.testing.assert_allclose(figure.axes[0].lines[1].get_xdata(), [70, 80, 0])


def test_reliability_bars_are_the_accuracies_of_the_bins_that_are_filled() -> None:
    bins = (np.linspace(0, 1, 4), np.array([0.2, np.nan, 0.9]), np.array([0.1, np.nan, 0.95]), np.array([1, 0, 3]))
    figure = plots.reliability({"as trained": bins})
    ax, below = figure.axes
    (accuracy,) = [drawn for drawn in ax.collections if drawn.get_label() == "accuracy"]
    assert [tuple(line[:, 1]) for line in accuracy.get_segments()] == [(10, 10), (95, 95)]
    assert len(figure.legends[0].get_texts()) == 3
    assert [(bar.get_x(), bar.get_height()) for bar in ax.containers[0]] == [(0, 10), (pytest.approx(200 / 3), 95)]
    assert [bar.get_height() for bar in ax.containers[1]] == pytest.approx([10, -5])
    assert [bar.get_height() for bar in below.containers[0]] == [25, 0, 75]


def test_selective_accuracy_carries_its_values() -> None:
    coverage = np.arange(1, 101) / 100
    figure = plots.selective_accuracy(coverage, 1 - coverage / 10)
    assert {"95.00 %", "92.00 %", "91.00 %", "90.00 %"} <= set(texts(figure))
    assert np.allclose(figure.axes[0].lines[0].get_xydata()[-1], (100, 90))


def test_human_agreement_counts_each_kind_and_says_when_nobody_was_asked() -> None:
    figure = plots.human_agreement([0.9, 0.5, 0.6], [0.1, 1.0, 0.8], [0, 1, 1], ["label wrong", "model wrong"])
    assert {"label wrong: 1", "model wrong: 2"} <= set(texts(figure))
    points = np.concatenate([drawn.get_offsets() for drawn in figure.axes[0].collections])
    np.testing.assert_allclose(sorted(map(tuple, points)), [(50, 100), (60, 80), (90, 10)])
    assert "nobody was asked about these images" in texts(plots.human_agreement([], [], [], ["label wrong"]))


def test_an_embedding_names_each_class_there_is_and_rings_the_errors() -> None:
    points = RNG.normal(size=(6, 2))
    wrong = np.array([True, False, True, False, False, False])
    figure = plots.embedding({"one": points, "two": -points}, np.array([0, 0, 1, 1, 0, 1]), wrong, CLASSES)
    assert texts(figure).count("bird") == 0 and texts(figure).count("airplane") == 1
    rings = figure.axes[0].collections[-1]
    assert np.allclose(rings.get_offsets(), points[wrong]) and len(rings.get_facecolors()) == 0


# Faithfulness and speed


def test_mean_scores_carry_means_and_intervals_and_mark_the_best_baseline() -> None:
    panels = {"overlap": SCORES, "deletion": SCORES}
    high, low = plots.mean_scores(panels, ("edges", "centre"), lower_is_better=("deletion",)).axes
    assert [label.get_text() for label in high.get_yticklabels()] == list(SCORES)
    dashed = {ax: [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"] for ax in (high, low)}
    assert dashed == {high: [0.65], low: [0.3]}
    points, bars = high.containers[0].lines[0], high.containers[0].lines[2][0]
    assert points.get_xdata().tolist() == [0.6]
    np.testing.assert_allclose(bars.get_segments()[0][:, 0], [0.5, 0.7])
    assert "lower is better" in low.get_title("left") and "higher is better" in high.get_title("left")


def test_many_explainers_each_have_a_style_of_their_own_and_too_many_baselines_are_refused() -> None:
    curves = {f"map {number}": [0, 1] for number in range(20)}
    lines = plots.deletion_insertion({"deletion": curves}, ()).axes[0].lines
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 20
    with pytest.raises(ValueError, match="20 baselines"):
        plots.deletion_insertion({"deletion": curves}, list(curves))


def test_deletion_insertion_and_randomization_draw_the_given_values() -> None:
    curves = {"deletion": {"Grad-CAM layer4": [1, 0.5, 0], "edges": [1, 0.8, 0]}}
    drawn = {line.get_label(): line for line in plots.deletion_insertion(curves, ("edges",)).axes[0].lines}
    assert drawn["edges"].get_ydata().tolist() == [100, 80, 0]
    assert drawn["Grad-CAM layer4"].get_xdata().tolist() == [0, 50, 100]
    scores = {"linear": {"LayerCAM layer4": (0.9, 0.8, 1.0)}, "conv1": {"LayerCAM layer4": (0, -0.1, 0)}}
    figure = plots.model_randomization(scores)
    line = next(line for line in figure.axes[0].lines if line.get_label() == "LayerCAM layer4")
    assert line.get_ydata().tolist() == [1, 0.9, 0] and {"nothing", "linear", "+ conv1"} <= set(texts(figure))


def test_speed_is_drawn_as_measured() -> None:
    figure = plots.throughput({"training": {"usual": (40.0, 38.0, 41.0), "ours": (1234.0, 1200.0, 1300.0)}}, "ours")
    (ax,) = figure.axes
    assert [bar.get_width() for bar in ax.containers[-1] if hasattr(bar, "get_width")] == [40.0, 1234.0]
    assert {"40", "1,234"} <= set(texts(figure)) and ax.get_xlim()[0] == 0
    figure = plots.accuracy_over_time([60, 30, 90], [0.5, 0.8, 0.9], {"mark": 0.94})
    assert np.allclose(figure.axes[0].lines[0].get_xydata(), [[1, 50], [1.5, 80], [3, 90]])
    assert "mark 94.00 %" in texts(figure)

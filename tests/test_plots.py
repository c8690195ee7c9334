"""Figures say what the data say: values, names and counts are read back from the drawn artists."""

import io
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from gradcam_report import formatting, plots
from gradcam_report.analysis.calibration import reliability as binned
from gradcam_report.plots import style
from gradcam_report.plots.training import spread

CLASSES = ("airplane", "automobile", "bird")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)
LRS = np.geomspace(1e-4, 10, 50)


def texts(figure):
    """Every non-empty text that the figure shows."""
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text() and text.get_visible()]


def history(epochs):
    kinds = ("train", "clean_train", "test")
    losses = {f"{kind}_loss": np.linspace(2, 0.3 + 0.1 * i, epochs) for i, kind in enumerate(kinds)}
    return losses | {f"{kind}_accuracy": np.linspace(0.3, 0.9 + 0.01 * i, epochs) for i, kind in enumerate(kinds)}


def cam_maps(layers=("layer3", "layer4")):
    return {t: {layer: RNG.random((2, 4, 4)).astype(np.float32) for layer in layers} for t in ("predicted", "true")}


def lr_figure(losses, smoothed=None, suggestions=None, chosen="onset"):
    return plots.lr_curve(LRS, losses, losses if smoothed is None else smoothed, suggestions or {"onset": 0.03}, chosen)


def reliability(confidence, correct):
    return binned(np.array(confidence), np.asarray(correct))


def all_figures():
    """One figure from each function, drawn from read-only arrays."""
    counts = np.array([[8, 1, 1], [0, 10, 0], [2, 3, 5]])
    scores, flags, steps = np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), np.arange(100)
    maps, losses, ids = cam_maps(), RNG.random(50) + 1, np.array([5, 7])
    names, columns = ["bird", "airplane"], history(3)
    given = [IMAGES, counts, scores, flags, steps, losses, ids, LRS, *columns.values()]
    for array in given + [array for layers in maps.values() for array in layers.values()]:
        array.setflags(write=False)  # a function that modified its input would now raise
    results = [({"a": a, "b": b, "c": c}, a + b, 0.1) for a in (4, 2) for b in (3, 1) for c in ("x", "y")]
    rows = [(values, epoch, 1 / epoch) for values, *_ in results for epoch in (1, 2)]
    return [
        plots.sweep_curves({"loss": rows}, ["a", "b"]),
        *(plots.sweep_results(results[: 2**n], ["c", "b", "a"][:n], "accuracy (%)", True) for n in (1, 2, 3)),
        plots.image_grid(IMAGES[:2], names),
        plots.class_samples(IMAGES, np.arange(6) % 3, CLASSES, 2),
        plots.class_counts({"train": counts[0], "test": counts[1]}, CLASSES),
        plots.augmentations(IMAGES[0], IMAGES),
        lr_figure(losses),
        plots.schedule(steps, steps / 100, 4),
        plots.curves(columns),
        plots.confusion(counts, CLASSES),
        plots.class_bars(scores, scores, scores, CLASSES),
        plots.confidence_histogram(scores, flags),
        plots.error_gallery(IMAGES[:2], names, names[::-1], scores[:2], scores[1:], ids),
        plots.cam_grid(IMAGES[:2], maps, names),
        plots.margin_maps(IMAGES[:2], LRS[:32].reshape(2, 4, 4), names, losses[:2]),
        plots.reliability({"before": reliability([0.4, 0.9, 0.9], flags)}),
        plots.selective(steps[1:] / 99, 1 - steps[1:] / 1000),
        plots.plane({"pca": LRS[:12].reshape(6, 2)}, np.arange(6) % 3, np.arange(6) < 2, CLASSES),
        plots.neighbours(IMAGES[:2], names, IMAGES[:4].reshape(2, 2, 3, 32, 32), [names, names]),
        plots.rates({"training": {"usual": (10.0, 9.0, 11.0), "ours": (30.0, 29.0, 33.0)}}, "ours"),
        plots.accuracy_over_time([60, 30, 90], scores, {"mark": 0.75}),
        plots.ratings({"overlap": RATED}, ("edges", "centre")),
        plots.agreement(scores, scores, np.array([0, 1, 1]), names),
        plots.peak_study(LRS, losses / 3, {"onset": 0.03, "valley": None}, "onset"),
        plots.hiding({"deletion": {"map": steps / 100, "edges": steps / 100}}, ("edges",)),
        plots.forgetting({"linear": {"map": (0.9, 0.8, 1.0)}}),
    ]


def test_figures_leave_arrays_pyplot_and_settings_alone():
    before = dict(matplotlib.rcParams)
    figures = all_figures()
    assert dict(matplotlib.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []
    assert all(isinstance(figure, plots.ReportFigure) for figure in figures)
    assert {float(figure.get_figwidth()) for figure in figures} == {7.2}
    assert min(text.get_fontsize() for f in figures for text in f.findobj(matplotlib.text.Text)) >= 8


def test_notebook_gets_one_opaque_png_with_its_size_on_screen():
    figure = plots.schedule(np.arange(10), np.arange(10) / 10, 1)
    data, metadata = figure._repr_mimebundle_()
    assert set(data) == {"image/png", "text/plain"}
    assert metadata["image/png"] == {"width": 720, "height": 260}
    image = Image.open(io.BytesIO(figure.png()))
    assert image.mode == "RGB" and image.size == (1440, 520)
    assert image.getpixel((0, 0)) == (255, 255, 255)


def test_nothing_is_clipped_at_the_edges():
    titles = [formatting.error_title(9999, "checked triangle", 0.999, "striped triangle", 0.001)] * 2
    hard = {"onset": 9.9, "steepest slope of the loss": 9.8, "valley": 1.1e-4, "minimum": 1e-4}
    for figure in (
        plots.cam_grid(IMAGES[:2], cam_maps(), titles),
        plots.image_grid(IMAGES[:5], titles[:1] * 5),
        lr_figure(np.ones(50), suggestions=hard),
    ):
        page = np.asarray(Image.open(io.BytesIO(figure.png())))
        edge = np.concatenate([page[:4].ravel(), page[-4:].ravel(), page[:, :4].ravel(), page[:, -4:].ravel()])
        assert (edge == 255).all()


def test_use_style_applies_the_style_sheet():
    with matplotlib.rc_context():
        plots.use_style()
        assert matplotlib.rcParams["figure.facecolor"] == "white"


def test_overlay_of_a_zero_map_is_the_grey_image():
    image = IMAGES[0].transpose(1, 2, 0)
    grey = image @ [0.299, 0.587, 0.114] / 255
    np.testing.assert_allclose(plots.overlay(image, np.zeros((4, 4))), np.repeat(grey[..., None], 3, axis=2))


def test_overlay_of_a_one_map_is_the_top_colour_at_the_set_opacity():
    top = np.array(matplotlib.colormaps["plasma"](1.0)[:3])
    image = np.full((8, 8, 3), 51, np.uint8)
    np.testing.assert_allclose(plots.overlay(image, np.ones((2, 2)), alpha=0.4)[3, 3], 0.6 * 0.2 + 0.4 * top)
    np.testing.assert_allclose(plots.overlay(image, np.ones((2, 2)), alpha=1)[3, 3], top)


def test_overlay_shows_the_maps_own_cells_or_a_smooth_surface():
    black = np.zeros((32, 32, 3), np.uint8)
    heat = np.zeros((4, 4))
    heat[1, 2] = 1
    lit = plots.overlay(black, heat).sum(axis=2) > 0
    expected = np.zeros((32, 32), bool)
    expected[8:16, 16:24] = True
    np.testing.assert_array_equal(lit, expected)
    assert (plots.overlay(black, heat, smooth=True).sum(axis=2) > 0).sum() > expected.sum()


def test_cam_grid_labels_rows_layers_targets_and_empty_maps():
    maps = cam_maps()
    maps["true"]["layer4"][1] = 0
    headed = {f"Grad-CAM for the {name} class": layers for name, layers in maps.items()}
    figure = plots.cam_grid(IMAGES[:2], headed, ["first row", "second row"])
    shown = texts(figure)
    assert {"first row", "second row"} <= set(shown)
    assert shown.count("layer3") == shown.count("layer4") == 2
    joined = [text.replace("\n", " ") for text in shown]
    assert joined.count("Grad-CAM for the predicted class") == joined.count("Grad-CAM for the true class") == 1
    assert joined.count("no positive evidence") == 1
    tiles = figure.axes[0].images
    assert len(tiles) == 2 * (1 + 4)
    np.testing.assert_array_equal(tiles[5].get_array(), IMAGES[1].transpose(1, 2, 0))
    second = plots.overlay(IMAGES[1].transpose(1, 2, 0), maps["predicted"]["layer4"][1])
    np.testing.assert_allclose(tiles[7].get_array(), second)


def test_cam_grid_has_one_colour_bar_from_zero_to_one_in_the_tiles_colours():
    figure = plots.cam_grid(IMAGES[:2], cam_maps(["layer4"]), ["a", "b"])
    bar = figure.axes[1]
    assert len(figure.axes) == 2 and bar.get_xlim() == (0, 1)
    colours = bar.collections[-1].get_cmap()
    np.testing.assert_allclose(colours(0.0)[:3], np.full(3, 128 / 255))
    mid_grey = np.full((1, 1, 3), 128, np.uint8)
    np.testing.assert_allclose(colours(1.0)[:3], plots.overlay(mid_grey, np.ones((1, 1)))[0, 0])


def test_lr_curve_carries_the_data_and_marks_each_rule():
    losses = 2 - np.linspace(0, 1, 50)
    smoothed = losses + 0.01
    rules = {"onset": 0.03, "valley": 0.0301, "steepest": 0.02, "minimum / 10": None}
    figure = lr_figure(losses, smoothed, rules)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    np.testing.assert_array_equal(lines["each batch"].get_ydata(), losses)
    np.testing.assert_array_equal(lines["smoothed"].get_xdata(), LRS)
    np.testing.assert_array_equal(lines["smoothed"].get_ydata(), smoothed)
    marked = {line.get_gid(): line.get_xdata()[0] for line in figure.axes[0].lines if line.get_gid()}
    assert marked == {"rule:onset": 0.03, "rule:valley": 0.0301, "rule:steepest": 0.02}
    names = {text.get_text().strip(): text for text in figure.axes[0].texts}
    assert set(names) == {"onset 0.03", "valley 0.0301", "steepest 0.02"}
    assert [name for name, text in names.items() if text.get_weight() == "bold"] == ["onset 0.03"]
    assert "No suggestion from: minimum / 10." in figure.axes[0].get_xlabel()


def test_lr_curve_names_stay_apart_when_rates_are_equal():
    figure = lr_figure(np.ones(50), suggestions={"onset": 0.03, "valley": 0.03, "steepest": 0.03, "minimum / 10": 0.03})
    figure.draw_without_rendering()
    # the extent of the text alone: an annotation's own includes its line
    boxes = [matplotlib.text.Text.get_window_extent(text) for text in figure.axes[0].texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.parametrize("explosion", [1e6, 1e300, np.inf, np.nan])
def test_lr_curve_shows_the_descent_whatever_the_loss_becomes(explosion):
    losses = np.concatenate([np.linspace(2.3, 1.6, 40), np.full(10, explosion)])
    figure = lr_figure(losses)
    low, high = figure.axes[0].get_ylim()
    assert low < 1.6 and 2.3 < high < 4
    assert ("above this axis" in figure.axes[0].get_xlabel()) == bool(np.isfinite(explosion))
    assert ("10 non-finite losses" in figure.axes[0].get_xlabel()) == (not np.isfinite(explosion))
    figure.draw_without_rendering()


def test_lr_curve_draws_without_any_finite_loss_and_refuses_an_unknown_rule():
    assert lr_figure(np.full(50, np.nan), suggestions={"onset": None}).png()
    with pytest.raises(ValueError, match="'best' is not among onset"):
        lr_figure(np.ones(50), chosen="best")


def test_schedule_runs_over_the_epochs_and_marks_the_peak():
    lrs = np.concatenate([np.linspace(0, 0.4, 51), np.linspace(0.4, 0, 150)[1:]])
    figure = plots.schedule(np.arange(200), lrs, 8)
    line = figure.axes[0].lines[0]
    np.testing.assert_array_equal(line.get_ydata(), lrs)
    np.testing.assert_allclose(line.get_xdata()[[0, 50, 199]], [0, 2, 7.96])
    assert "peak 0.4 at epoch 2.0" in texts(figure)


@pytest.mark.parametrize("epochs", [1, 5])
def test_curves_count_epochs_from_one_and_print_the_last_values(epochs):
    columns = history(epochs)
    figure = plots.curves(columns)
    loss, accuracy = figure.axes
    assert loss.lines[2].get_xdata().tolist() == list(range(1, epochs + 1))
    np.testing.assert_array_equal(loss.lines[2].get_ydata(), columns["test_loss"])
    np.testing.assert_allclose(accuracy.lines[1].get_ydata(), 100 * columns["clean_train_accuracy"])
    printed = {text.get_text() for text in (*loss.texts, *accuracy.texts)}
    assert f"{columns['test_loss'][-1]:.3f}" in printed
    assert f"{100 * columns['test_accuracy'][-1]:.1f} %" in printed


def test_curves_tolerate_gaps():
    columns = history(4)
    columns["test_loss"][:] = np.nan
    columns["train_loss"][2] = np.inf
    assert len(plots.curves(columns).axes[0].texts) == 2


def test_spread_keeps_order_and_distance():
    placed = spread(np.array([0.5, 0.1, 0.52]), 0.1)
    assert placed.argsort().tolist() == [1, 0, 2]
    assert np.diff(np.sort(placed)).min() >= 0.1 - 1e-12
    np.testing.assert_allclose(spread(np.array([1.0, 3.0]), 0.5), [1, 3])


@pytest.mark.parametrize(("normalise", "expected"), [(True, ["80.0", "10.0", "20.0"]), (False, ["8", "1", "2"])])
def test_confusion_writes_each_cell_where_it_belongs(normalise, expected):
    counts = np.array([[8, 1, 1], [0, 0, 0], [2, 3, 5]])
    ax = plots.confusion(counts, CLASSES, normalise=normalise).axes[0]
    cells = {
        (int(y), int(x)): text.get_text() for text in ax.texts for x, y in [text.get_position()] if text.get_text()
    }
    assert [cells[0, 0], cells[0, 1], cells[2, 0]] == expected
    assert (1, 1) not in cells and (1, 0) not in cells
    assert [label.get_text() for label in ax.get_yticklabels()] == list(CLASSES)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")


def test_class_counts_and_class_bars_print_their_numbers():
    figure = plots.class_counts({"train": np.array([4500, 4400, 4600]), "test": np.array([10, 20, 30])}, CLASSES)
    assert {"train: 13,500", "test: 60", "4,500", "30"} <= set(texts(figure))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(CLASSES)
    figure = plots.class_bars(np.array([0.9, 0.8, 0]), np.array([0.7, 0.8, 0]), np.array([0.7875, 0.8, 0]), CLASSES)
    assert {"78.8 %", "80.0 %", "0.0 %"} <= set(texts(figure))
    np.testing.assert_allclose(figure.axes[0].lines[1].get_xdata(), [70, 80, 0])


def test_confidence_histogram_counts_right_and_wrong_apart():
    confidence = np.array([0.99, 0.98, 0.51, 0.52, 1.0])
    figure = plots.confidence_histogram(confidence, np.array([True, True, False, False, True]))
    right, wrong = figure.axes
    assert sum(bar.get_height() for bar in right.patches) == 3
    assert sum(bar.get_height() for bar in wrong.patches) == 2
    assert all(50 <= bar.get_x() <= 55 for bar in wrong.patches if bar.get_height())
    assert "wrong answers: 0" in texts(plots.confidence_histogram(confidence, np.ones(5, bool)))


def test_error_gallery_names_classes_probabilities_and_index():
    figure = plots.error_gallery(
        IMAGES[:2],
        ["cat", "truck"],
        ["dog", "truck"],
        np.array([0.971, 0.6]),
        np.array([0.012, 0.6]),
        np.array([40, 7]),
    )
    assert [ax.get_title("left") for ax in figure.axes[:2]] == [
        "# 40\n✗ dog 97.1 %\n✓ cat 1.2 %",
        "# 7\n✓ truck 60.0 %",
    ]
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), IMAGES[1].transpose(1, 2, 0))


def test_long_lines_break_between_words_but_not_before_the_percent_sign():
    assert style.wrap("✗ striped triangle 95.3 %", 1.34) == "✗ striped triangle\n95.3 %"


def test_class_samples_puts_each_class_in_its_column():
    flat = np.stack([np.full((3, 32, 32), shade, np.uint8) for shade in (10, 20, 30, 40)])
    canvas = plots.class_samples(flat, np.array([1, 0, 1, 2]), CLASSES, per_class=2).axes[0].images[0].get_array()
    centres = canvas[16::34, 16::34, 0]
    np.testing.assert_array_equal(centres, [[20, 10, 40], [255, 30, 255]])


def test_images_come_in_either_layout_and_only_as_bytes():
    planes, pixels = plots.image_grid(IMAGES[:1], ["a"]), plots.image_grid(IMAGES[:1].transpose(0, 2, 3, 1), ["a"])
    np.testing.assert_array_equal(planes.axes[0].images[0].get_array(), pixels.axes[0].images[0].get_array())
    with pytest.raises(ValueError, match="undo the normalisation"):
        plots.image_grid(IMAGES[:1] / 255, ["a"])
    with pytest.raises(ValueError, match="as many titles"):
        plots.image_grid(IMAGES[:2], ["a"])


def test_text_colours_are_legible_on_white():
    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    for colour in (style.BLUE, style.VERMILLION_TEXT, style.GREY):
        assert 1.05 / (luminance(colour) + 0.05) >= 4.5  # WCAG 2.2, level AA


# Confidence, features, speed


def test_reliability_bars_are_the_accuracies_and_the_title_has_the_error():
    bins = reliability([0.45, 0.55, 0.95, 0.95], np.array([True, False, True, True]))
    figure = plots.reliability({"as trained": bins})
    ax, below = figure.axes
    heights = [bar.get_height() for bar in ax.containers[0]]
    assert heights == [100.0, 0.0, 100.0]
    shares = [bar.get_height() for bar in below.containers[0]]
    assert sorted(share for share in shares if share) == [25.0, 25.0, 50.0] and len(shares) == len(bins.count)
    assert ax.get_title(loc="left") == f"as trained: error {100 * bins.error:.1f} %"


def test_selective_curve_carries_its_values():
    coverage = np.arange(1, 101) / 100
    figure = plots.selective(coverage, 1 - coverage / 10, marks=(0.5, 1.0))
    assert {"95.00 %", "90.00 %"} <= set(texts(figure))
    assert np.allclose(figure.axes[0].lines[0].get_xydata()[-1], (100, 90))


def test_plane_names_each_class_there_is_and_rings_the_errors():
    points = RNG.normal(size=(6, 2))
    wrong = np.array([True, False, True, False, False, False])
    figure = plots.plane({"one": points, "two": -points}, np.array([0, 0, 1, 1, 0, 1]), wrong, CLASSES)
    assert texts(figure).count("bird") == 0 and texts(figure).count("airplane") == 1
    rings = figure.axes[0].collections[-1]
    assert np.allclose(rings.get_offsets(), points[wrong]) and len(rings.get_facecolors()) == 0


def test_neighbours_stand_beside_their_image_each_with_its_own_name():
    near = IMAGES[:6].reshape(2, 3, 3, 32, 32)
    figure = plots.neighbours(IMAGES[:2], ["# 5", "# 7"], near, [["a", "b", "c"], ["d", "e", "f"]])
    assert [ax.get_title() for ax in figure.axes] == ["", "a", "b", "c", "", "d", "e", "f"]
    assert [figure.axes[i].get_ylabel() for i in (0, 4)] == ["# 5", "# 7"]
    assert np.array_equal(figure.axes[6].images[0].get_array(), near[1, 1].transpose(1, 2, 0))


def test_rates_are_bars_from_zero_with_their_numbers():
    figure = plots.rates({"training": {"usual": (40.0, 38.0, 41.0), "ours": (1234.0, 1200.0, 1300.0)}}, "ours")
    (ax,) = figure.axes
    assert [bar.get_width() for bar in ax.containers[-1] if hasattr(bar, "get_width")] == [40.0, 1234.0]
    assert {"40", "1,234"} <= set(texts(figure)) and ax.get_xlim()[0] == 0


def test_accuracy_is_drawn_against_the_time_spent_so_far():
    figure = plots.accuracy_over_time([60, 30, 90], [0.5, 0.8, 0.9], {"mark": 0.94})
    assert np.allclose(figure.axes[0].lines[0].get_xydata(), [[1, 50], [1.5, 80], [3, 90]])
    assert "mark 94.00 %" in texts(figure)


def test_margin_maps_share_one_symmetric_scale_and_carry_their_sums():
    cells = np.array([[[1.0, -2.0], [0.0, 0.5]], [[3.0, 0.0], [0.0, 0.0]]])
    figure = plots.margin_maps(IMAGES[:2], cells, ["# 5", "# 7"], [-0.5, 3.0], columns=2)
    drawn = [image for ax in figure.axes for image in ax.images if image.get_array().shape == (2, 2)]
    assert [image.get_clim() for image in drawn] == [(-3.0, 3.0)] * 2
    assert all(np.array_equal(image.get_array(), heat) for image, heat in zip(drawn, cells, strict=True))
    assert {"sum \u22120.50", "sum +3.00", "# 5", "# 7"} <= set(texts(figure))


def test_the_colour_bar_says_what_shares_a_scale():
    figure = plots.cam_grid(IMAGES[:2], cam_maps(("layer4",)), ["a", "b"], scale="each pair of maps scaled")
    assert "each pair of maps scaled" in texts(figure)


def test_groups_of_columns_may_differ_in_size():
    maps = {"known": {"object": np.ones((2, 8, 8))}, "made": {n: np.full((2, 4, 4), 0.5) for n in ("one", "two")}}
    figure = plots.cam_grid(IMAGES[:2], maps, ["a", "b"])
    names = {t.get_text(): t.get_window_extent().x0 for t in figure.axes[0].get_xticklabels()}
    assert list(names) == ["image", "object", "one", "two"] and list(names.values()) == sorted(names.values())
    assert {"known", "made"} <= set(texts(figure)) and len(figure.axes[0].images) == 2 * 4


RATED = {"Grad-CAM layer4": (0.6, 0.5, 0.7), "edges": (0.3, 0.2, 0.4), "centre": (0.65, 0.6, 0.7)}


def test_ratings_carry_means_and_intervals_and_mark_the_best_baseline():
    panels = {"overlap": RATED, "deletion": RATED}
    figure = plots.ratings(panels, ("edges", "centre"), lower_is_better=("deletion",))
    high, low = figure.axes
    assert [label.get_text() for label in high.get_yticklabels()] == list(RATED)
    dashed = {ax: [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"] for ax in (high, low)}
    assert dashed == {high: [0.65], low: [0.3]}
    points, bars = high.containers[0].lines[0], high.containers[0].lines[2][0]
    assert points.get_xdata().tolist() == [0.6]
    np.testing.assert_allclose(bars.get_segments()[0][:, 0], [0.5, 0.7])
    assert "deletion\n← lower is better" in texts(figure) and "overlap\nhigher is better →" in texts(figure)


def test_hiding_and_forgetting_draw_what_they_are_given():
    curves = {"deletion": {"Grad-CAM layer4": [1, 0.5, 0], "edges": [1, 0.8, 0]}}
    ax = plots.hiding(curves, ("edges",)).axes[0]
    drawn = {line.get_label(): line for line in ax.lines}
    assert drawn["edges"].get_ydata().tolist() == [100, 80, 0]
    assert drawn["Grad-CAM layer4"].get_xdata().tolist() == [0, 50, 100]
    figure = plots.forgetting(
        {"linear": {"LayerCAM layer4": (0.9, 0.8, 1.0)}, "conv1": {"LayerCAM layer4": (0, -0.1, 0)}}
    )
    line = next(line for line in figure.axes[0].lines if line.get_label() == "LayerCAM layer4")
    assert line.get_ydata().tolist() == [1, 0.9, 0] and {"nothing", "linear", "+ conv1"} <= set(texts(figure))


def test_agreement_counts_each_kind_and_says_when_nobody_was_asked():
    figure = plots.agreement([0.9, 0.5, 0.6], [0.1, 1.0, 0.8], [0, 1, 1], ["label wrong", "model wrong"])
    assert {"label wrong: 1", "model wrong: 2"} <= set(texts(figure))
    points = np.concatenate([drawn.get_offsets() for drawn in figure.axes[0].collections])
    np.testing.assert_allclose(sorted(map(tuple, points)), [(50, 100), (60, 80), (90, 10)])
    assert "nobody was asked about these images" in texts(plots.agreement([], [], [], ["label wrong"]))

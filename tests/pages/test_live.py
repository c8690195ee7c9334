"""What the page "Try it" carries: the graphs in ONNX Runtime, against PyTorch and the report's maps; and its data."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradcam_report import model
from gradcam_report.analysis import selection
from gradcam_report.config import LiveConfig, ReportError
from gradcam_report.data import datasets
from gradcam_report.explain import cam
from gradcam_report.explain.margin import margin_map
from gradcam_report.pages import live, live_graph

TOP = Path(__file__).parent.parent.parent
FOLDER = TOP / "book" / "_static" / "live"
PUBLISHED = TOP / "artifacts" / "reference" / "model.safetensors"
NORMALIZER = datasets.NORMALIZERS["cifar10"]
STATISTICS = {"mean": np.array(NORMALIZER.mean, np.float32), "std": np.array(NORMALIZER.std, np.float32)}


class Session:
    """A committed graph with the published weights, as the page puts the two together."""

    def __init__(self, name: str, weights: bytes) -> None:
        behind = weights[8 + int.from_bytes(weights[:8], "little") :]
        options = onnxruntime.SessionOptions()
        options.add_external_initializers_from_files_in_memory([live_graph.WEIGHTS], [behind], [len(behind)])
        graph = (FOLDER / f"{name}.onnx").read_bytes()
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def __call__(self, **inputs: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, STATISTICS | inputs), strict=True))


@pytest.fixture(scope="module")
def answer() -> Session:
    return Session("answer", PUBLISHED.read_bytes())


@pytest.fixture(scope="module")
def maps() -> Session:
    return Session("maps", PUBLISHED.read_bytes())


@pytest.fixture(scope="module")
def net() -> model.ResNet18:
    from safetensors.torch import load_file

    net = model.ResNet18()
    net.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in load_file(PUBLISHED).items()})
    return net.eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    """uint8 (12, 3, 32, 32): soft random blobs, which photographs resemble more than noise does."""
    random = torch.Generator().manual_seed(0)
    small = torch.rand(12, 3, 6, 6, generator=random)
    return torch.nn.functional.interpolate(small, size=32, mode="bicubic").mul(255).clamp(0, 255).byte()


def compare(net: model.ResNet18, images: Tensor, answer: Session, maps: Session) -> None:
    """All that the page shows of the images, against PyTorch."""
    pixels = images.float().numpy()
    with torch.no_grad():
        logits = net(NORMALIZER(images))
    order = logits.argsort(1, descending=True)
    first, second = order[:, 0], order[:, 1]
    # The forward pass: logits, and cells of every class that add up to them.
    forward = answer(pixels=pixels)
    np.testing.assert_allclose(forward["logits"], logits.numpy(), atol=1e-3)
    bias = net.linear.bias.detach().numpy()
    np.testing.assert_allclose(forward["cells"].sum((2, 3)), forward["logits"] - bias, atol=1e-4)
    rows = np.arange(len(images))
    cells, margin = margin_map(net, NORMALIZER(images), first, second)
    split = forward["cells"][rows, first] - forward["cells"][rows, second]
    np.testing.assert_allclose(split, cells.numpy(), atol=1e-4)
    np.testing.assert_allclose(split.sum((1, 2)), margin.numpy(), atol=1e-4)
    # The maps of the answer and of the runner-up on one scale.
    unit = np.eye(10, dtype=np.float32)
    found = [maps(pixels=pixels, direction=unit[classes]) for classes in (first, second)]
    np.testing.assert_allclose(found[0]["logits"], logits.numpy(), atol=1e-3)
    targets = {"first": first, "second": second}
    expected = cam.explain(net, NORMALIZER(images), targets, live_graph.LAYER_NAMES, shared=True)
    for layer in live_graph.LAYER_NAMES:
        scaled = cam.rescale_together([torch.from_numpy(one[layer]).relu() for one in found])
        for name, one in zip(targets, scaled, strict=True):
            # Rounding to float32 lets a unit that is all but zero pass its ReLU here and not there, in PyTorch too:
            # in one image of a hundred that moves a map of an early layer by more than a thousandth.
            off = (one - expected[name][layer]).abs().amax((1, 2))
            assert (off > 1e-3).sum() <= len(images) / 50 and off.max() < 1e-2
    np.testing.assert_allclose(found[0]["layer4"], forward["cells"][rows, first], atol=1e-4)


def test_the_graphs_answer_and_explain_as_pytorch_does(
    net: model.ResNet18, images: Tensor, answer: Session, maps: Session
) -> None:
    compare(net, images, answer, maps)


@pytest.mark.slow
@pytest.mark.realdata
def test_they_do_on_photographs(net: model.ResNet18, cifar10_folder: str, answer: Session, maps: Session) -> None:
    images = datasets.test_images("cifar10", cifar10_folder, list(range(200)))
    compare(net, images, answer, maps)


def test_several_directions_of_one_image_take_one_forward_pass(images: Tensor, maps: Session) -> None:
    pixels, unit = images[:1].float().numpy(), np.eye(10, dtype=np.float32)
    together = maps(pixels=pixels, direction=unit[[3, 5]])
    for row, class_ in enumerate((3, 5)):
        alone = maps(pixels=pixels, direction=unit[[class_]])
        for layer in live_graph.LAYER_NAMES:
            np.testing.assert_allclose(together[layer][row], alone[layer][0], rtol=1e-4, atol=1e-6)
    assert together["logits"].shape == (1, 10)


def test_the_committed_graphs_are_what_the_code_makes(tmp_path: Path) -> None:
    """Other versions of the exporter may write them otherwise: `make graphs` renews them."""
    live_graph.write(tmp_path)
    for name in ("answer", "maps"):
        kept, fresh = (onnx.load(folder / f"{name}.onnx", load_external_data=False) for folder in (FOLDER, tmp_path))
        assert kept.graph == fresh.graph
    assert (FOLDER / "layout.json").read_text() == (tmp_path / "layout.json").read_text()


def test_the_weights_of_any_run_lie_where_the_graphs_look(tmp_path: Path) -> None:
    assert live_graph.header(PUBLISHED.read_bytes()) == json.loads((FOLDER / "layout.json").read_text())
    reached: dict[str, Any] = {}
    for name in ("answer", "maps"):
        graph = onnx.load(FOLDER / f"{name}.onnx", load_external_data=False)
        for tensor in graph.graph.initializer:
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                where = {entry.key: entry.value for entry in tensor.external_data}
                reached[tensor.name] = [int(where["offset"]), int(where["offset"]) + int(where["length"])]
    wanted = {k: v["data_offsets"] for k, v in live_graph.layout().items() if "num_batches" not in k}
    assert reached == wanted


def test_the_runtime_is_the_one_that_its_file_says() -> None:
    folder = FOLDER.parent / "vendor"
    about = json.loads((folder / "onnxruntime-web.json").read_text(encoding="utf-8"))
    assert about["version"] and about["licence"].startswith("MIT")
    kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"}
    files = {n.removesuffix(".gz"): gzip.decompress(b) if n.endswith(".gz") else b for n, b in kept.items()}
    assert {name: hashlib.sha256(content).hexdigest() for name, content in files.items()} == about["sha256"]


# The page's data


SETTINGS = LiveConfig(right_answers=2)


def choose(settings: LiveConfig) -> selection.Examples:
    return selection.choose_rows("runs/six", lambda predictions: live.select_rows(predictions, settings))


def test_the_page_offers_all_errors_some_right_answers_and_the_example_that_was_asked_for(six_errors: Path) -> None:
    offered = choose(SETTINGS)
    assert offered.indices[:6].tolist() == [31, 23, 17, 11, 5, 2] and not offered.wrong[6:].any()
    left = next(i for i in range(40) if i not in offered.indices)
    more = choose(LiveConfig(example_image=left, right_answers=2))
    assert more.indices.tolist() == [*offered.indices, left]
    with pytest.raises(ReportError, match="example_image is 9000, which this run was not tested on"):
        choose(LiveConfig(example_image=9000))


@pytest.mark.parametrize("wanted", [-1, 17])
def test_the_prepared_example_is_what_the_network_answers(six_errors: Path, wanted: int) -> None:
    (six_errors / "model.safetensors").write_bytes(bytes(12_600_000))
    net = model.build(0, width=8).eval()
    settings = LiveConfig(example_image=wanted, right_answers=2)
    chosen = choose(settings)
    built = live.build(net, chosen, settings)
    example, row = built.example, built.table[built.example["at"]]
    assert row["i"] == 17 if wanted == 17 else row["t"] == row["p"]
    normalised = datasets.NORMALIZERS["shapes"](torch.from_numpy(chosen.images[[example["at"]]]))
    with torch.no_grad():
        logits = net(normalised)[0]
    np.testing.assert_allclose(example["logits"], logits.numpy(), rtol=1e-3, atol=1e-4)
    sums = np.array(example["cells"]).sum(1)
    np.testing.assert_allclose(sums, (logits - net.linear.bias).detach().numpy(), atol=1e-3)
    targets = {str(c): torch.tensor([c]) for c in example["classes"]}
    expected = cam.explain(net, normalised, targets, ["layer1", "layer2", "layer3"], shared=True)
    for layer, maps in example["maps"].items():
        together = cam.rescale_together([torch.tensor([m]).relu()[..., None] for m in maps])
        for one, c in zip(together, example["classes"], strict=True):
            np.testing.assert_allclose(one.flatten(), expected[str(c)][layer].flatten(), atol=1e-3)
    page = live.to_html(built)
    data = json.loads(page.split('class="data">')[1].split("</script>")[0])
    assert data["size"] == "13 MB of weights, 4 MB of runtime" and data["cases"] == built.table
    assert "gradcam-report serve" in page and page.count("<script") == 1


def test_a_site_gets_the_weights_of_its_own_run(tmp_path: Path) -> None:
    import live_files

    published = tmp_path / "artifacts" / "reference"
    published.mkdir(parents=True)
    (published / "model.safetensors").write_bytes(b"published")
    run = tmp_path / "runs" / "mine"
    (run / "book").mkdir(parents=True)
    (run / "model.safetensors").write_bytes(b"mine")
    assert live_files.weights(tmp_path / "book") == published / "model.safetensors"
    assert live_files.weights(run / "book") == run / "model.safetensors"
    assert live_files.weights(tmp_path / "elsewhere" / "book") is None

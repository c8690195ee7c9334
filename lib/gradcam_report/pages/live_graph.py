"""The network as ONNX graphs for the browser, without weights of their own.

Two graphs, exported from the PyTorch code: `answer.onnx` makes the logits and each class's cells of layer4 by a forward
pass alone; `maps.onnx` makes Grad-CAM maps of all four layers, by `explain.backward`. Their weights are ONNX external
data that point into the data section of a run's `model.safetensors`, where they are fp16; each is cast to fp32 behind.
A safetensors file lays its tensors out by type and name, so one graph fits every run of this network, and `layout.json`
says what the file's header must hold.

    python -m gradcam_report.pages.live_graph book/_static/live

makes them anew. That needs the packages onnx and onnxscript, of the extra "test".
"""

import json
import logging
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .. import model
from ..explain import backward

if TYPE_CHECKING:
    import onnx

WEIGHTS = "model.safetensors"  # the name of the external data
OPSET = 20
LAYER_NAMES = ["layer1", "layer2", "layer3", "layer4"]


class Answer(nn.Module):
    """Pixels -> logits, and what each cell of layer4 adds to each logit."""

    def __init__(self, net: model.ResNet18) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixels: Tensor, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        """Logits float (N, classes), and cells float (N, classes, 4, 4), which add up to the logits less the biases.

        `pixels` are float (N, 3, 32, 32), 0 to 255; `mean` and `std` float (3,), in units of 0 to 1, normalise them.
        """
        net, x = self.net, normalised(pixels, mean, std)
        x = torch.relu(net.bn1(net.conv1(x)))
        x = net.layer4(net.layer3(net.layer2(net.layer1(x))))
        cells = nn.functional.conv2d(x, net.linear.weight[:, :, None, None] / (x.shape[2] * x.shape[3]))
        return net.linear(x.mean((2, 3))), cells


class Maps(nn.Module):
    """Pixels and directions over the classes -> logits and signed Grad-CAM maps, see `backward.signed_maps`."""

    def __init__(self, net: model.ResNet18) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixels: Tensor, mean: Tensor, std: Tensor, direction: Tensor) -> tuple[Tensor, ...]:
        """Logits (N, classes), then of layer1 to layer4 (D, 32, 32), (D, 16, 16), (D, 8, 8), (D, 4, 4).

        `direction` is float (D, classes). Either there are as many directions as images, or all are of one image.
        """
        logits, maps = backward.signed_maps(self.net, normalised(pixels, mean, std), direction)
        return logits, *maps


def normalised(pixels: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """What the network was trained on, from pixels of 0 to 255."""
    return (pixels / 255 - mean[:, None, None]) / std[:, None, None]


def layout() -> dict[str, Any]:
    """The header of a run's weights file without its metadata: name -> dtype, shape, data_offsets."""
    from safetensors.torch import save

    tensors = model.build(0).state_dict()
    written = save({k: v.half() if v.is_floating_point() else v for k, v in tensors.items()})
    return header(written)


def header(written: bytes) -> dict[str, Any]:
    """The header of a safetensors file without its metadata."""
    length = int.from_bytes(written[:8], "little")
    entries = json.loads(written[8 : 8 + length])
    return {name: entries[name] for name in sorted(entries) if name != "__metadata__"}


def graphs() -> dict[str, "onnx.ModelProto"]:
    """The two graphs by name, "answer" and "maps"."""
    net = model.build(0).eval()
    pixels, statistics = torch.rand(2, 3, 32, 32), (torch.rand(3), torch.rand(3))
    names = ["pixels", "mean", "std", "direction"]
    many, directions = torch.export.Dim("images"), torch.export.Dim("directions")
    answer = _exported(Answer(net), (pixels, *statistics), names[:3], ["logits", "cells"], ({0: many}, None, None))
    # Exported for one image; its operations broadcast, so that several images do as well.
    inputs = (pixels[:1], *statistics, torch.rand(2, 10))
    maps = _exported(Maps(net), inputs, names, ["logits", *LAYER_NAMES], (None, None, None, {0: directions}))
    maps.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "images"
    maps.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "images"
    return {"answer": _without_weights(answer), "maps": _without_weights(maps)}


def _exported(
    module: nn.Module, inputs: tuple[Tensor, ...], names: list[str], outputs: list[str], dynamic: tuple[Any, ...]
) -> "onnx.ModelProto":
    """The module as a graph; BatchNorm stays apart from the convolutions, so that the stored weights fit."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(), inputs, dynamo=True, optimize=False, verbose=False, opset_version=OPSET,
            input_names=names, output_names=outputs, dynamic_shapes=dynamic,
        )  # fmt: skip
    assert program is not None
    return program.model_proto


def _without_weights(graph: "onnx.ModelProto") -> "onnx.ModelProto":
    """The graph with its weights replaced by fp16 ones in the weights file, each with a cast to fp32 behind."""
    import onnx

    entries, casts = layout(), []
    for tensor in graph.graph.initializer:
        name = tensor.name.removeprefix("net.")
        if name not in entries:
            continue
        begin, end = entries[name]["data_offsets"]
        casts.append(onnx.helper.make_node("Cast", [name], [tensor.name], to=onnx.TensorProto.FLOAT))
        tensor.Clear()
        tensor.name, tensor.data_type = name, onnx.TensorProto.FLOAT16
        tensor.dims.extend(entries[name]["shape"])
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", WEIGHTS), ("offset", begin), ("length", end - begin)):
            tensor.external_data.add(key=key, value=str(value))
    nodes = [*casts, *graph.graph.node]
    for node in nodes:  # where in the source a node comes from is nothing that the browser needs
        del node.metadata_props[:]
        node.doc_string = ""
    del graph.graph.node[:], graph.graph.value_info[:], graph.graph.metadata_props[:], graph.metadata_props[:]
    graph.graph.node.extend(nodes)
    return graph


def write(folder: Path) -> None:
    """Write `answer.onnx`, `maps.onnx` and `layout.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, graph in graphs().items():
        (folder / f"{name}.onnx").write_bytes(graph.SerializeToString(deterministic=True))
    text = json.dumps(layout(), separators=(",", ":"))
    (folder / "layout.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))

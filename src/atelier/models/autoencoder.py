"""A convolutional, residual autoencoder: an image becomes a short code, and the code an image.

Hinton and Salakhutdinov 2006, Science 313; the body is that of `blocks`. We deviate: a straight,
linear way leads around the convolutions on both sides, so that two minutes on two cores reach
what principal components do, and go on from there.
"""

from typing import Literal

from torch import nn

from atelier.models.blocks import Body, Decoder, Encoder
from atelier.schema import Positive


class Config(Body):
    name: Literal["autoencoder"]
    latent_dim: Positive


def build(config: Config, shape: tuple[int, ...], labels: int = 0) -> nn.ModuleDict:
    """Networks for images of `shape` (channels, S, S)."""
    return nn.ModuleDict(
        {
            "encoder": Encoder(config, shape, config.latent_dim),
            "decoder": Decoder(config, shape, config.latent_dim),
        }
    )

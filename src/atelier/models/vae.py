"""A convolutional, residual variational autoencoder.

Kingma and Welling 2013, arXiv 1312.6114: the encoder gives a normal distribution of codes, not one
code, and codes drawn from N(0, 1) become images. The body is that of `blocks`. We deviate: the
log-variances are clamped here, where they arise, so that neither training nor a published encoder
can give a deviation of zero or infinity.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from atelier.models.blocks import Body, Decoder, Encoder
from atelier.schema import Positive

LOG_VARIANCES = (-10.0, 10.0)
"""Deviations from 0.0067 to 148: beyond them exp() loses its digits, and nothing is learnt."""


class Config(Body):
    name: Literal["vae"]
    latent_dim: Positive


class VariationalEncoder(nn.Module):
    """[B, C, S, S] in [-1, 1] -> [B, 2 L]: means, then log-variances."""

    def __init__(self, config: Config, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.body = Encoder(config, shape, 2 * config.latent_dim)

    def forward(self, images: Tensor) -> Tensor:
        means, log_variances = self.body(images).chunk(2, dim=1)
        return torch.cat([means, log_variances.clamp(*LOG_VARIANCES)], dim=1)


def build(config: Config, shape: tuple[int, ...], labels: int = 0) -> nn.ModuleDict:
    """Networks for images of `shape` (channels, S, S)."""
    return nn.ModuleDict(
        {
            "encoder": VariationalEncoder(config, shape),
            "decoder": Decoder(config, shape, config.latent_dim),
        }
    )

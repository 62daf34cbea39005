"""A variational autoencoder: codes drawn from N(0, 1) become images.

Kingma and Welling 2013, arXiv 1312.6114: the encoder gives a normal distribution of codes, not one
code. We deviate: both halves start as probabilistic principal components in closed form (Tipping
and Bishop 1999, equations 6 to 8), which is the best that a linear one of these can do, and
networks learn what those leave. The bodies are in `blocks`. Log-variances are clamped here, where
they arise, so that neither training nor a published encoder can give a deviation of zero or
infinity.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from atelier.models.blocks import (
    SMALLEST_VARIANCE,
    Decoder,
    Encoder,
    principal_components,
    set_linear,
)
from atelier.schema import Positive, Strict, Widths

LOG_VARIANCES = (-10.0, 10.0)
"""Deviations from 0.0067 to 148: beyond them exp() loses its digits, and nothing is learnt."""


class Config(Strict):
    name: Literal["vae"]
    latent_dim: Positive
    encoder_widths: Widths
    """Channels of the encoder's maps, of side S / 4, S / 8, …"""
    decoder_widths: Widths
    """Channels of the decoder's maps, of side S / 2, S / 4, …"""
    tail_width: Positive
    """Channels at the whole side, at the decoder's end."""


class VariationalEncoder(nn.Module):
    """[B, C, S, S] in [-1, 1] -> [B, 2 L]: means, then log-variances."""

    def __init__(self, shape: tuple[int, ...], widths: Sequence[int], latent_dim: int) -> None:
        super().__init__()
        self.body = Encoder(shape, widths, 2 * latent_dim)

    def forward(self, images: Tensor) -> Tensor:
        means, log_variances = self.body(images).chunk(2, dim=1)
        return torch.cat([means, log_variances.clamp(*LOG_VARIANCES)], dim=1)


def build(config: Config, shape: tuple[int, ...], labels: int = 0) -> nn.ModuleDict:
    """Networks for images of `shape` (channels, S, S)."""
    decoder = Decoder(shape, config.decoder_widths, config.latent_dim, tail_width=config.tail_width)
    return nn.ModuleDict(
        {
            "encoder": VariationalEncoder(shape, config.encoder_widths, config.latent_dim),
            "decoder": decoder,
        }
    )


@torch.no_grad()
def begin(nets: nn.ModuleDict, images: Tensor) -> None:
    """Sets both linear maps by images [N, C, S, S], and the log-variances that go with them.

    With variances l along the components and the mean s of the others, an image is the mean plus
    directions times sqrt(l - s) times its code, and the code of an image has variance s / l.
    """
    encoder, decoder = nets["encoder"], nets["decoder"]
    assert isinstance(encoder, VariationalEncoder)
    assert isinstance(decoder, Decoder)
    found = principal_components(images, decoder.weight.shape[1])
    variances = found.variances.clamp(min=found.rest)
    explained = (variances - found.rest).clamp(min=SMALLEST_VARIANCE).sqrt()
    there, back = (found.directions * (explained / variances)).T, found.directions * explained
    set_linear(encoder.body, decoder, there, back, found.mean)
    encoder.body.bias[len(there) :] = (found.rest / variances).log()

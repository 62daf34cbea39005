"""An autoencoder: an image becomes a short code, and the code an image.

Hinton and Salakhutdinov 2006, Science 313, who show that networks can code images better than
principal components. We deviate: both halves start as principal components, in closed form
(Baldi and Hornik 1989: what a linear autoencoder would learn), and networks learn what those leave.
The bodies are in `blocks`.
"""

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


class Config(Strict):
    name: Literal["autoencoder"]
    latent_dim: Positive
    encoder_widths: Widths
    """Channels of the encoder's maps, of side S / 4, S / 8, …"""
    decoder_widths: Widths
    """Channels of the decoder's maps, of side S / 2, S / 4, …"""
    tail_width: Positive
    """Channels at the whole side, at the decoder's end."""


def build(config: Config, shape: tuple[int, ...], labels: int = 0) -> nn.ModuleDict:
    """Networks for images of `shape` (channels, S, S)."""
    decoder = Decoder(shape, config.decoder_widths, config.latent_dim, tail_width=config.tail_width)
    return nn.ModuleDict(
        {
            "encoder": Encoder(shape, config.encoder_widths, config.latent_dim),
            "decoder": decoder,
        }
    )


@torch.no_grad()
def begin(nets: nn.ModuleDict, images: Tensor) -> None:
    """Sets both linear maps by images [N, C, S, S]: codes with variance 1 in each number."""
    encoder, decoder = nets["encoder"], nets["decoder"]
    assert isinstance(encoder, Encoder)
    assert isinstance(decoder, Decoder)
    found = principal_components(images, decoder.weight.shape[1])
    deviations = found.variances.clamp(min=SMALLEST_VARIANCE).sqrt()
    there, back = (found.directions / deviations).T, found.directions * deviations
    set_linear(encoder, decoder, there, back, found.mean)

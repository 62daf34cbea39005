"""A conditional VAE whose decoder goes on as the generator of a GAN: faces as they are asked for.

Bao et al. 2017 (CVAE-GAN), arXiv 1703.10155: a decoder and a discriminator that are told the
attributes, and a classifier that says whether a picture is as asked. All are those of `vaegan`; the
discriminator becomes a projection (Miyato and Koyama 2018, arXiv 1802.05637) of features that keep
their places, because where a face is aligned a feature's place says what it is. We deviate: the
classifier is the discriminator's twin, which reads an attribute from its part of the projection.
Attributes are multi-hot and enter as -1 (without), 1 (with) or anything between, so that a request
for "without" is one, too.
"""

from typing import Literal

from torch import nn

from atelier.errors import UserError
from atelier.models import vae
from atelier.models.blocks import Decoder
from atelier.models.flow import Generator, Prior
from atelier.models.vaegan import Discriminator
from atelier.schema import Positive, Strict, Widths


class Config(Strict):
    name: Literal["cvaegan"]
    latent_dim: Positive
    encoder_widths: Widths
    """Channels of the encoder's maps, of side S / 4, S / 8, …"""
    decoder_widths: Widths
    """Channels of the decoder's maps, of side S / 2, S / 4, …"""
    tail_width: Positive
    """Channels at the whole side, at the decoder's end."""
    prior_width: Positive
    prior_blocks: Positive
    discriminator_width: Positive
    """Channels at half the image's side: then twice, and twice four times as many."""


def build(config: Config, shape: tuple[int, ...], labels: int) -> nn.ModuleDict:
    """Networks for images of `shape` (channels, S, S), S a multiple of 16.

    The generator is the prior and the decoder, which are named apart, too: each phase of a training
    has its own optimizer.

    Args:
        labels: attributes that can be asked for.
    """
    if labels < 1:
        raise UserError("model", "cvaegan needs attributes to ask for (got none)")
    decoder = Decoder(
        shape, config.decoder_widths, config.latent_dim, labels,
        tail_width=config.tail_width, grained=True,
    )  # fmt: skip
    prior = Prior(config.latent_dim, config.prior_width, config.prior_blocks, labels)
    return nn.ModuleDict(
        {
            "encoder": vae.VariationalEncoder(shape, config.encoder_widths, config.latent_dim),
            "decoder": decoder,
            "prior": prior,
            "generator": Generator(prior, decoder),
            "classifier": Discriminator(shape, config.discriminator_width, labels),
            "discriminator": Discriminator(shape, config.discriminator_width, labels),
        }
    )

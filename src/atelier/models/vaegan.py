"""A VAE whose decoder goes on as the generator of a GAN.

Larsen et al. 2016, arXiv 1512.09300. The encoder and the decoder are those of `vae`, and begin like
them; the discriminator is DCGAN's without normalisation (Radford et al. 2015, arXiv 1511.06434),
which also sees how much the images of a small group differ (Karras et al. 2018, arXiv 1710.10196,
section 3). We deviate: the discriminator does not say what counts as like; pixels do.
"""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from atelier.errors import UserError
from atelier.models import vae
from atelier.models.blocks import Decoder
from atelier.schema import Positive, Strict, Widths

SMALLEST = 4
"""Side, in pixels, of the discriminator's last map."""
GROUP = 4
"""Images at most among which variation is measured."""
SLOPE = 0.2


class Config(Strict):
    name: Literal["vaegan"]
    latent_dim: Positive
    encoder_widths: Widths
    """Channels of the encoder's maps, of side S / 4, S / 8, …"""
    decoder_widths: Widths
    """Channels of the decoder's maps, of side S / 2, S / 4, …"""
    discriminator_width: Positive
    """Channels next to the image; they double at each halving of the side."""


class Discriminator(nn.Module):
    """[B, 3, S, S] -> [B, 1] logits: higher is more real."""

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        channels, size, _ = shape
        halvings = (size // SMALLEST).bit_length() - 1
        if halvings < 1 or SMALLEST * 2**halvings != size:
            remedy = "Make it a power of two, 8 or more."
            raise UserError("model.name", f"images of {size} pixels do not go with vaegan", remedy)
        widths = [channels, *(width * 2**depth for depth in range(halvings))]
        self.halving = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise(widths))
        self.grouped = nn.Conv2d(widths[-1] + 1, widths[-1], 3, padding=1)
        self.last = nn.Conv2d(widths[-1], 1, SMALLEST)
        for layer in (*self.halving, self.grouped, self.last):
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = images
        for halve in self.halving:
            maps = leaky_relu(halve(maps), SLOPE)
        maps = leaky_relu(self.grouped(torch.cat([maps, variation(maps)], dim=1)), SLOPE)
        logits: Tensor = self.last(maps)
        return logits.flatten(1)


def variation(maps: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, 1, H, W]: the mean deviation within each group of neighbours.

    So that a discriminator sees when fakes are all alike. Reals and fakes must not be neighbours.
    """
    count = len(maps)
    size = max(n for n in range(1, min(GROUP, count) + 1) if count % n == 0)
    groups = maps.float().unflatten(0, (-1, size))
    deviations = (groups.var(1, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    each: Tensor = deviations.repeat_interleave(size).to(maps.dtype)
    return each[:, None, None, None].expand(-1, 1, *maps.shape[2:])


def build(config: Config, shape: tuple[int, ...], labels: int = 0) -> nn.ModuleDict:
    """Networks for images of `shape` (channels, S, S).

    The decoder and the generator are one network: each phase of a training names its own, so that
    each has its own optimizer.
    """
    decoder = Decoder(shape, config.decoder_widths, config.latent_dim)
    return nn.ModuleDict(
        {
            "encoder": vae.VariationalEncoder(shape, config.encoder_widths, config.latent_dim),
            "decoder": decoder,
            "generator": decoder,
            "discriminator": Discriminator(shape, config.discriminator_width),
        }
    )

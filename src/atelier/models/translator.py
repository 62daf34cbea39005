"""Two U-Nets that add a change to a picture, and a discriminator of patches in each domain.

A generator works at half the picture's side (a U-Net, Ronneberger et al. 2015, arXiv 1505.04597;
see blocks.py), and at the whole side only in two thin layers at its end. With the change it makes a
mask, as Tang et al. 2019, arXiv 1903.12296, scheme 1. We deviate: a change is added, and the
picture never painted over, so that an untrained generator is the identity; and the mask never
closes wholly, as then no gradient would come through it and a direction could stop for good.

A discriminator judges patches of several sizes (Wang et al. 2018, arXiv 1711.11585, section 3.2).
We deviate: with one trunk, at whose depths it answers. Nothing is normalised.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pixel_shuffle, silu

from atelier.models.blocks import UNet, beside, convolution, smallest_side
from atelier.schema import Positive, Share, Strict, Widths

SLOPE = 0.2
FIRST_LOGITS = 0.5
"""Deviation of the logits that an untrained discriminator gives to maps of deviation 1."""


class Config(Strict):
    name: Literal["translator"]
    generator_widths: Widths
    """Channels of the maps of side S / 2, S / 4, …"""
    tail_width: Positive
    """Channels at the whole side."""
    mask_floor: Share
    """What the mask lets through at least. 1: all, everywhere, as a style of whole pictures needs;
    a mask is for what changes in one place, such as a coat or hair."""
    discriminator_widths: Annotated[tuple[Positive, ...], Field(min_length=2, strict=False)]
    """Channels of the maps of side S / 2, S / 4, …; each but the first gives logits."""


class Generator(nn.Module):
    """[B, 3, S, S] in [-1, 1] -> the same in the other domain, a little beyond at most."""

    def __init__(self, channels: int, config: Config) -> None:
        super().__init__()
        width = config.tail_width
        self.floor = config.mask_floor
        self.unet = UNet(channels, config.generator_widths)
        self.enlarge = convolution(config.generator_widths[0], 4 * width)
        self.fine = convolution(width + channels, width)
        self.last = convolution(width, channels + 1)
        nn.init.zeros_(self.last.weight)  # starts as the identity
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        maps = silu(pixel_shuffle(self.enlarge(silu(self.unet(images))), 2))
        both = beside(maps, images.to(maps.dtype))
        # In fp32: bf16 has three digits, which would be seen as steps in a smooth change.
        made = self.last(silu(self.fine(both))).float()  # [B, 4, S, S]
        colours, where = made.split([made.shape[1] - 1, 1], dim=1)
        mask = self.floor + (1 - self.floor) * torch.sigmoid(where)
        # From black to white it is 2, and near nothing the tanh adds what it is given.
        change: Tensor = 2 * torch.tanh(colours / 2)
        return images.float() + mask * change


class Discriminator(nn.Module):
    """[B, 3, S, S] -> logits of patches, [B, 1, S / 4, S / 4], [B, 1, S / 8, S / 8], …

    Higher is more real. The patches are 18, 30, 54, 102, … pixels wide.
    """

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.halving = nn.ModuleList(
            nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise([channels, *widths])
        )
        self.smallest_patch = convolution(widths[1], widths[1])
        for layer in (*self.halving, self.smallest_patch):
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            nn.init.zeros_(layer.bias)
        self.heads = nn.ModuleList(_head(width) for width in widths[1:])

    def forward(self, images: Tensor) -> list[Tensor]:
        first, second, *more = self.halving
        maps = leaky_relu(second(leaky_relu(first(images), SLOPE)), SLOPE)
        maps = leaky_relu(self.smallest_patch(maps), SLOPE)
        logits = [self.heads[0](maps)]
        for halve, head in zip(more, self.heads[1:], strict=True):
            maps = leaky_relu(halve(maps), SLOPE)
            logits.append(head(maps))
        return logits


def _head(width: int) -> nn.Conv2d:
    head = nn.Conv2d(width, 1, 1)
    nn.init.normal_(head.weight, 0.0, FIRST_LOGITS / width**0.5)
    nn.init.zeros_(head.bias)  # type: ignore[arg-type]
    return head


def build(config: Config, shape: tuple[int, ...], labels: int = 0) -> nn.ModuleDict:
    """Networks for images of `shape` (channels, S, S).

    Raises:
        UserError: the image cannot be halved so often.
    """
    channels, size, _ = shape
    for key in ("generator_widths", "discriminator_widths"):
        smallest_side(size, 2, len(getattr(config, key)), key)
    widths = config.discriminator_widths
    return nn.ModuleDict(
        {
            "a2b": Generator(channels, config),
            "b2a": Generator(channels, config),
            "discriminator_a": Discriminator(channels, widths),
            "discriminator_b": Discriminator(channels, widths),
        }
    )

"""DCGAN: strided convolutions down, transposed convolutions up.

Radford, Metz, Chintala 2015, arXiv 1511.06434. We deviate: the discriminator's normalisation is
chosen (`none` by default, because a gradient penalty forbids BatchNorm there), and its weights are
drawn with a variance that keeps the signal's scale without normalisation (He et al. 2015).
"""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from atelier.schema import Positive, Strict

SMALLEST = 4
"""Side, in pixels, of the first feature map of the generator and the last of the discriminator."""


class Config(Strict):
    """Widths are the channels next to the image; they double at each halving of the side."""

    name: Literal["dcgan"]
    latent_dim: Positive
    generator_width: Positive
    discriminator_width: Positive
    discriminator_norm: Literal["none", "batch", "layer"]


class Generator(nn.Module):
    """[B, latent_dim] normal -> [B, 3, S, S] in [-1, 1]."""

    def __init__(self, latent_dim: int, widths: list[int], channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent_dim, widths[0], 4, bias=False)]
        for here, following in pairwise(widths):
            layers += [nn.BatchNorm2d(here), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(here, following, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(widths[-1]), nn.ReLU(inplace=True)]
        layers += [nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, latent: Tensor) -> Tensor:
        images: Tensor = self.layers(latent[:, :, None, None])
        return torch.tanh(images)


class Discriminator(nn.Module):
    """[B, 3, S, S] -> [B, 1] logits: higher is more real."""

    def __init__(self, widths: list[int], channels: int, norm: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for depth, (before, here) in enumerate(zip([channels, *widths], widths, strict=False)):
            layers += [nn.Conv2d(before, here, 4, 2, 1)]
            if norm == "batch" and depth > 0:
                layers += [nn.BatchNorm2d(here)]
            elif norm == "layer" and depth > 0:
                layers += [nn.GroupNorm(1, here)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        layers += [nn.Conv2d(widths[-1], 1, SMALLEST)]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits.flatten(1)


def build(config: Config, shape: tuple[int, ...], labels: int = 0) -> nn.ModuleDict:
    """Networks for images of `shape` (channels, S, S), S a power of two from 8 pixels on."""
    channels, size, _ = shape
    halvings = (size // SMALLEST).bit_length() - 1
    down = [config.discriminator_width * 2**depth for depth in range(halvings)]
    up = [config.generator_width * 2**depth for depth in reversed(range(halvings))]
    nets = nn.ModuleDict(
        {
            "generator": Generator(config.latent_dim, up, channels),
            "discriminator": Discriminator(down, channels, config.discriminator_norm),
        }
    )
    nets["generator"].apply(_initialise_generator)
    nets["discriminator"].apply(_initialise_discriminator)
    return nets


def _initialise_generator(module: nn.Module) -> None:
    if isinstance(module, nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def _initialise_discriminator(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, a=0.2)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

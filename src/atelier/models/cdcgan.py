"""Conditional DCGAN: faces with the attributes that were asked for.

The body of Radford, Metz, Chintala 2015, arXiv 1511.06434, with the projection discriminator of
Miyato and Koyama 2018, arXiv 1802.05637: the logit is a score of the image plus the inner product
of its features with an embedding of the attributes. We deviate: the attributes are multi-hot and
enter as -1 (without), 1 (with) or anything between, so that a request for "without" is one, too;
features keep their 4 x 4 places, because where a face is aligned a feature's place says what it is.
"""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from atelier.errors import UserError
from atelier.models.blocks import signed
from atelier.schema import Positive, Strict

SMALLEST = 4
"""Side, in pixels, of the first feature map of the generator and the last of the discriminator."""


class Config(Strict):
    """Widths are the channels next to the image; they double at each halving of the side."""

    name: Literal["cdcgan"]
    latent_dim: Positive
    attribute_dim: Positive
    """Width of the attributes' embedding beside the latent vector."""
    generator_width: Positive
    discriminator_width: Positive
    discriminator_norm: Literal["none", "batch", "layer"]


class Generator(nn.Module):
    """[B, latent_dim] normal, [B, K] attributes in [0, 1] -> [B, 3, S, S] in [-1, 1]."""

    def __init__(
        self, latent_dim: int, attributes: int, attribute_dim: int, widths: list[int], channels: int
    ) -> None:
        super().__init__()
        self.embedding = nn.Linear(attributes, attribute_dim)
        inputs = latent_dim + attribute_dim
        layers: list[nn.Module] = [nn.ConvTranspose2d(inputs, widths[0], SMALLEST, bias=False)]
        for here, following in pairwise(widths):
            layers += [nn.BatchNorm2d(here), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(here, following, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(widths[-1]), nn.ReLU(inplace=True)]
        layers += [nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, latent: Tensor, attributes: Tensor) -> Tensor:
        condition = self.embedding(signed(attributes))
        code = torch.cat([latent, condition.to(latent.dtype)], dim=1)
        images: Tensor = self.layers(code[:, :, None, None])
        return torch.tanh(images)


class Discriminator(nn.Module):
    """[B, 3, S, S], [B, K] attributes -> [B, 1] logits: higher is more real, and as asked."""

    def __init__(self, attributes: int, widths: list[int], channels: int, norm: str) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for depth, (before, here) in enumerate(zip([channels, *widths], widths, strict=False)):
            layers += [nn.Conv2d(before, here, 4, 2, 1)]
            if norm == "batch" and depth > 0:
                layers += [nn.BatchNorm2d(here)]
            elif norm == "layer" and depth > 0:
                layers += [nn.GroupNorm(1, here)]
            layers += [nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        features = widths[-1] * SMALLEST * SMALLEST
        self.realness = nn.Linear(features, 1)
        self.embedding = nn.Linear(attributes, features, bias=False)

    def forward(self, images: Tensor, attributes: Tensor) -> Tensor:
        logits, _ = self.read(images, attributes)
        return logits

    def read(self, images: Tensor, attributes: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, 1], and evidence [B, K]: what each attribute adds to them where asked for."""
        features = self.layers(images)  # [B, C * 4 * 4]
        # In fp32: under autocast the sum of thousands of products would keep three digits.
        with torch.autocast(images.device.type, enabled=False):
            evidence = features.float() @ self.embedding.weight.float()
        fitting = (evidence * signed(attributes)).sum(1, keepdim=True)
        logits: Tensor = self.realness(features).float() + fitting
        return logits, evidence


def build(config: Config, shape: tuple[int, ...], labels: int) -> nn.ModuleDict:
    """Networks for images of `shape` (channels, S, S), S a power of two from 8 pixels on.

    Args:
        labels: attributes that can be asked for.
    """
    if labels < 1:
        raise UserError("model", "cdcgan needs attributes to ask for (got none)")
    channels, size, _ = shape
    halvings = (size // SMALLEST).bit_length() - 1
    down = [config.discriminator_width * 2**depth for depth in range(halvings)]
    up = [config.generator_width * 2**depth for depth in reversed(range(halvings))]
    nets = nn.ModuleDict(
        {
            "generator": Generator(config.latent_dim, labels, config.attribute_dim, up, channels),
            "discriminator": Discriminator(labels, down, channels, config.discriminator_norm),
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
    elif isinstance(module, nn.Linear):
        # Each embedded number has the variance of the latent's, whatever the number of attributes.
        nn.init.normal_(module.weight, 0.0, module.in_features**-0.5)


def _initialise_discriminator(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, a=0.2)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, Discriminator):
        nn.init.kaiming_normal_(module.realness.weight, a=0.2)
        nn.init.zeros_(module.realness.bias)
        nn.init.normal_(module.embedding.weight, 0.0, module.embedding.out_features**-0.5)

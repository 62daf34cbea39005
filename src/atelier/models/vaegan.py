"""A VAE whose decoder, behind a learned prior, goes on as the generator of a GAN.

Larsen et al. 2016, arXiv 1512.09300. The encoder and the decoder are those of `vae`, and begin like
them. We deviate: codes are not drawn as normal numbers but by a prior that has learnt how the
encoder's are spread (`flow`); and the discriminator, without normalisation, judges the whole, the
patches of two sides (Isola et al. 2016, arXiv 1611.07004), and how much a few images differ.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from atelier.errors import UserError
from atelier.models import vae
from atelier.models.blocks import Decoder, beside, convolution, dense_gradient, signed, variation
from atelier.models.flow import Generator, Prior
from atelier.schema import Positive, Strict, Widths

HALVINGS = 4
"""Of the image's side, to the discriminator's last map."""
SLOPE = 0.2
PATCH_SPREAD = 0.5
"""Deviation of a patch's first logits, of features of variance 1."""


class Config(Strict):
    name: Literal["vaegan"]
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


class Reading(NamedTuple):
    """What a discriminator says of B images."""

    logits: tuple[Tensor, ...]
    """[B, 1], of the whole: higher is more real, and as asked; then [B, 1, S / 4, S / 4] and
    [B, 1, S / 8, S / 8], of patches: whatever was asked."""
    evidence: Tensor
    """[B, K], for each attribute, of which there may be none: how far it is there, which a
    projection adds to the whole's logit, signed as asked."""
    maps: tuple[Tensor, ...]
    """Features of the patches' sides."""


class Discriminator(nn.Module):
    """[B, 3, S, S], [B, K] attributes if they were asked for -> [B, 1]: all it says, as one number.

    It finds evidence for each attribute, asked for or not.
    """

    def __init__(self, shape: tuple[int, ...], width: int, attributes: int = 0) -> None:
        super().__init__()
        channels, size, _ = shape
        side = size // 2**HALVINGS
        if side * 2**HALVINGS != size:
            remedy = f"The side is a multiple of {2**HALVINGS}."
            raise UserError("model.name", f"images of {size} pixels do not go with it", remedy)
        self.first = nn.Conv2d(channels, width, 4, 2, 1)
        self.second = nn.Conv2d(width, 2 * width, 4, 2, 1)
        self.second_again = convolution(2 * width, 2 * width)
        self.third = nn.Conv2d(2 * width, 4 * width, 4, 2, 1)
        self.third_again = convolution(4 * width, 4 * width)
        self.fourth = nn.Conv2d(4 * width, 4 * width, 4, 2, 1)
        self.grouped = convolution(4 * width + 1, 4 * width)
        for layer in list(self.children()):
            assert isinstance(layer, nn.Conv2d)
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        heads = [nn.Conv2d(wide * width, 1, 1) for wide in (2, 4)]
        self.patches = nn.ModuleList(heads)
        for patch in heads:
            nn.init.normal_(patch.weight, 0.0, PATCH_SPREAD * patch.in_channels**-0.5)
            nn.init.zeros_(patch.bias)  # type: ignore[arg-type]
        features = 4 * width * side**2
        self.realness = nn.Linear(features, 1)
        self.embedding = nn.Linear(features, attributes) if attributes else None
        for head in filter(None, (self.realness, self.embedding)):
            nn.init.normal_(head.weight, 0.0, features**-0.5)
            nn.init.zeros_(head.bias)

    def read(self, images: Tensor, attributes: Tensor | None = None) -> Reading:
        second = _leaky(self.second(_leaky(self.first(images))))
        second = _leaky(self.second_again(second))
        third = _leaky(self.third_again(_leaky(self.third(second))))
        maps = (second, third)
        for found in maps:
            dense_gradient(found)
        fourth = _leaky(self.fourth(third))
        features = _leaky(self.grouped(beside(fourth, variation(fourth)))).flatten(1)
        # In fp32: under autocast the sum of thousands of products would keep three digits.
        with torch.autocast(images.device.type, enabled=False):
            features = features.float()
            logit, evidence = self.realness(features), features[:, :0]
            if self.embedding is not None:
                evidence = self.embedding(features)
            if attributes is not None:
                logit = logit + (evidence * signed(attributes)).sum(1, keepdim=True)
        heads = zip(self.patches, maps, strict=True)
        return Reading((logit, *(head(each).float() for head, each in heads)), evidence, maps)

    def forward(self, images: Tensor, attributes: Tensor | None = None) -> Tensor:
        """The whole's logit, and the mean of each map of patches times its side, because the
        squared gradients of patches that share no pixel add up."""
        whole, *patches = self.read(images, attributes).logits
        parts = [logits.mean((2, 3)) * logits.shape[-1] for logits in patches]
        return whole + torch.stack(parts).mean(0)


def _leaky(maps: Tensor) -> Tensor:
    return leaky_relu(maps, SLOPE)


def build(config: Config, shape: tuple[int, ...], labels: int = 0) -> nn.ModuleDict:
    """Networks for images of `shape` (channels, S, S), S a multiple of 16.

    The generator is the prior and the decoder, which are named apart, too: each phase of a training
    has its own optimizer.

    Args:
        labels: attributes of the images, which the classifier, the discriminator's twin, learns
            where there are any; the generator is not told them.
    """
    decoder = Decoder(
        shape, config.decoder_widths, config.latent_dim,
        tail_width=config.tail_width, grained=True,
    )  # fmt: skip
    prior = Prior(config.latent_dim, config.prior_width, config.prior_blocks)
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

"""What several models are built from: a residual block, and the two halves of an autoencoder.

The autoencoder and the VAE differ in their codes, not in their bodies, and a body is longer than
what may stand in two files; so the bodies are here, and their files say what is made of them.
Blocks as in He et al. 2016, arXiv 1603.05027: normalisation and ReLU before each convolution.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu

from atelier.errors import UserError
from atelier.schema import Count, Positive, Strict

SMALLEST = 4
"""Side, in pixels, of the smallest map: the last of an encoder and the first of a decoder."""
WIDEST = 8
"""Channels double at each halving of the side, up to so many times the first width."""


class Body(Strict):
    """The shape of an encoder and, mirrored, of a decoder."""

    width: Positive
    """Channels of the largest map."""
    depth: Count
    """Residual blocks at each size of map."""
    patch: Positive
    """Side of an image's pixels by that of the largest map: what the first layer halves at once,
    because maps as large as the image cost most."""
    thumbnail: Positive
    """Side, in pixels, of the image that the straight way takes and makes."""


class Residual(nn.Module):
    """[B, C, H, W] -> the same shape: x plus two normalised 3 x 3 convolutions of it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        nn.init.zeros_(self.conv2.weight)  # starts as the identity

    def forward(self, maps: Tensor) -> Tensor:
        inner = self.conv1(relu(self.norm1(maps)))
        change: Tensor = self.conv2(relu(self.norm2(inner)))
        return maps + change


class Encoder(nn.Module):
    """[B, C, S, S] in [-1, 1] -> [B, outputs].

    Convolutions, added to a linear map of a thumbnail. Where faces are aligned, the linear code
    alone is nearly as good as principal components, and it is learnt in a hundredth of the work;
    the convolutions start at nothing and learn what it leaves.
    """

    def __init__(self, body: Body, shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        channels, size, _ = shape
        widths, self.side = _widths(body, size), min(body.thumbnail, size)
        self.straight = nn.Linear(channels * self.side**2, outputs)
        layers: list[nn.Module] = [_first(channels, widths[0], body.patch)]
        layers += [Residual(widths[0]) for _ in range(body.depth)]
        for before, here in pairwise(widths):
            layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True)]
            layers += [nn.Conv2d(before, here, 3, 2, 1, bias=False)]
            layers += [Residual(here) for _ in range(body.depth)]
        layers += [nn.BatchNorm2d(widths[-1]), nn.ReLU(inplace=True), nn.Flatten()]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1] * SMALLEST**2, outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        thumbnails = avg_pool2d(images, images.shape[-1] // self.side)
        codes: Tensor = self.head(self.layers(images)) + self.straight(thumbnails.flatten(1))
        return codes


class Decoder(nn.Module):
    """[B, inputs] -> [B, C, S, S] in [-1, 1]: the encoder's mirror image."""

    def __init__(self, body: Body, shape: tuple[int, ...], inputs: int) -> None:
        super().__init__()
        channels, self.size, _ = shape
        widths, side = _widths(body, self.size)[::-1], min(body.thumbnail, self.size)
        self.straight = nn.Sequential(
            nn.Linear(inputs, channels * side**2), nn.Unflatten(1, (channels, side, side))
        )
        self.head = nn.Sequential(
            nn.Linear(inputs, widths[0] * SMALLEST**2),
            nn.Unflatten(1, (widths[0], SMALLEST, SMALLEST)),
        )
        layers: list[nn.Module] = [Residual(widths[0]) for _ in range(body.depth)]
        for here, following in pairwise(widths):
            layers += [nn.BatchNorm2d(here), nn.ReLU(inplace=True)]
            layers += [nn.ConvTranspose2d(here, following, 4, 2, 1, bias=False)]
            layers += [Residual(following) for _ in range(body.depth)]
        layers += [nn.BatchNorm2d(widths[-1]), nn.ReLU(inplace=True)]
        layers += [_last(widths[-1], channels, body.patch)]
        self.layers = nn.Sequential(*layers)

    def forward(self, codes: Tensor) -> Tensor:
        straight = interpolate(self.straight(codes), size=self.size, mode="bilinear")
        return torch.tanh(self.layers(self.head(codes)) + straight)


def _first(channels: int, width: int, patch: int) -> nn.Module:
    """Overlapping patches: their borders would show without."""
    if patch == 1:
        return nn.Conv2d(channels, width, 3, padding=1)
    return nn.Conv2d(channels, width, 2 * patch, patch, patch // 2)


def _last(width: int, channels: int, patch: int) -> nn.Module:
    if patch == 1:
        return nn.Conv2d(width, channels, 3, padding=1)
    return nn.ConvTranspose2d(width, channels, 2 * patch, patch, patch // 2)


def _widths(body: Body, size: int) -> list[int]:
    """Channels of each map, from the largest to the smallest.

    Raises:
        UserError: the image cannot be halved to a map of 4 pixels, or averaged to the thumbnail.
    """
    halvings = (size // body.patch // SMALLEST).bit_length() - 1
    halves = halvings >= 0 and SMALLEST * 2**halvings * body.patch == size
    if not halves or size % min(body.thumbnail, size):
        sides = f"patch {body.patch} and thumbnail {body.thumbnail}"
        remedy = f"The side is patch times {SMALLEST}, 8, 16, …; thumbnail divides it."
        raise UserError("model", f"images of {size} pixels do not go with {sides}", remedy)
    return [body.width * min(2**depth, WIDEST) for depth in range(halvings + 1)]

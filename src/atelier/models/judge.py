"""The judge: a small residual classifier of attributes or domains, whose features score generators.

Residual blocks as in He et al. 2016, arXiv 1603.05027 (normalisation and ReLU before each
convolution). We deviate: one block at each of three depths, so that it trains in a minute on two
cores, and a head that sees a 4 x 4 map, because where a face is aligned the place of a feature says
what it is. `features` takes statistics of three depths: the last layer alone collapses onto the
labels and is blind to what a generator draws badly.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, relu

from atelier.errors import UserError
from atelier.schema import Positive, Strict

SMALLEST = 16
"""Side, in pixels, of the smallest image that leaves a map after four halvings."""
HEAD = 4
"""Side of the map that the head sees."""


class Config(Strict):
    """`width` is the number of channels after the first convolution; it doubles at each depth."""

    name: Literal["judge"]
    width: Positive


class Residual(nn.Module):
    """[B, C, H, W] -> the same shape: x plus two normalised 3 x 3 convolutions of it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        # Starts as the identity, which lets the first hundred steps go at the full learning rate.
        nn.init.zeros_(self.conv2.weight)

    def forward(self, maps: Tensor) -> Tensor:
        inner = self.conv1(relu(self.norm1(maps)))
        change: Tensor = self.conv2(relu(self.norm2(inner)))
        return maps + change


class Judge(nn.Module):
    """[B, C, S, S] in [-1, 1] -> [B, labels] logits, for any S from 16 pixels on.

    `stem` halves the side, and so does each of three `depths`; the last one has `width` channels.
    """

    def __init__(
        self, stem: nn.Module, depths: Iterable[nn.Module], width: int, label_count: int
    ) -> None:
        super().__init__()
        self.stem = stem
        self.depths = nn.ModuleList(depths)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width * HEAD * HEAD, label_count)

    def _maps(self, images: Tensor) -> list[Tensor]:
        """The maps of three depths: sides S/4, S/8 and S/16."""
        maps = [self.stem(images)]
        for depth in self.depths:
            maps.append(depth(maps[-1]))
        return maps[1:]

    def forward(self, images: Tensor) -> Tensor:
        last = relu(self.norm(self._maps(images)[-1]))
        logits: Tensor = self.head(adaptive_avg_pool2d(last, HEAD).flatten(1))
        return logits

    def features(self, images: Tensor) -> Tensor:
        """[B, C, S, S] -> [B, 28 * width]: means and deviations of each channel at three depths."""
        return torch.cat([_statistics(relu(maps)) for maps in self._maps(images)], dim=1)


def _statistics(maps: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, 2 C]: each channel's mean and its deviation over the map."""
    maps = maps.flatten(2).float()
    return torch.cat([maps.mean(2), maps.std(2, correction=0)], dim=1)


def build(config: Config, shape: tuple[int, ...], label_count: int) -> nn.ModuleDict:
    """The classifier for images of `shape` (channels, S, S) and so many labels.

    Raises:
        UserError: the images are smaller than 16 pixels.
    """
    check_size(shape)
    widths = widths_of(config.width)
    stem = nn.Conv2d(shape[0], config.width, 4, 2, 1)
    depths = [_depth(*pair, last=pair[1] == widths[-1]) for pair in pairwise(widths)]
    return nn.ModuleDict({"classifier": Judge(stem, depths, widths[-1], label_count)})


def check_size(shape: tuple[int, ...]) -> None:
    """Raises UserError where the images (channels, S, S) are smaller than 16 pixels."""
    if shape[1] < SMALLEST:
        problem = f"images of {shape[1]} pixels are too small"
        raise UserError("judge", problem, f"From {SMALLEST} on.")


def widths_of(width: int) -> list[int]:
    """Channels after the stem and after each depth."""
    return [width, 2 * width, 4 * width, 8 * width]


def _depth(before: int, here: int, last: bool) -> nn.Module:
    layers: list[nn.Module] = [
        nn.BatchNorm2d(before),
        nn.ReLU(),
        nn.Conv2d(before, here, 3, 2, 1, bias=False),
    ]
    # A block at the last depth would hold most of the weights, and adds no accuracy.
    if not last:
        layers.append(Residual(here))
    return nn.Sequential(*layers)

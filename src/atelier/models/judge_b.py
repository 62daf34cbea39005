"""The second judge: the same labels told by another architecture, for a second opinion.

Plain convolutions and maximum pooling, as VGG's (Simonyan and Zisserman 2015, arXiv 1409.1556),
each normalised (Ioffe and Szegedy 2015); the first judge strides and has residual blocks. We
deviate: one convolution before each pooling, so that it trains in a minute on two cores. A
generator that satisfies the weaknesses of the first finds others here.
"""

from itertools import pairwise
from typing import Literal

from torch import nn

from atelier.models.judge import Judge, check_size, widths_of
from atelier.schema import Positive, Strict


class Config(Strict):
    """`width` is the number of channels after the first convolution; it doubles at each depth."""

    name: Literal["judge_b"]
    width: Positive


def build(config: Config, shape: tuple[int, ...], label_count: int) -> nn.ModuleDict:
    """The classifier for images of `shape` (channels, S, S) and so many labels.

    Raises:
        UserError: the images are smaller than 16 pixels.
    """
    check_size(shape)
    widths = widths_of(config.width)
    depths = [_pooled(*pair) for pair in pairwise(widths)]
    judge = Judge(_pooled(shape[0], config.width), depths, widths[-1], label_count)
    return nn.ModuleDict({"classifier": judge})


def _pooled(before: int, here: int) -> nn.Sequential:
    """[B, before, H, W] -> [B, here, H / 2, W / 2]."""
    return nn.Sequential(
        nn.Conv2d(before, here, 3, padding=1, bias=False),
        nn.BatchNorm2d(here),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )

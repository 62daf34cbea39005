"""R3GAN, small: Huang et al. 2024, arXiv 2501.05441, as its sections 2 to 4 describe it.

The relativistic pairing loss with R1 and R2; residual blocks of a 1 x 1, a grouped 3 x 3 and a
1 x 1 convolution, twice as wide inside, without normalisation, Fix-up initialisation, leaky ReLU;
bilinear resampling; a 4 x 4 basis scaled by the latent at the generator's start, a depthwise 4 x 4
convolution at the discriminator's end. Narrower than there (widths 256 to 32 instead of 768), with
constant rates and a constant gamma from the middle of its schedule, with DiffAugment's translation
as ours, and with the penalties, which take most of a step on a processor, eight times as strong in
every eighth (Karras et al. 2020, arXiv 1912.04958, appendix B).
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu, softplus

from atelier.training.augment import DiffAugment

LATENT = 64
BATCH = 32
BETAS = (0.0, 0.99)
WIDTHS = (256, 192, 96, 48, 32)
"""Channels of the maps of side 4, 8, … 64."""
EXPANSION = 2
GROUP = 16
BLOCKS = 2
SLOPE = 0.2
GAMMA = 0.5
PENALTY_EVERY = 8
AUGMENT = DiffAugment(brightness=0, contrast=0, saturation=0, translation=0.05, cutout=0)


class Block(nn.Module):
    """[B, C, S, S] -> the same shape; starts as the identity."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        inner = EXPANSION * width
        self.first = nn.Conv2d(width, inner, 1, bias=False)
        self.middle = nn.Conv2d(inner, inner, 3, padding=1, groups=inner // GROUP)
        self.last = nn.Conv2d(inner, width, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(inner))
        for layer in (self.first, self.middle):
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            layer.weight.data.mul_(layers**-0.25)
        nn.init.zeros_(self.last.weight)

    def forward(self, maps: Tensor) -> Tensor:
        inner = leaky_relu(self.first(maps) + self.bias[:, None, None], SLOPE)
        change: Tensor = self.last(leaky_relu(self.middle(inner), SLOPE))
        return maps + change


def stage(width: int) -> nn.Sequential:
    return nn.Sequential(*(Block(width, BLOCKS * len(WIDTHS)) for _ in range(BLOCKS)))


class Generator(nn.Module):
    """[B, LATENT] -> [B, 3, 64, 64]."""

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.randn(widths[0], 4, 4))
        self.scale = nn.Linear(LATENT, widths[0], bias=False)
        self.stages = nn.ModuleList(map(stage, widths))
        pairs = pairwise(widths)
        self.changes = nn.ModuleList(nn.Conv2d(a, b, 1, bias=False) for a, b in pairs)
        self.colours = nn.Conv2d(widths[-1], 3, 1)

    def forward(self, latents: Tensor) -> Tensor:
        maps = self.basis * self.scale(latents)[:, :, None, None]
        maps = self.stages[0](maps)
        for change, blocks in zip(self.changes, self.stages[1:], strict=True):
            maps = blocks(interpolate(change(maps), scale_factor=2, mode="bilinear"))
        images: Tensor = self.colours(maps)
        return images


class Discriminator(nn.Module):
    """[B, 3, 64, 64] -> [B, 1] logits."""

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        upwards = widths[::-1]
        self.colours = nn.Conv2d(3, upwards[0], 1)
        self.stages = nn.ModuleList(map(stage, upwards))
        pairs = pairwise(upwards)
        self.changes = nn.ModuleList(nn.Conv2d(a, b, 1, bias=False) for a, b in pairs)
        self.basis = nn.Conv2d(upwards[-1], upwards[-1], 4, groups=upwards[-1], bias=False)
        self.head = nn.Linear(upwards[-1], 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.stages[0](self.colours(images))
        for change, blocks in zip(self.changes, self.stages[1:], strict=True):
            maps = blocks(change(avg_pool2d(maps, 2)))
        logits: Tensor = self.head(self.basis(maps).flatten(1))
        return logits.float()


def build_generator() -> nn.Module:
    return Generator()


def build_discriminator() -> nn.Module:
    return Discriminator()


def discriminator_loss(discriminator: nn.Module, real: Tensor, fake: Tensor, step: int) -> Tensor:
    """Each fake against a real, and now and then R1 + R2, in fp32 because of their gradient."""
    both = torch.cat([real, fake])
    if step % PENALTY_EVERY:
        return _apart(discriminator(both))
    with torch.autocast("cpu", enabled=False):
        both.requires_grad_(True)
        logits = discriminator(both)
        (gradient,) = torch.autograd.grad(logits.sum(), both, create_graph=True)
        penalty = gradient.square().flatten(1).sum(1).mean() * 2  # mean over 2 B, summed over both
    return _apart(logits) + PENALTY_EVERY * GAMMA / 2 * penalty


def _apart(logits: Tensor) -> Tensor:
    of_real, of_fake = logits.chunk(2)
    return softplus(of_fake - of_real).mean()


def generator_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    with torch.no_grad():
        of_real = discriminator(real)
    return softplus(of_real - discriminator(fake)).mean()

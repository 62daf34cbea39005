"""DiffAugment: differentiable augmentation of all that a discriminator sees.

Zhao et al. 2020, arXiv 2006.10738. We deviate: strengths are chosen, and a strength of 0 costs
nothing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from atelier.objectives.phase import Randomness


@dataclass(frozen=True)
class DiffAugment:
    """Strengths as in `config.Augmentation`."""

    brightness: float
    contrast: float
    saturation: float
    translation: float
    cutout: float

    def __call__(self, images: Tensor, rng: Randomness) -> Tensor:
        """[B, 3, S, S] in [-1, 1] -> the same shape; moved colours may leave the range.

        Maps that come after the three colours keep their values and move along.
        """
        count, maps = len(images), images[:, 3:]
        images = images[:, :3] if maps.shape[1] else images
        if self.brightness:
            images = images + (rng.uniform(count, 1, 1, 1) * 2 - 1) * self.brightness
        if self.saturation:
            grey = images.mean(1, keepdim=True)
            factor = 1 + (rng.uniform(count, 1, 1, 1) * 2 - 1) * self.saturation
            images = (images - grey) * factor + grey
        if self.contrast:
            middle = images.mean((1, 2, 3), keepdim=True)
            factor = 1 + (rng.uniform(count, 1, 1, 1) * 2 - 1) * self.contrast
            images = (images - middle) * factor + middle
        if maps.shape[1]:
            images = torch.cat([images, maps], dim=1)
        if self.translation:
            images = translate(images, rng.uniform(count, 2), self.translation)
        if self.cutout:
            images = images * cutout_mask(images, rng.uniform(count, 2), self.cutout)
        return images


def translate(images: Tensor, where: Tensor, share: float) -> Tensor:
    """Shifts each image by whole pixels, up to `share` of its side; what comes in is grey (0)."""
    size = images.shape[-1]
    reach = int(size * share + 0.5)
    shifts = (where * (2 * reach + 1)).long().clamp(max=2 * reach)  # [B, 2] in 0 … 2 * reach
    # All channels of a pixel move together: in half the time of each by itself.
    pixels = functional.pad(images, (reach, reach, reach, reach)).permute(0, 2, 3, 1)
    steps = torch.arange(size, device=images.device)
    rows = (shifts[:, :1] + steps)[:, :, None]
    columns = (shifts[:, 1:] + steps)[:, None, :]
    batch = torch.arange(len(images), device=images.device)[:, None, None]
    return pixels[batch, rows, columns].permute(0, 3, 1, 2)


def cutout_mask(images: Tensor, where: Tensor, share: float) -> Tensor:
    """[B, 1, S, S]: 0 in one square per image, 1 elsewhere."""
    size = images.shape[-1]
    half = size * share / 2
    centres = where * size  # [B, 2]
    pixels = torch.arange(size, device=images.device) + 0.5
    inside_row = (pixels - centres[:, :1]).abs() < half
    inside_column = (pixels - centres[:, 1:]).abs() < half
    inside = inside_row[:, None, :, None] & inside_column[:, None, None, :]
    return (~inside).to(images.dtype)

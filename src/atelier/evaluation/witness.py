"""The witness: features that no training touched, so that no generator or judge is tuned to them.

Random zero-mean convolutions with ReLU keep enough of texture and layout to compare sets of images
(Ustyuzhaninov et al. 2017, "What does it take to generate natural textures?"). The radial power
spectrum beside them sees blur and checkerboards, which generators are prone to.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, conv2d, relu

SEED = 20_260_101
WIDTHS = (32, 48, 64)
KERNELS = (5, 3, 3)
RINGS = 12
"""Of the power spectrum, from the mean to the Nyquist frequency."""


class Witness(nn.Module):
    """[B, C, S, S] in [-1, 1] -> [B, D]; D depends on the channels alone, S is at least 16."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        draw = np.random.default_rng(SEED)
        before = channels
        for width, kernel in zip(WIDTHS, KERNELS, strict=True):
            filters = draw.standard_normal((width, before, kernel, kernel), dtype=np.float32)
            # Zero mean: a filter answers to structure. The spectrum and the colours see the level.
            filters -= filters.mean(axis=(1, 2, 3), keepdims=True)
            filters *= math.sqrt(2 / (before * kernel * kernel))
            self.register_buffer(f"filters_{width}", torch.from_numpy(filters))
            before = width

    @property
    def filters(self) -> list[Tensor]:
        """Of each layer, the first first."""
        return list(self.buffers())

    def forward(self, images: Tensor) -> Tensor:
        found = [adaptive_avg_pool2d(images, 2).flatten(1), _radial_spectrum(images)]
        maps = images
        for filters in self.filters:
            maps = relu(conv2d(maps, filters, stride=2, padding=filters.shape[-1] // 2))
            flat = maps.flatten(2)
            found += [flat.mean(2), flat.std(2, correction=0)]
        # Quadrants of the last maps: where things are, which the global statistics cannot see.
        found.append(adaptive_avg_pool2d(maps, 2).flatten(1))
        return torch.cat(found, dim=1)


def _radial_spectrum(images: Tensor) -> Tensor:
    """Log power of each channel in rings of equal width: [B, C, S, S] -> [B, C * RINGS]."""
    size = images.shape[-1]
    # The taper keeps the image's border from spilling power over all frequencies.
    taper = torch.hann_window(size, periodic=False, device=images.device)
    power = torch.fft.rfft2(images * taper[:, None] * taper, norm="ortho").abs().square()
    ring = _rings(size)
    inside = (ring < RINGS).nonzero().flatten()
    sums = power.new_zeros(*power.shape[:2], RINGS).index_add(
        2, ring[inside].to(power.device), power.flatten(2)[:, :, inside.to(power.device)]
    )
    # Rings that hold no frequency of a small image stay at zero, and so are dropped later.
    counts = torch.bincount(ring[inside], minlength=RINGS).clamp(min=1).to(power.device)
    return torch.log(sums / counts + 1e-6).flatten(1)


def _rings(size: int) -> Tensor:
    """The ring of each frequency, [S * (S // 2 + 1)]; those in the corners are RINGS and above."""
    vertical, horizontal = torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)
    radius = (vertical.square() + horizontal.square()).sqrt()
    ring: Tensor = (radius * 2 * RINGS).long().flatten()
    return ring

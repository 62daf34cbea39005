"""Degraded pictures, known to be worse: what a distance says about them gives it a scale."""

import numpy as np
import torch
from torch.nn.functional import conv2d, pad

from atelier.evaluation.features import BATCH, Images

BLUR_SHARE = 1 / 32
"""The blur's standard deviation as a share of the image's side: 2 pixels at 64."""
PATCHES = 4
"""Patches along each side; shuffling them keeps every texture and destroys every object."""


def blurred(images: Images) -> Images:
    """Gaussian blur of each channel, the border repeated."""
    sigma = images.shape[-1] * BLUR_SHARE
    reach = max(int(3 * sigma + 0.5), 1)
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = weights / weights.sum()
    done = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), BATCH):
        batch = torch.from_numpy(np.array(images[start : start + BATCH])).float()
        flat = pad(batch, (reach,) * 4, mode="replicate").flatten(0, 1)[:, None]
        flat = conv2d(conv2d(flat, weights[None, None, :, None]), weights[None, None, None])
        done[start : start + BATCH] = flat.reshape(batch.shape).round().to(torch.uint8).numpy()
    return done


def shuffled(images: Images, seed: int) -> Images:
    """Each image's 4 x 4 patches in an order of its own."""
    count, channels, size, _ = images.shape
    patch = size // PATCHES
    if patch * PATCHES != size:
        raise ValueError(f"images of {size} pixels cannot be cut into {PATCHES} x {PATCHES}")
    cut = images.reshape(count, channels, PATCHES, patch, PATCHES, patch)
    patches = cut.transpose(0, 2, 4, 1, 3, 5).reshape(count, PATCHES**2, channels, patch, patch)
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(PATCHES**2), (count, 1)), axis=1)
    moved = np.take_along_axis(patches, order[:, :, None, None, None], axis=1)
    back = moved.reshape(count, PATCHES, PATCHES, channels, patch, patch)
    return np.ascontiguousarray(back.transpose(0, 3, 1, 4, 2, 5).reshape(images.shape))

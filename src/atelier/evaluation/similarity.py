"""How alike two pictures are, pixel by pixel and window by window: PSNR and SSIM.

SSIM: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity",
with the paper's window and constants, on luma. It is the mean over all windows that lie inside.
"""

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from atelier.evaluation.features import BATCH, Images

PerImage = npt.NDArray[np.float64]
"""[N]"""

LARGEST = 255.0
WINDOW = 11
SIGMA = 1.5
STABILISERS = ((0.01 * LARGEST) ** 2, (0.03 * LARGEST) ** 2)
LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601."""


def psnr(first: Images, second: Images) -> PerImage:
    """Peak signal-to-noise ratio in dB, per image; infinite for equal ones."""
    squares = [
        ((first[row].astype(np.float64) - second[row]) ** 2).mean() for row in range(len(first))
    ]
    return np.array([math.inf if s == 0 else 10 * math.log10(LARGEST**2 / s) for s in squares])


def ssim(first: Images, second: Images) -> PerImage:
    """Structural similarity per image, at most 1; sides are at least 11 pixels."""
    parts = [
        _ssim(_luma(first[start : start + BATCH]), _luma(second[start : start + BATCH]))
        for start in range(0, len(first), BATCH)
    ]
    return np.concatenate(parts)


def _luma(images: Images) -> Tensor:
    """uint8 [B, 3, S, S] -> float64 [B, 1, S, S] in [0, 255]."""
    weights = torch.tensor(LUMA, dtype=torch.float64)[:, None, None]
    pixels = torch.from_numpy(np.array(images)).double()
    return (pixels * weights).sum(1, keepdim=True)


def _ssim(first: Tensor, second: Tensor) -> PerImage:
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    weights = weights / weights.sum()
    moments = torch.cat([first, second, first * first, second * second, first * second], dim=1)
    flat = moments.flatten(0, 1)[:, None]
    flat = conv2d(conv2d(flat, weights[None, None, :, None]), weights[None, None, None])
    mean1, mean2, square1, square2, product = flat.unflatten(0, moments.shape[:2]).unbind(1)
    variance1, variance2 = square1 - mean1**2, square2 - mean2**2
    covariance = product - mean1 * mean2
    small1, small2 = STABILISERS
    likeness = (2 * mean1 * mean2 + small1) * (2 * covariance + small2)  # Eq. 13
    likeness = likeness / (mean1**2 + mean2**2 + small1) / (variance1 + variance2 + small2)
    found: PerImage = likeness.flatten(1).mean(1).numpy()
    return found

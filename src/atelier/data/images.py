"""The one conversion between pixels, uint8 in [0, 255], and what networks see, float in [-1, 1].

Prepared arrays and networks have channels first; pictures that are shown, saved, given and made
have them last, as Pillow does.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_float(pixels: Tensor) -> Tensor:
    """uint8 [..., H, W] in [0, 255] -> float32 [..., H, W] in [-1, 1]; 127.5 is 0."""
    if pixels.dtype != torch.uint8:
        raise TypeError(f"pixels are uint8 (got {pixels.dtype})")
    # In place: of many images each copy would be four times what they take as bytes.
    return pixels.to(torch.float32).div_(127.5).sub_(1.0)


def to_bytes(images: Tensor) -> Tensor:
    """Floating [..., H, W] -> uint8 [..., H, W], clipped to [-1, 1] and rounded half up.

    Adding 128 and not 127.5 before the truncation is what rounds: each of the 256 byte values
    survives the way through `to_float` and back.
    """
    if not images.is_floating_point():
        raise TypeError(f"images are floating point (got {images.dtype})")
    return (images.to(torch.float32).clamp(-1.0, 1.0) * 127.5 + 128.0).to(torch.uint8)


def channels_first(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[N, H, W, C] -> [N, C, H, W]."""
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))


def channels_last(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[N, C, H, W] -> [N, H, W, C]."""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))

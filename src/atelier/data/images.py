"""The one conversion between pixels, uint8 in [0, 255], and what networks see, float in [-1, 1]."""

import torch
from torch import Tensor


def to_float(pixels: Tensor) -> Tensor:
    """uint8 [..., H, W] in [0, 255] -> float32 [..., H, W] in [-1, 1]; 127.5 is 0."""
    if pixels.dtype != torch.uint8:
        raise TypeError(f"pixels are uint8 (got {pixels.dtype})")
    return pixels.to(torch.float32) / 127.5 - 1.0


def to_bytes(images: Tensor) -> Tensor:
    """Floating [..., H, W] -> uint8 [..., H, W], clipped to [-1, 1] and rounded half up.

    Adding 128 and not 127.5 before the truncation is what rounds: each of the 256 byte values
    survives the way through `to_float` and back.
    """
    if not images.is_floating_point():
        raise TypeError(f"images are floating point (got {images.dtype})")
    return (images.to(torch.float32).clamp(-1.0, 1.0) * 127.5 + 128.0).to(torch.uint8)

"""Between latents: straight lines, arcs, and tables of two directions."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Latent = NDArray[np.float32]
"""[L]"""
Path = NDArray[np.float32]
"""[N, L]: latents in order."""

PARALLEL = 1e-6
"""An angle, in radians, below which an arc is a straight line."""


def lerp(start: Latent, end: Latent, steps: int) -> Path:
    """The straight line, both ends included: for the means of a variational autoencoder's codes."""
    shares = _shares(steps)
    return ((1 - shares) * start + shares * end).astype(np.float32)


def slerp(start: Latent, end: Latent, steps: int) -> Path:
    """The arc, both ends included: for standard normal latents.

    In many dimensions those lie near a sphere, and the middle of a straight line between two of
    them is far inside it, where training never was (White 2016, arXiv 1609.04468). The length goes
    from one end's to the other's evenly.
    """
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    if min(lengths) == 0:
        return lerp(start, end, steps)
    units = start / lengths[0], end / lengths[1]
    angle = float(np.arccos(np.clip(units[0] @ units[1], -1.0, 1.0)))
    if angle < PARALLEL or np.pi - angle < PARALLEL:
        return lerp(start, end, steps)
    shares = _shares(steps)
    turned = np.sin((1 - shares) * angle) * units[0] + np.sin(shares * angle) * units[1]
    turned /= np.sin(angle)
    turned *= (1 - shares) * lengths[0] + shares * lengths[1]
    path: Path = turned.astype(np.float32)
    return path


def along(stops: Sequence[Latent], steps: int, straight: bool) -> Path:
    """Through two or more stops, `steps` latents from each to the next, both ends included.

    [M, L] with M = (stops - 1) * (steps - 1) + 1: no stop is there twice.
    """
    between = lerp if straight else slerp
    legs = [between(a, b, steps) for a, b in pairwise(stops)]
    return np.concatenate([*(leg[:-1] for leg in legs), stops[-1][None]]).astype(np.float32)


def table(
    base: Latent, across: Latent, down: Latent, columns: Sequence[float], rows: Sequence[float]
) -> NDArray[np.float32]:
    """[R, C, L]: the base moved by so many steps along `across` and along `down`."""
    right = np.asarray(columns, np.float32)[None, :, None] * across
    below = np.asarray(rows, np.float32)[:, None, None] * down
    moved: NDArray[np.float32] = (base + right + below).astype(np.float32)
    return moved


def _shares(steps: int) -> NDArray[np.float64]:
    if steps < 2:
        raise ValueError(f"steps: two or more (got {steps})")
    return np.linspace(0.0, 1.0, steps)[:, None]

"""Does a translation keep what it was given? One that ignores its input can be of the goal's
domain, sharp and varied, and is none.

An output is held to its own input and to all others, by brightness alone, coarsely: a coat or a
hair colour may change, where things stand may not.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import adaptive_avg_pool2d

from atelier.evaluation.features import Images
from atelier.evaluation.similarity import LUMA

SIDE = 16
"""Pixels."""
LEAST_FOLLOWING = 0.9
"""One that returns any picture for every fourth input gets 0.88 at most."""


def follows_input(inputs: Images, outputs: Images) -> float:
    """Share of other inputs that resemble an output less than its own input does, mean over all.

    uint8 [N, 3, S, S] twice, N at least 2. 1 where each output tells which input it was made of,
    one half where outputs have nothing to do with them.
    """
    alike = _layout(outputs) @ _layout(inputs).T
    own = np.diagonal(alike)[:, None]
    less = (alike < own).sum(axis=1) / (len(alike) - 1)
    return float(less.mean())


def _layout(images: Images) -> npt.NDArray[np.float64]:
    """Brightness at 16 x 16, shifted and scaled so that products are correlations: [N, 256]."""
    pixels = adaptive_avg_pool2d(torch.from_numpy(np.array(images)).double(), SIDE).numpy()
    rows = np.tensordot(pixels, np.array(LUMA), ((1,), (0,))).reshape(len(pixels), -1)
    rows -= rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    layout: npt.NDArray[np.float64] = rows / np.maximum(length, 1e-12)
    return layout

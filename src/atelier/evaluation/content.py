"""Does a translation keep what it was given? One that ignores its input can be of the goal's
domain, sharp and varied, and is none.

An output is held to its own input and to all others by where their edges are, coarsely: a coat or a
hair colour may change, and be brighter then or darker; where things stand may not.
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
    """Edges of the brightness at 16 x 16, shifted and scaled so that products are correlations:
    [N, 256].

    How strong they are, not which side is the brighter: by brightness itself, dark hair made fair
    resembles other fair hair. The root of it, so that many faint edges count beside a strong one.
    """
    luma = torch.from_numpy(np.tensordot(images.astype(np.float64), np.array(LUMA), ((1,), (0,))))
    across, down = luma[:, :-1, 1:] - luma[:, :-1, :-1], luma[:, 1:, :-1] - luma[:, :-1, :-1]
    edges = (across.square() + down.square()).sqrt()
    rows = adaptive_avg_pool2d(edges, SIDE).sqrt().flatten(1).numpy()
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    layout: npt.NDArray[np.float64] = rows / np.maximum(length, 1e-12)
    return layout

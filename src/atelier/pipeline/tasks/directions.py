"""Attribute directions for a bundle: found by the judge's labels of samples, or by true labels."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from atelier.pipeline.tasks.context import Context, Labels

CHUNK = 100

Found = tuple[tuple[str, ...], dict[str, npt.NDArray[np.float32]]]
"""Names, and the array `directions` [D, L], or none where nothing was found."""


def directions_of_samples(
    generator: nn.Module, context: Context, asked: Labels | None = None
) -> Found:
    """From pictures that the generator makes, labelled by the judge.

    `asked`: attributes [N, K] to make them with, in turn.
    """
    return (), {}


@torch.inference_mode()
def made_from(network: nn.Module, *inputs: Tensor) -> Tensor:
    """A network's outputs, [N, …], chunk by chunk."""
    parts = zip(*(torch.split(rows, CHUNK) for rows in inputs), strict=True)
    return torch.cat([network(*part) for part in parts])

"""What tests of rivals ask of a training."""

from collections.abc import Callable, Sequence

import torch
from torch import nn


def moved_shares(
    networks: Sequence[nn.Module], step: Callable[[], None], steps: int
) -> list[float]:
    """Of each network's weights, which share is another after so many steps."""
    before = [[weights.clone() for weights in network.parameters()] for network in networks]
    for _ in range(steps):
        step()
    return [
        sum(not torch.equal(*pair) for pair in zip(network.parameters(), was, strict=True))
        / len(was)
        for network, was in zip(networks, before, strict=True)
    ]

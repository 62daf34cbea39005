"""The exponential moving average of weights that is evaluated and published.

Half-life in images, as a share of the images seen so far, which is the ramp of Karras et al. 2020
(StyleGAN2-ADA, arXiv 2006.06676): an early average forgets fast.
"""

import copy

import torch
from torch import nn


def averaged_copy(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode that no gradient reaches."""
    return copy.deepcopy(network).eval().requires_grad_(False)


@torch.no_grad()
def update(average: nn.Module, network: nn.Module, share: float, seen: int, batch: int) -> None:
    """Moves `average` towards `network` after `batch` more images, `seen` in all.

    Buffers (BatchNorm's statistics) are averaged like weights, whose activations they describe;
    counters are copied.
    """
    half_life = share * seen
    keep = 0.5 ** (batch / half_life) if half_life > 0 else 0.0
    mine, theirs = average.state_dict(), network.state_dict()
    floats = [name for name, value in mine.items() if value.is_floating_point()]
    torch._foreach_lerp_(
        [mine[name] for name in floats], [theirs[name] for name in floats], 1 - keep
    )
    for name in mine.keys() - set(floats):
        mine[name].copy_(theirs[name])

"""BatchNorm in a training of several processes: statistics of the whole batch.

As torch's SyncBatchNorm, which only GPUs have (Ioffe and Szegedy 2015, arXiv 1502.03167, algorithm
1, over the shares of all processes).
"""

from typing import Any

import torch
from torch import Tensor, distributed, nn


class _Mean(torch.autograd.Function):
    """The mean over all processes, through which a gradient comes back from each of them."""

    @staticmethod
    def forward(ctx: Any, mine: Tensor) -> Tensor:
        total = mine.clone()
        distributed.all_reduce(total)
        return total / distributed.get_world_size()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _Mean.forward(ctx, *gradients)


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Normalises this process's maps by what all processes' maps are like; all of them must have
    as many, and pass it as often."""

    momentum: float
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, maps: Tensor) -> Tensor:
        """[B, C, H, W] -> the same, in the same precision."""
        if not self.training:
            return super().forward(maps)
        mine = maps.float()
        mean = _Mean.apply(mine.mean((0, 2, 3)))
        centred = mine - mean[:, None, None]
        variance = _Mean.apply(centred.square().mean((0, 2, 3)))
        count = distributed.get_world_size() * mine[:, 0].numel()
        self._remember(mean.detach(), variance.detach(), count)
        scale = self.weight * (variance + self.eps).rsqrt()
        normal = centred * scale[:, None, None] + self.bias[:, None, None]
        made: Tensor = normal.to(maps.dtype)
        return made

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """`count`: values that a channel has in all processes."""
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)


def share_statistics(networks: nn.Module) -> None:
    """Gives each BatchNorm of the networks the statistics of all processes, if there are several;
    weights, statistics and their names stay as they are."""
    if distributed.is_initialized() and distributed.get_world_size() > 1:
        for module in networks.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = SharedBatchNorm2d  # what optimizers hold stays in its place

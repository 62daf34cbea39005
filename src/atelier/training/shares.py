"""How the processes of a training share a batch: in turns, a group of images each.

What comes first in the whole then comes first in each share: half of a share is of half the batch,
and what was put behind the reals is behind them in each share, too.
"""

import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed


class Shares:
    """This process's part of whatever is made for all, as `objectives.phase.Processes`.

    Args:
        group: images that a network compares with each other, which stay together where each
            process can have as many groups.
    """

    def __init__(self, fabric: Fabric, group: int) -> None:
        self.fabric, self.count, self.group = fabric, fabric.world_size, group

    def mine(self, whole: Tensor) -> Tensor:
        together = self._together(len(whole))
        turns = len(whole) // (self.count * together)
        shares = whole.unflatten(0, (turns, self.count, together))
        mine: Tensor = shares[:, self.fabric.global_rank].flatten(0, 1)
        return mine

    def whole(self, mine: Tensor) -> Tensor:
        mine = mine.detach().contiguous()
        parts = [torch.empty_like(mine) for _ in range(self.count)]
        distributed.all_gather(parts, mine)
        together = self._together(self.count * len(mine))
        turns = torch.stack(parts).unflatten(1, (len(mine) // together, together))
        whole: Tensor = turns.transpose(0, 1).flatten(0, 2)
        return whole

    def mean(self, value: Tensor) -> Tensor:
        # By torch's own words: Fabric's wait for all processes first, each time.
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total / self.count

    def _together(self, rows: int) -> int:
        return 1 if rows % (self.group * self.count) else self.group

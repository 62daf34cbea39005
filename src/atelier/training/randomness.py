"""All randomness of training, from (seed, step, phase) and nothing else.

Nothing needs saving for a resumed run to draw what an uninterrupted one would have drawn (the
rule is EDM2's: Karras et al. 2023, arXiv 2312.02696, whose code seeds every step). Draws are made
on the CPU for the whole global batch and shared among processes, so that one process and four see
the same data.
"""

from collections.abc import Callable
from copy import copy
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from atelier.objectives.phase import Alone, Processes


def mixed_seed(*parts: int) -> int:
    """A well-mixed 63-bit seed from several small numbers."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


class StepRandomness:
    """The draws of one phase of one step, for one of `processes`."""

    def __init__(
        self,
        seed: int,
        step: int,
        phase: int,
        *,
        phases: int = 1,
        device: torch.device | str = "cpu",
        processes: Processes | None = None,
    ) -> None:
        self.seed, self.turn = seed, step * phases + phase
        self.device = device
        self.processes: Processes = processes or Alone()
        self.generator = torch.Generator().manual_seed(mixed_seed(seed, step, phase))

    def copy(self) -> "StepRandomness":
        """Draws once more what this one will draw."""
        other = copy(self)
        other.generator = torch.Generator()
        other.generator.set_state(self.generator.get_state())
        return other

    def for_all(self) -> "StepRandomness":
        """The same draws, those of the other processes included."""
        other = copy(self)
        other.processes = Alone()
        return other

    def _mine(self, whole: Tensor) -> Tensor:
        return self.processes.mine(whole).to(self.device, non_blocking=True)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal; `shape[0]` is this process's share of the batch."""
        whole = (shape[0] * self.processes.count, *shape[1:])
        return self._mine(torch.randn(whole, generator=self.generator))

    def uniform(self, *shape: int) -> Tensor:
        """Uniform in [0, 1); `shape[0]` is this process's share of the batch."""
        whole = (shape[0] * self.processes.count, *shape[1:])
        return self._mine(torch.rand(whole, generator=self.generator))

    def draw(self, count: int, draw: Callable[[int, torch.Generator], Tensor]) -> Tensor:
        """What `draw(rows, generator)` makes for the whole batch; `count` rows are for us."""
        return self._mine(draw(count * self.processes.count, self.generator))

    def rows(self, population: int, count: int) -> Tensor:
        """Indices [count] of the training rows for this turn: each epoch is a new permutation."""
        whole = count * self.processes.count
        places = np.arange(self.turn * whole, (self.turn + 1) * whole)
        epochs, offsets = np.divmod(places, population)
        chosen = np.empty(whole, np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            chosen[here] = _permutation(self.seed, int(epoch), population)[offsets[here]]
        return self.processes.mine(torch.from_numpy(chosen))

    def weighted_rows(self, weights: Tensor, count: int) -> Tensor:
        """Indices [count], each drawn anew with a chance in proportion to its weight, [N]."""
        whole = count * self.processes.count
        chosen = torch.multinomial(weights, whole, replacement=True, generator=self.generator)
        return self.processes.mine(chosen)


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, population: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch, population]).permutation(population)

"""What every objective is made of: phases, and the batch and the draws that a phase is given."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

EXAMPLES, PART = 10_000, 500
"""Training images at most that a closed form looks at, and how many at a time."""


@dataclass(frozen=True)
class Phase:
    """One optimizer step within a training step."""

    name: str
    trains: tuple[str, ...]
    """The networks that this phase changes; all others are frozen while it runs."""
    every: int = 1
    """The phase runs in steps 0, every, 2 * every, …"""
    begins: float = 0.0
    """Share of the planned images that a training has seen when the phase first runs."""
    until: float = 1.0
    """Share at which it no longer runs."""
    prepare: "Prepare | None" = None
    """What is done once before it first runs: closed forms, from many training images."""

    def is_due(self, step: int, progress: float) -> bool:
        return step % self.every == 0 and self.begins <= progress < self.until


@dataclass(frozen=True)
class Setting:
    """What an objective must know of the model and the data before it is built."""

    latent_dim: int
    """Width of the generator's noise; 0 where there is none."""
    label_shares: Tensor
    """Share of positives per label among the training images: [K]."""
    conditional: bool = False
    """Whether generator and discriminator are given the batch's labels, too."""


class Randomness(Protocol):
    """This process's share of draws that are made for the whole global batch."""

    def normal(self, *shape: int) -> Tensor: ...
    def uniform(self, *shape: int) -> Tensor: ...
    def copy(self) -> "Randomness":
        """Draws once more what this one will draw."""
        ...

    def for_all(self) -> "Randomness":
        """The same draws, those of the other processes included."""
        ...


class Processes(Protocol):
    """Those that train together, each with its share of the batch."""

    @property
    def count(self) -> int: ...
    def mine(self, whole: Tensor) -> Tensor:
        """[B, …] -> [B / count, …], the share of this one."""
        ...

    def whole(self, mine: Tensor) -> Tensor:
        """The same back, in the same order and without a gradient, in each process."""
        ...

    def mean(self, value: Tensor) -> Tensor:
        """Over the processes, of a mean over a share; without a gradient."""
        ...


class Alone:
    """One process, whose share is everything."""

    count = 1

    def mine(self, whole: Tensor) -> Tensor:
        return whole

    def whole(self, mine: Tensor) -> Tensor:
        return mine

    def mean(self, value: Tensor) -> Tensor:
        return value


def train_only(nets: nn.ModuleDict, phase: Phase) -> None:
    """Freezes all but the phase's networks: all first, as one may be part of another."""
    nets.requires_grad_(False)
    for name in phase.trains:
        nets[name].requires_grad_(True)


def unchanged(images: Tensor, rng: Randomness) -> Tensor:
    """The augmentation that changes nothing."""
    return images


@dataclass(frozen=True)
class Batch:
    """Fresh training data of one phase of one step."""

    real: Tensor
    """[B, …]: images in [-1, 1], or one-hots."""
    labels: Tensor | None = None
    """[B, K] of 0 and 1."""
    other: Tensor | None = None
    """[B, …]: images of the second domain, unpaired."""
    progress: float = 0.0
    """Share of the planned images that was seen before this step."""
    augment: Callable[[Tensor, Randomness], Tensor] = field(default=unchanged)
    """Differentiable; applied to whatever a discriminator sees."""
    processes: Processes = field(default_factory=Alone)

    def attributes(self) -> Tensor:
        """The labels, [B, K] of 0 and 1, in the images' precision, as networks are given them."""
        assert self.labels is not None
        return self.labels.to(self.real.dtype)


Prepare = Callable[[nn.ModuleDict, Iterator[Batch], Randomness], None]
"""Changes the networks, or what the objective remembers, by `EXAMPLES` rows of training data, which
come as batches of `PART`, each read when it is asked for."""


class Objective(Protocol):
    """A loss family: its phases, and the loss of each."""

    @property
    def memory(self) -> nn.Module | None:
        """Buffers that outlive a step, such as a pool of earlier fakes: saved with a checkpoint."""
        ...

    @property
    def phases(self) -> tuple[Phase, ...]: ...

    def loss(
        self, phase: Phase, nets: nn.ModuleDict, batch: Batch, rng: Randomness
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns the scalar to minimise, and detached figures to log."""
        ...

    def optimizer_ratio(self, network: str) -> float:
        """Scales a network's learning rate, and Adam's betas as an exponent: 1 changes nothing."""
        ...

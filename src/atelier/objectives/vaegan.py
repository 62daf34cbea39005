"""Two parts: a VAE learns to reconstruct, then its decoder goes on as the generator of a GAN.

Larsen et al. 2016, arXiv 1512.09300, whose second part also shows the discriminator
reconstructions beside draws. We deviate: the parts come one after the other, and in the second the
encoder rests; the adversarial loss is `relativistic`, in which each reconstruction is held against
the very image that it was made of; likeness is the squared error of pixels.
"""

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from atelier.objectives import relativistic
from atelier.objectives.adversarial import GENERATOR, Loss
from atelier.objectives.elbo import drawn, negative_bound
from atelier.objectives.phase import Batch, Phase, Randomness, Setting
from atelier.schema import NonNegative, Positive, Share, Strict


class Config(Strict):
    name: Literal["vaegan"]
    reconstruct_until: Share
    """Of the planned images: then the GAN begins."""
    head_start: Share
    """Of the planned images: so long the discriminator learns alone, before it may teach."""
    gamma: NonNegative
    """Weight of R1 + R2, each times gamma / 2. Grows with the image's area."""
    penalty_every: Positive
    """Steps from one penalty to the next."""
    likeness: NonNegative
    """Weight of the reconstructions' squared error on [-1, 1]; the adversarial loss weighs 1."""


class Objective(relativistic.Objective):
    """Half of each batch of fakes are reconstructions, in the order of their images."""

    def __init__(self, setting: Setting, config: Config) -> None:
        penalties = relativistic.Config(
            name="relativistic", gamma=config.gamma, penalty_every=config.penalty_every
        )
        super().__init__(setting, penalties)
        self.likeness = config.likeness
        begins, teaches = config.reconstruct_until, config.reconstruct_until + config.head_start
        self.bound = Phase("bound", trains=("encoder", "decoder"), until=begins)
        self.game = tuple(
            replace(phase, begins=teaches if phase == GENERATOR else begins)
            for phase in super().phases
        )

    @property
    def phases(self) -> tuple[Phase, ...]:
        return (self.bound, *self.game)

    def loss(self, phase: Phase, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        if phase == self.bound:
            return negative_bound(nets, batch.real, rng)
        return super().loss(phase, nets, batch, rng)

    def fakes(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Tensor:
        with torch.no_grad():
            found = nets["encoder"](batch.real[: _half(batch)]).float()
            means, log_variances = found.chunk(2, dim=1)
            again = drawn(means, log_variances, rng)
        others = rng.normal(len(batch.real) - len(again), self.setting.latent_dim)
        images: Tensor = nets["generator"](torch.cat([again, others]))
        return images

    def held_to(self, fakes: Tensor, batch: Batch) -> Loss:
        """Reconstructions, to their images."""
        half = _half(batch)
        error = (fakes[:half].float() - batch.real[:half]).square().mean()
        return self.likeness * error, {"likeness_loss": error.detach()}


def _half(batch: Batch) -> int:
    return len(batch.real) // 2


def build(config: Config, setting: Setting) -> Objective:
    return Objective(setting, config)

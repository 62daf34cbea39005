"""Relativistic pairing loss with zero-centred gradient penalties on reals (R1) and fakes (R2).

Jolicoeur-Martineau 2018, arXiv 1807.00734; Huang et al. 2024 (R3GAN), arXiv 2501.05441, section 2.
We deviate: the penalties are lazy (Karras et al. 2019, arXiv 1912.04958, appendix B): in every
k-th step, as an optimizer step of their own, weighted by k, with Adam's learning rate and betas
corrected by k / (k + 1). k = 1 adds them to every discriminator step, as R3GAN does.
"""

from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import softplus

from atelier.objectives.adversarial import (
    DISCRIMINATOR,
    GENERATOR,
    Adversarial,
    Loss,
    squared_gradient_norm,
)
from atelier.objectives.phase import Batch, Phase, Randomness, Setting
from atelier.schema import NonNegative, Positive, Strict


class Config(Strict):
    name: Literal["relativistic"]
    gamma: NonNegative
    """Weight of R1 + R2, each times gamma / 2. Grows with the image's area."""
    penalty_every: Positive
    """k: steps from one penalty to the next."""


class Objective(Adversarial):
    needs_real_in_generator_phase = True

    def __init__(self, setting: Setting, config: Config) -> None:
        super().__init__(setting)
        self.config = config
        self.penalty = Phase("penalty", DISCRIMINATOR.trains, every=config.penalty_every)

    @property
    def lazy(self) -> bool:
        return self.config.penalty_every > 1

    @property
    def phases(self) -> tuple[Phase, ...]:
        if self.lazy:
            return (GENERATOR, DISCRIMINATOR, self.penalty)
        return (GENERATOR, DISCRIMINATOR)

    def optimizer_ratio(self, network: str) -> float:
        if self.lazy and network in self.penalty.trains:
            return self.config.penalty_every / (self.config.penalty_every + 1)
        return 1.0

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(fake - real).mean()

    def generator_loss(self, real: Tensor | None, fake: Tensor) -> Tensor:
        assert real is not None
        return softplus(real - fake).mean()

    def loss(self, phase: Phase, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        if phase.name == "penalty":
            return self._penalty_phase(nets, batch, rng)
        loss, metrics = super().loss(phase, nets, batch, rng)
        if phase.name == DISCRIMINATOR.name and not self.lazy:
            penalty, figures = self._penalty_phase(nets, batch, rng)
            return loss + penalty, metrics | figures
        return loss, metrics

    def _penalty_phase(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        batch, fakes = self.to_tell_apart(nets, batch, rng)
        real, fake = self.augmented_pair(batch, fakes, rng)
        condition = self.condition(batch)
        r1 = squared_gradient_norm(nets["discriminator"], real, *condition).mean()
        r2 = squared_gradient_norm(nets["discriminator"], fake, *condition).mean()
        loss = self.config.penalty_every * self.config.gamma / 2 * (r1 + r2)
        return loss, {"r1": r1.detach(), "r2": r2.detach()}


def build(config: Config, setting: Setting) -> Objective:
    return Objective(setting, config)

"""Wasserstein distance with a gradient penalty.

Gulrajani et al. 2017, arXiv 1704.00028, algorithm 1. We deviate from the book's chapter 5: every
critic step sees fresh reals and fakes, of which the first step's are those that the generator has
just learnt from; the penalty is fp32; its gradient is with respect to the image and not to the
labels.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from atelier.objectives.adversarial import (
    DISCRIMINATOR,
    GENERATOR,
    Adversarial,
    Loss,
    judge_pair,
    squared_gradient_norm,
)
from atelier.objectives.phase import Batch, Phase, Randomness, Setting
from atelier.schema import NonNegative, Positive, Strict


class Config(Strict):
    name: Literal["wgan_gp"]
    gradient_penalty: NonNegative
    """lambda of the paper: 10."""
    critic_steps: Positive
    """Critic steps per generator step: 5 in the paper."""


class Objective(Adversarial):
    def __init__(self, setting: Setting, config: Config) -> None:
        super().__init__(setting)
        self.config = config

    @property
    def phases(self) -> tuple[Phase, ...]:
        return (GENERATOR, *(DISCRIMINATOR,) * self.config.critic_steps)

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def generator_loss(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return -fake.mean()

    def _discriminator_phase(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        batch, fakes = self.to_tell_apart(nets, batch, rng)
        critic, condition = nets["discriminator"], self.condition(batch)
        real, fake = self.augmented_pair(batch, fakes, rng)
        real_score, fake_score = judge_pair(critic, real, fake, *condition)
        norms = squared_gradient_norm(critic, between(real, fake, rng), *condition).sqrt()
        wasserstein = self.discriminator_loss(real_score, fake_score)
        loss = wasserstein + self.config.gradient_penalty * (norms - 1).square().mean()
        return loss, {
            "discriminator_loss": loss.detach(),
            "critic_gap": -wasserstein.detach(),
            "gradient_norm": norms.detach().mean(),
        }


def between(real: Tensor, fake: Tensor, rng: Randomness) -> Tensor:
    """A random point on the line from each real image to a fake one."""
    weight = rng.uniform(len(real), *[1] * (real.dim() - 1))
    return torch.lerp(fake.float(), real.float(), weight)


def build(config: Config, setting: Setting) -> Objective:
    return Objective(setting, config)

"""The relativistic loss with an auxiliary classifier: labels as a goal of their own.

Odena, Olah, Shlens 2017, arXiv 1610.09585, over `relativistic`. We deviate: the classifier is the
projection discriminator's own embedding. Turning one attribute around changes the logit by twice
that attribute's evidence, so the evidence is the classifier's logit, halved, and no head is added.
The discriminator learns it from reals alone, and the generator is to be understood as it was asked.
"""

from typing import Literal, Protocol, cast

import torch
from torch import Tensor, nn

from atelier.objectives import relativistic
from atelier.objectives.adversarial import Loss, cross_entropy
from atelier.objectives.phase import Batch, Randomness, Setting
from atelier.schema import NonNegative, Positive, Strict


class Config(Strict):
    name: Literal["relativistic_ac"]
    gamma: NonNegative
    """Weight of R1 + R2, each times gamma / 2. Grows with the image's area."""
    penalty_every: Positive
    """k: steps from one penalty to the next."""
    real_label_weight: NonNegative
    """Of the classifier's cross-entropy on reals, in the discriminator's phase."""
    fake_label_weight: NonNegative
    """Of its cross-entropy on fakes, in the generator's. Too much of it costs diversity."""


class Reading(Protocol):
    """A discriminator that says its evidence for each attribute beside its logit."""

    def read(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]: ...


class Objective(relativistic.Objective):
    def __init__(self, setting: Setting, config: Config) -> None:
        adversarial = config.model_dump(exclude={"name", "real_label_weight", "fake_label_weight"})
        super().__init__(setting, relativistic.Config(name="relativistic", **adversarial))
        self.real_label_weight = config.real_label_weight
        self.fake_label_weight = config.fake_label_weight

    def _discriminator_phase(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        batch, fakes = self.to_tell_apart(nets, batch, rng)
        (condition,) = self.condition(batch)
        pair = torch.cat(self.augmented_pair(batch, fakes, rng))
        discriminator = cast("Reading", nets["discriminator"])
        logits, evidence = discriminator.read(pair, torch.cat([condition, condition]))
        real, fake = logits.float().split(len(condition))
        loss = self.discriminator_loss(real, fake)
        label_loss = cross_entropy(evidence[: len(condition)], condition)
        return loss + self.real_label_weight * label_loss, {
            "discriminator_loss": loss.detach(),
            "label_loss_of_reals": label_loss.detach(),
            "real_logit": real.detach().mean(),
            "fake_logit": fake.detach().mean(),
        }

    def _generator_phase(self, nets: nn.ModuleDict, batch: Batch, rng: Randomness) -> Loss:
        (condition,) = self.condition(batch)
        images = batch.augment(self.fakes_to_learn_from(nets, batch, rng), rng)
        fake, evidence = cast("Reading", nets["discriminator"]).read(images, condition)
        with torch.no_grad():
            real = nets["discriminator"](batch.augment(batch.real, rng), condition).float()
        loss = self.generator_loss(real, fake.float())
        label_loss = cross_entropy(evidence, condition)
        return loss + self.fake_label_weight * label_loss, {
            "generator_loss": loss.detach(),
            "label_loss_of_fakes": label_loss.detach(),
        }


def build(config: Config, setting: Setting) -> Objective:
    return Objective(setting, config)

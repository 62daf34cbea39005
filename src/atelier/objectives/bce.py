"""The original loss in its non-saturating form, as binary cross-entropy on logits.

Goodfellow et al. 2014, arXiv 1406.2661. We deviate from the book's Sigmoid + BCELoss, whose
gradient vanishes for confident logits; the two discriminator terms are one optimizer step.
"""

from typing import Literal

from torch import Tensor
from torch.nn.functional import softplus

from atelier.objectives.adversarial import Adversarial
from atelier.objectives.phase import Setting
from atelier.schema import Strict


class Config(Strict):
    name: Literal["bce"]


class Objective(Adversarial):
    """softplus(-x) is BCE with logits against 1, softplus(x) against 0."""

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return softplus(-real).mean() + softplus(fake).mean()

    def generator_loss(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return softplus(-fake).mean()


def build(config: Config, setting: Setting) -> Objective:
    return Objective(setting)

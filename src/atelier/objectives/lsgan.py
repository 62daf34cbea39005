"""Least squares: reals towards 1, fakes towards 0, no sigmoid.

Mao et al. 2016, arXiv 1611.04076 (a = 0, b = c = 1), halved as in its equation 9.
"""

from typing import Literal

from torch import Tensor

from atelier.objectives.adversarial import Adversarial
from atelier.objectives.phase import Setting
from atelier.schema import Strict


class Config(Strict):
    name: Literal["lsgan"]


class Objective(Adversarial):
    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return 0.5 * ((real - 1).square().mean() + fake.square().mean())

    def generator_loss(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return 0.5 * (fake - 1).square().mean()


def build(config: Config, setting: Setting) -> Objective:
    return Objective(setting)

"""Hinge loss: the discriminator is content beyond a margin of 1 on either side.

Lim and Ye 2017, arXiv 1705.02894; Miyato et al. 2018, arXiv 1802.05957, equations 16 and 17.
"""

from typing import Literal

from torch import Tensor
from torch.nn.functional import relu

from atelier.objectives.adversarial import Adversarial
from atelier.objectives.phase import Setting
from atelier.schema import Strict


class Config(Strict):
    name: Literal["hinge"]


class Objective(Adversarial):
    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return relu(1 - real).mean() + relu(1 + fake).mean()

    def generator_loss(self, real: Tensor | None, fake: Tensor) -> Tensor:
        return -fake.mean()


def build(config: Config, setting: Setting) -> Objective:
    return Objective(setting)

"""Reconstruction: the error between an image and what its code is decoded to.

The mean squared error, whose optimum PSNR measures, mixed with the mean absolute error, which
blurs less (Zhao et al. 2017, arXiv 1511.08861). Both are means over pixels of [-1, 1].
"""

import math
from typing import Literal

from torch import Tensor, nn

from atelier.objectives.phase import Batch, Phase, Randomness, Setting
from atelier.schema import Share, Strict

RANGE = 2.0
"""From black to white."""


class Config(Strict):
    name: Literal["reconstruction"]
    absolute_share: Share
    """Of the absolute error in the loss; 0: squared error alone."""


class Objective:
    """One phase that trains both halves."""

    phases = (Phase("reconstruction", trains=("encoder", "decoder")),)
    memory = None

    def __init__(self, absolute_share: float) -> None:
        self.absolute_share = absolute_share

    def optimizer_ratio(self, network: str) -> float:
        return 1.0

    def loss(
        self, phase: Phase, nets: nn.ModuleDict, batch: Batch, rng: Randomness
    ) -> tuple[Tensor, dict[str, Tensor]]:
        errors = nets["decoder"](nets["encoder"](batch.real)).float() - batch.real
        squared, absolute = errors.square().mean(), errors.abs().mean()
        loss = (1 - self.absolute_share) * squared + self.absolute_share * absolute
        psnr_db = -10 / math.log(10) * (squared.detach() / RANGE**2).log()
        return loss, {"reconstruction_loss": loss.detach(), "psnr_db": psnr_db}


def build(config: Config, setting: Setting) -> Objective:
    return Objective(config.absolute_share)

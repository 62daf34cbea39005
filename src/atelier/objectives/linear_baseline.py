"""The book's three steps: D on reals, D on fakes, G; BCELoss on probabilities.

Liu, Learn Generative AI with PyTorch (2024), 3.5.2. Two optimizer steps of D in each training
step, as taught; `bce` is the modern form.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy

from atelier.objectives.phase import Batch, Phase, Randomness, Setting
from atelier.schema import Strict


class Config(Strict):
    name: Literal["linear_baseline"]


class Objective:
    """Needs a discriminator that ends in a sigmoid."""

    memory = None
    phases = (
        Phase("real", trains=("discriminator",)),
        Phase("fake", trains=("discriminator",)),
        Phase("generator", trains=("generator",)),
    )

    def __init__(self, latent_dim: int) -> None:
        self.latent_dim = latent_dim

    def optimizer_ratio(self, network: str) -> float:
        return 1.0

    def loss(
        self, phase: Phase, nets: nn.ModuleDict, batch: Batch, rng: Randomness
    ) -> tuple[Tensor, dict[str, Tensor]]:
        rows = batch.real
        if phase.name != "real":
            with torch.set_grad_enabled(phase.name == "generator"):
                rows = nets["generator"](rng.normal(len(batch.real), self.latent_dim))
        probability = nets["discriminator"](rows)
        wanted = torch.full_like(probability, 0.0 if phase.name == "fake" else 1.0)
        loss = binary_cross_entropy(probability, wanted)
        return loss, {f"{phase.name}_loss": loss.detach()}


def build(config: Config, setting: Setting) -> Objective:
    return Objective(setting.latent_dim)

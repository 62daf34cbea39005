"""Binary cross-entropy on each of several labels: how a judge is trained.

Rare labels count as much as common ones: each term is weighted by the inverse frequency of its
value among the training labels, capped, so that a judge of eyeglasses does not learn "none".
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from atelier.objectives.phase import Batch, Phase, Randomness, Setting
from atelier.schema import Share, Strict


class Config(Strict):
    name: Literal["classification"]
    label_smoothing: Share


class Objective:
    """One phase that trains `classifier`: [B, 3, S, S] -> [B, K] logits."""

    phases = (Phase("classifier", trains=("classifier",)),)
    memory = None
    heaviest = 10.0
    """Cap on the weight of a rare value."""

    def __init__(self, config: Config, label_shares: Tensor) -> None:
        self.smoothing = config.label_smoothing
        self.positive_weight = (0.5 / label_shares.clamp(min=1e-6)).clamp(max=self.heaviest)
        self.negative_weight = (0.5 / (1 - label_shares).clamp(min=1e-6)).clamp(max=self.heaviest)

    def optimizer_ratio(self, network: str) -> float:
        return 1.0

    def loss(
        self, phase: Phase, nets: nn.ModuleDict, batch: Batch, rng: Randomness
    ) -> tuple[Tensor, dict[str, Tensor]]:
        assert batch.labels is not None
        labels = batch.labels.float()
        logits = nets["classifier"](batch.augment(batch.real, rng)).float()
        weight = torch.where(
            labels > 0.5, self.positive_weight.to(labels), self.negative_weight.to(labels)
        )
        smooth = labels * (1 - self.smoothing) + self.smoothing / 2
        loss = binary_cross_entropy_with_logits(logits, smooth, weight=weight)
        accuracy = ((logits > 0) == (labels > 0.5)).float().mean()
        return loss, {"classifier_loss": loss.detach(), "accuracy": accuracy}


def build(config: Config, setting: Setting) -> Objective:
    return Objective(config, setting.label_shares)

"""The evidence lower bound, with the decoder's deviation found from its errors.

Kingma and Welling 2013, arXiv 1312.6114; sigma-VAE: Rybkin et al. 2021, arXiv 2006.13202, section
4: a Gaussian decoder whose one deviation is the optimal one, the root of the mean squared error of
the batch. So reconstruction and KL are weighed
by the data and not by hand. Images are in [0, 1] here, made continuous by uniform noise of one grey
level (Theis et al. 2016, arXiv 1511.01844), so that the density is bounded by what bytes carry.

Figures are nats per image, summed over pixels and channels, or over codes. We deviate: the loss is
divided by the number of pixel values, which Adam does not mind and a log can show; the KL's weight
warms up from a tenth; the deviation is at least a grey level.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from atelier.objectives.phase import Batch, Phase, Randomness, Setting
from atelier.schema import Share, Strict

LEVELS = 256
SMALLEST_SIGMA = 1 / 255


class Config(Strict):
    name: Literal["elbo"]
    first_kl_weight: Share
    """The KL's weight at the start; it grows in a straight line to 1."""
    warm_up_share: Share
    """Of the planned images, until the weight is 1."""


class Objective:
    """One phase that trains both halves; the encoder gives means and log-variances, [B, 2 L]."""

    phases = (Phase("elbo", trains=("encoder", "decoder")),)
    memory = None

    def __init__(self, config: Config) -> None:
        self.config = config

    def optimizer_ratio(self, network: str) -> float:
        return 1.0

    def kl_weight(self, progress: float) -> float:
        if progress >= self.config.warm_up_share:
            return 1.0
        first = self.config.first_kl_weight
        return first + (1 - first) * progress / self.config.warm_up_share

    def loss(
        self, phase: Phase, nets: nn.ModuleDict, batch: Batch, rng: Randomness
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return negative_bound(nets, batch, rng, self.kl_weight(batch.progress))


def negative_bound(
    nets: nn.ModuleDict,
    batch: Batch,
    rng: Randomness,
    kl_weight: float = 1.0,
    condition: tuple[Tensor, ...] = (),
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss, of a batch's images by an `encoder` and a `decoder`; its figures.

    `condition`: what the decoder is given beside a code, such as the image's attributes.
    """
    images = batch.real
    means, log_variances = nets["encoder"](images).float().chunk(2, dim=1)
    codes = drawn(means, log_variances, rng)
    decoded = (nets["decoder"](codes, *condition).float() + 1) / 2
    squared = (decoded - dequantised(images, rng.uniform(*images.shape))).square()
    mean_squared = squared.mean()
    sigma = batch.processes.mean(mean_squared.detach()).sqrt().clamp(min=SMALLEST_SIGMA)
    dimensions = images[0].numel()
    reconstruction = dimensions * negative_log_likelihood(mean_squared, sigma)
    kl = kl_to_standard_normal(means, log_variances).mean()
    loss = (reconstruction + kl_weight * kl) / dimensions
    nats = (reconstruction + kl).detach()
    return loss, {
        "elbo_loss": loss.detach(),
        "nats_per_image": nats,
        "kl_nats_per_image": kl.detach(),
        "bits_per_dimension": nats / dimensions / math.log(2) + math.log2(LEVELS),
        "sigma": sigma,
    }


def drawn(means: Tensor, log_variances: Tensor, rng: Randomness) -> Tensor:
    """Codes [B, L] of the distributions that an encoder gives."""
    codes: Tensor = means + (0.5 * log_variances).exp() * rng.normal(*means.shape)
    return codes


def dequantised(images: Tensor, noise: Tensor) -> Tensor:
    """Bytes as floats in [-1, 1], and uniform noise in [0, 1) -> continuous in [0, 1)."""
    return ((images + 1) * (LEVELS - 1) / 2 + noise) / LEVELS


def negative_log_likelihood(mean_squared: Tensor, sigma: Tensor) -> Tensor:
    """-log N(x; decoded, sigma^2), on average: nats per dimension, with the constant."""
    return 0.5 * (2 * math.pi * sigma**2).log() + 0.5 * mean_squared / sigma**2


def kl_to_standard_normal(means: Tensor, log_variances: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, 1)), summed over codes: [B, L] -> [B] nats."""
    inner = means.square() + torch.expm1(log_variances) - log_variances
    return 0.5 * inner.sum(1)


def build(config: Config, setting: Setting) -> Objective:
    return Objective(config)

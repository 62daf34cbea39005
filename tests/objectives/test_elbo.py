"""The bound's terms against torch.distributions, and the warm-up of its KL."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from atelier.objectives import elbo
from atelier.objectives.phase import Batch
from atelier.training.randomness import StepRandomness


def test_kl_is_that_of_the_library():
    means, log_variances = torch.randn(5, 7), torch.randn(5, 7)
    found = elbo.kl_to_standard_normal(means, log_variances)
    wanted = kl_divergence(Normal(means, (0.5 * log_variances).exp()), Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(found, wanted, rtol=1e-4)


def test_negative_log_likelihood_is_that_of_the_library():
    errors, sigma = torch.randn(1000) * 0.1, torch.tensor(0.13)
    found = elbo.negative_log_likelihood(errors.square().mean(), sigma)
    assert found == pytest.approx(-Normal(0.0, sigma).log_prob(errors).mean().item(), rel=1e-4)


def test_the_best_deviation_is_the_root_of_the_mean_squared_error():
    squared = torch.tensor(0.04)
    at_best = elbo.negative_log_likelihood(squared, torch.tensor(0.2))
    for other in (0.19, 0.21):
        assert elbo.negative_log_likelihood(squared, torch.tensor(other)) > at_best


def test_bytes_become_continuous_within_their_grey_level():
    levels = torch.arange(256)
    images = levels / 127.5 - 1
    for noise in (0.0, 0.999):
        found = elbo.dequantised(images, torch.full((256,), noise)) * 256
        assert torch.allclose(found, levels + noise, atol=1e-3)


def test_the_weight_of_the_kl_warms_up_and_stays():
    config = elbo.Config(name="elbo", first_kl_weight=0.1, warm_up_share=0.2)
    objective = elbo.Objective(config)
    assert objective.kl_weight(0.0) == pytest.approx(0.1)
    assert objective.kl_weight(0.1) == pytest.approx(0.55)
    assert objective.kl_weight(0.2) == objective.kl_weight(1.0) == 1.0
    at_once = elbo.Objective(config.model_copy(update={"warm_up_share": 0.0}))
    assert at_once.kl_weight(0.0) == 1.0


class Still(nn.Module):
    """Codes N(0, 1) whatever the image."""

    def forward(self, images):
        return torch.zeros(len(images), 8)


class Grey(nn.Module):
    """The middle of the range, whatever the code."""

    def forward(self, codes):
        return torch.zeros(len(codes), 3, 4, 4)


def test_a_decoder_that_knows_nothing_costs_what_the_data_varies():
    """Closed form: KL 0, and the likelihood of a normal with the images' own deviation."""
    objective = elbo.Objective(elbo.Config(name="elbo", first_kl_weight=1.0, warm_up_share=0.0))
    images = torch.randint(0, 256, (64, 3, 4, 4)).float() / 127.5 - 1
    batch = Batch(real=images, progress=0.5)
    nets = nn.ModuleDict({"encoder": Still(), "decoder": Grey()})
    _, metrics = objective.loss(objective.phases[0], nets, batch, StepRandomness(1, 2, 3))
    sigma = metrics["sigma"].item()
    wanted = 48 * (0.5 * math.log(2 * math.pi * sigma**2) + 0.5)
    assert sigma == pytest.approx((images / 2).square().mean().sqrt().item(), rel=0.02)
    assert metrics["kl_nats_per_image"] == 0
    assert metrics["nats_per_image"].item() == pytest.approx(wanted, rel=1e-4)

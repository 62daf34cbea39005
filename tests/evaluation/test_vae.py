"""The bound in a case that can be integrated, used codes, the mixture, the deviation."""

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from atelier.evaluation.vae import (
    active_units,
    bound,
    decoder_sigma,
    fit_mixture,
)

SIGMA = 0.1
SHAPE = (1, 2, 2)
NOISE = np.random.default_rng(0)


def decode(codes):
    """Every pixel is 0.5 + 0.1 of the one code: a linear Gaussian model."""
    pixels = 0.5 + 0.1 * codes[:, :1]
    return (np.repeat(pixels, 4, axis=1) * 2 - 1).reshape(-1, *SHAPE).astype(np.float32)


def distribution(images):
    """Its true posterior, by Bayes: precision 1 + 4 (0.1 / sigma)^2."""
    values = (images.astype(np.float64) + 0.5) / 256
    precision = 1 + 4 * (0.1 / SIGMA) ** 2
    means = (values - 0.5).sum(axis=(1, 2, 3))[:, None] * 0.1 / SIGMA**2 / precision
    return means.astype(np.float32), np.full_like(means, -math.log(precision), np.float32)


def drawn(count):
    codes = NOISE.normal(size=(count, 1))
    values = 0.5 + 0.1 * codes + SIGMA * NOISE.normal(size=(count, 4))
    return (values * 256).clip(0, 255).astype(np.uint8).reshape(count, *SHAPE)


def test_the_bound_of_the_true_posterior_is_the_density():
    """Then the bound is tight: log N(x; 0.5, 0.01 + sigma^2 I), to what grey levels blur."""
    images = drawn(4000)
    negative_log_likelihood, kl = bound(distribution, decode, images, SIGMA, seed=1)
    values = ((images.astype(np.float64) + 0.5) / 256).reshape(-1, 4)
    exact = multivariate_normal(np.full(4, 0.5), 0.01 + SIGMA**2 * np.eye(4)).logpdf(values)
    assert (negative_log_likelihood + kl).mean() == pytest.approx(-exact.mean(), abs=0.03)


def test_a_worse_posterior_has_a_looser_bound():
    images = drawn(500)
    tight = np.sum(bound(distribution, decode, images, SIGMA, seed=1), axis=0).mean()

    def vague(pictures):
        means, _ = distribution(pictures)
        return means, np.zeros_like(means)

    assert np.sum(bound(vague, decode, images, SIGMA, seed=1), axis=0).mean() > tight + 0.1


def test_the_deviation_is_the_one_that_the_data_has():
    assert decoder_sigma(distribution, decode, drawn(2000), seed=0) == pytest.approx(SIGMA, rel=0.2)


def test_codes_that_vary_are_counted():
    means = NOISE.normal(size=(500, 5)) * [1, 0.2, 0.05, 0, 2]
    assert active_units(means.astype(np.float32)) == 3


def test_a_mixture_draws_like_the_codes():
    centres = np.array([[4.0, 0.0], [-4.0, 1.0]])
    codes = centres[NOISE.integers(0, 2, 1000)] + 0.3 * NOISE.normal(size=(1000, 2))
    found = fit_mixture(codes.astype(np.float32), seed=0)
    assert found["mixture_weights"].sum() == pytest.approx(1, abs=1e-5)
    which = NOISE.choice(len(found["mixture_weights"]), 5000, p=found["mixture_weights"])
    steps = NOISE.normal(size=(5000, 2, 1))
    draws = found["mixture_means"][which] + (found["mixture_scales"][which] @ steps)[..., 0]
    nearest = np.linalg.norm(draws[:, None] - centres, axis=2).min(axis=1)
    assert np.mean(nearest < 1.2) > 0.99
    assert draws.mean(axis=0) == pytest.approx(codes.mean(axis=0), abs=0.3)


def test_few_codes_have_few_components():
    codes = NOISE.normal(size=(120, 2)).astype(np.float32)
    assert len(fit_mixture(codes, seed=0)["mixture_weights"]) == 2

"""Reconstructions against principal components that are known, and against identity."""

import numpy as np
import pytest

from atelier.evaluation.reconstruction import (
    evaluate_reconstruction,
    principal_reconstructions,
    reconstruct,
    reconstruction_figures,
    squared_errors,
)

NOISE = np.random.default_rng(0)


def plane(count, rank=3, size=16):
    """Images that vary in so many directions, at random: uint8 [N, 3, S, S]."""
    basis = np.random.default_rng(7).normal(size=(rank, 3 * size * size))
    codes = NOISE.normal(size=(count, rank))
    flat = 127.5 + 12 * codes @ basis
    return flat.round().clip(0, 255).astype(np.uint8).reshape(count, 3, size, size)


def test_principal_components_find_the_plane_that_images_lie_in():
    training, images = plane(400), plane(50)
    whole = squared_errors(images, principal_reconstructions(training, images, 3)).mean()
    part = squared_errors(images, principal_reconstructions(training, images, 2)).mean()
    assert whole < (0.7 / 255) ** 2  # rounding to bytes alone
    assert part > 100 * whole


def test_their_error_is_what_the_other_components_hold():
    """Closed form: the mean squared error on the training images is the sum of the eigenvalues
    that are left out."""
    # Spectra of pictures fall slowly, where solvers that guess the components lose the last ones.
    count, kept, spread = 300, 40, 300 * np.arange(1, 301) ** -0.7
    draws = NOISE.normal(size=(count, count)) * spread @ NOISE.normal(size=(count, 768))
    training = (127.5 + draws / 40).round().clip(0, 255).astype(np.uint8).reshape(-1, 3, 16, 16)
    flat = training.reshape(count, -1) / 255
    values = np.linalg.svd(flat - flat.mean(0), compute_uv=False) ** 2
    made = principal_reconstructions(training, training, kept)
    # Rounding to bytes adds its own: a twelfth of a grey level, squared.
    expected = values[kept:].sum() / flat.size + 1 / 12 / 255**2
    assert squared_errors(training, made).mean() == pytest.approx(expected, rel=1e-3)


def test_errors_and_decibels_agree_with_arithmetic():
    images = np.full((2, 3, 16, 16), 100, np.uint8)
    made = images + np.array([3, 6], np.uint8)[:, None, None, None]
    assert squared_errors(images, made) == pytest.approx([(3 / 255) ** 2, (6 / 255) ** 2])
    figures = reconstruction_figures(images, made)
    decibels = [20 * np.log10(255 / 3), 20 * np.log10(255 / 6)]
    assert figures["psnr_db"] == pytest.approx(np.mean(decibels))
    assert figures["psnr_of_mean_error_db"] == pytest.approx(10 * np.log10(255**2 / 22.5))


def test_a_code_that_keeps_all_is_above_principal_components():
    training, images = plane(100), plane(20)

    def encode(pictures):
        return pictures.reshape(len(pictures), -1).astype(np.float32)

    def decode(codes):
        return (codes / 127.5 - 1).reshape(-1, 3, 16, 16).astype(np.float32)

    assert (reconstruct(encode, decode, images) == images).all()
    found = evaluate_reconstruction(lambda x: encode(x)[:, :2], lambda c: _of(c), training, images)
    assert found["settings"]["pca_components"] == 2
    assert found["psnr_db_above_pca"] == pytest.approx(found["psnr_db"] - found["psnr_db_pca"])
    assert found["psnr_db_above_pca"] < 0


def _of(codes):
    return np.zeros((len(codes), 3, 16, 16), np.float32)

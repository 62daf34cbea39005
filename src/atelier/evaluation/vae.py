"""What a variational autoencoder is worth: its bound in nats, its used codes, its samples.

Nats are per image, summed over pixels and channels, or over codes. Images are in [0, 1], made
continuous by uniform noise of one grey level, and a decoder's deviation is one number that was
found on training images: so the bound is one on the data's own density, and no batch decides it.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from atelier.evaluation.degraded import blurred
from atelier.evaluation.features import BATCH, Features, Images, evenly
from atelier.evaluation.keys import (
    BLURRED,
    CEILING,
    MIXTURE,
    NORMAL,
    SETTINGS,
    distance_to,
    error_of,
)
from atelier.evaluation.kid import kid
from atelier.evaluation.reconstruction import Codes, Decode, reconstruct
from atelier.evaluation.reference import ReferenceSet
from atelier.evaluation.scale import ways

Distribution = Callable[[Images], tuple[Codes, Codes]]
"""uint8 [N, 3, S, S] -> means and log-variances, [N, L] each."""
SampleBy = Callable[[str], Images]
"""The name of a sampler, `normal` or `mixture` -> uint8 [count, 3, S, S]."""
PerImage = npt.NDArray[np.float64]
"""[N]"""

LEVELS = 256
SMALLEST_SIGMA = 1 / 255
SIGMA_ROWS = 2000
"""Training images that the deviation is found on: more change its third digit."""
ACTIVE_ABOVE = 0.01
"""Burda et al. 2016, arXiv 1509.00519: variance over images of a code's mean, if it says a thing
about them."""
COMPONENTS = 10
ROWS_PER_COMPONENT = 50
"""Codes at least for each component of a mixture, and twice as many as it has numbers."""
RECONSTRUCTIONS = "reconstructions"
LARGEST_GAP = 0.25
"""What sampling may add to a reconstruction's KID, as a share of what a blur adds to the reals'."""


def evaluate_vae(
    distribution: Distribution,
    decode: Decode,
    sample: SampleBy,
    reference: ReferenceSet,
    sigma: float,
    seed: int,
) -> dict[str, Any]:
    """The bound and the used codes over the reference's reals; distances of samples to them."""
    reals = reference.reals
    negative_log_likelihood, kl = bound(distribution, decode, reals, sigma, seed)
    nats, dimensions = float((negative_log_likelihood + kl).mean()), reals[0].size
    means = np.concatenate([found for found, _ in _in_batches(distribution, reals)])
    figures: dict[str, Any] = {
        "nats_per_image": nats,
        "reconstruction_nats_per_image": float(negative_log_likelihood.mean()),
        "kl_nats_per_image": float(kl.mean()),
        "bits_per_dimension": nats / dimensions / math.log(2) + math.log2(LEVELS),
        "sigma": sigma,
        "active_units": active_units(means),
    }
    sets = _sets(distribution, decode, sample, reference)
    features = {
        name: reference.features_of_reals(images)
        if name in (BLURRED, CEILING)
        else reference.features(images)
        for name, images in sets.items()
    }
    for extractor, of_reals in reference.real_features.items():
        found = {name: of[extractor] for name, of in features.items()}
        figures[extractor] = _distances(of_reals, found)
    figures[SETTINGS] = {"images": len(reals), "seed": seed, "split": reference.split}
    return figures


def _sets(
    distribution: Distribution, decode: Decode, sample: SampleBy, reference: ReferenceSet
) -> dict[str, Images]:
    """What is set beside the reals. The reconstructions are of training images, as the ceiling is:
    those of the reals themselves would be nearer than any sample can be."""
    normal = sample(NORMAL)
    ceiling = evenly(reference.training, len(normal))
    return {
        NORMAL: normal,
        MIXTURE: sample(MIXTURE),
        RECONSTRUCTIONS: reconstruct(lambda images: distribution(images)[0], decode, ceiling),
        BLURRED: blurred(ceiling),
        CEILING: ceiling,
    }


def _distances(reals: Features, sets: dict[str, Features]) -> dict[str, Any]:
    """KID of each set, and what sampling adds beside what it may."""
    figures: dict[str, Any] = {}
    for name, features in sets.items():
        found = kid(reals, features)
        figures[distance_to(name)] = found.value
        figures[error_of(distance_to(name))] = found.standard_error
    mixture, reconstructions, blur, ceiling = (
        figures[distance_to(name)] for name in (MIXTURE, RECONSTRUCTIONS, BLURRED, CEILING)
    )
    gap, allowed = mixture - reconstructions, LARGEST_GAP * (blur - ceiling)
    within = bool(gap <= allowed)
    return {**figures, **ways(figures), "gap": gap, "largest_gap": allowed, "within_bound": within}


def decoder_sigma(distribution: Distribution, decode: Decode, training: Images, seed: int) -> float:
    """The deviation that makes training images likeliest, in [0, 1] and at least a grey level:
    the root of the mean squared error of decoded draws."""
    errors = _errors(distribution, decode, evenly(training, SIGMA_ROWS), seed)
    mean = float(errors.sum()) / (len(errors) * training[0].size)
    return max(math.sqrt(mean), SMALLEST_SIGMA)


def bound(
    distribution: Distribution, decode: Decode, images: Images, sigma: float, seed: int
) -> tuple[PerImage, PerImage]:
    """The two terms of the negative bound: -log p(image | draw), and KL to N(0, 1): nats, [N]."""
    dimensions = images[0].size
    constant = 0.5 * dimensions * math.log(2 * math.pi * sigma**2)
    errors = _errors(distribution, decode, images, seed)
    negative_log_likelihood = constant + errors / (2 * sigma**2)
    parts = []
    for means, log_variances in _in_batches(distribution, images):
        inner = means.astype("f8") ** 2 + np.expm1(log_variances.astype("f8")) - log_variances
        parts.append(0.5 * inner.sum(axis=1))
    return negative_log_likelihood, np.concatenate(parts)


def active_units(means: Codes) -> int:
    """Codes whose mean varies over the images, [N, L]."""
    return int((means.var(axis=0) > ACTIVE_ABOVE).sum())


def fit_mixture(codes: Codes, seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """A Gaussian mixture of the training images' codes, [N, L], as a bundle has it.

    N(0, 1) is what codes should be like; the mixture is what they are like (Ghosh et al. 2020,
    arXiv 1903.12436). `mixture_weights` [C], `mixture_means` [C, L], and `mixture_scales`
    [C, L, L]: the lower factor of each covariance, whose product with normal numbers is a draw.
    """
    from sklearn.mixture import GaussianMixture

    rows = max(ROWS_PER_COMPONENT, 2 * codes.shape[1])
    components = max(1, min(COMPONENTS, len(codes) // rows))
    mixture = GaussianMixture(
        components, covariance_type="full", reg_covar=1e-3, tol=1e-2, random_state=seed
    )
    mixture.fit(codes.astype(np.float64))
    return {
        "mixture_weights": mixture.weights_.astype(np.float32),
        "mixture_means": mixture.means_.astype(np.float32),
        "mixture_scales": np.linalg.cholesky(mixture.covariances_).astype(np.float32),
    }


def _errors(distribution: Distribution, decode: Decode, images: Images, seed: int) -> PerImage:
    """Squared error of a decoded draw, summed over an image whose values are in [0, 1]: [N]."""
    noise, parts = np.random.default_rng(seed), []
    batches = _in_batches(distribution, images)
    for start, (means, log_variances) in zip(range(0, len(images), BATCH), batches, strict=True):
        draws = noise.standard_normal(means.shape, np.float32)
        decoded = decode(means + np.exp(0.5 * log_variances) * draws)
        batch = images[start : start + BATCH]
        continuous = (batch + noise.random(batch.shape, np.float32)) / LEVELS
        difference = (decoded + 1) / 2 - continuous
        parts.append((difference.astype(np.float64) ** 2).reshape(len(batch), -1).sum(axis=1))
    return np.concatenate(parts)


def _in_batches(distribution: Distribution, images: Images) -> list[tuple[Codes, Codes]]:
    starts = range(0, len(images), BATCH)
    return [distribution(np.array(images[at : at + BATCH])) for at in starts]

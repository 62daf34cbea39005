"""FD: the Frechet distance between two sets, each taken as a Gaussian in 64 principal components.

Heusel et al. 2017, arXiv 1706.08500. We deviate: the components are fixed by training features,
because a covariance of all channels is not to be had from a thousand images; and the distance
falls with the number of images, so it is left out below ten of them for each component.
"""

import numpy as np
import numpy.typing as npt
import torch

from atelier.evaluation.estimate import Estimate
from atelier.evaluation.features import Features

DIMENSIONS = 64
LEAST_PER_DIMENSION = 10
SUBSAMPLES = 20


class FrechetDistance:
    """FD in the principal components of training features, [N, D]."""

    def __init__(self, training: Features, seed: int) -> None:
        from sklearn.decomposition import PCA

        self.components = PCA(DIMENSIONS, svd_solver="covariance_eigh").fit(training)
        self.seed = seed

    def __call__(self, reals: Features, fakes: Features) -> Estimate:
        """The distance of two sets, with its standard error from random halves (delete-n/2).

        Raises:
            ValueError: there are too few of them; ask `too_few` first.
        """
        reason = too_few(reals, fakes)
        if reason:
            raise ValueError(reason)
        first, second = self.components.transform(reals), self.components.transform(fakes)
        draw = np.random.default_rng(self.seed)
        # With halves, the spread over subsamples is the standard error itself (Shao, Wu 1989).
        halves = [distance(_half(first, draw), _half(second, draw)) for _ in range(SUBSAMPLES)]
        return Estimate(distance(first, second), float(np.std(halves, ddof=1)))


def too_few(*sets: Features) -> str | None:
    """Why FD has to be left out, if it has to."""
    needed = DIMENSIONS * LEAST_PER_DIMENSION
    count = min(len(features) for features in sets)
    return f"needs {needed} images (got {count})" if count < needed else None


def distance(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> float:
    """Frechet distance of the Gaussians with the means and covariances of two sets, [N, D]."""
    # Takes seconds to import: not where too few images leave the distance out.
    from torch_fidelity.metric_fid import (
        KEY_METRIC_FID,
        fid_features_to_statistics,
        fid_statistics_to_metric,
    )

    statistics = [
        fid_features_to_statistics(torch.from_numpy(features.astype(np.float64)))
        for features in (first, second)
    ]
    found: float = fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID]
    return found


def _half(
    features: npt.NDArray[np.floating], draw: np.random.Generator
) -> npt.NDArray[np.floating]:
    return features[draw.choice(len(features), len(features) // 2, replace=False)]

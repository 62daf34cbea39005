"""Are samples copies? Share of them that lie nearer to the training images than to held-out ones.

After Meehan et al. 2020, arXiv 2004.05675: against as many held-out reals as training images, a
generator that has learnt the distribution is nearer to either equally often. We count instead of
ranking distances, which needs no model of them, and take the nearer of an image and its mirror
image, because training mirrors.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import adaptive_avg_pool2d

from atelier.evaluation.features import Extractor, Images, evenly
from atelier.evaluation.keys import SETTINGS, WITNESS
from atelier.evaluation.reference import ReferenceSet

SIDE = 32
"""Pixels: copies agree there, and grain does not count."""
CONFIDENCE = 0.95

Rows = npt.NDArray[np.floating]


def evaluate_memorisation(samples: Images, reference: ReferenceSet) -> dict[str, Any]:
    """By pixels and by witness features, against the reference's reals: expected is 0.5."""
    return memorisation(samples, reference.training, reference.reals, reference.extractors[WITNESS])


def memorisation(
    samples: Images, training: Images, held_out: Images, witness: Extractor
) -> dict[str, Any]:
    """{"pixels": figures, "witness": figures, "settings": …} of three sets, uint8 [N, 3, S, S].

    Training and held-out images are thinned to equal numbers, evenly over each set.
    """
    count = min(len(training), len(held_out))
    known, other = evenly(training, count), evenly(held_out, count)
    figures: dict[str, Any] = {}
    for name, seen in (("pixels", _small), (WITNESS, witness)):
        near, far = (
            _nearest(seen(samples), np.concatenate([seen(reals), seen(_mirrored(reals))]))
            for reals in (known, other)
        )
        figures[name] = _share_nearer(near, far)
    settings = {"samples": len(samples), "reals_each": count, "side_pixels": SIDE}
    return figures | {SETTINGS: settings}


def nearest_known(images: Images, known: Images) -> npt.NDArray[np.float64]:
    """Each image's distance to the nearest of all known ones or their mirror images, in pixels.

    [N, 3, S, S] and [M, 3, S, S] -> [N] root mean square differences, in grey levels of 255.
    """
    return _nearest(_small(images), np.concatenate([_small(known), _small(_mirrored(known))]))


def _share_nearer(near: npt.NDArray[np.float64], far: npt.NDArray[np.float64]) -> dict[str, float]:
    """Share of rows with near < far; a tie counts for neither."""
    from scipy.stats import binomtest

    decided = near != far
    nearer, total = int((near < far).sum()), int(decided.sum())
    if total == 0:
        return {"nearer_to_training": 0.5, "low": 0.0, "high": 1.0}
    interval = binomtest(nearer, total).proportion_ci(CONFIDENCE, method="wilson")
    return {
        "nearer_to_training": nearer / total,
        "low": float(interval.low),
        "high": float(interval.high),
    }


def _nearest(rows: Rows, to: Rows) -> npt.NDArray[np.float64]:
    """Root mean square difference to the nearest: [N, D] and [M, D] -> [N]."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(to).kneighbors(rows)[0]
    nearest: npt.NDArray[np.float64] = found[:, 0] / np.sqrt(rows.shape[1])
    return nearest


def _small(images: Images) -> npt.NDArray[np.float32]:
    """uint8 [N, 3, S, S] -> [N, 3 * 32 * 32] in [0, 255]; smaller images stay as they are."""
    pixels = torch.from_numpy(np.array(images)).float()
    if images.shape[-1] > SIDE:
        pixels = adaptive_avg_pool2d(pixels, SIDE)
    return pixels.flatten(1).numpy()


def _mirrored(images: Images) -> Images:
    return np.ascontiguousarray(images[..., ::-1])

"""Are samples copies? Two questions, each asked of an image and its mirror image, since training
mirrors.

Is a sample nearer to its nearest of *all* training images than all but one in a hundred held-out
reals are to theirs, and that one much nearer than the next? That sees single copies; the gate
refuses by it. The second half spares blurred pictures, which are nearer to all images.

Does a sample lie nearer to the training images than to as many held-out ones? After Meehan et al.
2020, arXiv 2004.05675: a generator that has learnt the distribution is nearer to either equally
often. We count instead of ranking distances, which needs no model of them. That sees a set which
leans towards what it was trained on, but not the copies of images that were thinned away.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from atelier.evaluation.features import Extractor, FeaturesBy, Images, evenly
from atelier.evaluation.keys import SETTINGS, WITNESS
from atelier.evaluation.reference import ReferenceSet

SIDE = 32
"""Pixels: copies agree there, and grain does not count."""
CONFIDENCE = 0.95
NEAREST_REALS = 1.0
"""Percentile of held-out reals' distances: what is nearer may be a copy."""
NEXT = 5
"""The distance to the nearest is taken as a share of that to the fifth: two training images may
show the same."""
MOST_COPIED = 0.02
"""Share of samples; twice what fresh reals would give."""
BY_CHANCE = 0.01
"""Probability of so many copies beside the reals', from which they are no chance."""
KNOWN_AT_ONCE = 8192
"""Training images in memory together."""

Rows = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Copies:
    """How many samples are copies, and how many held-out reals would pass for one."""

    copied: int
    samples: int
    copied_reals: int
    """Of the held-out reals, by the same limits."""
    reals: int

    @property
    def share(self) -> float:
        return self.copied / self.samples

    @property
    def p_value(self) -> float:
        """Of so many copies if samples were as fresh as the reals: Fisher's exact test."""
        from scipy.stats import fisher_exact

        table = [
            [self.copied, self.samples - self.copied],
            [self.copied_reals, self.reals - self.copied_reals],
        ]
        return float(fisher_exact(table, alternative="greater").pvalue)

    def in_words(self) -> list[str]:
        """Why such samples must not be published; nothing where copies are as few as by chance."""
        if self.share <= MOST_COPIED or self.p_value >= BY_CHANCE:
            return []
        return [f"copies training images ({self.share:.1%} of samples, at most {MOST_COPIED:.0%})"]


@dataclass(frozen=True)
class Neighbours:
    """Each image's nearest of all known ones, or of their mirror images, the nearest first."""

    distances: npt.NDArray[np.float64]
    """[N, count] root mean square differences in grey levels of 255."""
    places: npt.NDArray[np.intp]
    """[N, count], which of the known ones."""

    @property
    def nearness(self) -> npt.NDArray[np.float64]:
        """[N, 2]: the distance to the nearest, and that as a share of the distance to the last."""
        nearest = self.distances[:, 0]
        return np.stack([nearest, nearest / np.maximum(self.distances[:, -1], 1e-12)], axis=1)


def copies(samples: Images, training: Images, held_out: Images) -> Copies:
    """Of three sets, uint8 [N, 3, S, S], against all training images."""
    return copies_among(neighbours(samples, training), neighbours(held_out, training))


def copies_among(samples: Neighbours, held_out: Neighbours) -> Copies:
    """The same, of neighbours among all training images that are known already."""
    of_samples, of_reals = samples.nearness, held_out.nearness
    limits = np.percentile(of_reals, NEAREST_REALS, axis=0)
    copied, copied_reals = (int((of < limits).all(axis=1).sum()) for of in (of_samples, of_reals))
    return Copies(copied, len(of_samples), copied_reals, len(of_reals))


def evaluate_memorisation(
    features: FeaturesBy, reference: ReferenceSet, near: Neighbours | None = None
) -> dict[str, Any]:
    """Both questions, against the reference's reals; nearer to training is expected of one half.

    Args:
        near: the samples' neighbours among the training images, where they are known already.
    """
    near = near or neighbours(features.images, reference.training)
    found = copies_among(near, neighbours(reference.reals, reference.training))
    sided = memorisation(
        features, reference.training, reference.reals, reference.extractors[WITNESS]
    )
    share = {"share": found.share, **_interval(found.copied, len(features.images))}
    return {"copied": share, **sided}


def memorisation(
    features: FeaturesBy, training: Images, held_out: Images, witness: Extractor
) -> dict[str, Any]:
    """{"pixels": figures, "witness": figures, "settings": …} of samples and two sets of reals,
    uint8 [N, 3, S, S].

    Training and held-out images are thinned to equal numbers, evenly over each set.
    """
    count = min(len(training), len(held_out))
    known, other = evenly(training, count), evenly(held_out, count)
    figures: dict[str, Any] = {}
    for name, made, seen in (
        ("pixels", _small(features.images), _small),
        (WITNESS, features[WITNESS], witness.of_reals),
    ):
        near, far = (
            _nearest(made, np.concatenate([seen(reals), seen(_mirrored(reals))]))
            for reals in (known, other)
        )
        figures[name] = _share_nearer(near, far)
    settings = {"samples": len(features.images), "reals_each": count, "side_pixels": SIDE}
    return figures | {SETTINGS: settings}


def neighbours(images: Images, known: Images, count: int = NEXT) -> Neighbours:
    """So many nearest of all known images: [N, 3, S, S] and [M, 3, S, S]."""
    rows = torch.from_numpy(_small(images))
    nearest, places = torch.empty(len(rows), 0), torch.empty(len(rows), 0, dtype=torch.int64)
    for start in range(0, len(known), KNOWN_AT_ONCE):
        some = known[start : start + KNOWN_AT_ONCE]
        found = torch.minimum(*(_distances(rows, seen) for seen in (some, _mirrored(some))))
        here = torch.arange(start, start + len(some)).expand(found.shape)
        nearest, places = torch.cat([nearest, found], dim=1), torch.cat([places, here], dim=1)
        nearest, order = nearest.topk(min(count, nearest.shape[1]), dim=1, largest=False)
        places = places.gather(1, order)
    return Neighbours(nearest.double().numpy() / np.sqrt(rows.shape[1]), places.numpy())


def _distances(rows: Tensor, known: Images) -> Tensor:
    """Euclidean: [N, D] -> [N, M]. By a product of matrices in single precision, which is off by
    less than a grey level: a tenth of the time that a double one takes."""
    return torch.cdist(rows, torch.from_numpy(_small(known)), compute_mode="use_mm_for_euclid_dist")


def as_nearer(images: Images, known: Images) -> Images:
    """Of each known image itself and its mirror image, the one nearer to the image of its place."""
    rows, mirrored = _small(images), _mirrored(known)
    plain, turned = (((rows - _small(of)) ** 2).sum(axis=1) for of in (known, mirrored))
    return np.where((turned < plain)[:, None, None, None], mirrored, known)


def _share_nearer(near: npt.NDArray[np.float64], far: npt.NDArray[np.float64]) -> dict[str, float]:
    """Share of rows with near < far; a tie counts for neither."""
    nearer, total = int((near < far).sum()), int((near != far).sum())
    if total == 0:
        return {"nearer_to_training": 0.5, "low": 0.0, "high": 1.0}
    return {"nearer_to_training": nearer / total, **_interval(nearer, total)}


def _interval(count: int, total: int) -> dict[str, float]:
    """Wilson's, of a proportion."""
    from scipy.stats import binomtest

    found = binomtest(count, total).proportion_ci(CONFIDENCE, method="wilson")
    return {"low": float(found.low), "high": float(found.high)}


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

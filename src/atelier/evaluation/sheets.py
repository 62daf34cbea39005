"""Which pictures a reader looks at first: the least like real ones, and those nearest to training.

Grids of uint8 [N, 3, S, S] for `report.write_grid`: each picture stands below what it is held to.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from atelier.evaluation.features import Features, Images
from atelier.evaluation.keys import EDITING
from atelier.evaluation.manifold import NEAREST
from atelier.evaluation.memorisation import Neighbours, as_nearer
from atelier.evaluation.reference import ReferenceSet
from atelier.evaluation.report import COLUMNS

WORST = 32
"""Pictures that are shown of the least like real ones."""
PAIRS = 32
"""Pictures that are shown above their nearest training image."""
EDITED_SHOWN = COLUMNS
"""Latents whose edits are shown."""

Order = npt.NDArray[np.intp]
"""[N], indices of pictures."""


def above(upper: Images, lower: Images) -> Images:
    """[N, 3, S, S] twice -> [2 N, 3, S, S]: a grid's rows, each above the one that belongs
    to it."""
    parts = [
        part[start : start + COLUMNS]
        for start in range(0, len(upper), COLUMNS)
        for part in (upper, lower)
    ]
    return np.concatenate(parts)


def least_like_reals(
    made: Mapping[str, Features], reference: ReferenceSet, count: int = WORST
) -> Order:
    """Those whose fifth nearest real is farthest, in the features that gate; the worst first."""
    from sklearn.neighbors import NearestNeighbors

    reals = reference.real_features[reference.chooses]
    found = NearestNeighbors(n_neighbors=min(NEAREST, len(reals)), algorithm="brute").fit(reals)
    far = found.kneighbors(made[reference.chooses])[0][:, -1]
    return largest(far, count)


def largest(values: npt.NDArray[np.floating], count: int = WORST) -> Order:
    """Indices of the largest, the largest first."""
    order: Order = np.argsort(-values, kind="stable")[:count]
    return order


def nearest_pairs(samples: Images, found: Neighbours, training: Images) -> Images:
    """Samples that are nearest to a training image, nearest first, each above that image, which is
    mirrored where its mirror image is the nearer."""
    chosen = np.argsort(found.distances[:, 0], kind="stable")[:PAIRS]
    shown = samples[chosen]
    known = np.array(training[found.places[chosen, 0]])
    return above(shown, as_nearer(shown, known))


def steps_shown(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The step along each direction that was judged, by attribute, in the order of metrics.json."""
    figures = metrics.get(EDITING)
    return {
        name: float(inner["median_step"])
        for name, inner in sorted(figures.items() if isinstance(figures, Mapping) else ())
        if isinstance(inner, Mapping) and "median_step" in inner
    }

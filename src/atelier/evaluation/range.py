"""In range: is a picture near enough to real ones that the judge's verdict on it means something?

A classifier is confident on mush. A verdict therefore counts only where the picture's distance to
the training images, in the judge's own features, is at most that of 99 in 100 held-out reals.
It catches noise, torn pictures and flat colours; a mere blur stays in range, as in whitened
features or outside of their components too, and is left to the distances between sets.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from atelier.evaluation.features import Features
from atelier.evaluation.keys import JUDGE
from atelier.evaluation.reference import ReferenceSet

if TYPE_CHECKING:
    from sklearn.neighbors import NearestNeighbors

PERCENTILE = 99.0
"""Of the held-out reals' distances; so one real in a hundred is out of range itself."""
NEAREST = 5
"""The distance is the mean to so many neighbours: to the centre, a grey blur is near as well."""


@dataclass(frozen=True)
class Range:
    """What the judge knows: training images, and how far from them a real one may be."""

    neighbours: "NearestNeighbors"
    limit: float

    @classmethod
    def fit(cls, training: Features, held_out: Features) -> "Range":
        """From judge features of training images and of reals that are none of them, [N, D]."""
        from sklearn.neighbors import NearestNeighbors

        neighbours = NearestNeighbors(n_neighbors=min(NEAREST, len(training))).fit(training)
        limit = float(np.percentile(_distances(neighbours, held_out), PERCENTILE))
        return cls(neighbours, limit)

    def distances(self, features: Features) -> npt.NDArray[np.float64]:
        """Mean distance to the nearest training images: [N, D] -> [N]."""
        return _distances(self.neighbours, features)

    def in_range(self, features: Features) -> npt.NDArray[np.bool_]:
        """Whose verdict counts: judge features [N, D] -> [N]."""
        return self.distances(features) <= self.limit


def judge_range(reference: ReferenceSet) -> Range:
    """The range by the reference's held-out reals; its `in_range` takes their judge features."""
    return Range.fit(reference.extractors[JUDGE].training, reference.real_features[JUDGE])


def _distances(neighbours: "NearestNeighbors", features: Features) -> npt.NDArray[np.float64]:
    found: npt.NDArray[np.float64] = neighbours.kneighbors(features)[0].mean(axis=1)
    return found

"""How good a KID is: where it stands between a set that is known to be wrong and training images.

0.03 in the judge's features and 0.03 in the witness's are two different things, but each extractor
was also asked for wrong sets and for training images, and between these lies a way to go.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atelier.evaluation.estimate import Estimate
from atelier.evaluation.keys import (
    BLURRED,
    CEILING,
    OF_THE_WAY,
    SHUFFLED,
    UNTOUCHED,
    distance_to,
    error_of,
    kid_keys,
)

WRONG = (BLURRED, SHUFFLED, UNTOUCHED)
"""Sets that are known to be wrong, or not changed at all."""


@dataclass(frozen=True)
class Scale:
    """Of one extractor: the way from the best of the wrong sets to training images."""

    wrong_set: str
    wrong: Estimate
    ceiling: Estimate

    @classmethod
    def between(cls, kids: Mapping[str, Estimate]) -> "Scale | None":
        """From KIDs by the name of their set.

        None where the best wrong set is not clearly above training images, as with few pictures:
        then there is no way to go.
        """
        wrong = [name for name in WRONG if name in kids]
        if CEILING not in kids or not wrong:
            return None
        best = min(wrong, key=lambda name: kids[name].value)
        if not kids[best].clearly_above(kids[CEILING]):
            return None
        return cls(best, kids[best], kids[CEILING])

    def share(self, kid: float) -> float:
        """Of the way that lies behind a KID: 0 is the wrong set, 1 training images.

        Of the distance itself: KID is its square, on which all but the worst would stand at the
        end. Below 0 is worse than the wrong set; a little above 1 is chance.
        """
        begin, end = _root(self.wrong.value), _root(self.ceiling.value)
        return (begin - _root(kid)) / (begin - end)


def ways(figures: Mapping[str, Any]) -> dict[str, float]:
    """Of each scored set's KID among an extractor's figures, the share of the way, by its key:
    `of_the_way`, `of_the_way_mixture`; none where there is no way to go."""
    keys = kid_keys(figures)
    scale = Scale.between({name: _estimate(figures, key) for name, key in keys.items()})
    if scale is None:
        return {}
    return {
        distance_to(name, OF_THE_WAY) if name else OF_THE_WAY: scale.share(figures[key])
        for name, key in keys.items()
        if name not in (CEILING, *WRONG)
    }


def _estimate(figures: Mapping[str, Any], key: str) -> Estimate:
    return Estimate(figures[key], figures.get(error_of(key), 0.0))


def _root(kid: float) -> float:
    """The distance whose square it estimates; without bias, so that it may lie below zero."""
    return math.sqrt(max(0.0, kid))

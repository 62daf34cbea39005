"""Distances, each on a scale that says how good it is: training images, and known wrong sets."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from atelier.evaluation.estimate import CLEARLY, Estimate
from atelier.evaluation.keys import (
    BLURRED,
    CEILING,
    EXTRACTORS,
    MIXTURE,
    NORMAL,
    SHUFFLED,
    UNTOUCHED,
    error_of,
    kid_keys,
)
from atelier.evaluation.scale import WRONG, Scale
from atelier.operations.reporting.figures import Figure, Metrics, figure

WORDS = {
    "": "this bundle",
    CEILING: "training images",
    BLURRED: "blurred",
    SHUFFLED: "shuffled",
    UNTOUCHED: "untouched inputs",
    MIXTURE: "mixture's codes",
    NORMAL: "normal codes",
    "reconstructions": "reconstructions",
}
"""What a set of pictures is, by its name in a key."""
SCORED = ("", MIXTURE, NORMAL)
"""In the order in which they stand for all that is scored."""


@dataclass(frozen=True)
class Mark:
    """A set of pictures on the scale of one extractor."""

    set_name: str
    figure: Figure

    @property
    def words(self) -> str:
        return WORDS.get(self.set_name, self.set_name)

    @property
    def estimate(self) -> Estimate:
        return Estimate(self.figure.value, (self.figure.spread or 0.0) / CLEARLY)

    @property
    def kind(self) -> str:
        """scored, ceiling or floor."""
        if self.set_name == CEILING:
            return "ceiling"
        return "floor" if self.set_name in WRONG else "scored"


@dataclass(frozen=True)
class Distance:
    """KID in one extractor's features: what is scored, the ceiling, and the floors."""

    part: str
    """Which part of the task, where it has several: a translation's direction."""
    extractor: str
    marks: tuple[Mark, ...]

    @property
    def title(self) -> str:
        return " ".join(filter(None, (self.part, f"KID, {self.extractor}")))

    @property
    def scored(self) -> Mark:
        """The first of those that are scored."""
        return next(mark for mark in self.marks if mark.kind == "scored")

    @property
    def ceiling(self) -> Mark | None:
        return next((mark for mark in self.marks if mark.kind == "ceiling"), None)

    @property
    def best_floor(self) -> Mark | None:
        floors = [mark for mark in self.marks if mark.kind == "floor"]
        return min(floors, key=lambda mark: mark.figure.value, default=None)

    def share(self, value: float) -> float | None:
        """How much of the way from the best floor to the ceiling lies behind it: 1 is all.

        None where the two can't be told apart, so that there is no way to go.
        """
        scale = Scale.between({mark.set_name: mark.estimate for mark in self.marks})
        return None if scale is None else scale.share(value)

    @property
    def told_apart(self) -> bool | None:
        """Whether it is clearly worse than training images; None where that is not known."""
        ceiling, ours = self.ceiling, self.scored.figure
        if ceiling is None or ours.spread is None or ceiling.figure.spread is None:
            return None
        apart = math.hypot(ours.spread, ceiling.figure.spread)
        return ours.value - ceiling.figure.value > apart


def distances(metrics: Metrics) -> list[Distance]:
    """Every KID with its scale, in the order of extractors; the one that gates comes first."""
    found = []
    for path, group in _groups(metrics):
        marks = [
            Mark(name, one)
            for name, key in kid_keys(group).items()
            if (one := figure(metrics, (*path, key)))
        ]
        if any(mark.kind == "scored" for mark in marks):
            found.append(Distance("/".join(path[:-1]), path[-1], tuple(sorted(marks, key=_place))))
    order = [*EXTRACTORS, *sorted({one.extractor for one in found} - set(EXTRACTORS))]
    return sorted(found, key=lambda one: (order.index(one.extractor), one.part))


def _place(mark: Mark) -> tuple[int, float]:
    """What is scored, then the ceiling, then the floors, the hardest to tell from it first."""
    if mark.kind == "scored":
        known = mark.set_name in SCORED
        return 0, SCORED.index(mark.set_name) if known else len(SCORED)
    return ("ceiling", "floor").index(mark.kind) + 1, mark.figure.value


def _groups(metrics: Metrics, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            if is_distances(value):
                yield (*path, key), value
            yield from _groups(value, (*path, key))


def is_distances(group: Any) -> bool:
    """Whether these are an extractor's figures."""
    return isinstance(group, Mapping) and any(
        error_of(key) in group for key in kid_keys(group).values()
    )

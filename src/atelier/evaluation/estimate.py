"""A figure, and how far it may lie from what more pictures would give."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

CLEARLY = 2.0
"""Standard errors of a difference that chance alone exceeds once in twenty times."""
SURELY = 2.58
"""The same, once in a hundred times."""


@dataclass(frozen=True)
class Estimate:
    """A figure and one standard error of it."""

    value: float
    standard_error: float = 0.0
    """0 where figures that are compared are of the very same pictures, one by one."""

    def clearly_above(self, other: "Estimate") -> bool:
        """Whether it lies above by more than two standard errors of their difference.

        They are taken for independent. Figures that share their reals, as those of snapshots do,
        differ by less through chance, so that for these it errs towards no.
        """
        error = math.hypot(self.standard_error, other.standard_error)
        return self.value - other.value > CLEARLY * error


@dataclass(frozen=True)
class Share:
    """A share of so many pictures."""

    value: float
    count: int

    @property
    def standard_error(self) -> float:
        """After Agresti and Coull 1998: two more of each answer, so that 0 and 1 have one, too."""
        total = self.count + 4
        value = (self.value * self.count + 2) / total
        return math.sqrt(value * (1 - value) / total)

    def surely_below(self, other: "Share") -> bool:
        """Whether it lies below by more than chance allows, of two independent sets of pictures."""
        error = math.hypot(self.standard_error, other.standard_error)
        return other.value - self.value > SURELY * error


def latest_of_the_best(figures: Sequence[Estimate]) -> int:
    """Where in `figures`, of which smaller is better, the last stands that is not clearly above
    the smallest."""
    best = min(figures, key=lambda figure: figure.value)
    return max(at for at, figure in enumerate(figures) if not figure.clearly_above(best))

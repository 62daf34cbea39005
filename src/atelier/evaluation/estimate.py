"""A figure, and how far it may lie from what more pictures would give."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

CLEARLY = 2.0
"""Standard errors of a difference that chance alone exceeds once in twenty times."""


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


def latest_of_the_best(figures: Sequence[Estimate]) -> int:
    """Where in `figures`, of which smaller is better, the last stands that is not clearly above
    the smallest."""
    best = min(figures, key=lambda figure: figure.value)
    return max(at for at, figure in enumerate(figures) if not figure.clearly_above(best))

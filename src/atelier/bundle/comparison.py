"""What is known of a bundle on its own, and of two against each other: what the gate decides on.

Found by a task's comparer (`atelier.tasks`), weighed by the gate (`atelier.registry.gate`); neither
knows the other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from atelier.bundle.bundle_model import Bundle

STANDARD_ERRORS = 2.0
SIGNIFICANT = 0.01
ROUNDS = 2
"""On fresh draws; what is a function of the test images has none."""
SIGNIFICANT_ALONE = 0.001
"""Of one round over all test images. Two of its halves, each at 0.01, would see less."""


@dataclass(frozen=True)
class Comparison:
    """Challenger minus champion in one part of one round: below zero is better.

    What else was looked at may object: the witness finds the challenger worse, it makes fewer kinds
    of pictures, it heeds requests less.
    """

    seed: int
    difference: float
    standard_error: float
    p_value: float
    """Probability of so low a difference if the challenger is no better (one-sided)."""
    objections: tuple[str, ...] = ()
    """In words: "witness says worse", "recall 0.16 -> 0.08"."""
    part: str = ""
    """What was compared, where that is more than one thing: a translation's direction, in whose
    features."""
    level: float = SIGNIFICANT
    """Of significance; stricter where a round is the only one that there can be, or where another
    comparison could say better in its place."""

    def is_better(self) -> bool:
        margin = STANDARD_ERRORS * self.standard_error
        return self.difference < -margin and self.p_value < self.level and not self.objections

    def is_farther(self) -> bool:
        """Whether it says worse itself, whatever else objects."""
        return self.difference > STANDARD_ERRORS * self.standard_error

    def is_worse(self) -> bool:
        return self.is_farther() or bool(self.objections)

    def __str__(self) -> str:
        part = f"{self.part} " if self.part else ""
        figures = f"{self.difference:+.3g} +- {self.standard_error:.2g}, p = {self.p_value:.2g}"
        return part + ", ".join([figures, *self.objections])


Round = Sequence[Comparison]
"""A comparison for each part of the task, on the same seed."""


@dataclass(frozen=True)
class Figures:
    """What is known of a version on its own."""

    dataset: str
    output_shape: tuple[int, ...]
    data_digest: str
    """Of the test split on which it was scored."""
    judge_digest: str
    """Of the judge that scored it; empty where there is none: arithmetic judges, or the witness."""
    score: float
    """What the task compares by, smaller is better: KID in the features of the judge, or of the
    witness where there is none (translation: the mean of both directions'), the mean error of
    autoencoders, the stopping score of numbers."""
    finite: bool
    diversity: float
    """Share of the reals' diversity (numbers: of ln 20, the entropy of all values alike)."""
    broken_floors: tuple[str, ...] = ()
    """Floors of its own kind that it does not reach, in words."""


class Comparer(Protocol):
    """What the gate asks of a task."""

    def figures(self, bundle: Bundle) -> Figures: ...

    def compare(self, challenger: Bundle, champion: Bundle) -> list[Round]: ...


ComparerFactory = Callable[[], Comparer]
"""Opening a comparer reads images and a judge, so it is opened only when the gate has to decide."""

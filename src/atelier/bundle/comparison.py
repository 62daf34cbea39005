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


@dataclass(frozen=True)
class Comparison:
    """Challenger minus champion in one part of one round: below zero is better."""

    seed: int
    difference: float
    standard_error: float
    p_value: float
    """Probability of so low a difference if the challenger is no better (one-sided)."""
    witness_worse: bool = False
    """Whether features that nothing was chosen by say worse, beyond two standard errors."""
    part: str = ""
    """Which part of the task, where it has several: a translation's direction."""

    def is_better(self) -> bool:
        margin = STANDARD_ERRORS * self.standard_error
        return self.difference < -margin and self.p_value < SIGNIFICANT and not self.witness_worse

    def is_worse(self) -> bool:
        return self.difference > STANDARD_ERRORS * self.standard_error or self.witness_worse

    def __str__(self) -> str:
        part = f"{self.part} " if self.part else ""
        witness = ", witness says worse" if self.witness_worse else ""
        figures = f"{self.difference:+.3g} +- {self.standard_error:.2g}, p = {self.p_value:.2g}"
        return part + figures + witness


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

"""Decides whether a challenger becomes champion: a pure function of figures.

The two are compared in two rounds on fresh seeds, each round in every part of the task: one part
for what makes images, one for each direction of a translation. The challenger is promoted when both
rounds find it better in a part, by more than two standard errors and with p < 0.01, worse in none,
and the witness does not object. One round alone would promote one in a hundred equals. A tie keeps
the champion.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from atelier.errors import UserError

STANDARD_ERRORS = 2.0
SIGNIFICANT = 0.01
ROUNDS = 2
SMALLEST_DIVERSITY = 0.5
"""Mean pairwise distance of what it makes, as a share of the reals': below it has collapsed."""


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
    """Of the judge that scored it; empty where arithmetic judges."""
    score: float
    """What the task compares by, smaller is better: KID in judge features (translation: the mean of
    both directions'), the mean error of autoencoders, the stopping score of numbers."""
    finite: bool
    diversity: float
    """Share of the reals' diversity (numbers: of ln 20, the entropy of all values alike)."""
    broken_floors: tuple[str, ...] = ()
    """Floors of its own kind that it does not reach, in words."""


@dataclass(frozen=True)
class Decision:
    """Promote or not, why, and on what figures."""

    promote: bool
    reason: str
    challenger: Figures
    champion: Figures | None
    rounds: tuple[tuple[Comparison, ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def decide(challenger: Figures, champion: Figures | None, rounds: Sequence[Round] = ()) -> Decision:
    """The gate.

    Args:
        champion: None where there is none yet.
        rounds: comparisons of the two on the same real test images with the same judge, at least
            two rounds with fresh seeds; needed wherever there is a champion.

    Raises:
        UserError: the two cannot be compared: another dataset or size, or figures of another judge
            or test split, with which the champion has to be scored again first.
    """
    compared = tuple(tuple(round_) for round_ in rounds)

    def decision(promote: bool, reason: str) -> Decision:
        return Decision(promote, reason, challenger, champion, compared)

    if champion is not None:
        check_comparable(challenger, champion)
    if floors := broken_floors(challenger):
        return decision(False, f"sanity floor: {'; '.join(floors)}")
    if champion is None:
        return decision(True, "the first version to pass the sanity floors")
    if len(compared) < ROUNDS:
        raise UserError("gate", f"needs {ROUNDS} rounds of comparisons (got {len(compared)})")
    for number, parts in enumerate(compared, start=1):
        if worse := [str(part) for part in parts if part.is_worse()]:
            return decision(False, f"worse (round {number}: {'; '.join(worse)})")
        if not any(part.is_better() for part in parts):
            found = "; ".join(map(str, parts))
            return decision(False, f"not better beyond the spread (round {number}: {found})")
    last = "; ".join(map(str, compared[-1]))
    return decision(True, f"better in each of {len(compared)} rounds (last: {last})")


def check_comparable(challenger: Figures, champion: Figures) -> None:
    """Raises UserError where the figures of two versions do not stand for the same question."""
    for word, ours, theirs in (
        ("dataset", challenger.dataset, champion.dataset),
        ("output shape", challenger.output_shape, champion.output_shape),
    ):
        if ours != theirs:
            raise UserError(
                "gate",
                f"another {word} than the champion's (got {ours}, champion {theirs})",
                "Register it under a name of its own.",
            )
    for word, ours, theirs in (
        ("test data", challenger.data_digest, champion.data_digest),
        ("judge", challenger.judge_digest, champion.judge_digest),
    ):
        if ours != theirs:
            raise UserError(
                "gate",
                f"the champion was scored with another {word} (got {theirs}, now {ours})",
                "Score it again first, from its bundle.",
            )


def broken_floors(figures: Figures) -> list[str]:
    """Why a version must not be published, whatever its score; empty is well."""
    broken = [] if figures.finite else ["outputs are not finite"]
    if not figures.diversity >= SMALLEST_DIVERSITY:
        share = f"{figures.diversity:.2f} of the reals' diversity"
        broken.append(f"collapsed ({share}, at least {SMALLEST_DIVERSITY})")
    if not abs(figures.score) < float("inf"):
        broken.append(f"score {figures.score}")
    return [*broken, *figures.broken_floors]

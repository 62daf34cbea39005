"""Decides whether a challenger becomes champion: a pure function of figures.

Relative similarity (Bounliphone et al. 2016, arXiv 1511.04581), asked twice on fresh seeds: the
challenger is promoted when both comparisons find it nearer to the same real test images, each by
more than two standard errors and with p < 0.01. One comparison alone would promote one in a hundred
equals. A tie keeps the champion.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from atelier.errors import UserError

STANDARD_ERRORS = 2.0
SIGNIFICANT = 0.01
COMPARISONS = 2
SMALLEST_DIVERSITY = 0.5
"""Mean pairwise distance of what it makes, as a share of the reals': below it has collapsed."""


class Comparison(Protocol):
    """Challenger minus champion, in what is better when smaller; see evaluation/kid.py."""

    @property
    def difference(self) -> float: ...
    @property
    def standard_error(self) -> float: ...
    @property
    def p_value(self) -> float: ...


@dataclass(frozen=True)
class Figures:
    """What is known of a version on its own."""

    dataset: str
    output_shape: tuple[int, ...]
    data_digest: str
    """Of the test split on which it was scored."""
    judge_digest: str
    """Of the judge that scored it; empty where arithmetic judges (numbers)."""
    score: float
    """KID in judge features; numbers: the stopping score. Smaller is better."""
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
    comparisons: tuple[tuple[float, float, float], ...] = ()
    """(difference, standard error, p-value) of each."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def decide(
    challenger: Figures, champion: Figures | None, comparisons: Sequence[Comparison] = ()
) -> Decision:
    """The gate.

    Args:
        champion: None where there is none yet.
        comparisons: of the two on the same real test images with the same judge, at least two with
            fresh seeds; needed wherever there is a champion.

    Raises:
        UserError: the two cannot be compared: another dataset or size, or figures of another judge
            or test split, with which the champion has to be scored again first.
    """
    compared = tuple((c.difference, c.standard_error, c.p_value) for c in comparisons)

    def decision(promote: bool, reason: str) -> Decision:
        return Decision(promote, reason, challenger, champion, compared)

    if champion is not None:
        check_comparable(challenger, champion)
    if floors := broken_floors(challenger):
        return decision(False, f"sanity floor: {'; '.join(floors)}")
    if champion is None:
        return decision(True, "the first version to pass the sanity floors")
    if len(compared) < COMPARISONS:
        raise UserError("gate", f"needs {COMPARISONS} comparisons (got {len(compared)})")
    for number, (difference, error, p_value) in enumerate(compared, start=1):
        figures = f"{difference:+.3g} +- {error:.2g}, p = {p_value:.2g}"
        if not (difference < -STANDARD_ERRORS * error and p_value < SIGNIFICANT):
            return decision(False, f"not better beyond the spread (comparison {number}: {figures})")
    return decision(True, f"better in each of {len(compared)} comparisons (the last: {figures})")


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

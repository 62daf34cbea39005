"""Decides whether a challenger becomes champion: a pure function of figures.

The two are compared in rounds, each in every part of the task: in each direction of a translation,
and in the features of each extractor that may say better. The challenger is promoted when every
round finds it better in a part, by more than two standard errors and significantly, worse in none,
and nothing objects. What draws anew is compared in two rounds on fresh seeds, with p < 0.01 in
each: one alone would promote one in a hundred equals. What is a function of the test images has one
round over all of them, with p < 0.001. Where several extractors may say better, they share the
level. Where the gate cannot tell the two apart, it says so, and the champion stays. Where the two
are the same model and only the code that ships with it differs, there is nothing to compare: the
newer code takes over, the older never does.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from atelier.bundle.comparison import (
    ROUNDS,
    SIGNIFICANT_ALONE,
    Comparison,
    Figures,
    Round,
)
from atelier.errors import UserError

SMALLEST_DIVERSITY = 0.5
"""Mean pairwise distance of what it makes, as a share of the reals': below it has collapsed."""


@dataclass(frozen=True)
class Decision:
    """Promote or not, why, and on what figures."""

    promote: bool
    reason: str
    challenger: Figures | None
    """None where nothing had to be scored."""
    champion: Figures | None
    rounds: tuple[tuple[Comparison, ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def decide(challenger: Figures, champion: Figures | None, rounds: Sequence[Round] = ()) -> Decision:
    """The gate.

    Args:
        champion: None where there is none yet.
        rounds: comparisons of the two on the same real test images with the same judge, at least
            two rounds with fresh seeds, or one at a stricter level over all that there is; needed
            wherever there is a champion.

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
    if not _are_enough(compared):
        raise UserError("gate", f"needs {ROUNDS} rounds of comparisons (got {len(compared)})")
    for number, parts in enumerate(compared, start=1):
        if worse := [str(part) for part in parts if part.is_worse()]:
            return decision(False, f"worse (round {number}: {'; '.join(worse)})")
        if not any(part.is_better() for part in parts):
            found = "; ".join(map(str, parts))
            return decision(False, f"cannot tell the two apart (round {number}: {found})")
    last = "; ".join(map(str, compared[-1]))
    return decision(True, f"better in each of {len(compared)} rounds (last: {last})")


def _are_enough(rounds: Sequence[Sequence[Comparison]]) -> bool:
    """Two rounds, or one in which each part had to be as sure as two would make it."""
    alone = [part.level <= SIGNIFICANT_ALONE for parts in rounds for part in parts]
    return len(rounds) >= ROUNDS or (bool(alone) and all(alone))


def take_over(figures: Figures | None, champion: str, is_older: bool) -> Decision:
    """The decision on the champion's own model with other code: promoted without rounds.

    Args:
        figures: the champion's, and so the challenger's.
        is_older: whether the challenger's code is the older; then the champion stays.
    """
    age = "older" if is_older else "newer"
    reason = f"the same model as the champion {champion}, with {age} code"
    return Decision(not is_older, reason, figures, figures)


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

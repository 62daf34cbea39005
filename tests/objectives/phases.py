"""What tests of objectives look up, and what they give."""

from collections.abc import Iterator

from torch import Tensor

from atelier.objectives.phase import PART, Batch, Objective, Phase


def phase_of(objective: Objective, name: str) -> Phase:
    """The objective's phase of that name."""
    return next(phase for phase in objective.phases if phase.name == name)


def parts(*examples: Tensor) -> Iterator[Batch]:
    """Images, and labels if given, as what prepares a phase is handed them."""
    return (Batch(*part) for part in zip(*(each.split(PART) for each in examples), strict=True))

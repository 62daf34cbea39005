"""What tests of objectives look up."""

from atelier.objectives.phase import Objective, Phase


def phase_of(objective: Objective, name: str) -> Phase:
    """The objective's phase of that name."""
    return next(phase for phase in objective.phases if phase.name == name)

"""What a distance cannot tell apart: are the fakes like reals, and are all reals like some fake?

Precision and recall: Kynkaanniemi et al. 2019, arXiv 1904.06991. Density and coverage: Naeem et
al. 2020, arXiv 2002.09797. Both by the latter's package `prdc`.
"""

from contextlib import redirect_stdout
from io import StringIO

from atelier.evaluation.features import Features

NEAREST = 5
"""The k of k nearest neighbours."""


def manifold(reals: Features, fakes: Features) -> dict[str, float]:
    """`precision`, `recall`, `density` and `coverage` of two sets, [N, D] and [M, D].

    Raises:
        ValueError: a set has too few images; ask `too_few` first.
    """
    from prdc import compute_prdc

    reason = too_few(reals, fakes)
    if reason:
        raise ValueError(reason)
    with redirect_stdout(StringIO()):  # The package prints both counts.
        found = compute_prdc(reals, fakes, NEAREST)
    return {name: float(value) for name, value in found.items()}


def too_few(*sets: Features) -> str | None:
    """Why the neighbourhoods have to be left out, if they have to."""
    count = min(len(features) for features in sets)
    needed = NEAREST + 2
    return f"needs {needed} images (got {count})" if count < needed else None

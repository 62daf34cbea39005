"""KID: the squared maximum mean discrepancy between two sets of features, and a test on two such.

Binkowski et al. 2018, arXiv 1801.01401: unbiased estimate with the kernel (x.y / D + 1)^3. We
deviate: the whole of both sets is used at once instead of random subsets, and the standard error is
analytic. Resampling with replacement puts copies of an image off the kernel's diagonal, where they
look like a distance. Values below zero are right: the estimate is centred on zero, not bounded.
torch-fidelity has this kernel and estimate for subsets of equal size; the tests hold ours to them.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from atelier.evaluation.estimate import Estimate

Array = npt.NDArray[np.floating]
Kernel = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """Challenger minus champion, in KID to the same reals: below zero is better."""

    difference: float
    standard_error: float
    p_value: float
    """Probability of so low a difference if the challenger is no nearer (one-sided)."""


def kernel(first: Array, second: Array) -> Kernel:
    """[N, D], [M, D] -> [N, M]."""
    products = first.astype(np.float64) @ second.T.astype(np.float64)
    base: Kernel = products / first.shape[1] + 1.0
    return base * base * base


def kid(reals: Array, fakes: Array) -> Estimate:
    """KID of two sets, [N, D] and [M, D], with the standard error of sampling both."""
    within_reals, within_fakes = kernel(reals, reals), kernel(fakes, fakes)
    across = kernel(reals, fakes)
    value = _mean_of_pairs(within_reals) + _mean_of_pairs(within_fakes) - 2 * across.mean()
    # Each image's own influence on the value, and what remains of each pair (Hoeffding 1948).
    influence_reals = 2 * (_mean_of_others(within_reals) - across.mean(axis=1))
    influence_fakes = 2 * (_mean_of_others(within_fakes) - across.mean(axis=0))
    pairs = _variance_of_pairs(within_reals) + _variance_of_pairs(within_fakes)
    pairs += _variance_across(across)
    return Estimate(float(value), _standard_error([influence_reals, influence_fakes], pairs))


def compare(reals: Array, challenger: Array, champion: Array, paired: bool = False) -> Comparison:
    """Is the challenger nearer to the reals than the champion?

    Relative similarity test of Bounliphone et al. 2016, arXiv 1511.04581: both distances share the
    reals, and their joint variance takes that into account. We deviate: the variance keeps the
    pairs' own term, without which it vanishes for two equal generators, and counts may differ.

    Args:
        paired: the n-th rows of both were made of the same picture, as translations are. What it
            does to both then cancels.
    """
    within_challenger, within_champion = kernel(challenger, challenger), kernel(champion, champion)
    to_challenger, to_champion = kernel(reals, challenger), kernel(reals, champion)
    difference = _mean_of_pairs(within_challenger) - _mean_of_pairs(within_champion)
    difference -= 2 * (to_challenger.mean() - to_champion.mean())
    of_reals = 2 * (to_champion.mean(axis=1) - to_challenger.mean(axis=1))
    if paired:
        sets = [(within_challenger - within_champion, to_challenger - to_champion)]
    else:
        sets = [(within_challenger, to_challenger), (within_champion, to_champion)]
    influences = [2 * (_mean_of_others(within) - across.mean(axis=0)) for within, across in sets]
    pairs = sum(_variance_of_pairs(within) + _variance_across(across) for within, across in sets)
    error = _standard_error([of_reals, *influences], pairs)
    score = difference / error if error > 0 else 0.0
    return Comparison(float(difference), error, 0.5 * math.erfc(-score / math.sqrt(2)))


def _mean_of_pairs(within: Kernel) -> float:
    """Mean off the diagonal: an image is never compared with itself."""
    count = len(within)
    return float((within.sum() - np.trace(within)) / (count * (count - 1)))


def _mean_of_others(within: Kernel) -> Kernel:
    return np.asarray((within.sum(axis=1) - np.diagonal(within)) / (len(within) - 1))


def _variance_of_pairs(within: Kernel) -> float:
    """Variance that a mean over pairs within a set has from the pairs alone."""
    others, count = _mean_of_others(within), len(within)
    squares = (within - others[:, None] - others + _mean_of_pairs(within)) ** 2
    return 2 * _mean_of_pairs(squares) / (count * (count - 1))


def _variance_across(across: Kernel) -> float:
    """The same of twice a mean over pairs across two sets."""
    rows, columns = across.mean(axis=1, keepdims=True), across.mean(axis=0, keepdims=True)
    squares = (across - rows - columns + across.mean()) ** 2
    return 4 * float(squares.mean()) / across.size


def _standard_error(influences: list[Kernel], pairs: float) -> float:
    """An influence is itself estimated from a sample, which counts the pairs' term twice."""
    first = sum(float(influence.var(ddof=1)) / len(influence) for influence in influences)
    return math.sqrt(max(first - pairs, pairs))

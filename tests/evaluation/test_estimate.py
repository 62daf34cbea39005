"""What is clearly better, and which snapshot is taken."""

import numpy as np
import pytest

from atelier.evaluation.estimate import Estimate, latest_of_the_best


def test_exact_figures_are_compared_as_they_are() -> None:
    assert Estimate(2.0).clearly_above(Estimate(1.999))
    assert not Estimate(2.0).clearly_above(Estimate(2.0))


def test_chance_is_taken_for_a_difference_once_in_forty_times() -> None:
    """Above by chance: two standard errors, one side."""
    draw = np.random.default_rng(5)
    pairs = draw.normal(0.0, (0.3, 0.4), size=(20_000, 2))
    above = [Estimate(a, 0.3).clearly_above(Estimate(b, 0.4)) for a, b in pairs]
    assert np.mean(above) == pytest.approx(0.0228, abs=0.004)


@pytest.mark.parametrize(
    ("values", "error", "taken"),
    [
        ((3.0, 2.0, 1.0), 0.1, 2),
        ((1.0, 2.0, 3.0), 0.1, 0),
        ((1.0, 2.0, 1.1), 0.1, 2),
        ((1.2, 1.0, 1.3), 0.0, 1),
        ((1.0, 1.0), 0.0, 1),
        ((0.011, 0.024, 0.070, 0.132, 0.106), 0.04, 4),
    ],
)
def test_the_latest_is_taken_that_is_not_clearly_worse(values, error, taken) -> None:
    assert latest_of_the_best([Estimate(value, error) for value in values]) == taken

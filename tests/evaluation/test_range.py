"""Range: most reals are in it, what is far from them is not."""

import numpy as np
import pytest

from atelier.evaluation.range import Range

DIMENSIONS = 8


def normal(seed: int, count: int, shift: float = 0.0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return (draw.standard_normal((count, DIMENSIONS)) + shift).astype("f4")


def test_ninety_nine_in_a_hundred_held_out_reals_are_in_range() -> None:
    held_out = normal(1, 1000)
    found = Range.fit(normal(0, 500), held_out).in_range(held_out)
    assert found.dtype == np.bool_
    assert found.mean() == pytest.approx(0.99, abs=0.002)


def test_fresh_reals_are_in_range_and_shifted_ones_are_not() -> None:
    known = Range.fit(normal(0, 500), normal(1, 1000))
    assert known.in_range(normal(2, 500)).mean() > 0.97
    assert known.in_range(normal(3, 500, shift=3.0)).mean() == 0.0


def test_the_centre_of_a_ring_is_out_of_range() -> None:
    """Distance to the mean would take it for the most typical of all."""
    around = normal(0, 800)
    around *= 10 / np.linalg.norm(around, axis=1, keepdims=True)
    known = Range.fit(around[:400], around[400:])
    assert not known.in_range(np.zeros((1, DIMENSIONS), "f4"))[0]


def test_the_distance_is_the_mean_to_the_nearest_five() -> None:
    training = np.arange(10, dtype="f4")[:, None]
    known = Range.fit(training, training)
    assert known.distances(np.array([[-1.0]], "f4"))[0] == pytest.approx((1 + 2 + 3 + 4 + 5) / 5)

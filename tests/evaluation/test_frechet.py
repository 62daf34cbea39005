"""FD against the closed form, and its limits."""

import numpy as np
import pytest

from atelier.evaluation import frechet
from atelier.evaluation.frechet import FrechetDistance, distance, too_few


def test_equals_the_closed_form_of_two_gaussians() -> None:
    draw = np.random.default_rng(0)
    first = draw.standard_normal((200_000, 3))
    second = draw.standard_normal((200_000, 3)) * [1, 2, 3] + [1, 0, 0]
    # |m1 - m2|^2 + sum of (s1 - s2)^2 for diagonal covariances.
    assert distance(first, second) == pytest.approx(1 + 0 + 1 + 4, rel=0.02)


def test_whole_samples_that_are_equal_are_at_zero() -> None:
    features = np.random.default_rng(0).standard_normal((700, 80)).astype(np.float32)
    found = FrechetDistance(features, seed=0)(features, features)
    assert found.value == pytest.approx(0, abs=1e-3)
    assert found.standard_error >= 0


def test_the_standard_error_is_of_the_spread_over_fresh_samples() -> None:
    draw = np.random.default_rng(0)
    measure = FrechetDistance(draw.standard_normal((1000, 64)).astype("f4"), seed=0)
    found = [
        measure(
            draw.standard_normal((640, 64)).astype("f4"),
            draw.standard_normal((640, 64)).astype("f4") * 1.2,
        )
        for _ in range(10)
    ]
    spread = np.std([estimate.value for estimate in found])
    claimed = np.mean([estimate.standard_error for estimate in found])
    assert 0.5 < claimed / spread < 2


def test_too_few_images_are_left_out_with_the_reason() -> None:
    few, many = np.zeros((639, 70), np.float32), np.zeros((640, 70), np.float32)
    assert too_few(many, many) is None
    assert too_few(many, few) == "needs 640 images (got 639)"
    measure = FrechetDistance(np.random.default_rng(0).standard_normal((100, 70)), seed=0)
    with pytest.raises(ValueError, match="needs 640 images"):
        measure(many, few)
    assert frechet.DIMENSIONS == 64

"""Precision, recall, density and coverage on sets where the answer is known."""

import numpy as np
import pytest

from atelier.evaluation.features import Features
from atelier.evaluation.manifold import manifold


def two_clusters(seed: int, count: int, share: float = 0.5) -> Features:
    draw = np.random.default_rng(seed)
    centre = np.where(np.arange(count) < share * count, 0.0, 50.0)
    return (draw.standard_normal((count, 8)) + centre[:, None]).astype(np.float32)


def test_the_same_distribution_is_precise_and_covered(capsys: pytest.CaptureFixture[str]) -> None:
    found = manifold(two_clusters(0, 400), two_clusters(1, 400))
    assert found["precision"] > 0.85
    assert found["recall"] > 0.85
    assert found["density"] == pytest.approx(1, abs=0.15)
    assert found["coverage"] > 0.9
    assert capsys.readouterr().out == ""


def test_a_missing_mode_costs_recall_and_coverage_but_not_precision() -> None:
    found = manifold(two_clusters(0, 400), two_clusters(1, 400, share=1.0))
    assert found["precision"] > 0.85
    assert found["recall"] < 0.55
    assert found["coverage"] < 0.55


def test_fakes_that_are_far_off_are_not_precise() -> None:
    found = manifold(two_clusters(0, 100), two_clusters(1, 100) + 200)
    assert found == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


def test_too_few_images() -> None:
    with pytest.raises(ValueError, match=r"^needs 7 images \(got 6\)$"):
        manifold(two_clusters(0, 6), two_clusters(0, 50))

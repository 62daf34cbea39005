"""Sheets: the worst come first by the features that gate; copies stand above their originals."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from atelier.evaluation.features import Images
from atelier.evaluation.memorisation import neighbours
from atelier.evaluation.reference import ReferenceSet, open_reference
from atelier.evaluation.report import COLUMNS
from atelier.evaluation.sheets import above, least_like_reals, nearest_pairs, steps_shown
from atelier.models.judge import Judge

Draw = Callable[[int, int], Images]


@pytest.fixture(scope="module")
def reference(prepared: Path, classifier: Judge) -> ReferenceSet:
    return open_reference(prepared, classifier, "test", 300)


def test_noise_among_fresh_pictures_is_the_worst(reference: ReferenceSet, discs: Draw) -> None:
    made = discs(50, 40)
    made[[7, 30]] = np.random.default_rng(0).integers(0, 256, made[:2].shape, np.uint8)
    assert set(least_like_reals(reference.features(made), reference, 2)) == {7, 30}


def test_copies_come_first_each_above_its_original(reference: ReferenceSet, discs: Draw) -> None:
    made, training = discs(51, 60), reference.training
    made[20], made[41] = training[5], training[9][..., ::-1]
    shown = nearest_pairs(made, neighbours(made, training), training)
    upper, lower = shown[:2], shown[COLUMNS : COLUMNS + 2]
    assert np.array_equal(upper, made[[20, 41]])
    assert np.array_equal(lower, upper)  # the second is mirrored, as the copy is


def test_what_does_not_fill_a_row_stands_above_its_own() -> None:
    upper = np.arange(COLUMNS + 1, dtype=np.uint8).reshape(-1, 1, 1, 1)
    found = above(upper, upper + 100).ravel().tolist()
    assert found == [*range(8), *range(100, 108), 8, 108]


def test_edits_without_figures_have_no_row() -> None:
    figures = {"Smiling": {"median_step": 1.5}, "Male": {"left_out": "3 lack it"}}
    assert steps_shown({"editing": figures}) == {"Smiling": 1.5}
    assert steps_shown({"editing": {"left_out": "no labels"}}) == {}
    assert steps_shown({}) == {}

"""A distance stands on a scale from a set that is known to be wrong to training images."""

import pytest

from atelier.evaluation.estimate import Estimate
from atelier.evaluation.scale import Scale, ways

FIGURES = {
    "kid": 0.25,
    "kid_standard_error": 0.01,
    "kid_ceiling": 0.0,
    "kid_ceiling_standard_error": 0.01,
    "kid_blurred": 4.0,
    "kid_blurred_standard_error": 0.1,
    "kid_shuffled": 1.0,
    "kid_shuffled_standard_error": 0.1,
    "kid_mixture": 9.0,
    "kid_mixture_standard_error": 0.1,
    "recall": 0.7,
}


def test_a_share_is_of_the_distance_itself_from_the_nearest_wrong_set() -> None:
    # Roots: 0.5 of the way from 1 to 0, and 3, farther than the wrong set.
    assert ways(FIGURES) == {"of_the_way": 0.5, "of_the_way_mixture": -2.0}


def test_the_wrong_set_is_at_none_of_the_way_and_training_images_at_all() -> None:
    scale = Scale.between({"untouched": Estimate(0.49, 0.01), "ceiling": Estimate(0.04, 0.01)})
    assert scale is not None
    assert scale.wrong_set == "untouched"
    assert (scale.share(0.49), scale.share(0.04)) == (0.0, pytest.approx(1.0))
    assert scale.share(-0.01) == pytest.approx(1.4)


@pytest.mark.parametrize(
    ("name", "value"),
    [("kid_shuffled", 0.1), ("kid_ceiling", 0.9)],
)
def test_there_is_no_way_where_wrong_sets_and_training_images_cannot_be_told_apart(
    name: str, value: float
) -> None:
    figures = {**FIGURES, name: value}
    assert ways(figures) == {}


def test_there_is_no_way_without_a_ceiling_or_a_wrong_set() -> None:
    kids = {"": Estimate(0.1), "ceiling": Estimate(0.0), "blurred": Estimate(1.0)}
    assert Scale.between(kids) is not None
    for name in ("ceiling", "blurred"):
        assert Scale.between({key: kid for key, kid in kids.items() if key != name}) is None

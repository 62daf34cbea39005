"""Outputs resemble their own inputs where a translation heeds them, whatever colours it changes."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest

from atelier.data.images import channels_first
from atelier.drawing import faces
from atelier.evaluation.content import LEAST_FOLLOWING, follows_input
from atelier.evaluation.features import Images

Draw = Callable[[int, int], Images]


def test_the_same_picture_in_other_colours_follows(discs: Draw) -> None:
    inputs = discs(1, 60)
    assert follows_input(inputs, inputs) == 1
    tinted = (inputs * np.array([0.5, 0.8, 0.6]).reshape(1, 3, 1, 1) + 60).astype(np.uint8)
    assert follows_input(inputs, tinted) > 0.99


def test_what_was_dark_may_be_bright(discs: Draw) -> None:
    """By brightness alone, black hair made blond would not follow, nor would its true twin."""
    inputs = discs(5, 60)
    assert follows_input(inputs, 255 - inputs) == 1


@pytest.mark.parametrize("hair", ["black", "blond"])
def test_the_truth_of_drawn_faces_follows(hair: Literal["black", "blond"]) -> None:
    other: Literal["black", "blond"] = "blond" if hair == "black" else "black"
    scenes = [faces.sample(np.random.default_rng(seed)) for seed in range(40)]
    inputs, twins = (
        np.stack([faces.render(faces.with_hair(scene, colour)) for scene in scenes])
        for colour in (hair, other)
    )
    found = follows_input(*(channels_first(pictures) for pictures in (inputs, twins)))
    assert found > LEAST_FOLLOWING + 0.05


@pytest.mark.parametrize(("ignored", "expected"), [(1.0, 0.5), (0.5, 0.75), (0.25, 0.875)])
def test_other_pictures_are_as_often_nearer_as_by_chance(
    discs: Draw, ignored: float, expected: float
) -> None:
    inputs, others = discs(2, 200), discs(3, 200)
    outputs = inputs.copy()
    outputs[: int(200 * ignored)] = others[: int(200 * ignored)]
    found = follows_input(inputs, outputs)
    assert found == pytest.approx(expected, abs=0.05)
    assert found < LEAST_FOLLOWING


def test_flat_outputs_tell_nothing_of_their_inputs(discs: Draw) -> None:
    inputs = discs(4, 30)
    assert follows_input(inputs, np.full_like(inputs, 100)) < LEAST_FOLLOWING

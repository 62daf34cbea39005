"""Blurring and shuffling do what they say."""

from collections.abc import Callable

import numpy as np
import pytest
from tests.rounding import assert_same_pictures

from atelier.evaluation.degraded import blurred, shuffled
from atelier.evaluation.features import Images

Draw = Callable[[int, int], Images]


def test_blur_keeps_flat_pictures_and_dampens_noise(discs: Draw) -> None:
    flat = np.full((3, 3, 32, 32), 77, np.uint8)
    assert np.array_equal(blurred(flat), flat)
    noise = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)
    # A Gaussian of deviation s leaves 1 / (2 s sqrt(pi)) of white noise's deviation.
    assert blurred(noise).std() / noise.std() == pytest.approx(1 / (2 * np.sqrt(np.pi)), rel=0.15)


def test_a_picture_is_blurred_alone(discs: Draw) -> None:
    images = discs(0, 300)
    together = blurred(images)
    assert_same_pictures(together[299:], blurred(images[299:]))
    assert np.abs(together[299:].astype(int) - blurred(images[298:299])).max() > 50


def test_shuffled_patches_are_the_same_patches_elsewhere(discs: Draw) -> None:
    images = discs(0, 5)
    moved = shuffled(images, seed=1)
    assert not np.array_equal(moved, images)
    assert np.array_equal(moved, shuffled(images, seed=1))
    assert np.array_equal(np.sort(moved, axis=None), np.sort(images, axis=None))

    def patches(image: Images) -> set[bytes]:
        return {
            image[:, y : y + 8, x : x + 8].tobytes() for y in (0, 8, 16, 24) for x in (0, 8, 16, 24)
        }

    assert [patches(image) for image in moved] == [patches(image) for image in images]


def test_sides_that_cannot_be_cut() -> None:
    with pytest.raises(ValueError, match="30 pixels"):
        shuffled(np.zeros((1, 3, 30, 30), np.uint8), seed=0)

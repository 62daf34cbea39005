"""Both extractors: what they standardise by, and what they must not be upset by."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from atelier.evaluation.features import (
    CLIP,
    Extractor,
    Images,
    JudgeFeatures,
    Standardiser,
    WitnessFeatures,
    evenly,
)
from atelier.evaluation.witness import Witness
from atelier.models.judge import Judge

Draw = Callable[[int, int], Images]


@pytest.fixture(params=["judge", "witness"])
def extract(request: pytest.FixtureRequest, discs: Draw, classifier: Judge) -> Extractor:
    training = discs(0, 400)
    if request.param == "judge":
        return JudgeFeatures(classifier, training)
    return WitnessFeatures(training)


def test_training_images_are_standardised(extract: Extractor, discs: Draw) -> None:
    features = extract(discs(0, 400))
    assert features.dtype == np.float32
    assert np.array_equal(features, extract.training)
    # Clipping moves a channel with a long tail; the typical one stays.
    assert np.median(np.abs(features.mean(0))) < 0.01
    assert np.median(features.std(0)) == pytest.approx(1, abs=0.01)


def test_a_memory_map_is_read_as_an_array(
    extract: Extractor, discs: Draw, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    np.save(tmp_path / "x.npy", discs(1, 20))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert np.array_equal(extract(mapped), extract(discs(1, 20)))
    assert not recwarn.list


def test_an_image_counts_alone(extract: Extractor, discs: Draw) -> None:
    images = discs(1, 300)
    assert np.allclose(extract(images)[270:], extract(images[270:]), atol=1e-3)


def test_noise_stays_in_range(extract: Extractor) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, 3, 32, 32), dtype=np.uint8)
    assert np.abs(extract(noise)).max() <= CLIP


def test_nearly_dead_channels_are_dropped() -> None:
    raw = np.random.default_rng(0).standard_normal((500, 4)).astype(np.float32)
    raw[:, 1] = 3.0
    raw[:, 2] *= 1e-4
    standardise = Standardiser.fit(raw)
    assert standardise.kept.tolist() == [0, 3]
    assert standardise(raw).shape == (500, 2)


def test_the_witness_is_the_same_everywhere() -> None:
    first, second = Witness(), Witness()
    assert all(torch.equal(a, b) for a, b in zip(first.filters, second.filters, strict=True))
    assert float(first.filters[0].sum()) == pytest.approx(0, abs=1e-4)


def test_the_spectrum_tells_a_checkerboard() -> None:
    flat = torch.zeros(1, 3, 32, 32)
    board = flat.clone()
    board[:, :, ::2, ::2] += 0.1
    # Power at the Nyquist frequency of one axis is in the last ring.
    spectrum = slice(12, 12 + 3 * 12)
    difference = (Witness()(board) - Witness()(flat))[0, spectrum].reshape(3, 12)
    assert torch.all(difference[:, -1] > difference[:, 4:-1].max(dim=1).values)


@pytest.mark.parametrize(("count", "expected"), [(3, [0, 5, 9]), (20, list(range(10)))])
def test_spread_reaches_both_ends(count: int, expected: list[int]) -> None:
    images = np.arange(10, dtype=np.uint8).reshape(10, 1, 1, 1)
    assert sorted(evenly(images, count).ravel().tolist()) in (expected, [0, 4, 9])

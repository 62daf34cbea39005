"""Memorisation: half of fresh pictures lie nearer to the training images, and copies all do."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from atelier.evaluation import memorisation as memorised
from atelier.evaluation.degraded import blurred
from atelier.evaluation.features import FeaturesBy, Images, WitnessFeatures
from atelier.evaluation.memorisation import (
    copies,
    evaluate_memorisation,
    memorisation,
    neighbours,
)
from atelier.evaluation.reference import ReferenceSet, open_reference
from atelier.models.judge import Judge

Draw = Callable[[int, int], Images]
SPACES = ("pixels", "witness")


@pytest.fixture(scope="module")
def reference(prepared: Path, classifier: Judge) -> ReferenceSet:
    return open_reference(prepared, classifier, "test", 300)


def seen(images: Images, witness: WitnessFeatures) -> FeaturesBy:
    return FeaturesBy(images, {"witness": witness})


@pytest.mark.parametrize("space", SPACES)
def test_fresh_pictures_are_as_near_to_either(
    reference: ReferenceSet, discs: Draw, space: str
) -> None:
    found = evaluate_memorisation(reference.features(discs(50, 300)), reference)[space]
    assert found["low"] < 0.5 < found["high"]
    assert found["high"] - found["low"] < 0.12


@pytest.mark.parametrize("space", SPACES)
def test_noisy_and_mirrored_copies_are_seen(reference: ReferenceSet, space: str) -> None:
    """Of the training images that are compared with; half of them mirrored, all with grain."""
    thinned = reference.training[np.linspace(0, 599, 300).round().astype(int)]
    copies = thinned.copy()
    copies[::2] = copies[::2, :, :, ::-1]
    grain = np.random.default_rng(0).integers(-6, 7, copies.shape)
    copies = np.clip(copies.astype(int) + grain, 0, 255).astype(np.uint8)
    assert evaluate_memorisation(reference.features(copies), reference)[space]["low"] > 0.9


def test_a_tenth_of_copies_is_seen_when_there_are_enough(
    reference: ReferenceSet, discs: Draw
) -> None:
    some = np.concatenate([discs(51, 270), reference.training[::2][:30]])
    none = discs(52, 300)
    before = evaluate_memorisation(reference.features(none), reference)["pixels"][
        "nearer_to_training"
    ]
    assert (
        evaluate_memorisation(reference.features(some), reference)["pixels"]["nearer_to_training"]
        > before
    )


def test_training_on_the_held_out_side_shows_the_other_way(
    reference: ReferenceSet, discs: Draw
) -> None:
    witness = WitnessFeatures(reference.training)
    copies = discs(53, 100)
    turned = memorisation(seen(copies, witness), discs(54, 200), copies, witness)
    assert turned["pixels"]["high"] < 0.1
    assert turned["settings"] == {"samples": 100, "reals_each": 100, "side_pixels": 32}


def test_ties_say_nothing(reference: ReferenceSet, discs: Draw) -> None:
    witness, same = WitnessFeatures(reference.training), discs(55, 50)
    found = memorisation(seen(discs(56, 20), witness), same, same, witness)["pixels"]
    assert found == {"nearer_to_training": 0.5, "low": 0.0, "high": 1.0}


def test_the_interval_is_that_of_a_proportion(reference: ReferenceSet, discs: Draw) -> None:
    """Wilson's, against the exact binomial: its ends are where 2.5 % of draws lie beyond."""
    found = evaluate_memorisation(reference.features(discs(57, 300)), reference)["pixels"]
    count = round(found["nearer_to_training"] * 300)
    assert binom.sf(count - 1, 300, found["low"]) == pytest.approx(0.025, abs=0.01)
    assert binom.cdf(count, 300, found["high"]) == pytest.approx(0.025, abs=0.01)


def test_the_nearest_of_all_known_is_found_mirrored_too(
    discs: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = discs(60, 40)
    copied = known[[3, 7]].copy()
    copied[1] = known[7, ..., ::-1]
    moved = (known[:1].astype(np.int64) + 5).clip(0, 255).astype(np.uint8)
    found = neighbours(np.concatenate([copied, moved]), known, 3).distances
    assert found[:2, 0] == pytest.approx([0, 0], abs=1e-1)
    assert 0 < found[2, 0] <= 5 + 1e-3
    assert (np.diff(found, axis=1) >= 0).all()
    monkeypatch.setattr(memorised, "KNOWN_AT_ONCE", 7)
    assert neighbours(np.concatenate([copied, moved]), known, 3).distances == pytest.approx(found)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_copies_are_counted_and_blurred_pictures_are_none(
    reference: ReferenceSet, discs: Draw, share: float
) -> None:
    """Mirrored, with grain; from images that a thinned set would not have."""
    fresh, training = discs(61, 300), reference.training
    some = round(share * 300)
    grain = np.random.default_rng(1).integers(-4, 5, (some, *training.shape[1:]))
    made = fresh.copy()
    made[:some] = np.clip(training[1 : 2 * some : 2, ..., ::-1] + grain, 0, 255)
    found = copies(made, training, reference.reals)
    assert found.share == pytest.approx(share, abs=0.03)
    assert found.in_words() == [
        f"copies training images ({found.share:.1%} of samples, at most 2%)"
    ]
    for honest in (fresh, blurred(fresh)):
        assert copies(honest, training, reference.reals).in_words() == []

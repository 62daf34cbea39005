"""The whole scoring: reals at the ceiling, blur below it, collapse flagged, one split opened."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from atelier.errors import UserError
from atelier.evaluation.degraded import blurred
from atelier.evaluation.faces import kid_table, open_bounds, score_images
from atelier.evaluation.features import Images
from atelier.evaluation.reference import ReferenceSet, open_reference
from atelier.evaluation.report import rounded
from atelier.models import judge_b
from atelier.models.judge import Judge

Draw = Callable[[int, int], Images]
EXTRACTORS = ("judge", "imagenet", "witness")


@pytest.fixture(scope="module")
def reference(prepared: Path, classifier: Judge) -> ReferenceSet:
    return open_reference(prepared, classifier, "test", 300)


@pytest.fixture(scope="module")
def scored(reference: ReferenceSet, discs: Draw) -> dict[str, Any]:
    return score(discs(77, 300), reference)


def score(images: Images, reference: ReferenceSet) -> dict[str, Any]:
    return score_images(
        reference.features(images), reference, open_bounds(reference, len(images), 77), 77
    )


@pytest.mark.parametrize("extractor", EXTRACTORS)
def test_fresh_reals_reach_the_ceiling_and_degraded_sets_lie_far_off(
    scored: dict[str, Any], extractor: str
) -> None:
    figures = scored[extractor]
    assert abs(figures["kid"]) < 4 * figures["kid_standard_error"]
    assert abs(figures["kid_ceiling"]) < 4 * figures["kid_ceiling_standard_error"]
    for degraded in ("blurred", "shuffled"):
        assert figures[f"kid_{degraded}"] > 3 * figures[f"kid_{degraded}_standard_error"]
        assert figures[f"kid_{degraded}"] > figures["kid"]
    assert figures["precision"] == pytest.approx(figures["precision_ceiling"], abs=0.2)
    assert scored["left_out"][f"{extractor}/fd"] == "needs 640 images (got 300)"


def test_what_the_figures_rest_on_is_recorded(scored: dict[str, Any]) -> None:
    assert scored["collapsed"] is False
    assert scored["witness"]["diversity_share"] == pytest.approx(1, abs=0.1)
    assert scored["settings"] == {
        "dataset": "discs",
        "drawn": True,
        "size_pixels": 32,
        "crop": 1.0,
        "split": "test",
        "reals": 300,
        "samples": 300,
        "seed": 77,
        "chosen_by": "judge",
        "nearest": 5,
        "fd_dimensions": 64,
    }


def test_a_second_judge_is_asked_for_its_opinion_and_chooses_nothing(
    prepared: Path, classifier: Judge, discs: Draw
) -> None:
    torch.manual_seed(1)
    built = judge_b.build(judge_b.Config(name="judge_b", width=4), (3, 32, 32), 1)["classifier"]
    assert isinstance(built, Judge)
    reference = open_reference(prepared, classifier, "test", 300, second=built)
    assert list(reference.extractors) == ["judge", "judge_b", "imagenet", "witness"]
    assert reference.chooses == "judge"
    found = score(discs(77, 300), reference)
    assert found["settings"]["chosen_by"] == "judge"
    assert found["judge_b"]["kid"] != found["judge"]["kid"]
    assert found["judge_b"]["kid_blurred"] > 3 * found["judge_b"]["kid_blurred_standard_error"]


def test_without_a_judge_imagenet_chooses_and_the_figures_say_so(
    prepared: Path, discs: Draw
) -> None:
    reference = open_reference(prepared, None, "test", 300)
    found = score_images(
        reference.features(discs(77, 300)), reference, open_bounds(reference, 300, 77), 77
    )
    assert "judge" not in found
    assert found["settings"]["chosen_by"] == "imagenet"
    assert found["left_out"]["judge"].endswith("imagenet chooses and gates")
    assert {row["extractor"] for row in kid_table(found)} == {"imagenet", "witness"}


def test_the_same_seed_gives_the_same_figures(
    scored: dict[str, Any], prepared: Path, classifier: Judge, discs: Draw
) -> None:
    again = score(discs(77, 300), open_reference(prepared, classifier, "test", 300))
    assert rounded(again) == rounded(scored)


def test_collapse_is_flagged(reference: ReferenceSet, discs: Draw) -> None:
    """One picture, with a grain that a careless glance takes for variety."""
    grain = np.random.default_rng(0).integers(-2, 3, (100, 3, 32, 32))
    one = np.clip(discs(5, 1) + grain, 0, 255).astype(np.uint8)
    found = score(one, reference)
    varied = reference.kid(reference.features(discs(6, 20)))
    assert found["collapsed"] is True
    assert found["judge"]["recall"] < 0.3
    assert found["judge"]["kid"] > varied["judge"].value


def test_the_table_shows_the_generator_beside_its_scale(scored: dict[str, Any]) -> None:
    rows = kid_table(scored)
    assert [(row["extractor"], row["set"]) for row in rows] == [
        (extractor, name)
        for extractor in EXTRACTORS
        for name in ("generator", "blurred", "ceiling", "shuffled")
    ]


def test_without_a_judge_the_table_is_the_others(scored: dict[str, Any]) -> None:
    rows = kid_table({key: words for key, words in scored.items() if key != "judge"})
    assert {row["extractor"] for row in rows} == {"imagenet", "witness"}


def test_a_blurred_challenger_loses_to_fresh_reals(reference: ReferenceSet, discs: Draw) -> None:
    sharp = reference.features(discs(8, 200))
    soft = reference.features(blurred(discs(9, 200)))
    for comparison in reference.compare(sharp, soft).values():
        assert comparison.p_value < 0.01
    for comparison in reference.compare(soft, sharp).values():
        assert comparison.p_value > 0.99


def test_only_the_asked_split_is_opened(
    prepared: Path, classifier: Judge, opened: list[str]
) -> None:
    open_reference(prepared, classifier, "validation", 50)
    assert sorted(opened) == ["training.npy", "validation.npy"]


def test_an_unknown_split(prepared: Path, classifier: Judge) -> None:
    with pytest.raises(UserError, match="no split holdout to compare with"):
        open_reference(prepared, classifier, "holdout", 50)


def test_pictures_of_another_size_are_refused(reference: ReferenceSet) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \[N, 3, 32, 32\] \(got uint8 \[2, 3, 64"):
        reference.features(np.zeros((2, 3, 64, 64), np.uint8))

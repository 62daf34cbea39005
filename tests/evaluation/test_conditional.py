"""Conditional scoring: obedience, both sides apart, variety within a request, on known frauds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from atelier.data.sampling import Labels
from atelier.evaluation import conditional
from atelier.evaluation.conditional import Examination, open_examination
from atelier.evaluation.features import Images
from atelier.evaluation.reference import open_reference
from atelier.models.judge import Judge

Draw = Callable[[int, int], Images]
ATTRIBUTES = ("Dark", "Upright")
NAMES = ["Upright", "Other", "Dark"]
"""Of the dataset, and of its judge: in another order than the conditions."""
SHARES = {(0, 0): 0.3, (0, 1): 0.5, (1, 0): 0.2}
"""Of combinations; dark and upright is never seen."""
COUNTS = {"training": 400, "test": 300}


class Told(Judge):
    """Tells which way stripes run, as it has learnt, and what is dark, by a threshold."""

    def forward(self, images: Tensor) -> Tensor:
        dark = -100 * (images.mean((1, 2, 3))[:, None] + 0.62)
        lit = torch.where(dark[:, :, None, None] > 0, 3 * (images + 1) - 1, images)
        return torch.cat([super().forward(lit), torch.zeros_like(dark), dark], dim=1)


@pytest.fixture(scope="module")
def judge(classifier: Judge) -> Judge:
    told = Told(classifier.stem, classifier.depths, classifier.norm.num_features, 1)
    told.load_state_dict(classifier.state_dict())
    return told.eval()


def pictures(requests: Labels, seed: int, draw: Draw) -> Images:
    """The conditions, met exactly."""
    images = draw(seed, len(requests)).copy()
    lying = requests[:, 1] == 0
    images[lying] = images[lying].swapaxes(2, 3)
    images[requests[:, 0] == 1] //= 3
    return images


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, discs: Draw) -> Path:
    folder: Path = tmp_path_factory.mktemp("conditional")
    for seed, (split, count) in enumerate(COUNTS.items()):
        sizes = [round(share * count) for share in SHARES.values()]
        conditions = np.repeat(np.array(list(SHARES), np.uint8), sizes, axis=0)
        order = np.random.default_rng(seed).permutation(count)
        labels = np.zeros((count, 3), np.uint8)
        labels[:, 2], labels[:, 0] = conditions[order].T
        np.save(folder / f"{split}_labels.npy", labels)
        np.save(folder / f"{split}.npy", pictures(conditions[order], seed, discs))
    manifest = {
        "dataset": "discs", "layout": "attributes", "size_pixels": 32, "crop": 1.0, "drawn": True,
        "labels": NAMES,
        "splits": {name: {"count": count} for name, count in COUNTS.items()},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def examination(folder: Path, judge: Judge) -> Examination:
    reference = open_reference(folder, judge, "test", 1000)
    return open_examination(reference, folder, judge, NAMES, ATTRIBUTES)


@pytest.fixture(scope="module")
def obedient(discs: Draw) -> conditional.ConditionalSampler:
    return lambda requests, seed: pictures(requests, 50 + seed, discs)


def scored(examination: Examination, sample: conditional.ConditionalSampler) -> dict[str, Any]:
    features = examination.reference.features(examination.as_the_reals(sample, 7))
    return examination.score(features, sample, 7)


def test_who_makes_what_is_asked_for_loses_nothing(
    examination: Examination, obedient: conditional.ConditionalSampler
) -> None:
    received: list[Labels] = []

    def sample(requests: Labels, seed: int) -> Images:
        received.append(requests)
        return obedient(requests, seed)

    found = scored(examination, sample)
    accuracy = found["accuracy"]
    assert accuracy["with"].keys() == accuracy["without"].keys() == set(ATTRIBUTES)
    assert accuracy["minimum"] == min(*accuracy["with"].values(), *accuracy["without"].values())
    assert accuracy["minimum"] > 0.9
    assert found["out_of_range"] < 0.05
    assert found["diversity"]["within"].keys() == {"none", "Upright", "Dark"}
    assert found["diversity"]["minimum"] == pytest.approx(1, abs=0.1)
    assert abs(found["witness"]["kid"]) < 5 * found["witness"]["kid_standard_error"]
    assert found["settings"]["combinations"] == 3
    realism, requests, *_ = received
    assert sorted(map(tuple, realism.tolist())) == sorted(
        combination for combination, share in SHARES.items() for _ in range(round(300 * share))
    )
    assert {combination: 100 for combination in SHARES} == {
        tuple(row): int(n)
        for row, n in zip(*np.unique(requests, axis=0, return_counts=True), strict=True)
    }


def test_who_never_makes_an_attribute_is_right_without_and_wrong_with(
    examination: Examination, obedient: conditional.ConditionalSampler
) -> None:
    def never_dark(conditions: Labels, seed: int) -> Images:
        return obedient(conditions * np.uint8([0, 1]), seed)

    deaf = scored(examination, never_dark)
    assert deaf["accuracy_of_all"]["with"]["Dark"] < 0.1
    assert deaf["accuracy_of_all"]["without"]["Dark"] > 0.9
    assert deaf["accuracy_of_all"]["minimum"] < 0.1


def test_one_picture_per_request_is_accurate_and_not_diverse(
    examination: Examination, obedient: conditional.ConditionalSampler
) -> None:
    def sample(conditions: Labels, seed: int) -> Images:
        combinations, which = np.unique(conditions, axis=0, return_inverse=True)
        return obedient(combinations, 0)[which.reshape(-1)]

    found = scored(examination, sample)
    assert found["accuracy_of_all"]["minimum"] == 1
    assert found["diversity"]["minimum"] < 0.01


def test_a_verdict_on_mush_does_not_count(examination: Examination) -> None:
    def mush(conditions: Labels, seed: int) -> Images:
        draw = np.random.default_rng(seed)
        grey = draw.integers(0, 256, (len(conditions), 3, 32, 32)).astype(np.uint8)
        return np.asarray(grey // (1 + 2 * conditions[:, 0, None, None, None]))

    found = scored(examination, mush)
    assert found["out_of_range"] > 0.9
    assert found["accuracy_of_all"]["with"]["Dark"] == 1
    assert found["accuracy"]["with"]["Dark"] < 0.1


def test_the_figure_prefers_obedience_to_the_same_faces_in_disorder(
    folder: Path,
    judge: Judge,
    examination: Examination,
    obedient: conditional.ConditionalSampler,
) -> None:
    def disorderly(conditions: Labels, seed: int) -> Images:
        return obedient(conditional.shuffled_rows(conditions, 3), seed)

    figure = examination.figure(obedient, 7)
    assert figure.value + 0.3 < examination.figure(disorderly, 7).value
    reference = open_reference(folder, judge, "test", 1000)
    again = open_examination(reference, folder, judge, NAMES, ATTRIBUTES)
    assert figure.value == pytest.approx(again.figure(obedient, 7).value)


def test_accuracy_tells_both_sides_apart() -> None:
    requests = np.array([[1, 0], [1, 0], [1, 0], [0, 0]], np.uint8)
    said = np.array([[1, 0], [1, 1], [0, 0], [0, 0]], bool)
    assert conditional.accuracy(requests, said, ATTRIBUTES) == {
        "minimum": pytest.approx(2 / 3),
        "with": {"Dark": pytest.approx(2 / 3)},
        "without": {"Dark": 1.0, "Upright": 0.75},
    }
    assert conditional.accuracy(requests[:0], said[:0], ATTRIBUTES)["minimum"] == 0


def test_a_split_with_few_of_each_says_why_diversity_is_left_out(
    folder: Path, judge: Judge, obedient: conditional.ConditionalSampler
) -> None:
    reference = open_reference(folder, judge, "test", 60)
    small = open_examination(reference, folder, judge, NAMES, ATTRIBUTES)
    left_out = small.diversity(obedient, 1)
    assert left_out == {"left_out": "no combination has 50 real images"}


def test_training_labels_say_what_can_be_asked_for_and_no_third_split_is_opened(
    folder: Path, judge: Judge, opened: list[str]
) -> None:
    reference = open_reference(folder, judge, "test", 50)
    found = open_examination(reference, folder, judge, NAMES, ATTRIBUTES)
    assert set(opened) == {"training.npy", "test.npy", "training_labels.npy", "test_labels.npy"}
    assert sorted(map(tuple, found.allowed.tolist())) == sorted(SHARES)
    assert len(found.rows) == 50

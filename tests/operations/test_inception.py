"""The extractor `inception`: one known file of weights, and figures as other programs have them."""

import pickle
from pathlib import Path

import numpy as np
import prdc
import pytest
import torch
from tests.inception import random_weights
from tests.toys import Canary
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

from atelier.errors import UserError
from atelier.evaluation import frechet
from atelier.evaluation.kid import kid
from atelier.operations import inception
from atelier.operations.inception import Inception, InceptionFeatures, figures


def features(seed: int, count: int, shift: float = 0.0) -> InceptionFeatures:
    """Of 12 numbers, and logits that are sure of one of 5 classes in turn."""
    draw = np.random.default_rng(seed)
    pooled = torch.from_numpy(draw.normal(shift, 1, (count, 12)).astype(np.float32))
    return InceptionFeatures(pooled, 100 * torch.eye(5)[torch.arange(count) % 5])


MADE, REALS = features(0, 200, shift=0.3), features(1, 150)


def test_another_file_is_refused_before_anything_of_it_is_unpickled(tmp_path: Path) -> None:
    """Whatever it is called: a pickle runs what it names."""
    path = tmp_path / "weights-inception-2015-12-05-6726825d.pth"
    path.write_bytes(pickle.dumps(Canary(tmp_path / "ran")))
    with pytest.raises(UserError) as refused:
        Inception(path)
    line = str(refused.value)
    assert line.startswith(f"{path}: not the weights of InceptionV3 (its sha256 is ")
    assert "Nothing of it was loaded." in line
    assert "\n" not in line
    assert not (tmp_path / "ran").exists()


def test_a_folder_in_its_place_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a file"):
        Inception(tmp_path)


def test_a_file_that_is_not_there_says_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    expected = tmp_path / "hub/checkpoints/weights-inception-2015-12-05-6726825d.pth"
    assert inception.downloaded() == expected
    with pytest.raises(UserError) as refused:
        Inception()
    assert refused.value.where == str(expected)
    assert refused.value.remedy == f"Download {URL_INCEPTION_V3}, or name it with --weights."


def test_the_digest_is_the_one_that_the_files_name_begins() -> None:
    assert URL_INCEPTION_V3.endswith(f"-{inception.DIGEST[:8]}.pth")
    assert len(inception.DIGEST) == 64


def test_fid_and_kid_are_those_of_our_own_arithmetic() -> None:
    found = figures(MADE, REALS)
    made, reals = MADE.pooled.numpy(), REALS.pooled.numpy()
    assert found["fid"] == pytest.approx(frechet.distance(reals, made), rel=1e-5)
    whole = figures(features(0, 150, shift=0.3), REALS)
    expected = kid(reals, features(0, 150, shift=0.3).pooled.numpy()).value
    assert whole["kid"] == pytest.approx(expected, rel=1e-4)
    assert whole["kid_deviation"] == pytest.approx(0, abs=1e-6)  # one subset is all there is


def test_precision_is_of_what_was_made_and_recall_of_the_reals() -> None:
    """Against the reference program of Naeem et al. 2020."""
    found = figures(MADE, REALS)
    expected = prdc.compute_prdc(REALS.pooled.numpy(), MADE.pooled.numpy(), nearest_k=3)
    assert found["precision"] == pytest.approx(expected["precision"], abs=1e-6)
    assert found["recall"] == pytest.approx(expected["recall"], abs=1e-6)
    narrow = InceptionFeatures(0.2 * features(0, 200).pooled, MADE.logits)
    assert figures(narrow, REALS)["precision"] > 0.9 > 0.3 > figures(narrow, REALS)["recall"]


def test_the_score_counts_classes_that_are_sure_and_even() -> None:
    """Five in turn: a little less than 5, for its ten parts are drawn by chance."""
    assert 4.5 < figures(MADE, REALS)["score"] < 5
    one = InceptionFeatures(MADE.pooled, MADE.logits[:1].repeat(200, 1))
    unsure = InceptionFeatures(MADE.pooled, torch.zeros(200, 5))
    assert figures(one, REALS)["score"] == figures(unsure, REALS)["score"] == pytest.approx(1)


def test_kids_subsets_are_no_larger_than_the_sets() -> None:
    assert inception.subset(50_000, 19_962) == 1000
    assert inception.subset(120, 50_000) == 120


def test_too_few_pictures_are_one_line() -> None:
    with pytest.raises(UserError, match=r"inception: too few pictures \(got 9\)\. 10 or more\."):
        figures(features(0, 9), REALS)


@pytest.mark.slow
def test_features_do_not_depend_on_the_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inception, "DIGEST", random_weights(tmp_path / "random.pth"))
    network = Inception(tmp_path / "random.pth")
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 16, 16), np.uint8)
    told: list[int] = []
    found = network.features(iter([images[:2], images[2:]]), told.append)
    assert told == [2, 3]
    assert (found.pooled.shape, found.logits.shape) == ((3, 2048), (3, 1008))
    whole = network.features([images], told.append)
    torch.testing.assert_close(found.pooled, whole.pooled)
    assert not torch.allclose(found.pooled[0], found.pooled[1])

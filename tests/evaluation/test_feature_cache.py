"""Real images are looked at once; whatever decides what is seen there decides the file's name."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from atelier.data.images import to_float
from atelier.device import CPU
from atelier.evaluation import feature_cache
from atelier.evaluation.faces import open_bounds
from atelier.evaluation.feature_cache import Place
from atelier.evaluation.features import BATCH, NetworkFeatures, in_batches
from atelier.evaluation.reference import ReferenceSet, open_extractors

COUNT = 40


def images(seed: int, count: int = COUNT) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 16, 16), np.uint8)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many images each pass over a network was given."""
    seen: list[int] = []
    call = nn.Sequential.__call__

    def counted(module: nn.Module, given: torch.Tensor) -> torch.Tensor:
        seen.append(len(given))
        return call(module, given)

    monkeypatch.setattr(nn.Sequential, "__call__", counted)
    return seen


def test_what_was_found_once_is_found_again(tmp_path: Path, looks: list[int]) -> None:
    place, training, reals = Place(CPU, tmp_path / "kept"), images(0), images(1)
    first = NetworkFeatures("net", network(), training, place)
    found = first.of_reals(reals)
    assert looks == [COUNT, COUNT]
    again = NetworkFeatures("net", network(), training, place)
    np.testing.assert_array_equal(again.of_reals(reals), found)
    np.testing.assert_array_equal(again.training, first.training)
    assert looks == [COUNT, COUNT]
    np.testing.assert_array_equal(NetworkFeatures("net", network(), training)(reals), found)


def test_what_was_made_is_not_kept(tmp_path: Path, looks: list[int]) -> None:
    extract = NetworkFeatures("net", network(), images(0), Place(CPU, tmp_path))
    extract(images(1))
    kept = list(tmp_path.iterdir())
    extract(images(1))
    assert list(tmp_path.iterdir()) == kept
    assert looks == [COUNT, COUNT, COUNT]


def test_another_picture_weight_or_machine_is_looked_at_anew(
    tmp_path: Path, looks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, reals = Place(CPU, tmp_path), images(1)

    def raw(network: nn.Module, pictures: np.ndarray) -> np.ndarray:
        found: np.ndarray = place.raw(network, pictures, lambda: in_batches(network, pictures))
        return found

    raw(network(), reals)
    other = reals.copy()
    other[-1, -1, -1, -1] ^= 1
    for times, (net, pictures) in enumerate(
        [(network(), other), (network(), reals[:-1]), (network(1), reals)], start=2
    ):
        np.testing.assert_array_equal(
            raw(net, pictures), net(to_float(torch.tensor(pictures))).detach()
        )
        assert len(list(tmp_path.iterdir())) == times
    for change in (
        lambda: monkeypatch.setattr(torch, "get_num_threads", lambda: 63),
        lambda: monkeypatch.setattr(torch, "__version__", "99.0"),
        lambda: monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "Z80"),
    ):
        before = len(looks)
        change()
        raw(network(), reals)
        raw(network(), reals)
        assert len(looks) == before + 1


def test_other_code_looks_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the extractors and of what gives them pixels; torch's own stands for its version."""
    extractors = open_extractors(None, images(0))
    named = {
        name: {path.name for path in feature_cache._sources(extractor.network)}
        for name, extractor in extractors.items()
    }
    assert named["witness"] == {"witness.py", "features.py", "images.py"}
    assert named["imagenet"] == {"imagenet.py", "features.py", "images.py"}
    source = tmp_path / "witness.py"
    source.write_text("# one\n")
    monkeypatch.setattr(feature_cache, "_sources", lambda network: [source])
    one = feature_cache._key(network(), images(1))
    source.write_text("# two\n")
    assert feature_cache._key(network(), images(1)) != one


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04", b"cos\nsystem\n"])
def test_a_spoilt_file_is_made_anew(tmp_path: Path, content: bytes) -> None:
    place, reals, net = Place(CPU, tmp_path), images(1), network()
    found = place.raw(net, reals, lambda: in_batches(net, reals))
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    np.testing.assert_array_equal(place.raw(net, reals, lambda: in_batches(net, reals)), found)
    np.testing.assert_array_equal(np.load(path), found)


def test_a_second_experiment_looks_at_no_real_image(tmp_path: Path, looks: list[int]) -> None:
    """Neither at the training images, nor at those blurred and shuffled."""

    def scaled() -> list[np.ndarray]:
        training, reals = images(0, BATCH + 3), images(1)
        extractors = {"net": NetworkFeatures("net", network(), training, Place(CPU, tmp_path))}
        features = {"net": extractors["net"].of_reals(reals)}
        reference = ReferenceSet("test", {}, training, reals, extractors, features)
        return [of["net"] for of in open_bounds(reference, COUNT, 0).values()]

    first = scaled()
    assert sum(looks) == BATCH + 3 + 4 * COUNT
    for one, other in zip(first, scaled(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert sum(looks) == BATCH + 3 + 4 * COUNT

"""Where what follows a training runs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from atelier import device
from atelier.bundle.bundle_model import open_bundle
from atelier.errors import UserError
from atelier.evaluation import features, imagenet
from atelier.evaluation.feature_cache import Place
from atelier.evaluation.features import BATCH, in_batches
from atelier.evaluation.reference import open_extractors
from atelier.models import MODELS
from atelier.tasks.pictures import CHUNK, made_from
from tests.toys import SIZE

META = torch.device("meta")
"""A device of which every machine has one: what lies elsewhere it refuses, as a GPU does."""
LEAVES = "Cannot copy out of meta tensor"
"""What it says of numbers, once all has been computed there."""


def judge() -> nn.Module:
    model = MODELS["judge"]
    config = model.config(name="judge", width=4)
    network: nn.Module = model.build(config, (3, 32, 32), 2)["classifier"]
    return network


@pytest.mark.parametrize("name", ["judge", "imagenet", "witness"])
def test_an_extractor_looks_where_it_lies(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # One of its own: what was on `meta` has lost its weights.
    monkeypatch.setattr(imagenet, "_network", imagenet._network.__wrapped__)
    images = np.zeros((4, 3, 32, 32), np.uint8)
    here = open_extractors(judge(), images)[name].network
    there = open_extractors(judge(), images, place=Place(META))[name].network
    expected = here(torch.zeros(4, 3, 32, 32))
    made = there(torch.zeros(4, 3, 32, 32, device=META))
    assert made.device == META
    assert made.shape == expected.shape
    with pytest.raises(NotImplementedError, match=LEAVES):
        in_batches(there, images)


def test_a_network_makes_pictures_where_it_lies() -> None:
    network = nn.Linear(8, 3)
    assert made_from(network, torch.randn(CHUNK + 1, 8)).shape == (CHUNK + 1, 3)
    with pytest.raises(NotImplementedError, match=LEAVES):
        made_from(network.to(META), torch.randn(CHUNK + 1, 8))


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("unconditional", lambda opened, pictures: opened.sample(2)),
        ("vae", lambda opened, pictures: opened.decode(np.zeros((2, 8), np.float32))),
        ("vae", lambda opened, pictures: opened.encode(pictures)),
        ("translation", lambda opened, pictures: opened.translate(pictures, "B2A")),
    ],
)
def test_a_bundle_runs_where_it_is_told(
    packed: Callable[[str], Path], name: str, use: Callable[..., object]
) -> None:
    opened, pictures = open_bundle(packed(name)), np.zeros((2, SIZE, SIZE, 3), np.uint8)
    use(opened, pictures)
    with pytest.raises(NotImplementedError, match=LEAVES):
        use(opened.to("meta"), pictures)


def test_a_translation_goes_there_in_batches(
    packed: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU that is given one picture at a time waits for each."""
    opened = open_bundle(packed("translation"))
    pictures = np.random.default_rng(0).integers(0, 256, (70, SIZE, SIZE, 3), np.uint8)
    alone = opened.translate(pictures, "A2B")
    runs: list[str] = []
    run = opened._run

    def counted(network: str, *inputs: np.ndarray) -> torch.Tensor:
        runs.append(network)
        opened.device = "cpu"  # as far as there is another
        return run(network, *inputs)

    monkeypatch.setattr(opened, "_run", counted)
    opened.device = "meta"
    together = opened.translate(pictures, "A2B")
    assert runs == ["a2b"] * 2
    assert np.abs(together.astype(int) - alone).max() <= 1


def test_figures_on_a_gpu_keep_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []
    flags = torch.backends.cudnn.flags
    monkeypatch.setattr(
        torch.backends.cudnn, "flags", lambda **how: (asked.append(how), flags(**how))[1]
    )
    for place in ("cuda", "cpu"):
        with device.exactly(torch.device(place)):
            assert torch.backends.cudnn.allow_tf32 is (place == "cpu")
    assert len(asked) == 1
    assert torch.backends.cudnn.allow_tf32


def test_features_of_many_images_are_found_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    network = nn.Flatten()
    network.register_forward_hook(lambda _, given, made: seen.append(len(given[0])))
    made = features.in_batches(network, np.zeros((BATCH + 3, 3, 4, 4), np.uint8))
    assert seen == [BATCH, 3]
    assert made.shape == (BATCH + 3, 48)


@pytest.mark.parametrize("name", ["cuda:99", "cpu:1", "tpu", "", "meta"])
def test_a_device_that_is_not_here_is_one_line(name: str) -> None:
    with pytest.raises(UserError, match=r"--device: not here \(got .*There is cpu"):
        device.named(name)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["unconditional", "conditional", "translation", "vae"])
def test_a_gpus_pictures_are_the_cpus(packed: Callable[[str], Path], name: str) -> None:
    opened, moved = open_bundle(packed(name)), open_bundle(packed(name)).to("cuda")
    pictures = np.random.default_rng(0).integers(0, 256, (70, SIZE, SIZE, 3), np.uint8)
    asked = np.ones(len(opened.attributes), np.float32) if opened.attributes else None
    here, there = (
        one.sample(70, attributes=asked) if one.can_sample else one.translate(pictures, "A2B")
        for one in (opened, moved)
    )
    apart = np.abs(here.astype(int) - there)
    assert apart.max() <= 1
    assert (apart > 0).mean() <= 0.001

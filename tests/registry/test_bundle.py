"""Packing: stable bytes, whole or not at all, and a program that is the generator."""

import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from atelier.errors import UserError
from atelier.registry import bundle
from atelier.registry.bundle_model import Sampler

from .conftest import IMAGES, toy_images, toy_numbers


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_another_process_packs_the_same_bytes(image_bundle: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from registry.conftest import *;"
        "bundle.pack(Path(sys.argv[1]), toy_images(), IMAGES)"
    )
    tests = Path(__file__).parents[1]
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "again")],
        check=True,
        env={"PYTHONPATH": f"{tests}:{tests.parent / 'src'}", "PYTHONHASHSEED": "7"},
    )
    assert contents(tmp_path / "again") == contents(image_bundle)


def test_a_bundle_names_no_machine_and_holds_no_pickle(image_bundle: Path) -> None:
    packed = b"".join(contents(image_bundle).values())
    for word in (str(Path.cwd()), str(Path(torch.__file__).parent), str(Path.home())):
        assert word.encode() not in packed
    with zipfile.ZipFile(image_bundle / "generator.pt2") as archive:
        for entry in archive.infolist():
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert entry.header_offset >= 0
            assert not archive.read(entry).startswith((b"PK", b"\x80"))


def test_the_program_is_the_generator(image_bundle: Path) -> None:
    generator = toy_images().eval()
    sampler = Sampler(image_bundle)
    latents = torch.randn(5, 8)
    with torch.inference_mode():
        assert torch.allclose(sampler._program(latents), generator(latents), atol=1e-6)


def test_image_k_does_not_depend_on_how_many_were_asked_for(image_bundle: Path) -> None:
    sampler = Sampler(image_bundle)
    many = sampler.sample(140, seed=3)
    assert many.shape == (140, 8, 8, 3)
    assert many.dtype == np.uint8
    for count in (1, 63, 64, 65, 130):
        np.testing.assert_array_equal(sampler.sample(count, seed=3), many[:count])
    assert (sampler.sample(140, seed=4) != many).any()


def test_truncation_scales_the_latent(image_bundle: Path) -> None:
    sampler = Sampler(image_bundle)

    def spread(truncation: float) -> float:
        outputs = torch.cat(list(sampler.outputs(64, 0, truncation)))
        return float(outputs.std(dim=0).mean())

    assert spread(0.25) < spread(1.0) < spread(2.0)


def test_numbers_are_the_places_of_the_largest_scores(number_bundle: Path) -> None:
    sampler = Sampler(number_bundle)
    numbers = sampler.sample(100)
    assert numbers.dtype == np.int64
    assert numbers.min() >= 0
    assert numbers.max() < 100
    shown = json.loads((number_bundle / "example.json").read_text())["numbers"]
    assert shown == numbers.tolist()


def test_the_digest_follows_weights_and_words_alone(image_bundle: Path, tmp_path: Path) -> None:
    before = bundle.read(image_bundle)["digest"]
    other = bundle.pack(tmp_path / "weights", toy_images(seed=1), IMAGES)
    worded = bundle.pack(tmp_path / "words", toy_images(), replace(IMAGES, selected_images=7))
    again = bundle.pack(tmp_path / "again", toy_images(), IMAGES)
    assert len({before, other, worded}) == 3
    assert again == before


def broken_images() -> nn.Module:
    generator = toy_images()
    torch.nn.init.constant_(generator[2].bias, float("nan"))
    return generator


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        (toy_numbers(), r"faces-gan: the generator makes \[100\], not \[3, 8, 8\]\."),
        (broken_images(), r"faces-gan: the generator's outputs are not finite\."),
    ],
)
def test_a_generator_that_does_not_fit_leaves_what_was_there(
    copied: Path, generator: nn.Module, message: str
) -> None:
    before = contents(copied)
    with pytest.raises(UserError, match=message):
        bundle.pack(copied, generator, IMAGES)
    assert contents(copied) == before
    assert [path.name for path in copied.parent.iterdir()] == ["bundle"]


def test_a_bundle_is_replaced(copied: Path) -> None:
    digest = bundle.pack(copied, toy_images(seed=1), IMAGES)
    assert bundle.read(copied)["digest"] == digest
    assert [path.name for path in copied.parent.iterdir()] == ["bundle"]

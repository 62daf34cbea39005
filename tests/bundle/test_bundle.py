"""Packing: stable bytes, whole or not at all, and programs that are the networks."""

import io
import json
import os
import pickle
import pickletools
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.rounding import assert_alike
from tests.toys import (
    CARD,
    IMAGES,
    SIZE,
    TOYS,
    Canary,
    directions,
    pictures,
    toy_encoder,
    toy_images,
    toy_numbers,
)
from torch import nn

from atelier.bundle import bundle_model
from atelier.bundle import pack as bundle
from atelier.bundle.bundle_model import code_digest_of, open_bundle
from atelier.errors import UserError

from .test_bundle_model import Members, opaque_constant, pickled_weight, read, sample_inputs


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_another_process_packs_the_same_bytes(
    packed: Callable[[str], Path], tmp_path: Path
) -> None:
    """With the same threads and instruction sets: networks make the toys' first weights and
    examples, and their last bits depend on both."""
    code = (
        "import sys, torch; from pathlib import Path; from toys import TOYS\n"
        f"torch.set_num_threads({torch.get_num_threads()})\n"
        "for name, toy in TOYS.items(): toy.pack(Path(sys.argv[1], name))"
    )
    tests = Path(__file__).parents[1]
    source = {"PYTHONPATH": f"{tests}:{tests.parent / 'src'}", "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=os.environ | source)
    for name in TOYS:
        assert contents(tmp_path / name) == contents(packed(name)), name


def test_a_bundle_names_no_machine_and_holds_no_pickle(packed: Callable[[str], Path]) -> None:
    for name in TOYS:
        members = contents(packed(name))
        whole = b"".join(members.values())
        for word in (str(Path.cwd()), str(Path(torch.__file__).parent), str(Path.home())):
            assert word.encode() not in whole
        for program in (member for member in members if member.endswith(".pt2")):
            with zipfile.ZipFile(packed(name) / program) as archive:
                assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            assert not pickled(read(packed(name), program))


def pickled(members: Mapping[str, bytes]) -> list[str]:
    """Members of a program that begin with a pickle, or are archives, as torch's pickles are."""
    return [
        name
        for name, content in members.items()
        if zipfile.is_zipfile(io.BytesIO(content)) or begins_with_pickle(content)
    ]


def begins_with_pickle(content: bytes) -> bool:
    """Whether a pickle of protocol 2 or later can be read from the first byte to its STOP.

    The first byte alone, 0x80, says nothing: one file of weights in 256 begins with it.
    """
    if content[:1] != pickle.PROTO or content[1:2] > bytes([pickle.HIGHEST_PROTOCOL]):
        return False
    try:
        pickletools.dis(content, out=io.StringIO())
    except ValueError:
        return False
    return True


def weight_of_old(members: Members, canary: Canary) -> None:
    """As torch saved before its archives: pickles, one after the other."""
    buffer = io.BytesIO()
    torch.save(canary, buffer, _use_new_zipfile_serialization=False)
    members["data/weights/weight_0"] = buffer.getvalue()


PICKLING = {
    sample_inputs: "data/sample_inputs/model.pt",
    pickled_weight: "data/weights/weight_0",
    weight_of_old: "data/weights/weight_0",
    opaque_constant: "data/constants/opaque_obj_0",
}


@pytest.mark.parametrize("tamper", PICKLING, ids=lambda tamper: tamper.__name__)
def test_the_search_for_pickles_finds_them(
    image_bundle: Path, tmp_path: Path, tamper: Callable[[Members, Canary], None]
) -> None:
    members = read(image_bundle)
    tamper(members, Canary(tmp_path / "ran"))
    assert pickled(members) == [PICKLING[tamper]]


def test_weights_that_begin_as_a_pickle_does_are_none() -> None:
    weights = np.random.default_rng(0).standard_normal(64).astype("<f4").tobytes()
    for second in range(256):
        assert not begins_with_pickle(bytes([0x80, second]) + weights)


@pytest.mark.parametrize("name", TOYS)
def test_the_programs_are_the_networks(packed: Callable[[str], Path], name: str) -> None:
    toy, opened = TOYS[name], open_bundle(packed(name))
    inputs = {
        "generator": [torch.randn(5, 8)] + [torch.rand(5, 3)] * (name == "conditional"),
        "decoder": [torch.randn(5, 8)],
    }
    assert set(opened.networks) == set(toy.networks)
    for network, of in toy.networks.items():
        given = inputs.get(network, [torch.rand(5, 3, SIZE, SIZE)])
        with torch.inference_mode():
            made, expected = opened.networks[network](*given), of.eval()(*given)
        assert_alike(made, expected)


@pytest.mark.parametrize("name", TOYS)
def test_a_bundle_shows_what_it_does(packed: Callable[[str], Path], name: str) -> None:
    folder, toy = packed(name), TOYS[name]
    card = (folder / "model_card.md").read_text()
    assert f"# {toy.description.registered_name}\n" in card
    assert "{" not in card.partition("```python")[0]
    assert CARD.makes in card
    shown = {"numbers": "example.json"}.get(name, "example.png")
    assert (folder / shown).exists()
    manifest = bundle.read(folder)
    assert manifest["task"] == toy.description.task
    assert manifest["inputs"]["variational"] is (name == "vae")
    assert {f"{array}.npy" for array in toy.arrays} <= set(manifest["members"])


def test_image_k_does_not_depend_on_how_many_were_asked_for(image_bundle: Path) -> None:
    opened = open_bundle(image_bundle)
    many = opened.sample(140, seed=3)
    assert many.shape == (140, SIZE, SIZE, 3)
    assert many.dtype == np.uint8
    for count in (1, 63, 64, 65, 130):
        np.testing.assert_array_equal(opened.sample(count, seed=3), many[:count])
    assert (opened.sample(140, seed=4) != many).any()


def test_truncation_scales_the_latent(image_bundle: Path) -> None:
    opened = open_bundle(image_bundle)

    def spread(truncation: float) -> float:
        outputs = torch.cat(list(opened.outputs(64, 0, truncation)))
        return float(outputs.std(dim=0).mean())

    assert spread(0.25) < spread(1.0) < spread(2.0)


def test_numbers_are_the_places_of_the_largest_scores(number_bundle: Path) -> None:
    opened = open_bundle(number_bundle)
    numbers = opened.sample(100)
    assert numbers.dtype == np.int64
    assert numbers.min() >= 0
    assert numbers.max() < 100
    shown = json.loads((number_bundle / "example.json").read_text())["numbers"]
    assert shown == numbers.tolist()


def test_the_digest_follows_weights_arrays_and_words_alone(tmp_path: Path) -> None:
    toy = TOYS["unconditional"]
    changed = [
        toy,
        replace(toy, networks={"generator": toy_images(seed=1)}),
        replace(toy, arrays={"directions": -toy.arrays["directions"]}),
        replace(toy, description=replace(toy.description, selected_images=7)),
        replace(toy, description=replace(toy.description, words={"sigma": 0.1})),
    ]
    digests = [one.pack(tmp_path / str(place)) for place, one in enumerate(changed)]
    assert len(set(digests)) == len(changed)
    assert toy.pack(tmp_path / "again") == digests[0]


def test_the_digest_is_the_models_and_not_its_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy, mended = TOYS["unconditional"], tmp_path / "mended.py"
    before = toy.pack(tmp_path / "before")
    mended.write_text(Path(bundle_model.__file__).read_text() + "\n# mended\n")
    monkeypatch.setattr(bundle_model, "__file__", str(mended))
    assert toy.pack(tmp_path / "after") == before
    codes = {code_digest_of(bundle.read(tmp_path / one)) for one in ("before", "after")}
    assert len(codes) == 2


def test_the_digest_does_not_follow_what_only_shows(tmp_path: Path) -> None:
    toy = TOYS["translation"]
    other = replace(toy, example=lambda opened: bundle.grid(opened.translate(pictures(1), "B2A")))
    assert toy.pack(tmp_path / "one") == other.pack(tmp_path / "other")


def broken_images() -> nn.Module:
    generator = toy_images()
    torch.nn.init.constant_(generator[2].bias, float("nan"))
    return generator


VAE = TOYS["vae"]
MISFITS = {
    "shape": (
        replace(TOYS["unconditional"], networks={"generator": toy_numbers()}),
        r"faces-gan: the generator makes \[100\], not \[3, 16, 16\]\.",
    ),
    "nan": (
        replace(TOYS["unconditional"], networks={"generator": broken_images()}),
        r"faces-gan: the generator's outputs are not finite\.",
    ),
    "other networks": (
        replace(TOYS["unconditional"], networks=VAE.networks),
        r"faces-gan: unconditional packs generator \(got encoder, decoder\)\.",
    ),
    "width": (
        replace(VAE, networks={"encoder": toy_encoder(9), "decoder": toy_images()}),
        r"faces-vae: the encoder makes 9 numbers, not 8 or twice as many\.",
    ),
    "array": (
        replace(TOYS["unconditional"], arrays={"directions": np.zeros((3, 8))}),
        r"faces-gan: directions\.npy: its shape \[3, 8\] does not fit",
    ),
    "no names": (
        replace(TOYS["unconditional"], description=IMAGES),
        r"faces-gan: directions\.npy: its shape \[2, 8\] does not fit",
    ),
    "no array": (
        replace(TOYS["unconditional"], arrays={}),
        r"faces-gan: bundle\.json: directions need their names, and the names their array",
    ),
    "no combinations": (
        replace(TOYS["conditional"], arrays={"directions": directions()}),
        r"faces-cgan: bundle\.json: a conditional generator needs the combinations seen",
    ),
    "half a mixture": (
        replace(VAE, arrays={"directions": directions(), "mixture_weights": np.ones(2)}),
        r"faces-vae: bundle\.json: a mixture needs mixture_weights, mixture_means",
    ),
    "infinite": (
        replace(TOYS["unconditional"], arrays={"directions": np.full((2, 8), np.inf)}),
        r"faces-gan: directions\.npy: holds numbers that are not finite",
    ),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_what_does_not_fit_leaves_what_was_there(copied: Path, misfit: str) -> None:
    toy, message = MISFITS[misfit]
    before = contents(copied)
    with pytest.raises(UserError, match=message):
        toy.pack(copied)
    assert contents(copied) == before
    assert [path.name for path in copied.parent.iterdir()] == ["bundle"]


def test_a_bundle_is_replaced(copied: Path) -> None:
    digest = replace(TOYS["unconditional"], networks={"generator": toy_images(seed=1)}).pack(copied)
    assert bundle.read(copied)["digest"] == digest
    assert [path.name for path in copied.parent.iterdir()] == ["bundle"]

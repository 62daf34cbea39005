"""What a bundle of each task does, and what it refuses."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.rounding import are_apart, assert_alike
from tests.toys import ATTRIBUTES, SIZE, TOYS, directions, mixture, pictures

from atelier.bundle import bundle_model
from atelier.bundle.bundle_model import Bundle, Refused, answer, open_bundle
from atelier.data.prepare import to_square

Packed = Callable[[str], Path]
SAMPLED = [name for name in TOYS if name not in ("translation", "autoencoder")]


@pytest.fixture(scope="module")
def bundles(packed: Packed) -> dict[str, Bundle]:
    return {name: open_bundle(packed(name)) for name in TOYS}


def base64_of(pixels: np.ndarray, kind: str = "PNG", **how: Any) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **how)
    return base64.b64encode(buffer.getvalue()).decode()


def pictures_of(rows: list[dict[str, Any]]) -> list[np.ndarray]:
    decoded = (base64.b64decode(row["png_base64"]) for row in rows)
    return [np.asarray(Image.open(io.BytesIO(png))) for png in decoded]


@pytest.mark.parametrize("name", SAMPLED)
def test_output_k_depends_on_the_seed_and_k_alone(bundles: dict[str, Bundle], name: str) -> None:
    opened = bundles[name]
    conditions = np.array([1.0, 0.0, 0.5]) if opened.attributes else None
    many = opened.sample(100, 3, attributes=conditions)
    np.testing.assert_array_equal(opened.sample(70, 3, attributes=conditions), many[:70])
    np.testing.assert_array_equal(opened.sample(1, 3, attributes=conditions), many[:1])
    assert (opened.sample(100, 4, attributes=conditions) != many).any()
    latents = opened.latents(100, 3)
    assert latents.shape == (100, 8)
    np.testing.assert_array_equal(opened.decode(latents, conditions), many)
    # In another place of its 64 rows it may be rounded otherwise.
    raw = opened.decode_raw(latents, conditions)
    assert_alike(opened.decode_raw(latents[2:3], conditions), raw[2:3])
    assert are_apart(raw[3:4], raw[2:3])


@pytest.mark.parametrize("name", ["conditional", "translation", "vae"])
def test_networks_are_given_rows_in_aligned_memory(
    bundles: dict[str, Bundle], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As torch lays them; numpy's own begin at any multiple of 16 bytes."""
    opened, begins = bundles[name], []

    def noting(network: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def run(*rows: torch.Tensor) -> torch.Tensor:
            assert all(one.is_contiguous() for one in rows)
            begins.extend(one.data_ptr() % 64 for one in rows)
            return network(*rows)

        return run

    networks = {key: noting(network) for key, network in opened.networks.items()}
    monkeypatch.setattr(opened, "networks", networks)
    for count in range(1, 9):
        if opened.can_sample:
            opened.sample(count, attributes=np.ones(3) if opened.attributes else None)
        if name == "translation":
            opened.translate(pictures(count).transpose(0, 2, 1, 3), "A2B")
        if name == "vae":
            opened.reconstruct(pictures(count).transpose(0, 2, 1, 3))
    assert set(begins) == {0}


def test_each_row_of_attributes_is_its_own_picture(bundles: dict[str, Bundle]) -> None:
    opened = bundles["conditional"]
    conditions = np.random.default_rng(0).random((70, 3)).astype(np.float32)
    made = opened.sample(70, 1, attributes=conditions)
    for k in (0, 1, 69):
        alone = opened.sample(70, 1, attributes=conditions[k])
        np.testing.assert_array_equal(made[k], alone[k])
    red = made[..., 0].mean(axis=(1, 2))
    assert np.corrcoef(red, conditions[:, 0])[0, 1] > 0.95


SEEN = [
    ("", True),
    ("Eyeglasses=1", True),
    ("Eyeglasses=1,Blond_Hair=1", True),
    ("Eyeglasses=0.4,Blond_Hair=0.9", True),
    ("Black_Hair=0.5,Blond_Hair=0.5", True),  # halfway between two that are there
    ("Black_Hair=0.3,Blond_Hair=0.7", True),
    ("Black_Hair=1,Blond_Hair=1", False),
    ("Black_Hair=0.6,Blond_Hair=0.6", False),
    ("Eyeglasses=1,Black_Hair=1", False),
    ("Eyeglasses=1,Black_Hair=0.4", True),
]


@pytest.mark.parametrize(("attributes", "seen"), SEEN)
def test_what_was_never_seen_together_is_made_only_where_it_is_allowed(
    bundles: dict[str, Bundle], attributes: str, seen: bool
) -> None:
    row = {"count": 2, "attributes": attributes}
    if seen:
        assert len(answer(bundles["conditional"], [row], None)) == 2
    else:
        with pytest.raises(Refused, match="was never seen in training; the nearest is"):
            answer(bundles["conditional"], [row], None)
    assert len(answer(bundles["conditional"], [{**row, "allow_unseen": True}], None)) == 2


def test_attributes_by_name_are_those_of_the_network(bundles: dict[str, Bundle]) -> None:
    opened = bundles["conditional"]
    rows = answer(opened, [{"count": 3, "seed": 5, "attributes": "Blond_Hair=1"}], None)
    expected = opened.sample(3, 5, attributes=np.array([0.0, 0.0, 1.0]))
    np.testing.assert_array_equal(pictures_of(rows), expected)
    assert expected[..., 2].mean() > expected[..., 0].mean() + 100


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"attributes": "Blond=1"}, "attributes: 'Blond' is not known; .* is Blond_Hair"),
        ({"attributes": "Eyeglasses=1.01"}, "attributes: Eyeglasses: a fraction from 0 to 1"),
        ({"attributes": "Eyeglasses=-0.5"}, "attributes: Eyeglasses: a fraction from 0 to 1"),
        ({"attributes": 1}, "attributes: a text"),
        ({"allow_unseen": "yes"}, "allow_unseen: true or false"),
        ({"sampler": "mixture"}, "sampler: no such column"),
        ({"image_base64": "x"}, "image_base64: no such column"),
    ],
)
def test_conditional_requests_that_are_refused(
    bundles: dict[str, Bundle], row: dict[str, Any], message: str
) -> None:
    with pytest.raises(Refused, match=message):
        answer(bundles["conditional"], [{"count": 1, **row}], None)


def test_a_network_gets_the_attributes_that_it_needs(bundles: dict[str, Bundle]) -> None:
    opened = bundles["conditional"]
    for wrong in (None, np.ones(2), np.ones((3, 3)), np.array([0, 0, np.nan]), 2 * np.ones(3)):
        with pytest.raises(Refused, match="attributes: "):
            opened.sample(2, attributes=wrong)
    with pytest.raises(Refused, match="attributes: this takes none"):
        bundles["unconditional"].sample(2, attributes=np.ones(3))


def test_edits_are_steps_along_the_directions(bundles: dict[str, Bundle]) -> None:
    opened = bundles["unconditional"]
    rows = answer(opened, [{"count": 2, "truncation": 0.5, "edits": "Male=-1.5,Smiling=2"}], None)
    shift = 2 * directions()[0] - 1.5 * directions()[1]
    latents = opened.latents(2, 0, 0.5) + shift
    expected = opened.decode(latents)
    np.testing.assert_array_equal(pictures_of(rows), expected)
    plain = answer(opened, [{"count": 2, "truncation": 0.5}], None)
    assert (np.array(pictures_of(plain)) != expected).any()


def test_a_mixture_is_drawn_by_its_weights(bundles: dict[str, Bundle]) -> None:
    opened = bundles["vae"]
    drawn = opened.latents(4000, 0, sampler="mixture")
    second = drawn[:, 0] > 0
    assert abs(second.mean() - 0.75) < 0.03
    assert abs(drawn[second].mean() - 2.0) < 0.01
    assert abs(drawn[~second].std() - 0.1) < 0.005
    narrow = opened.latents(4000, 0, 0.5, sampler="mixture")
    np.testing.assert_allclose(narrow[:, 0] > 0, second)
    assert abs(narrow[second].std() - 0.05) < 0.003
    np.testing.assert_array_equal(opened.latents(7, 0, sampler="mixture"), drawn[:7])
    rows = answer(opened, [{"count": 3, "sampler": "mixture"}], None)
    np.testing.assert_array_equal(pictures_of(rows), opened.sample(3, sampler="mixture"))


def test_a_triangular_scale_gives_its_covariance(packed: Packed) -> None:
    opened = open_bundle(packed("vae"))
    factor = np.tril(np.random.default_rng(0).standard_normal((8, 8))).astype(np.float32)
    opened.arrays |= mixture() | {"mixture_scales": np.stack([factor, factor])}
    opened.arrays["mixture_means"] = np.zeros((2, 8), np.float32)
    drawn = opened.latents(10_000, 0, sampler="mixture")
    np.testing.assert_allclose(np.cov(drawn.T), factor @ factor.T, atol=0.35)


def test_codes_go_both_ways(bundles: dict[str, Bundle]) -> None:
    images = pictures(70)
    for name in ("autoencoder", "vae"):
        opened, toy = bundles[name], TOYS[name].networks
        given = torch.from_numpy(images.transpose(0, 3, 1, 2)).float() / 127.5 - 1
        with torch.inference_mode():
            codes = toy["encoder"].eval()(given)
            decoded = toy["decoder"].eval()(codes[:, :8])
        np.testing.assert_allclose(opened.encode(images), codes[:, :8], atol=1e-5)
        expected = ((decoded + 1) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 1).numpy()
        np.testing.assert_allclose(opened.reconstruct(images), expected, atol=1)
        np.testing.assert_array_equal(opened.encode(images[:3]), opened.encode(images)[:3])
        if name == "vae":
            means, log_variances = opened.distribution(images)
            np.testing.assert_allclose(means, codes[:, :8], atol=1e-5)
            np.testing.assert_allclose(log_variances, codes[:, 8:], atol=1e-5)


def test_an_image_is_cropped_as_the_training_images_were(bundles: dict[str, Bundle]) -> None:
    opened = bundles["autoencoder"]
    photo = pictures(1, 60)[0][:, :40]
    expected = to_square(Image.fromarray(photo), SIZE, TOYS["autoencoder"].description.crop_share)
    np.testing.assert_array_equal(opened.to_square(photo), expected.transpose(1, 2, 0))
    own = pictures(1)[0]
    np.testing.assert_array_equal(opened.to_square(own), own)
    (row,) = answer(opened, [{"image_base64": base64_of(photo)}], None)
    expected = opened.reconstruct(opened.to_square(photo)[None])[0]
    np.testing.assert_array_equal(pictures_of([row])[0], expected)


def test_a_row_of_a_vae_asks_for_samples_or_for_its_image(bundles: dict[str, Bundle]) -> None:
    import pandas

    opened, own = bundles["vae"], pictures(1)[0]
    image = base64_of(own)
    assert [row["index"] for row in answer(opened, [{"count": 2}, {"image_base64": image}], None)]
    table = pandas.DataFrame({"image_base64": [None, image], "count": [2, None]}, dtype=object)
    assert len(answer(opened, table, None)) == 3
    with pytest.raises(Refused, match="image_base64: an image's row takes no count, seed"):
        answer(opened, [{"image_base64": image, "count": 1, "seed": 1}], None)
    (row,) = answer(opened, [{"image_base64": image, "edits": "Smiling=2"}], None)
    codes = opened.encode(own[None]) + 2 * directions()[0]
    expected = opened.decode(codes)[0]
    np.testing.assert_array_equal(pictures_of([row])[0], expected)


UNCONDITIONAL = "unconditional"
LACKING: list[tuple[str, Callable[[Bundle], object], str]] = [
    (UNCONDITIONAL, lambda b: b.encode(pictures(1)), "never encodes: its task is uncond"),
    (
        "unconditional",
        lambda b: b.translate(pictures(1), "A2B"),
        "never translates",
    ),
    ("translation", lambda b: b.sample(1), "never samples: its task is translation"),
    ("translation", lambda b: b.decode(np.zeros((1, 8))), "never decodes"),
    ("autoencoder", lambda b: b.sample(1), "never samples: .*no distribution"),
    ("autoencoder", lambda b: b.latents(1), "never samples"),
    ("autoencoder", lambda b: b.distribution(pictures(1)), "never gives distributions"),
    (
        "unconditional",
        lambda b: b.latents(1, sampler="mixture"),
        r"sampler: normal \(got 'mixture'\)",
    ),
    ("vae", lambda b: b.latents(1, sampler="even"), "sampler: normal or mixture"),
    (UNCONDITIONAL, lambda b: b.decode(np.zeros((2, 7))), r"latents: \[N, 8\] \(got \[2, 7\]\)"),
    (
        "unconditional",
        lambda b: b.decode(np.full((1, 8), np.nan)),
        "latents: hold numbers that are not",
    ),
    ("vae", lambda b: b.encode(pictures(1, 8)), "images: uint8"),
    ("vae", lambda b: b.encode(pictures(1) / 2), "images: uint8"),
    ("translation", lambda b: b.translate(pictures(1), "a2b"), "direction: A2B or B2A"),
    ("conditional", lambda b: b.shift_of({"Age": 1.0}), "edits: 'Age' is not known"),
    ("numbers", lambda b: b.shift_of({"Age": 1.0}), "edits: this bundle holds no directions"),
    (UNCONDITIONAL, lambda b: b.attribute_row({"Male": 1}), "attributes: this takes none"),
]


@pytest.mark.parametrize(("name", "call", "message"), LACKING)
def test_what_a_task_lacks_is_refused_by_name(
    bundles: dict[str, Bundle], name: str, call: Callable[[Bundle], object], message: str
) -> None:
    with pytest.raises(Refused, match=message):
        call(bundles[name])


def test_only_what_a_bundle_can_honour_is_a_column(bundles: dict[str, Bundle]) -> None:
    found = {name: set(bundle_model.columns(opened.manifest)) for name, opened in bundles.items()}
    sampled = {"count", "seed", "truncation"}
    assert found == {
        "numbers": sampled,
        "unconditional": sampled | {"edits"},
        "conditional": sampled | {"edits", "attributes", "allow_unseen"},
        "translation": {"image_base64", "direction"},
        "autoencoder": {"image_base64"},
        "vae": sampled | {"image_base64", "edits", "sampler"},
    }
    assert bundles["conditional"].attributes == ATTRIBUTES

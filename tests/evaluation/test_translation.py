"""Translations: the twins themselves hold every bound, and whoever does less is found out."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from atelier.data.images import to_float
from atelier.data.sampling import Domains
from atelier.data.twins import array_names
from atelier.errors import UserError
from atelier.evaluation.content import LEAST_FOLLOWING
from atelier.evaluation.degraded import blurred
from atelier.evaluation.domains import A2B, B2A, BothDirections, matching, open_directions
from atelier.evaluation.features import Images
from atelier.evaluation.probe import Probe
from atelier.evaluation.translation import (
    LEAST_FLIPPED,
    Translate,
    missed,
    score_directions,
    standing,
    translation_figure,
)
from atelier.evaluation.twins import stripe_spectrum
from atelier.models import judge

SIZE = 32
COUNTS = {"training": 800, "validation": 80, "test": 200}
LABELS = ("domain_b", "Large")
PLAIN, STRIPED = {"domain_b": 0}, {"domain_b": 1}
DOMAINS = Domains(name="domains", a={"domain_b": 0}, b={"domain_b": 1}, balance=("Large",))


def draw_scenes(seed: int, striped: np.ndarray, large: np.ndarray) -> tuple[Images, np.ndarray]:
    """Discs on a meadow and where they are; only `striped` tells a scene from its twin."""
    draw, count = np.random.default_rng(seed), len(striped)
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32) / SIZE
    centre = draw.uniform(0.45, 0.55, (2, count, 1, 1))
    radius = (draw.uniform(0.24, 0.27, count) + 0.1 * large)[:, None, None]
    away = np.sqrt((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2)
    inside = np.clip((radius - away) * SIZE, 0, 1)[:, None]
    brown = draw.uniform((150, 80, 50), (190, 110, 80), (count, 3))[:, :, None, None]
    ground = draw.uniform((50, 100, 50), (80, 130, 80), (count, 3))[:, :, None, None]
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * (columns - centre[1]) * SIZE / 4)[:, None]
    stripes = np.broadcast_to(40 + 180 * wave, (count, 3, SIZE, SIZE))
    body = np.where(striped[:, None, None, None], stripes, brown)
    pictures = inside * body + (1 - inside) * ground + draw.normal(0, 4, (count, 3, SIZE, SIZE))
    return pictures.clip(0, 255).astype(np.uint8), (inside[:, 0] * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder with twins; large discs go with stripes, as men with black hair."""
    folder: Path = tmp_path_factory.mktemp("prepared")
    manifest: dict[str, Any] = {"dataset": "discs", "layout": "attributes", "drawn": True}
    manifest |= {"size_pixels": SIZE, "crop": 1.0, "labels": list(LABELS), "twins": {}}
    manifest["splits"] = {name: {"count": count, "names": []} for name, count in COUNTS.items()}
    for seed, (split, count) in enumerate(COUNTS.items()):
        draw = np.random.default_rng(50 + seed)
        striped = np.arange(count) % 2 == 1
        large = draw.random(count) < np.where(striped, 0.6, 0.4)
        images, masks = draw_scenes(seed, striped, large)
        np.save(folder / f"{split}.npy", images)
        np.save(folder / f"{split}_labels.npy", np.stack([striped, large], 1).astype(np.uint8))
    twins, _ = draw_scenes(seed, ~striped, large)
    for name, of, source, target in (
        ("a_to_b", ~striped, PLAIN, STRIPED),
        ("b_to_a", striped, STRIPED, PLAIN),
    ):
        arrays = (twins[of][:, None], masks[of], np.flatnonzero(of))
        if name == "b_to_a":  # A second coat, and the wrong one first.
            arrays = (np.stack([255 - twins[of], twins[of]], axis=1), *arrays[1:])
        for file, array in zip(array_names(name), arrays, strict=True):
            np.save(folder / file, array)
        manifest["twins"][name] = {"from": source, "to": target}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def discs_judge(world: Path) -> judge.Judge:
    torch.manual_seed(0)
    built = judge.build(judge.Config(name="judge", width=8), (3, SIZE, SIZE), 2)["classifier"]
    assert isinstance(built, judge.Judge)
    images = to_float(torch.from_numpy(np.load(world / "training.npy")))
    labels = torch.from_numpy(np.load(world / "training_labels.npy")).float()
    optimizer = torch.optim.Adam(built.parameters(), 3e-3)
    for step in range(60):
        rows = torch.arange(step * 40, step * 40 + 40) % len(images)
        loss = binary_cross_entropy_with_logits(built(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return built.eval()


@pytest.fixture(scope="module")
def directions(world: Path, discs_judge: judge.Judge) -> BothDirections:
    return open_directions(world, discs_judge, LABELS, DOMAINS, "test", seed=3)


@pytest.fixture(scope="module")
def perfect(world: Path) -> dict[str, Translate]:
    """Finds a picture, or one next to it, and answers with its twin; so both directions invert."""
    pictures = np.load(world / "test.npy")
    there = np.load(world / array_names("a_to_b")[0])[:, 0]
    back = np.load(world / array_names("b_to_a")[0])[:, 1]
    rows = [np.load(world / array_names(name)[2]) for name in ("a_to_b", "b_to_a")]

    def lookup(keys: Images, answers: Images) -> Translate:
        flat = keys.reshape(len(keys), -1).astype(np.float32)

        def translate(images: Images) -> Images:
            wanted = images.reshape(len(images), -1).astype(np.float32)
            return answers[[int(((flat - one) ** 2).sum(1).argmin()) for one in wanted]]

        return translate

    plain, striped = (pictures[found] for found in rows)
    return {
        A2B: lookup(np.concatenate([plain, back]), np.concatenate([there, striped])),
        B2A: lookup(np.concatenate([striped, there]), np.concatenate([back, plain])),
    }


@pytest.fixture(scope="module")
def held(world: Path, directions: BothDirections, perfect: dict[str, Translate]) -> dict[str, Any]:
    """The figures of the twins themselves."""
    return score_directions(perfect[A2B], perfect[B2A], directions, world, LABELS)


def identity(images: Images) -> Images:
    return np.array(images)


def mean_colour(images: Images) -> Images:
    mean = images.mean((2, 3), keepdims=True).round().astype(np.uint8)
    return np.broadcast_to(mean, images.shape).copy()


def test_the_twins_themselves_hold_every_bound(held) -> None:
    assert held["missed"] == []
    assert held["does_nothing"] is False
    for name in (A2B, B2A):
        figures = held[name]
        assert figures["verdict"] == figures["flipped"] == 1
        assert figures["twin"]["inside"] == pytest.approx(1)
        assert figures["twin"]["ssim"] == pytest.approx(1)
        assert figures["twin"]["psnr"] == 60
        assert figures["twin"]["change"] == pytest.approx(1)
        assert figures["cycle_l1"] == figures["cycle_l1_plain"] == 0
        assert figures["verdict_of_reals"] == 1
        assert figures["judge"]["kid"] < 0.1 * figures["judge"]["kid_untouched"]


def test_a_stranger_sees_what_the_judge_sees_of_right_and_of_wrong_translations(
    world, directions, held
) -> None:
    """By features that photographs taught; a plain picture and a striped one differ there, too."""
    untouched = score_directions(identity, identity, directions, world, LABELS)
    for name in (A2B, B2A):
        right, wrong = held[name]["probe"], untouched[name]["probe"]
        assert right["verdict_of_reals"] > 0.9
        assert right["verdict"] == right["verdict_of_twin"] > 0.9
        assert wrong["verdict"] < 0.1


def test_of_a_few_images_a_stranger_says_nothing(world, directions) -> None:
    extract = directions.of[A2B].target.extractors["imagenet"]
    rows = np.arange(40)
    assert not Probe(extract, rows[:19], rows[19:], 40).is_sure
    assert Probe(extract, rows[:20], rows[20:], 40).is_sure


def test_a_judge_that_does_not_know_the_goal_is_told_by_its_reals(world, directions) -> None:
    of = {name: replace(one, goal=one.source) for name, one in directions.of.items()}
    found = score_directions(identity, identity, replace(directions, of=of), world, LABELS)
    assert [found[name]["verdict_of_reals"] for name in of] == [0, 0]


def test_the_identity_does_nothing(world, directions) -> None:
    found = score_directions(identity, identity, directions, world, LABELS)
    assert found["does_nothing"] is True
    assert {line.split(" ")[0] for line in found["missed"]} == {
        "does",
        "A2B/verdict",
        "A2B/twin/inside",
        "B2A/verdict",
        "B2A/twin/inside",
    }
    for name in (A2B, B2A):
        figures = found[name]
        assert figures["twin"]["change"] == 0
        # Of spectra, whose last bit may depend on where in memory the pictures lie.
        assert figures["twin"]["inside"] == pytest.approx(0, abs=1e-5)
        assert figures["twin"]["outside"] == 0
        assert figures["judge"]["kid"] == pytest.approx(figures["judge"]["kid_untouched"])
        # Nothing hides in a copy: what comes back is the noise itself, E|n| = 0.8 sigma.
        assert figures["cycle_l1"] == pytest.approx(0.8 * 2 / 127.5, rel=0.1)
        assert figures["cycle_l1_plain"] == 0


@pytest.mark.parametrize(
    # Blur does take these stripes away; from flat colour there is nothing to be had.
    ("poor", "found_out"),
    [(blurred, (A2B,)), (mean_colour, (A2B, B2A))],
)
def test_mush_is_no_translation(world, directions, poor: Translate, found_out) -> None:
    lines = score_directions(poor, poor, directions, world, LABELS)["missed"]
    for name in found_out:
        assert any(line.startswith(f"{name}/twin/inside") for line in lines)
        assert any(line.startswith((f"{name}/verdict", f"{name}/out_of_range")) for line in lines)


def test_a_changed_background_is_seen(world, directions, perfect) -> None:
    def brighter(images: Images) -> Images:
        return (perfect[A2B](images) * 0.8 + 51).astype(np.uint8)

    lines = score_directions(brighter, perfect[B2A], directions, world)["missed"]
    assert any(line.startswith("A2B/twin/outside") for line in lines)
    assert not any(line.startswith("B2A") for line in lines if "cycle" not in line)


def test_a_hidden_signal_does_not_survive_the_noise(world, directions, perfect) -> None:
    """Keeps the input in the lowest two bits, and reads it back."""

    def hide(images: Images) -> Images:
        return (perfect[A2B](images) & 0xFC) | (images >> 6)

    def reveal(images: Images) -> Images:
        return (images & 3) << 6

    figures = score_directions(hide, reveal, directions, world)[A2B]
    assert figures["cycle_l1"] > 1.5 * figures["cycle_l1_plain"]
    assert figures["cycle_l1"] > 0.1


def test_without_twins_the_verdict_raises_the_alarm(world, discs_judge) -> None:
    directions = open_directions(world, discs_judge, LABELS, DOMAINS, "validation", seed=3)
    found = score_directions(identity, identity, directions, world)
    assert found["does_nothing"] is True
    assert "twin" not in found[A2B]
    assert found["settings"]["twins"] is False


def test_other_verdicts_that_change_are_counted(world, directions, perfect, held) -> None:
    def shrink(images: Images) -> Images:
        meadow = images[:, :, :1, :1]
        small = np.broadcast_to(meadow, images.shape).copy()
        small[:, :, 4:28, 4:28] = np.repeat(np.repeat(images[:, :, 4:28:2, 4:28:2], 2, 2), 2, 3)
        return np.roll(small, 9, axis=2)

    def broken(images: Images) -> Images:
        return shrink(perfect[A2B](images))

    found = score_directions(broken, perfect[B2A], directions, world, LABELS)[A2B]
    straight = held[A2B]
    assert straight["others_changed"]["Large"] < found["others_changed"]["Large"]
    assert straight["others_untrusted"] == []
    doubted = score_directions(broken, perfect[B2A], directions, world, ("domain_b",))[A2B]
    assert doubted["others_untrusted"] == ["Large"]
    assert doubted["others_changed_most"] == 0


@pytest.mark.parametrize("split", ["test", "validation"])
def test_the_gate_is_told_what_all_figures_say(world, discs_judge, perfect, split) -> None:
    """With twins, and without."""
    directions = open_directions(world, discs_judge, LABELS, DOMAINS, split, seed=3)
    for translate in (mean_colour, blurred, identity):
        found = score_directions(translate, translate, directions, world)
        for name, of in directions.of.items():
            told = standing(directions, name, translate(of.inputs), world, ("domain_b",))
            assert told.flipped == found[name]["flipped"]
            assert told.kid == pytest.approx(found[name]["judge"]["kid"])
            assert told.follows_input == found[name]["follows_input"]
            assert told.does_nothing == found[name]["does_nothing"]


def test_a_tint_is_no_translation(world, directions) -> None:
    """What a dead network makes: much changes, each picture keeps its own, and no goal is met."""

    def tint(images: Images) -> Images:
        return np.clip(images + np.array([60, -60, -60]).reshape(3, 1, 1), 0, 255).astype(np.uint8)

    inputs = directions.of[A2B].inputs
    told = standing(directions, A2B, tint(inputs), world, LABELS)
    assert not told.does_nothing
    assert told.follows_input > LEAST_FOLLOWING
    assert told.flipped is not None
    assert told.flipped < LEAST_FLIPPED


def test_a_verdict_that_cannot_be_trusted_is_not_told_to_the_gate(world, directions) -> None:
    inputs = directions.of[A2B].inputs
    assert standing(directions, A2B, inputs, world, ("Large",)).flipped is None


def test_what_the_figures_rest_on_is_recorded(world, discs_judge, perfect) -> None:
    few = open_directions(world, discs_judge, LABELS, DOMAINS, "test", seed=3, count=40)
    found = score_directions(perfect[A2B], perfect[B2A], few, world, LABELS)
    assert found["settings"] == {
        "dataset": "discs",
        "drawn": True,
        "size_pixels": SIZE,
        "crop": 1.0,
        "split": "test",
        "seed": 3,
        "samples": 80,
        "balance": ["Large"],
        "cycle_noise_8bit": 2.0,
        "twins": True,
    }
    assert found[A2B]["count"] == found[A2B]["twin"]["count"] == 40
    assert (found[A2B]["twin"]["each"], found[B2A]["twin"]["each"]) == (1, 2)
    assert 2 <= found[A2B]["kid_inputs"] < 40


def test_snapshots_are_ordered_by_what_they_do(world, discs_judge, perfect) -> None:
    directions = open_directions(world, discs_judge, LABELS, DOMAINS, "test", seed=3)
    best = translation_figure(perfect[A2B], perfect[B2A], directions)
    lame = translation_figure(perfect[A2B], identity, directions)
    none = translation_figure(identity, identity, directions)
    assert lame.clearly_above(best)
    assert none.clearly_above(lame)
    untouched = score_directions(identity, identity, directions, world)[A2B]["judge"][
        "kid_untouched"
    ]
    assert none.value == pytest.approx(2 * untouched, rel=0.01)


def test_matching_makes_shares_equal_and_repeats_nothing() -> None:
    draw = np.random.default_rng(0)
    a = (draw.random((400, 2)) < (0.5, 0.2)).astype(np.uint8)
    b = (draw.random((150, 2)) < (0.1, 0.3)).astype(np.uint8)
    first, second = matching(a, b, draw)
    assert len(set(first)) == len(first)
    assert len(set(second)) == len(second)
    assert a[first].mean(0) == pytest.approx(b[second].mean(0), abs=0.03)
    assert len(first) / 400 == pytest.approx(len(second) / 150, abs=0.03)
    assert len(first) > 200
    everything = matching(a[:, :0], b[:, :0], draw)
    assert [len(rows) for rows in everything] == [400, 150]


def test_domains_that_share_nothing_cannot_be_matched(world, discs_judge) -> None:
    apart = DOMAINS.model_copy(update={"balance": ("domain_b",)})
    with pytest.raises(UserError, match=r"too few images match the other domain's \(got 0 and 0\)"):
        open_directions(world, discs_judge, LABELS, apart, "test", seed=0)


def test_real_data_have_wider_bounds(directions, held) -> None:
    metrics = {**held, A2B: {**held[A2B], "others_changed_most": 0.07}}
    assert missed(metrics, directions) == ["A2B/others_changed_most 0.070 > 0.05"]
    directions.of[A2B].target.manifest["drawn"] = False
    try:
        assert missed(metrics, directions) == []
    finally:
        directions.of[A2B].target.manifest["drawn"] = True


def test_the_spectrum_knows_stripes_but_not_where_they_lie() -> None:
    inside = np.ones((1, SIZE, SIZE), bool)
    across = np.arange(SIZE)

    def stripes(period: int, phase: float = 0.0) -> Images:
        wave = 127 + 100 * np.sin(2 * np.pi * across / period + phase)
        return np.broadcast_to(wave, (1, 3, SIZE, SIZE)).astype(np.uint8)

    found, moved = (stripe_spectrum(one, inside) for one in (stripes(4), stripes(4, 2.0)))
    assert np.abs(found - moved).max() < 0.02
    assert np.abs(found - stripe_spectrum(stripes(8), inside)).max() > 0.3
    turned = stripes(4).swapaxes(2, 3)
    assert np.abs(found - stripe_spectrum(turned, inside)).max() > 0.3
    # Parseval: all power together is the variance inside.
    luma = stripes(4)[0, 0] / 127.5
    assert (found**2).sum() == pytest.approx(luma.var(), rel=0.02)

"""Who is drawn how often: balanced attributes, two domains, and the batches made of them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from atelier.data.batches import DomainBatches, ImageBatches, examples, open_batches
from atelier.data.sampling import (
    Balanced,
    Domains,
    balanced_weights,
    columns,
    domain_weights,
    members,
)
from atelier.errors import UserError
from atelier.training.randomness import StepRandomness
from atelier.training.shares import Shares

NAMES = ("Black_Hair", "Blond_Hair", "Male", "Smiling")
HAIR = Domains(
    name="domains",
    a={"Black_Hair": 1, "Blond_Hair": 0},
    b={"Blond_Hair": 1, "Black_Hair": 0},
    balance=("Male",),
)
CPU = torch.device("cpu")


def drawn_labels():
    """200 black-haired, 60 % men; 100 blond, 10 % men; 20 with both hairs, 30 with neither."""
    rows = [(1, 0, int(i < 120), i % 2) for i in range(200)]
    rows += [(0, 1, int(i < 10), i % 2) for i in range(100)]
    rows += [(1, 1, 0, 0)] * 20 + [(0, 0, 1, 1)] * 30
    return np.array(rows, np.uint8)


@pytest.fixture
def prepared(tmp_path):
    """Each picture holds its own row: low byte and high byte in two channels, left half only."""
    labels = drawn_labels()
    pixels = np.zeros((len(labels), 3, 4, 4), np.uint8)
    row = np.arange(len(labels))
    pixels[:, 0] = (row % 256)[:, None, None]
    pixels[:, 1] = (row // 256)[:, None, None]
    pixels[:, 2, :, :2] = 255
    np.save(tmp_path / "training.npy", pixels)
    np.save(tmp_path / "training_labels.npy", labels)
    manifest = {"layout": "attributes", "labels": list(NAMES)}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


def rows_of(images):
    """Which pictures these are, and whether each is mirrored."""
    pixels = ((images + 1) * 127.5).round().long()
    return (pixels[:, 0, 0, 0] + 256 * pixels[:, 1, 0, 0]).numpy(), (pixels[:, 2, 0, 0] == 0)


def rng(step):
    return StepRandomness(1, step, 0)


def test_columns_follow_the_order_that_is_asked_for():
    assert columns(NAMES, ("Smiling", "Black_Hair")) == [3, 0]
    with pytest.raises(UserError, match=r"^sampling: unknown \(got 'Smilin'\)\. Did you mean Smil"):
        columns(NAMES, ("Smilin",))


def test_rare_combinations_weigh_more_up_to_the_cap():
    labels = np.repeat(np.array([[0, 0], [0, 1], [1, 1]], np.uint8), [100, 25, 1], axis=0)
    free = balanced_weights(labels, 0.5, 100.0)
    assert free[[0, 100, 125]] == pytest.approx([0.1, 0.2, 1.0])
    capped = balanced_weights(labels, 0.5, 4.0)
    assert capped[[0, 100, 125]] == pytest.approx([0.1, 0.2, 0.4])
    assert balanced_weights(labels, 0.0, 10.0) == pytest.approx(np.ones(126))
    alike = balanced_weights(labels, 1.0, 1000.0)
    assert [alike[:100].sum(), alike[100:125].sum(), alike[125]] == pytest.approx([1, 1, 1])


def test_a_domain_holds_whoever_has_all_its_values():
    labels = drawn_labels()
    assert members(labels, NAMES, HAIR.a).tolist() == list(range(200))
    assert members(labels, NAMES, HAIR.b).tolist() == list(range(200, 300))
    message = r"needs two images or more \(got 0: Black_Hair=0, Male=1, Smiling=0\)"
    with pytest.raises(UserError, match=message):
        members(labels[200:300][:, :][1:2], NAMES, {"Black_Hair": 0, "Male": 1, "Smiling": 0})


def weighted_shares(labels, weights):
    return np.array([weights[labels == value].sum() for value in (0, 1)]) / weights.sum()


def test_weights_make_what_goes_with_a_domain_alike():
    labels = drawn_labels()
    a, b = labels[:200, 2:3], labels[200:300, 2:3]
    weights_a, weights_b = domain_weights(a, b)
    in_a = weighted_shares(a[:, 0], weights_a)
    # sqrt(0.6 * 0.1) men for sqrt(0.4 * 0.9) women, in both.
    men = np.sqrt(0.06) / (np.sqrt(0.06) + np.sqrt(0.36))
    assert in_a == pytest.approx([1 - men, men])
    assert weighted_shares(b[:, 0], weights_b) == pytest.approx(in_a)


def test_several_attributes_are_alike_together():
    chance = np.random.default_rng(0)
    a = (chance.random((500, 3)) < [0.7, 0.5, 0.2]).astype(np.uint8)
    b = (chance.random((300, 3)) < [0.2, 0.6, 0.4]).astype(np.uint8)
    weights = domain_weights(a, b)
    code = [labels @ [4, 2, 1] for labels in (a, b)]
    shares = [np.bincount(c, w, 8) / w.sum() for c, w in zip(code, weights, strict=True)]
    assert shares[0] == pytest.approx(shares[1])
    assert shares[0].min() > 0


def test_what_only_one_domain_has_is_left_out():
    a, b = np.array([[0], [1], [1]], np.uint8), np.array([[0], [0]], np.uint8)
    weights_a, weights_b = domain_weights(a, b)
    assert (weights_a > 0).tolist() == [True, False, False]
    assert (weights_b > 0).all()
    with pytest.raises(UserError, match="share no combination of these attributes"):
        domain_weights(a[1:], b)


def test_nothing_to_balance_weighs_all_alike():
    none = np.empty((4, 0), np.uint8)
    weights_a, weights_b = domain_weights(none, none[:3])
    assert weights_a.tolist() == [1] * 4
    assert weights_b.tolist() == [1] * 3


def test_domains_are_drawn_apart_with_their_weights(prepared):
    batches = open_batches(prepared, CPU, False, HAIR)
    assert isinstance(batches, DomainBatches)
    assert batches.shape == (3, 4, 4)
    labels, men = drawn_labels(), []
    for step in range(60):
        drawn = batches.take(rng(step), 32)
        a, b = rows_of(drawn["real"])[0], rows_of(drawn["other"])[0]
        assert a.max() < 200
        assert b.min() >= 200
        assert b.max() < 300
        men.append((labels[a, 2].mean(), labels[b, 2].mean()))
    wanted = np.sqrt(0.06) / (np.sqrt(0.06) + np.sqrt(0.36))
    assert np.mean(men, axis=0) == pytest.approx([wanted, wanted], abs=0.035)


def test_pairs_and_mirrors_are_independent(prepared):
    batches = DomainBatches(prepared, CPU, True, HAIR)
    partners, mirrored = {}, []
    for step in range(100):
        drawn = batches.take(rng(step), 16)
        (a, flip_a), (b, flip_b) = rows_of(drawn["real"]), rows_of(drawn["other"])
        mirrored.append(torch.stack([flip_a, flip_b], 1))
        for one, other in zip(a, b, strict=True):
            partners.setdefault(one, set()).add(other)
    both = torch.cat(mirrored).float()
    assert both.mean(0).tolist() == pytest.approx([0.5, 0.5], abs=0.04)
    assert abs(torch.corrcoef(both.T)[0, 1]) < 0.06
    assert max(len(found) for found in partners.values()) > 4


def test_a_step_draws_the_same_again_and_processes_share_it(prepared):
    batches = DomainBatches(prepared, CPU, True, HAIR)
    whole, again = batches.take(rng(7), 8), batches.take(rng(7), 8)
    shares = [
        Shares(SimpleNamespace(global_rank=process, world_size=2), group=1) for process in range(2)
    ]
    parts = [batches.take(StepRandomness(1, 7, 0, processes=share), 4) for share in shares]
    for key, images in whole.items():
        assert torch.equal(images, again[key])
        assert torch.equal(images[::2], parts[0][key])
        assert torch.equal(images[1::2], parts[1][key])
    assert not torch.equal(whole["real"], batches.take(rng(8), 8)["real"])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("sampling", [HAIR, None])
def test_images_that_memory_has_no_room_for_are_read_as_they_are_drawn(prepared, sampling, layout):
    held = open_batches(prepared, CPU, True, sampling, layout)
    read = open_batches(prepared, CPU, True, sampling, layout, most=1000)
    whole = np.load(prepared / "training.npy").nbytes
    assert whole > 1000
    for step in range(3):
        expected, found = held.take(rng(step), 8), read.take(rng(step), 8)
        assert expected.keys() == found.keys()
        for key, images in expected.items():
            assert torch.equal(images, found[key])
            assert images.stride() == found[key].stride()
    assert all(pixels.held is None for pixels in pixels_of(read))
    assert all(pixels.held is not None for pixels in pixels_of(held))


def pixels_of(batches):
    return batches.pixels if isinstance(batches.pixels, list) else [batches.pixels]


def test_balanced_batches_hold_the_chosen_labels_in_their_order(prepared):
    rule = Balanced(name="balanced", attributes=("Male", "Blond_Hair"), power=1.0, heaviest=100.0)
    batches = open_batches(prepared, CPU, False, rule)
    assert isinstance(batches, ImageBatches)
    assert batches.label_names == ("Male", "Blond_Hair")
    labels, found = drawn_labels(), []
    for step in range(60):
        drawn = batches.take(rng(step), 32)
        rows, _ = rows_of(drawn["real"])
        assert drawn["labels"].tolist() == labels[rows][:, [2, 1]].tolist()
        found.append(drawn["labels"])
    combinations = torch.cat(found).long() @ torch.tensor([2, 1])
    # Power 1: each of the four combinations as often as any other.
    shares = torch.bincount(combinations, minlength=4) / len(combinations)
    assert shares.tolist() == pytest.approx([0.25] * 4, abs=0.04)


def test_examples_are_spread_evenly_and_fewer_where_images_are_larger(tmp_path):
    """10,000 of 64 pixels, 625 of 256: the same memory."""
    cases = ((64, 20, 12, 12), (256, 700, 10_000, 625), (4, 200, 12, 12))
    for side, given, asked, expected in cases:
        stored = np.lib.format.open_memmap(
            tmp_path / "training.npy", "w+", np.uint8, (given, 3, side, side)
        )
        stored[:, 0, 0, 0] = 255 * np.arange(given) // (given - 1)
        found = examples(tmp_path, asked)
        assert found.shape == (expected, 3, side, side)
        steps = found[:, 0, 0, 0].diff()
        assert (found[0, 0, 0, 0], found[-1, 0, 0, 0]) == (-1, 1)
        assert 0 <= steps.min() <= steps.max() <= 2.5 * steps.mean()

"""Randomness, augmentation, averages, schedules and early stopping, each on its own."""

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from atelier.errors import AtelierError
from atelier.training import ema
from atelier.training.augment import DiffAugment, cutout_mask, translate
from atelier.training.randomness import StepRandomness
from atelier.training.setup import Learner, schedule
from atelier.training.shares import Shares
from atelier.training.stopping import EarlyStop


def test_an_epoch_shows_each_row_once():
    seen = torch.cat([StepRandomness(1, step, 0).rows(60, 12) for step in range(5)])
    assert sorted(seen.tolist()) == list(range(60))
    following = torch.cat([StepRandomness(1, step, 0).rows(60, 12) for step in range(5, 10)])
    assert sorted(following.tolist()) == list(range(60))
    assert not torch.equal(seen, following)


def test_a_batch_may_span_two_epochs():
    rows = StepRandomness(1, 0, 0).rows(5, 8)
    assert sorted(rows[:5].tolist()) == list(range(5))


def shares_of(process, processes, group=1):
    """Without any process beside this one."""
    return Shares(SimpleNamespace(global_rank=process, world_size=processes), group)


def draws_of(process, group):
    """One of four."""
    return StepRandomness(7, 2, 1, phases=2, processes=shares_of(process, 4, group))


def in_turns(parts, group):
    """The first group of each, then the second group of each, and so on."""
    turns = zip(*(part.split(group) for part in parts), strict=True)
    return torch.cat([each for turn in turns for each in turn])


@pytest.mark.parametrize("group", [1, 4])
def test_four_processes_see_what_one_sees(group):
    whole = StepRandomness(7, 2, 1, phases=2)
    parts = [draws_of(process, group) for process in range(4)]
    normal = in_turns([part.normal(8, 3) for part in parts], group)
    assert torch.equal(whole.normal(32, 3), normal)
    rows = in_turns([part.rows(100, 8) for part in parts], group)
    assert torch.equal(whole.rows(100, 32), rows)
    assert torch.equal(whole.for_all().uniform(32), parts[2].for_all().uniform(32))


def test_what_is_first_in_the_whole_is_first_in_each_share():
    pair = torch.cat([torch.zeros(16), torch.ones(16)])
    for process in range(2):
        share = shares_of(process, 2, 4).mine(pair)
        assert torch.equal(share, torch.cat([torch.zeros(8), torch.ones(8)]))


def test_groups_that_would_not_be_whole_are_not_kept_together():
    shares = [shares_of(process, 2, 4).mine(torch.arange(4)) for process in range(2)]
    assert [share.tolist() for share in shares] == [[0, 2], [1, 3]]


@pytest.mark.parametrize("other", [(2, 3, 4), (1, 4, 4), (1, 3, 5)])
def test_seed_step_and_phase_each_change_the_draws(other):
    assert not torch.equal(StepRandomness(1, 3, 4).normal(4), StepRandomness(*other).normal(4))


def test_a_copy_draws_once_more_what_comes():
    ours = StepRandomness(1, 2, 3)
    ours.normal(4)
    copied = ours.copy()
    first, second = (draws.uniform(5, 2) for draws in (ours, copied))
    assert torch.equal(first, second)
    assert not torch.equal(first, ours.uniform(5, 2))


def test_augmentation_is_differentiable_and_off_at_zero():
    images = torch.rand(4, 3, 16, 16, requires_grad=True)
    strong = DiffAugment(0.5, 0.5, 0.5, 0.125, 0.5)(images, StepRandomness(1, 0, 0))
    strong.sum().backward()
    assert images.grad is not None
    assert torch.isfinite(images.grad).all()
    assert not torch.equal(strong, images)
    assert DiffAugment(0, 0, 0, 0, 0)(images, StepRandomness(1, 0, 0)) is images


def test_translation_moves_by_whole_pixels():
    images = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert torch.equal(translate(images, torch.tensor([[0.5, 0.5]]), 0.25), images)
    moved = translate(images, torch.tensor([[0.0, 0.99]]), 0.25)
    assert torch.equal(moved[0, 0, 1:, :3], images[0, 0, :3, 1:])
    assert moved[0, 0, 0].eq(0).all()


def test_cutout_blanks_a_square():
    mask = cutout_mask(torch.zeros(1, 3, 8, 8), torch.tensor([[0.5, 0.5]]), 0.5)
    assert mask.eq(0).sum() == 16


def test_the_average_halves_the_gap_in_a_half_life():
    network, start = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    nn.init.constant_(start.weight, 0.0)
    average = ema.averaged_copy(start)
    ema.update(average, network, share=0.1, seen=1000, batch=100)
    assert average.weight.item() == pytest.approx(0.5)
    ema.update(average, network, share=0.0, seen=1000, batch=100)
    assert average.weight.item() == 1.0


def test_the_average_follows_statistics_and_counters():
    network = nn.BatchNorm1d(2)
    average = ema.averaged_copy(network)
    network(torch.randn(8, 2) + 5)
    ema.update(average, network, share=1.0, seen=8, batch=8)
    expected = torch.lerp(torch.zeros(2), network.running_mean, 0.5)
    assert torch.allclose(average.running_mean, expected)
    assert average.num_batches_tracked == network.num_batches_tracked


def test_schedules_start_whole_and_end_as_they_say():
    whole = [schedule(name, 0.0, 0.1) for name in ("constant", "cosine", "flat_then_linear")]
    assert whole == [1, 1, 1]
    assert schedule("cosine", 0.5, 0.1) == pytest.approx(0.5)
    assert schedule("flat_then_linear", 0.75, 0.1) == pytest.approx(0.5)
    assert schedule("constant", 1.0, 0.1) == 1.0
    for warm_up in (0.025, 0.2):
        shares = (0.0, warm_up / 2, warm_up, 0.5, 0.75, 1)
        warmed = [schedule("warm_up_then_linear", share, warm_up) for share in shares]
        assert warmed == pytest.approx([0, 0.5, 1, 1, 0.5, 0])


def test_early_stopping_counts_calls_without_improvement():
    stopper = EarlyStop(patience=2)
    assert [stopper.stop(score) for score in (3.0, 2.0, 2.0, 2.5)] == [False, False, False, True]
    assert stopper.best_score == 2.0


def test_early_stopping_names_the_best_call():
    stopper = EarlyStop(patience=9)
    improved = []
    for score in (3.0, 4.0, 1.0, 1.0):
        stopper.stop(score)
        improved.append(stopper.improved)
    assert improved == [True, False, True, False]


def test_not_a_number_ends_the_training():
    with pytest.raises(AtelierError, match="not a number"):
        EarlyStop(patience=2).stop(math.nan)


def test_fixed_draws_are_made_for_the_trainings_device():
    # A GPU's images and a CPU's draws met in the previews; no tensor of `meta` has content.
    settings, fabric = SimpleNamespace(seed=1), SimpleNamespace(device=torch.device("meta"))
    nothing = dict.fromkeys(field.name for field in dataclasses.fields(Learner))
    learner = Learner(**nothing | {"settings": settings, "fabric": fabric})
    assert learner.fixed().uniform(2, 1).device.type == "meta"

"""CycleGAN's losses against closed forms, and the pool of earlier fakes."""

import math

import pytest
import torch
from torch import nn

from atelier.objectives import cyclegan
from atelier.objectives.cyclegan import DISCRIMINATORS, GENERATORS, Pool
from atelier.objectives.phase import Batch, Setting
from atelier.training.randomness import StepRandomness


class Shift(nn.Module):
    """A translation that adds a number."""

    def __init__(self, by):
        super().__init__()
        self.by = nn.Parameter(torch.tensor(by))
        self.calls = 0

    def forward(self, images):
        self.calls += 1
        return images + self.by


class Level(nn.Module):
    """A logit for each pixel: its value, scaled."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, images):
        return images[:, :1] * self.scale


def build(**changes):
    fields = {
        "name": "cyclegan", "adversarial": "lsgan", "cycle": 10.0, "identity": 0.5,
        "identity_until": 0.3, "pool": 50,
    }  # fmt: skip
    config = cyclegan.Config.model_validate(fields | changes)
    return cyclegan.build(config, Setting(0, torch.empty(0)))


def networks(a2b=0.5, b2a=-0.25):
    return nn.ModuleDict(
        {"a2b": Shift(a2b), "b2a": Shift(b2a), "discriminator_a": Level(),
         "discriminator_b": Level()}
    )  # fmt: skip


def flat(a, b, count=2, **more):
    """A domain of pictures of the value `a`, the other of `b`."""
    return Batch(torch.full((count, 3, 8, 8), a), other=torch.full((count, 3, 8, 8), b), **more)


def rng(step=0, phase=0):
    return StepRandomness(1, step, phase, phases=2)


WANTS_REAL = {
    "lsgan": lambda x: (x - 1) ** 2,
    "bce": lambda x: math.log1p(math.exp(-x)),
    "hinge": lambda x: -x,
}
REAL = WANTS_REAL | {"hinge": lambda x: max(0, 1 - x)}
FAKE = {
    "lsgan": lambda x: x**2,
    "bce": lambda x: math.log1p(math.exp(x)),
    "hinge": lambda x: max(0, 1 + x),
}


@pytest.mark.parametrize("adversarial", REAL)
@pytest.mark.parametrize(("progress", "identity"), [(0.0, 0.5 + 0.25), (0.3, 0.0)])
def test_the_generators_loss_is_the_papers(adversarial, progress, identity):
    objective = build(adversarial=adversarial)
    loss, metrics = objective.loss(
        GENERATORS, networks(), flat(0.1, -0.2, progress=progress), rng()
    )
    # Fakes: B at 0.1 + 0.5, A at -0.2 - 0.25; in each direction, 0.5 - 0.25 stay.
    wants = WANTS_REAL[adversarial]
    expected = wants(0.6) + wants(-0.45) + 10 * (0.25 + 0.25) + 10 * 0.5 * identity
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert metrics["cycle_loss"].item() == pytest.approx(0.5, rel=1e-5)
    assert ("identity_loss" in metrics) == (identity > 0)


@pytest.mark.parametrize("adversarial", REAL)
def test_the_discriminators_loss_is_the_papers(adversarial):
    objective, nets, batch = build(adversarial=adversarial), networks(), flat(0.1, -0.2)
    objective.loss(GENERATORS, nets, batch, rng())
    loss, _ = objective.loss(DISCRIMINATORS, nets, flat(0.3, 0.4), rng(0, 1))
    real, fake = REAL[adversarial], FAKE[adversarial]
    expected = 0.5 * (real(0.3) + fake(-0.45)) + 0.5 * (real(0.4) + fake(0.6))
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_the_discriminators_take_the_fakes_that_were_made_once():
    objective, nets, batch = build(identity=0.0), networks(), flat(0.1, -0.2)
    objective.loss(GENERATORS, nets, batch, rng())
    assert (nets["a2b"].calls, nets["b2a"].calls) == (2, 2)
    loss, _ = objective.loss(DISCRIMINATORS, nets, batch, rng(0, 1))
    assert (nets["a2b"].calls, nets["b2a"].calls) == (2, 2)
    loss.backward()
    assert nets["a2b"].by.grad is None
    assert nets["discriminator_a"].scale.grad is not None


def test_both_sides_of_a_discriminator_are_augmented():
    seen = []

    def augment(images, rng):
        seen.append(images.mean().item())
        return images

    objective, nets = build(identity=0.0), networks()
    batch = flat(0.1, -0.2, augment=augment)
    objective.loss(GENERATORS, nets, batch, rng())
    objective.loss(DISCRIMINATORS, nets, batch, rng(0, 1))
    assert seen == pytest.approx([0.6, -0.45, 0.1, -0.45, -0.2, 0.6])


def numbered(*values):
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1, 1).expand(-1, 3, 4, 4)


def test_a_filling_pool_gives_back_what_it_takes():
    pool = Pool(5)
    for step in range(2):
        fakes = numbered(2 * step, 2 * step + 1)
        assert torch.equal(pool.exchange(fakes, rng(step)), fakes)
    assert pool.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3]


def test_a_full_pool_swaps_half_and_loses_nothing():
    """Whatever comes in is either given at once or kept until it is given."""
    pool, given, swapped = Pool(10), [], 0
    for step in range(200):
        values = [3 * step, 3 * step + 1, 3 * step + 2]
        out = pool.exchange(numbered(*values), rng(step))[:, 0, 0, 0].tolist()
        swapped += len(set(values) - set(out)) if step >= 4 else 0
        # The pool's first ten are given when they come, and may be given a second time.
        given += [value for value in out if value >= 10]
    assert len(pool.images) == 10
    assert swapped / 588 == pytest.approx(0.5, abs=0.06)
    assert len(given) == len(set(given))
    held = {value for value in pool.images[:, 0, 0, 0].tolist() if value >= 10}
    assert held.isdisjoint(given)
    assert held | set(given) == set(range(10, 600))


def test_no_pool_gives_the_new_ones():
    pool = Pool(0)
    assert torch.equal(pool.exchange(numbered(1, 2), rng()), numbered(1, 2))
    assert len(pool.images) == 0


@pytest.mark.parametrize("steps", [0, 1, 9])
def test_a_pool_comes_back_from_its_state(steps):
    objective, again = build(pool=6), build(pool=6)
    for step in range(steps):
        objective.memory["b"].exchange(numbered(step, -step), rng(step))
    again.memory.load_state_dict(objective.memory.state_dict())
    assert torch.equal(again.memory["b"].images, objective.memory["b"].images)
    if steps:
        fakes = numbered(100, 101)
        expected = objective.memory["b"].exchange(fakes, rng(99))
        assert torch.equal(again.memory["b"].exchange(fakes, rng(99)), expected)


def test_what_a_pool_keeps_is_not_written_over():
    pool, fakes = Pool(4), torch.ones(2, 3, 4, 4)
    pool.exchange(fakes[:1], rng())
    fakes.zero_()
    assert pool.images.min() == 1

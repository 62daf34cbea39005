"""Rivals: they are what their papers say, both networks learn, and the clock counts that alone."""

from types import ModuleType

import numpy as np
import pytest
import torch
from tests.benchmarks.learning import moved_shares
from tests.project import ROOT, benchmark

NAMES = ("fastgan", "r3gan")


@pytest.fixture
def rivals(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return benchmark("rivals")


@pytest.fixture
def pixels() -> torch.Tensor:
    rng = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (12, 3, 64, 64), dtype=torch.uint8, generator=rng)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_moves_both_networks_and_the_average(
    rivals: ModuleType, pixels: torch.Tensor, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    rival = rivals.RIVALS[name]
    monkeypatch.setattr(rival, "BATCH", 4)
    training = rivals.Training(rival, pixels, rate=0.01, seed=1)
    networks = training.generator, training.discriminator, training.average
    assert min(moved_shares(networks, training.step, 3)) > 0.9
    assert training.images == 12
    assert training.seconds > 0


@pytest.mark.parametrize("name", NAMES)
def test_samples_depend_on_their_seed_alone(
    rivals: ModuleType, pixels: torch.Tensor, name: str
) -> None:
    training = rivals.Training(rivals.RIVALS[name], pixels, rate=0.001, seed=1)
    state = torch.get_rng_state()
    first, again, other = (training.sample(3, seed) for seed in (1, 1, 2))
    assert first.shape == (3, 3, 64, 64)
    assert first.dtype == np.uint8
    if name == "r3gan":  # the other adds noise of its own to maps, whose weight begins at 0
        assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_r3gan_is_penalised_for_its_slope(rivals: ModuleType) -> None:
    """Of a discriminator that is a sum over pixels, the gradient is 1 everywhere."""

    class Total(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.sum((1, 2, 3))[:, None]

    rival = rivals.RIVALS["r3gan"]
    same = torch.zeros(4, 3, 64, 64)
    losses = [rival.discriminator_loss(Total(), same, same, step).item() for step in range(9)]
    penalty = rival.GAMMA / 2 * 2 * (3 * 64 * 64)  # R1 and R2, each of every pixel
    assert np.mean(losses[:8]) == pytest.approx(np.log(2) + penalty, rel=1e-5)
    assert losses[1] == pytest.approx(np.log(2), rel=1e-5)
    assert losses[8] == losses[0]


def test_fastgan_gives_the_picture_and_a_quarter_of_it_back(rivals: ModuleType) -> None:
    rival = rivals.RIVALS["fastgan"]
    discriminator = rival.build_discriminator()
    logits, error = discriminator.judged_and_given_back(torch.rand(2, 3, 64, 64))
    assert logits.shape == (2, 5, 5)
    assert error > 0
    error.backward()
    reached = [p.grad is not None for p in discriminator.whole.parameters()]
    assert all(reached)

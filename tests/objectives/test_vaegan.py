"""A VAE, then a GAN: which part runs when, what its fakes are, and what they are held to."""

import pytest
import torch
from torch import nn

from atelier.models import vaegan as model
from atelier.objectives import vaegan
from atelier.objectives.phase import Batch, Setting
from atelier.training.randomness import StepRandomness

LATENT = 4
CONFIG = vaegan.Config(
    name="vaegan", reconstruct_until=0.5, head_start=0.1, gamma=0.1, penalty_every=4, likeness=2.0
)


class Mean(nn.Module):
    """A code that is the image's mean, without a deviation worth the name."""

    def forward(self, images):
        means = images.mean((1, 2, 3))[:, None].expand(-1, LATENT)
        return torch.cat([means, torch.full_like(means, -40.0)], dim=1)


class Flat(nn.Module):
    """A picture of the code's first number."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, codes):
        return self.gain * codes[:, :1, None, None].expand(-1, 3, 8, 8)


@pytest.fixture
def nets():
    decoder = Flat()
    return nn.ModuleDict({"encoder": Mean(), "decoder": decoder, "generator": decoder})


@pytest.fixture
def objective():
    return vaegan.build(CONFIG, Setting(LATENT, torch.empty(0)))


def due(objective, step, progress):
    return [phase.name for phase in objective.phases if phase.is_due(step, progress)]


def test_the_parts_come_one_after_the_other(objective):
    assert due(objective, 0, 0.0) == due(objective, 0, 0.499) == ["bound"]
    assert due(objective, 0, 0.5) == ["discriminator", "penalty"]
    assert due(objective, 1, 0.59) == ["discriminator"]
    assert due(objective, 0, 0.6) == ["discriminator", "penalty", "generator"]
    assert due(objective, 1, 0.999) == ["discriminator", "generator"]


def test_half_of_the_fakes_are_reconstructions_in_the_order_of_their_images(objective, nets):
    real = torch.arange(4.0)[:, None, None, None].expand(-1, 3, 8, 8) / 4
    fakes = objective.fakes(nets, Batch(real), StepRandomness(1, 0, 0))
    assert torch.allclose(fakes[:2], real[:2], atol=1e-6)
    assert not torch.isclose(fakes[2:], real[2:]).any()
    others = objective.fakes(nets, Batch(real), StepRandomness(1, 1, 0))
    assert torch.allclose(others[:2], fakes[:2], atol=1e-6)
    assert not torch.isclose(others[2:], fakes[2:]).any()


def test_only_reconstructions_are_held_to_their_images(objective):
    real = torch.zeros(4, 3, 8, 8)
    fakes = torch.tensor([0.1, 0.3, 9.0, 9.0])[:, None, None, None].expand(-1, 3, 8, 8)
    loss, figures = objective.held_to(fakes, Batch(real))
    assert figures["likeness_loss"] == pytest.approx((0.01 + 0.09) / 2)
    assert loss == pytest.approx(2.0 * 0.05)


def test_the_encoder_rests_while_the_generator_learns(objective):
    torch.manual_seed(0)
    config = model.Config(
        name="vaegan", latent_dim=LATENT, encoder_widths=[4], decoder_widths=[4],
        discriminator_width=4,
    )  # fmt: skip
    nets = model.build(config, (3, 16, 16))
    generator = next(phase for phase in objective.phases if phase.name == "generator")
    loss, _ = objective.loss(
        generator, nets, Batch(torch.rand(4, 3, 16, 16)), StepRandomness(1, 0, 0)
    )
    loss.backward()
    assert all(weight.grad is None for weight in nets["encoder"].parameters())
    assert nets["decoder"].last.weight.grad.abs().sum() > 0


def test_a_discriminator_sees_that_fakes_are_all_alike():
    """The mean deviation of each group of four neighbours, and of no other."""
    alike, different = torch.ones(4, 2, 3, 3), torch.ones(4, 2, 3, 3)
    different[::2] = 3.0
    found = model.variation(torch.cat([alike, different]))
    assert found.shape == (8, 1, 3, 3)
    assert found[:4].max() < 1e-3
    assert torch.allclose(found[4:], torch.ones(4, 1, 3, 3))
    assert model.variation(torch.rand(3, 2, 3, 3)).shape == (3, 1, 3, 3)

"""Contracts over every objective, and their losses against closed forms."""

import math

import pytest
import torch
from torch import nn

from atelier.objectives import OBJECTIVES
from atelier.objectives.adversarial import squared_gradient_norm
from atelier.objectives.phase import Batch, Setting
from atelier.training.randomness import StepRandomness

OPTIONS = {
    "wgan_gp": {"gradient_penalty": 10.0, "critic_steps": 2},
    "relativistic": {"gamma": 0.5, "penalty_every": 4},
    "classification": {"label_smoothing": 0.1},
}
LATENT = 8
SETTING = Setting(LATENT, torch.tensor([0.5, 0.1]))


def build(name, **changes):
    module = OBJECTIVES[name]
    config = module.Config(name=name, **OPTIONS.get(name, {}) | changes)
    return module.build(config, SETTING)


def networks(name):
    flat = 3 * 8 * 8
    nets = {
        "generator": nn.Sequential(nn.Linear(LATENT, flat), nn.Unflatten(1, (3, 8, 8)), nn.Tanh()),
        "discriminator": nn.Sequential(
            nn.Flatten(), nn.Linear(flat, 16), nn.Tanh(), nn.Linear(16, 1)
        ),
        "classifier": nn.Sequential(nn.Flatten(), nn.Linear(flat, 2)),
    }
    if name == "seed":
        nets["discriminator"].append(nn.Sigmoid())
    return nn.ModuleDict(nets)


def batch(count=4):
    images = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(3)) * 2 - 1
    return Batch(images, torch.tensor([[0, 1], [1, 0], [1, 1], [0, 0]][:count]))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients_reach_exactly_the_networks_of_the_phase(name):
    objective, nets = build(name), networks(name)
    for index, phase in enumerate(objective.phases):
        nets.zero_grad(set_to_none=True)
        for key, network in nets.items():
            network.requires_grad_(key in phase.trains)
        loss, metrics = objective.loss(phase, nets, batch(), StepRandomness(1, 0, index))
        loss.backward()
        reached = {
            key for key, net in nets.items() if any(p.grad is not None for p in net.parameters())
        }
        assert reached == set(phase.trains)
        assert all(torch.isfinite(p.grad).all() for p in nets.parameters() if p.grad is not None)
        assert metrics
        assert not any(value.requires_grad for value in metrics.values())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_loss_depends_on_seed_step_and_phase_alone(name):
    objective, nets = build(name), networks(name)
    phase = objective.phases[-1]
    torch.manual_seed(0)
    first, _ = objective.loss(phase, nets, batch(), StepRandomness(1, 5, 2))
    torch.manual_seed(99)
    torch.rand(7)
    second, _ = objective.loss(phase, nets, batch(), StepRandomness(1, 5, 2))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        ("bce", math.log1p(math.exp(-2)) + math.log1p(math.exp(-1)), math.log1p(math.exp(1))),
        ("lsgan", 0.5 * (1 + 1), 0.5 * 4),
        ("hinge", 0.0, 1.0),
        ("wgan_gp", -3.0, 1.0),
        ("relativistic", math.log1p(math.exp(-3)), math.log1p(math.exp(3))),
    ],
)
def test_losses_at_logits_two_and_minus_one(name, discriminator, generator):
    objective = build(name)
    real, fake = torch.tensor([[2.0]]), torch.tensor([[-1.0]])
    assert objective.discriminator_loss(real, fake).item() == pytest.approx(discriminator)
    assert objective.generator_loss(real, fake).item() == pytest.approx(generator)


def test_the_penalty_of_a_linear_critic_is_its_weight():
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 1))
    norms = squared_gradient_norm(critic, torch.randn(5, 3, 2, 2))
    expected = critic[1].weight.square().sum()
    assert torch.allclose(norms, expected.expand(5))


def test_the_lazy_penalty_weighs_both_gradients_with_k_gamma_half():
    objective, nets = build("relativistic", gamma=0.7, penalty_every=4), networks("relativistic")
    nets["discriminator"] = nn.Sequential(nn.Flatten(), nn.Linear(192, 1))
    penalty = objective.phases[1]
    assert (penalty.name, penalty.every) == ("penalty", 4)
    loss, _ = objective.loss(penalty, nets, batch(), StepRandomness(1, 0, 1))
    weight = nets["discriminator"][1].weight.square().sum().item()
    assert loss.item() == pytest.approx(4 * 0.7 / 2 * 2 * weight, rel=1e-5)


def test_the_penalty_stays_in_fp32_under_autocast():
    critic = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 1))
    images = torch.randn(6, 3, 2, 2)
    plain = squared_gradient_norm(critic, images)
    with torch.autocast("cpu", torch.bfloat16):
        under = squared_gradient_norm(critic, images)
    assert under.dtype == torch.float32
    assert torch.equal(plain, under)


def test_one_images_penalty_does_not_depend_on_its_batch_mates():
    nets = networks("wgan_gp")
    images = torch.randn(6, 3, 8, 8)
    together = squared_gradient_norm(nets["discriminator"], images)
    alone = squared_gradient_norm(nets["discriminator"], images[:1])
    assert torch.allclose(together[:1], alone, rtol=1e-5)
    with_norm = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 1)
    )
    mixed = squared_gradient_norm(with_norm, images)
    other = squared_gradient_norm(with_norm, torch.cat([images[:1], images[1:] * 3]))
    assert not torch.allclose(mixed[:1], other[:1], rtol=1e-3)


def test_every_critic_step_sees_fresh_reals_and_fresh_noise():
    first, second = StepRandomness(1, 3, 0, phases=3), StepRandomness(1, 3, 1, phases=3)
    assert not set(first.rows(1000, 8).tolist()) & set(second.rows(1000, 8).tolist())
    assert not torch.equal(first.normal(4, 8), second.normal(4, 8))


def test_classification_gives_rare_labels_weight():
    objective = build("classification", label_smoothing=0.0)
    nets = networks("classification")
    nn.init.zeros_(nets["classifier"][1].weight)
    nn.init.zeros_(nets["classifier"][1].bias)
    rare = Batch(torch.zeros(1, 3, 8, 8), torch.tensor([[0, 1]]))
    loss, _ = objective.loss(objective.phases[0], nets, rare, StepRandomness(1, 0, 0))
    assert loss.item() == pytest.approx(math.log(2) * (1.0 + 5.0) / 2)

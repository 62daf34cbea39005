"""Contracts over every objective with every model that it trains, and losses in closed form."""

import math
from pathlib import Path

import pytest
import torch
from tests.objectives.phases import phase_of
from tests.tables import fits, tiny, tiny_model
from torch import nn

from atelier.models import MODELS
from atelier.objectives import OBJECTIVES
from atelier.objectives.adversarial import cross_entropy, judge_pair, squared_gradient_norm
from atelier.objectives.phase import Batch, Setting, train_only
from atelier.training.randomness import StepRandomness

TINY = Path("experiments/tiny")
OPTIONS = {
    "wgan_gp": {"gradient_penalty": 10.0, "critic_steps": 2},
    "relativistic": {"gamma": 0.5, "penalty_every": 4},
    "relativistic_ac": {
        "gamma": 0.5,
        "penalty_every": 4,
        "real_label_weight": 1.0,
        "fake_label_weight": 0.5,
    },
    "classification": {"label_smoothing": 0.1},
}
ADVERSARIAL = ["bce", "lsgan", "hinge", "wgan_gp", "relativistic"]
LATENT, LABELS = 8, torch.tensor([[0, 1], [1, 0], [1, 1], [0, 0]])
SHARES = torch.tensor([0.5, 0.1])
SETTING = Setting(LATENT, SHARES)
CONDITIONAL = Setting(LATENT, SHARES, conditional=True)


PAIRS = [
    (objective, model) for objective in OBJECTIVES for model in MODELS if fits(objective, model)
]


def build(name, setting=SETTING, **changes):
    module = OBJECTIVES[name]
    written = tiny("objective").get(name, {"name": name})
    return module.build(module.config(**written | OPTIONS.get(name, {}) | changes), setting)


def trained(objective, model):
    """The objective and the model's own networks, with a batch that has all that a batch may."""
    family, config = MODELS[model], tiny_model(model)
    shape = (100,) if family.task.makes == "numbers" else (3, 32, 32)
    torch.manual_seed(0)
    nets = family.build(config, shape, LABELS.shape[1])
    conditional = family.task.takes_attributes
    setting = Setting(getattr(config, "latent_dim", 0), SHARES, conditional)
    real, other = torch.rand(2, len(LABELS), *shape) * 2 - 1
    return build(objective, setting), nets, Batch(real, LABELS, other, progress=0.1)


def test_every_model_and_every_objective_is_in_a_pair():
    assert {objective for objective, _ in PAIRS} == set(OBJECTIVES)
    assert {model for _, model in PAIRS} == set(MODELS)
    assert {model for objective, model in PAIRS if objective == "hinge"} >= {"dcgan", "cdcgan"}


def networks():
    flat = 3 * 8 * 8
    return nn.ModuleDict(
        {
            "generator": nn.Sequential(
                nn.Linear(LATENT, flat), nn.Unflatten(1, (3, 8, 8)), nn.Tanh()
            ),
            "discriminator": nn.Sequential(
                nn.Flatten(), nn.Linear(flat, 16), nn.Tanh(), nn.Linear(16, 1)
            ),
            "classifier": nn.Sequential(nn.Flatten(), nn.Linear(flat, 2)),
        }
    )


def batch(count=4):
    images = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(3)) * 2 - 1
    return Batch(images, LABELS[:count])


@pytest.mark.parametrize(("name", "model"), PAIRS)
def test_gradients_reach_exactly_the_networks_of_the_phase(name, model):
    objective, nets, drawn = trained(name, model)
    for index, phase in enumerate(objective.phases):
        nets.zero_grad(set_to_none=True)
        train_only(nets, phase)
        loss, metrics = objective.loss(phase, nets, drawn, StepRandomness(1, 0, index))
        loss.backward()
        reached = {
            key for key, net in nets.items() if any(p.grad is not None for p in net.parameters())
        }
        # One network may be part of another, and rest while the other part learns.
        asked = {id(p) for name in phase.trains for p in nets[name].parameters()}
        assert set(phase.trains) <= reached
        assert all(id(p) in asked for p in nets.parameters() if p.grad is not None)
        assert all(torch.isfinite(p.grad).all() for p in nets.parameters() if p.grad is not None)
        assert metrics
        assert not any(value.requires_grad for value in metrics.values())


@pytest.mark.parametrize(
    ("name", "model"), [pair for pair in PAIRS if OBJECTIVES[pair[0]].penalises_gradients]
)
def test_what_is_penalised_is_not_compiled(name, model):
    """A compiled network, whose gradient has none of its own, would end the training."""
    objective, nets, drawn = trained(name, model)
    for network in nets.values():
        network.compile(backend="aot_eager")
    penalty = next((p for p in objective.phases if p.name == "penalty"), objective.phases[-1])
    train_only(nets, penalty)
    loss, _ = objective.loss(penalty, nets, drawn, StepRandomness(1, 0, 0))
    loss.backward()
    torch.compiler.reset()
    gradients = [p.grad for key in penalty.trains for p in nets[key].parameters()]
    assert any(gradient is not None and gradient.any() for gradient in gradients)


@pytest.mark.parametrize(("name", "model"), PAIRS)
def test_a_loss_depends_on_seed_step_and_phase_alone(name, model):
    found = []
    for disturbance in (0, 99):
        objective, nets, drawn = trained(name, model)
        torch.manual_seed(disturbance)
        losses = [
            objective.loss(phase, nets, drawn, StepRandomness(1, 5, index))[0]
            for index, phase in enumerate(objective.phases)
        ]
        found.append(torch.stack(losses))
    assert torch.equal(*found)


class Told(nn.Module):
    """Notes which labels it was given with how many rows; acts as the network inside it."""

    def __init__(self, network):
        super().__init__()
        self.network, self.notes = network, []

    def forward(self, rows, *labels):
        self.notes.append((len(rows), labels))
        return self.network(rows)


class Shown(nn.Module):
    """Keeps what passes through it: what it was given and what it made."""

    def __init__(self, network):
        super().__init__()
        self.network, self.passes = network, []

    def forward(self, rows):
        made = self.network(rows)
        self.passes.append((rows.detach(), made.detach()))
        return made


@pytest.mark.parametrize(
    ("name", "passes"), [("bce", 1), ("lsgan", 1), ("hinge", 1), ("wgan_gp", 2)]
)
def test_the_discriminator_is_shown_what_the_generator_has_just_learnt_from(name, passes):
    """Of the same reals, and made once; a critic's further steps have fakes of their own."""
    objective, plain = build(name), networks()
    nets = nn.ModuleDict({key: Shown(plain[key]) for key in ("generator", "discriminator")})
    first, fresh = batch(), Batch(batch().real.flip(0), LABELS)
    for step in range(2):
        for index, phase in enumerate(objective.phases):
            given = fresh if index else first
            objective.loss(phase, nets, given, StepRandomness(1, step, index))
        made = [made for _, made in nets["generator"].passes]
        shown = [given for given, _ in nets["discriminator"].passes if len(given) == 8]
        assert len(made) == passes * (step + 1)
        assert torch.equal(shown[-passes], torch.cat([first.real, made[-passes]]))
        if passes == 2:
            assert torch.equal(shown[-1], torch.cat([fresh.real, made[-1]]))


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize("setting", [SETTING, CONDITIONAL])
def test_both_networks_are_told_the_labels_where_the_model_is_conditional(name, setting):
    objective, plain = build(name, setting), networks()
    nets = nn.ModuleDict({key: Told(plain[key]) for key in ("generator", "discriminator")})
    for index, phase in enumerate(objective.phases):
        objective.loss(phase, nets, batch(), StepRandomness(1, 0, index))
    for network in nets.values():
        assert network.notes
        for rows, labels in network.notes:
            assert len(labels) == int(setting.conditional)
            for given in labels:
                assert torch.equal(given, LABELS.float().repeat(rows // len(LABELS), 1))


class Projection(nn.Module):
    """A linear critic: (w + E y) . x, whose gradient by the image is w + E y."""

    def __init__(self):
        super().__init__()
        self.weight, self.embedding = nn.Parameter(torch.randn(12)), nn.Linear(2, 12, bias=False)

    def forward(self, images, labels):
        return (images.flatten(1) * (self.weight + self.embedding(labels))).sum(1, keepdim=True)


def test_the_penalty_of_a_projection_is_each_images_own():
    critic, labels = Projection(), LABELS.float()
    norms = squared_gradient_norm(critic, torch.randn(4, 3, 2, 2), labels)
    expected = (critic.weight + critic.embedding(labels)).square().sum(1)
    assert torch.allclose(norms, expected, rtol=1e-5)
    assert not torch.allclose(norms, expected.flip(0), rtol=1e-2)


def test_a_pair_is_judged_with_the_same_labels():
    torch.manual_seed(0)
    critic, labels = Projection(), LABELS.float()
    real, fake = torch.randn(2, 4, 3, 2, 2)
    for found, images in zip(judge_pair(critic, real, fake, labels), (real, fake), strict=True):
        # Sums of 12 products near 1, which may cancel: in one batch of 8, and in two of 4.
        assert torch.allclose(found, critic(images, labels), rtol=1e-5, atol=1e-5)
        assert not torch.allclose(found, critic(images, labels.flip(0)), rtol=0.1, atol=0.1)


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
    objective, nets = build("relativistic", gamma=0.7, penalty_every=4), networks()
    nets["discriminator"] = nn.Sequential(nn.Flatten(), nn.Linear(192, 1))
    penalty = phase_of(objective, "penalty")
    assert penalty.every == 4
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
    nets = networks()
    images = torch.randn(6, 3, 8, 8)
    together = squared_gradient_norm(nets["discriminator"], images)
    alone = squared_gradient_norm(nets["discriminator"], images[:1])
    assert torch.allclose(together[:1], alone, rtol=1e-4)
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


def test_a_label_costs_the_cross_entropy_of_twice_its_evidence():
    evidence, labels = torch.tensor([[0.7, -1.2], [0.0, 3.0]]), torch.tensor([[1.0, 0], [1, 0]])
    expected = nn.functional.binary_cross_entropy_with_logits(2 * evidence, labels)
    torch.testing.assert_close(cross_entropy(evidence, labels), expected)


def test_evidence_is_half_of_what_turning_an_attribute_around_takes_from_the_logit():
    _, nets, batch = trained("relativistic_ac", "cdcgan")
    turned = torch.cat([1 - LABELS[:, :1], LABELS[:, 1:]], dim=1)
    with torch.no_grad():
        logits, evidence = nets["discriminator"].read(batch.real, LABELS)
        change = logits - nets["discriminator"](batch.real, turned)
    signs = 2 * LABELS[:, :1] - 1
    torch.testing.assert_close(change, 2 * signs * evidence[:, :1])


def test_labels_join_the_relativistic_loss_with_the_weight_of_their_phase():
    """The classifier learns from reals alone; the generator is to be understood as asked."""
    plain, nets, batch = trained("relativistic", "cdcgan")
    setting = Setting(tiny("model")["cdcgan"]["latent_dim"], SHARES, conditional=True)

    def loss(phase, real, fake):
        weights = {"real_label_weight": real, "fake_label_weight": fake}
        objective = build("relativistic_ac", setting, **weights)
        return objective.loss(phase, nets, batch, StepRandomness(0, 0, 0))[0]

    discriminator, generator = (phase_of(plain, name) for name in ("discriminator", "generator"))
    for phase, reals, fakes in ((discriminator, 1.0, 0.0), (generator, 0.0, 1.0)):
        alone = plain.loss(phase, nets, batch, StepRandomness(0, 0, 0))[0]
        torch.testing.assert_close(loss(phase, 0.0, 0.0), alone)
        torch.testing.assert_close(loss(phase, fakes, reals), alone)
        once, twice = loss(phase, reals, fakes), loss(phase, 2 * reals, 2 * fakes)
        torch.testing.assert_close(twice - once, once - alone)
        assert once > alone


def test_classification_gives_rare_labels_weight():
    objective = build("classification", label_smoothing=0.0)
    nets = networks()
    nn.init.zeros_(nets["classifier"][1].weight)
    nn.init.zeros_(nets["classifier"][1].bias)
    rare = Batch(torch.zeros(1, 3, 8, 8), torch.tensor([[0, 1]]))
    loss, _ = objective.loss(objective.phases[0], nets, rare, StepRandomness(1, 0, 0))
    assert loss.item() == pytest.approx(math.log(2) * (1.0 + 5.0) / 2)

"""A VAE, then a GAN: which part runs when, what its fakes are, and what they are held to."""

from typing import NamedTuple

import pytest
import torch
from pydantic import ValidationError
from tests.objectives.phases import parts, phase_of
from torch import nn

from atelier.models import vaegan as model
from atelier.models.blocks import variation
from atelier.models.flow import Generator, Prior
from atelier.objectives import vaegan
from atelier.objectives.phase import EXAMPLES, Batch, Setting
from atelier.training.augment import DiffAugment
from atelier.training.randomness import StepRandomness

LATENT = 4
CONFIG = vaegan.Config(
    name="vaegan", reconstruct_until=0.3, learn_codes_until=0.5, head_start=0.1, gamma=0.1,
    penalty_every=4, patches=0.5, likeness=2.0, features=0.5, real_label_weight=1.0,
)  # fmt: skip


MODEL = model.Config(
    name="vaegan", latent_dim=LATENT, encoder_widths=[4], decoder_widths=[4], tail_width=4,
    prior_width=8, prior_blocks=1, discriminator_width=4,
)  # fmt: skip


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


class Reading(NamedTuple):
    logits: tuple[torch.Tensor, ...]
    evidence: torch.Tensor
    maps: tuple[torch.Tensor, ...]


class Grey(nn.Module):
    """An image's mean as a whole, twice its pixels as patches, and its pixels as features."""

    def read(self, images):
        whole = images.mean((1, 2, 3))[:, None]
        return Reading((whole, 2 * images), whole[:, :0], (images,))


@pytest.fixture
def nets():
    torch.manual_seed(0)
    decoder, prior = Flat(), Prior(LATENT, width=8, blocks=1)
    generator = Generator(prior, decoder)
    return nn.ModuleDict(
        {"encoder": Mean(), "decoder": decoder, "prior": prior, "generator": generator}
    )


@pytest.fixture
def objective():
    return vaegan.build(CONFIG, Setting(LATENT, torch.empty(0)))


def due(objective, step, progress):
    return [phase.name for phase in objective.phases if phase.is_due(step, progress)]


def test_the_parts_come_one_after_the_other(objective):
    assert due(objective, 0, 0.0) == due(objective, 0, 0.299) == ["bound"]
    assert due(objective, 0, 0.3) == due(objective, 1, 0.499) == ["prior"]
    assert due(objective, 0, 0.5) == ["discriminator", "penalty"]
    assert due(objective, 1, 0.59) == ["discriminator"]
    assert due(objective, 0, 0.6) == ["generator", "discriminator", "penalty"]
    assert due(objective, 1, 0.999) == ["generator", "discriminator"]


@pytest.mark.parametrize(("head_start", "opening"), [(0.1, "discriminator"), (0.0, "generator")])
def test_the_game_is_prepared_where_it_begins(head_start, opening):
    config = CONFIG.model_copy(update={"head_start": head_start})
    objective = vaegan.build(config, Setting(LATENT, torch.empty(0)))
    due_first = [phase for phase in objective.phases if phase.is_due(0, 0.5)]
    assert [phase.name for phase in due_first if phase.prepare] == [opening]
    assert due_first[0].name == opening


def test_a_step_of_the_game_makes_its_fakes_once(objective, nets):
    nets["discriminator"] = Grey()
    real = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    made, make = [], objective.fakes

    def fakes(*given):
        made.append(make(*given))
        return made[-1]

    objective.fakes = fakes
    for name in ("generator", "discriminator", "discriminator"):
        rng = StepRandomness(1, len(made), 0)
        _, figures = objective.loss(phase_of(objective, name), nets, Batch(real), rng)
        assert figures  # of a discriminator's: the mean logit of what it was shown
        if name == "discriminator":
            assert figures["fake_logit"] == pytest.approx(made[-1].mean().item(), abs=1e-6)
    assert len(made) == 2  # the second discriminator had no generator before it


def test_half_of_the_fakes_are_reconstructions_in_the_order_of_their_images(objective, nets):
    real = torch.arange(4.0)[:, None, None, None].expand(-1, 3, 8, 8) / 4
    fakes = objective.fakes(nets, Batch(real), StepRandomness(1, 0, 0))
    assert torch.allclose(fakes[:2], real[:2], atol=1e-6)
    assert not torch.isclose(fakes[2:], real[2:]).any()
    others = objective.fakes(nets, Batch(real), StepRandomness(1, 1, 0))
    assert torch.allclose(others[:2], fakes[:2], atol=1e-6)
    assert not torch.isclose(others[2:], fakes[2:]).any()


def test_a_discriminator_is_asked_of_the_whole_and_of_each_patch(objective, nets):
    """Relativistic, each logit of a fake against that of the real in its place."""
    nets["discriminator"] = Grey()
    reals, fakes = torch.full((4, 3, 8, 8), 0.5), torch.zeros(4, 3, 8, 8)
    objective.fakes = lambda nets, batch, rng: fakes
    loss, figures = objective.loss(
        phase_of(objective, "discriminator"), nets, Batch(reals), StepRandomness(1, 0, 0)
    )
    whole, patches = (torch.nn.functional.softplus(torch.tensor(-0.5 * k)) for k in (1.0, 2.0))
    assert loss.item() == pytest.approx((whole + CONFIG.patches * patches).item())
    assert figures["real_logit"] - figures["fake_logit"] == pytest.approx(0.5)


def test_only_reconstructions_are_held_to_their_images(objective, nets):
    nets["discriminator"] = Grey()
    real = torch.zeros(4, 3, 8, 8)
    fakes = torch.tensor([0.1, 0.3, 9.0, 9.0])[:, None, None, None].expand(-1, 3, 8, 8)
    objective.fakes = lambda nets, batch, rng: fakes
    _, figures = objective.loss(
        phase_of(objective, "generator"), nets, Batch(real), StepRandomness(1, 0, 0)
    )
    assert figures["likeness_loss"] == pytest.approx((0.01 + 0.09) / 2)
    assert figures["feature_loss"] == pytest.approx((0.1 + 0.3) / 2)


@pytest.mark.parametrize(
    ("part", "figure"), [("likeness", "likeness_loss"), ("features", "feature_loss")]
)
def test_each_part_has_its_weight(nets, part, figure):
    nets["discriminator"] = Grey()
    real = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))

    def loss(weight):
        made = vaegan.build(
            CONFIG.model_copy(update={part: weight}), Setting(LATENT, torch.empty(0))
        )
        return made.loss(phase_of(made, "generator"), nets, Batch(real), StepRandomness(1, 0, 0))

    (without, _), (once, figures), (twice, _) = map(loss, (0.0, 1.0, 2.0))
    torch.testing.assert_close(once - without, figures[figure])
    torch.testing.assert_close(twice - once, once - without)
    assert figures[figure] > 0


def test_encoder_and_prior_rest_while_the_generator_learns(objective):
    torch.manual_seed(0)
    nets = model.build(MODEL, (3, 16, 16))
    loss, _ = objective.loss(
        phase_of(objective, "generator"),
        nets,
        Batch(torch.rand(4, 3, 16, 16)),
        StepRandomness(1, 0, 0),
    )
    loss.backward()
    for resting in ("encoder", "prior"):
        assert all(weight.grad is None for weight in nets[resting].parameters())
    assert nets["decoder"].last.weight.grad.abs().sum() > 0


def test_a_discriminator_sees_that_fakes_are_all_alike():
    """The mean deviation of each group of four neighbours, and of no other."""
    alike, different = torch.ones(4, 2, 3, 3), torch.ones(4, 2, 3, 3)
    different[::2] = 3.0
    found = variation(torch.cat([alike, different]))
    assert found.shape == (8, 1, 3, 3)
    assert found[:4].max() < 1e-3
    assert torch.allclose(found[4:], torch.ones(4, 1, 3, 3))


def test_a_classifier_learns_attributes_where_there_are_any(objective):
    labelled = vaegan.build(CONFIG, Setting(LATENT, torch.tensor([0.5, 0.1])))
    assert due(labelled, 0, 0.4) == ["prior", "recognition"]
    assert due(labelled, 1, 0.4) == ["prior"]
    assert phase_of(labelled, "recognition").trains == ("classifier",)
    assert due(labelled, 0, 0.2) == ["bound"]
    assert due(labelled, 1, 0.7) == ["generator", "discriminator"]
    unweighted = CONFIG.model_copy(update={"real_label_weight": 0.0})
    for without in (objective, vaegan.build(unweighted, Setting(LATENT, torch.tensor([0.5])))):
        assert due(without, 0, 0.4) == ["prior"]


def test_attributes_of_reals_alone_are_learnt():
    """Bright and dark are told apart before the game; in it, by reals whatever the fakes are."""
    torch.manual_seed(0)
    nets = model.build(MODEL, (3, 16, 16), 1)
    labelled = vaegan.build(CONFIG, Setting(LATENT, torch.tensor([0.5])))
    labels = torch.tensor([[0], [1]], dtype=torch.uint8).repeat(8, 1)
    signs = 2.0 * labels[:, :, None, None] - 1
    batch = Batch((0.5 * signs).expand(-1, 3, 16, 16), labels)
    recognition = phase_of(labelled, "recognition")
    optimizer = torch.optim.Adam(nets["classifier"].parameters(), 0.003)
    losses = []
    for step in range(30):
        loss, _ = labelled.loss(recognition, nets, batch, StepRandomness(1, step, 0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 < 0.5 < losses[0]
    many = batch.real[:1].expand(EXAMPLES, -1, -1, -1), labels[:1].expand(EXAMPLES, -1)
    with torch.no_grad():
        phase_of(labelled, "discriminator").prepare(nets, parts(*many), StepRandomness(1, 0, 0))
    figures = []
    for fakes in (torch.zeros(16, 3, 16, 16), torch.rand(16, 3, 16, 16)):
        labelled.fakes = lambda nets, batch, rng, made=fakes: made
        game = phase_of(labelled, "discriminator")
        loss, found = labelled.loss(game, nets, batch, StepRandomness(1, 0, 0))
        torch.testing.assert_close(loss - found["discriminator_loss"], found["label_loss_of_reals"])
        figures.append(found["label_loss_of_reals"].item())
    assert figures[0] < 0.1
    assert figures[0] == pytest.approx(figures[1])


def test_a_fake_and_its_real_are_changed_alike(nets, objective):
    """Colours, too: a decoder that gives each image back has nothing to answer for."""
    nets["discriminator"] = Grey()
    real = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    objective.fakes = lambda nets, batch, rng: batch.real
    batch = Batch(real, augment=DiffAugment(0.5, 0.5, 0.5, 0.2, 0.2))
    _, figures = objective.loss(
        phase_of(objective, "generator"), nets, batch, StepRandomness(1, 0, 0)
    )
    assert figures["feature_loss"].item() == 0.0


@pytest.mark.parametrize(
    ("learns", "begins", "head_start"),
    [(0.0, 0.5, 0.1), (0.5, 0.5, 0.1), (0.6, 0.5, 0.1), (0.3, 0.9, 0.1), (0.3, 1.0, 0.0)],
)
def test_each_part_lasts(learns, begins, head_start):
    body = CONFIG.model_dump() | {
        "reconstruct_until": learns, "learn_codes_until": begins, "head_start": head_start,
    }  # fmt: skip
    with pytest.raises(ValidationError, match="0 < reconstruct_until < learn_codes_until"):
        vaegan.Config.model_validate(body)


def prepared(objective, nets, name, images):
    phase_of(objective, name).prepare(nets, parts(images), StepRandomness(1, 0, 0))


def bright(count):
    """Images of one grey each, which is what their codes then are."""
    greys = torch.rand(count, generator=torch.Generator().manual_seed(1)) * 0.5 + 0.25
    return greys[:, None, None, None].expand(-1, 3, 8, 8)


def test_the_prior_learns_from_the_codes_of_training_images(objective, nets):
    prepared(objective, nets, "prior", bright(EXAMPLES))
    codes, condition = objective.memory.draw(2000, StepRandomness(1, 1, 0))
    assert condition == ()
    assert codes.shape == (2000, LATENT)
    assert codes.mean().item() == pytest.approx(0.5, abs=0.01)
    assert 0.25 <= codes.min() < codes.max() <= 0.75


def test_when_the_game_begins_draws_are_spread_as_codes_are(objective, nets):
    prepared(objective, nets, "prior", bright(EXAMPLES))
    prepared(objective, nets, "discriminator", bright(EXAMPLES))
    with torch.no_grad():
        draws = nets["prior"](torch.randn(4000, LATENT, generator=torch.Generator().manual_seed(2)))
    assert draws.mean().item() == pytest.approx(0.5, abs=0.01)
    assert draws.std().item() == pytest.approx(0.5 / 12**0.5, rel=0.05)


def test_the_flow_loss_is_the_squared_error_of_the_velocity(objective, nets):
    """Of codes that never vary and a network that says nothing: by hand."""
    prepared(objective, nets, "prior", torch.zeros(EXAMPLES, 3, 8, 8))
    prior = phase_of(objective, "prior")
    loss, figures = objective.loss(prior, nets, Batch(torch.zeros(4, 3, 8, 8)), Fixed())
    # At time 0 the plain velocity is -x, which is right where every code is 0.
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert figures["flow_loss"] == loss


class Fixed(StepRandomness):
    """Times are 0."""

    def __init__(self):
        super().__init__(1, 0, 0)

    def uniform(self, *shape):
        return torch.zeros(shape)

"""Back-translation's losses by hand, its memory, and where its gradients must not go."""

import math

import pytest
import torch
from torch import nn

from atelier.objectives import back_translation
from atelier.objectives.back_translation import DISCRIMINATORS, GENERATORS, changed, recoloured
from atelier.objectives.phase import Batch, Setting
from atelier.training.augment import DiffAugment
from atelier.training.randomness import StepRandomness

SIDE = 8


class Shift(nn.Module):
    """A translation that adds a number, and notes what it is given."""

    def __init__(self, by):
        super().__init__()
        self.by = nn.Parameter(torch.tensor(by))
        self.given = []

    def forward(self, images):
        self.given.append(images.detach().clone())
        return images + self.by


class Level(nn.Module):
    """Logits at two sides: the value of the red there, and twice that."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, images):
        red = images[:, :1] * self.scale
        return [red, 2 * nn.functional.avg_pool2d(red, 4)]


def build(**changes):
    fields = {
        "name": "back_translation", "cycle": 5.0, "change": 0.5, "warm_up_share": 0.0, "noise": 0.0,
        "recolour_a": 0.0, "recolour_b": 0.0, "patch_floor": 0.15, "gamma": 0.2, "penalty_every": 4,
    }  # fmt: skip
    config = back_translation.Config.model_validate(fields | changes)
    return back_translation.build(config, Setting(0, torch.empty(0)))


def networks(a2b=0.5, b2a=-0.25):
    return nn.ModuleDict(
        {"a2b": Shift(a2b), "b2a": Shift(b2a), "discriminator_a": Level(),
         "discriminator_b": Level()}
    )  # fmt: skip


def flat(a, b, count=2, **more):
    """A domain of pictures of the value `a`, the other of `b`."""
    size = (count, 3, SIDE, SIDE)
    return Batch(torch.full(size, a), other=torch.full(size, b), **more)


def rng(step=0, phase=0):
    return StepRandomness(1, step, phase, phases=3)


def real_loss(value):
    """What a picture of that value costs that should look real: mean over two sizes."""
    return sum(math.log1p(math.exp(-logit)) for logit in (value, 2 * value)) / 2


def fake_loss(value):
    return sum(math.log1p(math.exp(logit)) for logit in (value, 2 * value)) / 2


@pytest.mark.parametrize(("warm_up", "progress"), [(0.0, 0.0), (0.5, 0.0), (0.5, 0.25), (0.5, 0.6)])
def test_the_generators_loss_is_what_the_formulas_say(warm_up, progress):
    objective, nets = build(warm_up_share=warm_up), networks()
    objective.loss(GENERATORS, nets, flat(0.3, 0.1), rng())
    loss, metrics = objective.loss(GENERATORS, nets, flat(0.1, -0.2, progress=progress), rng(1))
    # Fakes: B at 0.1 + 0.5, A at -0.2 - 0.25. Of the step before: B at 0.8 goes back to 0.55 and
    # not to 0.3; A at -0.15 to 0.35 and not to 0.1.
    adversarial, cycle = real_loss(0.6) + real_loss(-0.45), 0.25 + 0.25
    warm = min(progress / warm_up, 1) if warm_up else 1
    expected = adversarial + 5 * (0.2 + 0.8 * warm) * cycle + 0.5 * warm * (0.5 + 0.25)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert metrics["generator_loss"].item() == pytest.approx(adversarial, rel=1e-5)
    assert metrics["cycle_loss"].item() == pytest.approx(cycle, rel=1e-5)
    assert metrics["change_a2b"].item() == pytest.approx(0.5, rel=1e-5)
    assert metrics["change_b2a"].item() == pytest.approx(0.25, rel=1e-5)


def test_before_the_first_step_a_pictures_translation_is_itself():
    _, metrics = build().loss(GENERATORS, networks(0.0, 0.0), flat(0.3, -0.4), rng())
    assert metrics["cycle_loss"] == 0
    assert metrics["change_a2b"] == metrics["change_b2a"] == 0


def test_a_step_calls_each_generator_once_on_reals_and_on_the_others_last_outputs():
    objective, nets = build(), networks()
    objective.loss(GENERATORS, nets, flat(0.3, 0.1), rng())
    objective.loss(DISCRIMINATORS, nets, flat(7.0, 7.0), rng(0, 1))
    objective.loss(GENERATORS, nets, flat(0.1, -0.2), rng(1))
    for name, values in (("a2b", [0.1, 0.1 - 0.25]), ("b2a", [-0.2, 0.3 + 0.5])):
        assert len(nets[name].given) == 2
        found = nets[name].given[1].mean((1, 2, 3)).tolist()
        assert found == pytest.approx([values[0]] * 2 + [values[1]] * 2)


def test_no_gradient_reaches_the_network_that_made_what_is_translated_back():
    """With the cycle alone in the loss, a generator learns from its own second half only."""
    objective, nets = build(change=0.0), networks()
    objective.loss(GENERATORS, nets, flat(0.3, 0.1), rng())
    for name in ("discriminator_a", "discriminator_b"):
        nn.init.zeros_(nets[name].scale)  # and so the adversarial loss has no gradient
    before = objective.translations.last()
    assert not any(images.requires_grad for images in before)
    loss, _ = objective.loss(GENERATORS, nets, flat(0.1, -0.2), rng(1))
    loss.backward()
    # Each is 0.25 too bright or too dark; through the maker it would be as much again.
    assert nets["a2b"].by.grad.item() == pytest.approx(5.0)
    assert nets["b2a"].by.grad.item() == pytest.approx(5.0)


def test_the_discriminators_loss_is_of_the_pictures_that_the_generators_saw():
    objective, nets = build(), networks()
    objective.loss(GENERATORS, nets, flat(0.1, -0.2), rng())
    loss, metrics = objective.loss(DISCRIMINATORS, nets, flat(9.0, 9.0), rng(0, 1))
    expected = real_loss(0.1) + fake_loss(-0.45) + real_loss(-0.2) + fake_loss(0.6)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert metrics["real_logit_b"].item() == pytest.approx(-0.2 * 1.5, rel=1e-5)
    assert metrics["fake_logit_b"].item() == pytest.approx(0.6 * 1.5, rel=1e-5)
    loss.backward()
    assert nets["a2b"].by.grad is None
    assert nets["discriminator_a"].scale.grad is not None
    assert len(nets["a2b"].given) == 1


class Half(nn.Module):
    """A translation that changes the left half wholly, and nothing else."""

    def forward(self, images):
        made = images.clone()
        made[..., : SIDE // 2] += 1.0
        return made


def test_patches_weigh_by_what_changed_in_them():
    """The left four columns changed wholly; the blur of 5 pixels reaches two columns further, and
    the frame of zeros around the picture takes a part of its edge."""
    images = torch.zeros(1, 3, SIDE, SIDE)
    made = Half()(images)
    places = changed(images, made)
    assert places.shape == (1, 1, SIDE, SIDE)
    assert places[0, 0, 4].tolist() == pytest.approx([1, 1, 1, 1, 1, 0.8, 0, 0])
    assert torch.equal(changed(images, images), torch.zeros(1, 1, SIDE, SIDE))
    logits = torch.zeros(1, 1, 2, 2)
    logits[..., 0], logits[..., 1] = 1.0, -1.0
    weights = torch.tensor([0.15 + places[..., :4].mean(), 0.15 + places[..., 4:].mean()])
    weights = weights / weights.mean()
    costs = torch.tensor([math.log1p(math.exp(1)), math.log1p(math.exp(-1))])
    objective = build()
    for real, each in ((False, costs), (True, costs.flip(0))):
        found = objective._wants([logits], places, real=real)
        assert found.item() == pytest.approx((weights * each).mean().item(), rel=1e-5)
    even = build(patch_floor=1e6)._wants([logits], places, real=True)
    assert even.item() == pytest.approx(costs.mean().item(), rel=1e-4)


@pytest.mark.parametrize(("domain", "reverse"), [("a", "a2b"), ("b", "b2a")])
def test_reals_weigh_by_what_the_reverse_generator_changes_in_them(domain, reverse):
    """It changes a picture's left half; so of the reals that half is what counts."""
    objective, nets = build(patch_floor=1e-6), networks(0.0, 0.0)
    nets[reverse] = Half()
    objective.loss(GENERATORS, nets, flat(0.0, 0.0), rng())
    whole = objective.translations.last()
    made = {"a": "made_b", "b": "made_a"}[domain]
    nn.init.zeros_(nets[f"discriminator_{'ba'['ab'.index(domain)]}"].scale)

    def loss(column):
        darker = {name: getattr(whole, name).clone() for name in (domain, made)}
        for images in darker.values():
            images[..., column] -= 1.0  # in both, and so what was changed stays
        objective.translations.keep(whole._replace(**darker))
        return objective.loss(DISCRIMINATORS, nets, flat(0.0, 0.0), rng(0, 1))[0].item()

    none = 4 * math.log(2)
    assert loss(0) - none > 3 * (loss(7) - none) > 0


def test_a_patch_weighs_by_what_changed_where_the_augmentation_moved_it():
    """Mirrored pictures have the same loss, if what is known of their places is mirrored too."""
    losses = []
    for augment in (lambda images, rng: images, lambda images, rng: images.flip(-1)):
        objective, nets = build(), networks()
        nets["a2b"] = Half()
        for index, phase in enumerate((GENERATORS, DISCRIMINATORS)):
            batch = flat(0.1, -0.2, augment=augment)
            losses.append(objective.loss(phase, nets, batch, rng(0, index))[0].item())
    assert losses[:2] == pytest.approx(losses[2:], rel=1e-5)


def test_places_move_with_the_augmented_picture_and_keep_their_values():
    augment = DiffAugment(
        brightness=0.5, contrast=0.5, saturation=0.5, translation=0.25, cutout=0.0
    )
    pictures = torch.rand(4, 3, SIDE, SIDE)
    places = torch.zeros(4, 1, SIDE, SIDE)
    places[:, :, 3:5, 3:5] = 1.0
    shown = augment(torch.cat([pictures, places], dim=1), rng())
    assert shown.shape == (4, 4, SIDE, SIDE)
    assert torch.equal(shown[:, :3], augment(pictures, rng()))
    plain = DiffAugment(brightness=0, contrast=0, saturation=0, translation=0.25, cutout=0)
    assert shown[:, 3:].sum((1, 2, 3)).tolist() == [4.0] * 4
    assert not torch.equal(shown[:, 3:], places)
    alike = plain(torch.cat([places] * 4, dim=1), rng())
    assert torch.equal(alike[:, :1], alike[:, 3:])


def test_noise_is_seen_and_does_not_stay():
    """Of a translation that adds to its input, what is translated back has no noise left."""
    objective, nets = build(noise=0.1), networks()
    objective.loss(GENERATORS, nets, flat(0.3, 0.1), rng())
    _, metrics = objective.loss(GENERATORS, nets, flat(0.1, -0.2), rng(1))
    fresh, back = nets["a2b"].given[1].split(2)
    assert torch.equal(fresh, torch.full_like(fresh, 0.1))
    assert back.std().item() == pytest.approx(0.1, rel=0.15)
    assert metrics["cycle_loss"].item() == pytest.approx(0.5, rel=1e-5)


def test_recolouring_changes_a_share_of_the_pictures_where_they_changed():
    images = torch.rand(400, 3, SIDE, SIDE) * 0.4 - 0.2
    where = torch.zeros(400, 1, SIDE, SIDE)
    where[..., :4] = 1.0
    made = recoloured(images, where, 0.6, rng())
    assert torch.equal(made[..., 4:], images[..., 4:])
    other = (made != images).flatten(1).any(1)
    assert other.float().mean().item() == pytest.approx(0.6, abs=0.08)
    moved = (made - images)[other][..., :4].mean((2, 3))  # [n, 3]
    assert moved.abs().max() < 0.6 + 0.12 + 0.05
    assert moved.mean(1).std() > 0.2
    assert (moved - moved.mean(1, keepdim=True)).abs().max() > 0.05
    assert recoloured(images, where, 0.0, rng()) is images


@pytest.mark.parametrize("domain", ["a", "b"])
def test_each_domain_is_recoloured_by_its_own_share(domain):
    objective, nets = build(**{f"recolour_{domain}": 1.0}), networks()
    objective.loss(GENERATORS, nets, flat(0.3, 0.1), rng())
    objective.loss(GENERATORS, nets, flat(0.1, -0.2), rng(1))
    to = {"a": nets["a2b"], "b": nets["b2a"]}
    plain = {"a": 0.1 - 0.25, "b": 0.3 + 0.5}
    for each, network in to.items():
        is_plain = torch.allclose(network.given[1][2:], torch.tensor(plain[each]))
        assert is_plain == (each != domain)


def test_the_penalty_is_that_of_linear_discriminators():
    objective, nets = build(), networks()
    penalty = objective.phases[2]
    assert (penalty.name, penalty.every, penalty.trains) == ("penalty", 4, DISCRIMINATORS.trains)
    loss, metrics = objective.loss(penalty, nets, flat(0.3, 0.1), rng(0, 2))
    # Of one picture: mean over sizes of the sum of logits divided by the side. By a red pixel:
    # 1 / 8 and 2 / 16 / 2.
    slope = (1 / 8 + 2 / 16 / 2) / 2
    assert metrics["r1"].item() == pytest.approx(2 * 64 * slope**2, rel=1e-5)
    assert loss.item() == pytest.approx(4 * 0.2 / 2 * 2 * 64 * slope**2, rel=1e-5)


def test_a_penalty_of_nothing_costs_nothing():
    objective = build(gamma=0.0)
    assert objective.phases == (GENERATORS, DISCRIMINATORS)
    assert objective.optimizer_ratio("discriminator_a") == 1
    assert build().optimizer_ratio("discriminator_a") == pytest.approx(0.8)
    assert build().optimizer_ratio("a2b") == 1


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_memory_comes_back_from_its_state(steps):
    objective, again, nets = build(noise=0.1), build(noise=0.1), networks()
    for step in range(steps):
        objective.loss(GENERATORS, nets, flat(0.3 - step, 0.1), rng(step))
    again.memory.load_state_dict(objective.memory.state_dict())
    found = [each.loss(GENERATORS, nets, flat(0.1, 0.2), rng(9))[0] for each in (objective, again)]
    assert torch.equal(*found)
    forgetful = build(noise=0.1).loss(GENERATORS, nets, flat(0.1, 0.2), rng(9))[0]
    assert torch.equal(found[0], forgetful) == (steps == 0)

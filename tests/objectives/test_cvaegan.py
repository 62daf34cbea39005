"""What attributes add to a VAE-GAN: who learns when, and what the generator is held to."""

import pytest
import torch
from tests.objectives.phases import parts, phase_of

from atelier.models import cvaegan as model
from atelier.objectives import cvaegan
from atelier.objectives.phase import EXAMPLES, Batch, Setting
from atelier.training.randomness import StepRandomness

CONFIG = cvaegan.Config(
    name="cvaegan", reconstruct_until=0.3, learn_codes_until=0.5, head_start=0.1, gamma=0.1,
    penalty_every=4, patches=0.5, likeness=2.0, features=0.5,
    real_label_weight=1.0, fake_label_weight=0.5,
)  # fmt: skip
SETTING = Setting(4, torch.tensor([0.5, 0.1]), conditional=True)
LABELS = torch.tensor([[0, 1], [1, 0], [1, 1], [0, 0]], dtype=torch.uint8)


@pytest.fixture
def nets():
    torch.manual_seed(0)
    config = model.Config(
        name="cvaegan", latent_dim=4, encoder_widths=[4], decoder_widths=[4], tail_width=4,
        prior_width=8, prior_blocks=1, discriminator_width=4,
    )  # fmt: skip
    return model.build(config, (3, 16, 16), 2)


@pytest.fixture
def batch():
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(3)) * 2 - 1
    return Batch(images, LABELS)


def objective(**changes):
    return cvaegan.build(CONFIG.model_copy(update=changes), SETTING)


def loss(name, nets, batch, **changes):
    made = objective(**changes)
    return made.loss(phase_of(made, name), nets, batch, StepRandomness(1, 0, 0))


def test_the_classifier_learns_beside_the_prior_and_then_rests():
    due = [[p.name for p in objective().phases if p.is_due(0, share)] for share in (0.2, 0.4, 0.7)]
    assert due[0] == ["bound"]
    assert due[1] == ["prior", "recognition"]
    assert due[2] == ["generator", "discriminator", "penalty"]
    assert all("classifier" not in p.trains for p in objective().phases if p.begins >= 0.5)


def test_the_discriminator_begins_as_the_classifier(nets):
    made = objective()
    images = torch.rand(EXAMPLES, 3, 16, 16) * 2 - 1
    labels = LABELS.repeat(EXAMPLES // 4, 1)
    for name in ("prior", "discriminator"):
        with torch.no_grad():
            phase_of(made, name).prepare(nets, parts(images, labels), StepRandomness(1, 0, 0))
    assert torch.equal(made.memory.attributes, labels.float())
    for ours, theirs in zip(*(nets[n].parameters() for n in ("discriminator", "classifier")),
                            strict=True):  # fmt: skip
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("part", "figure", "phase"),
    [
        ("fake_label_weight", "label_loss_of_fakes", "generator"),
        ("real_label_weight", "label_loss_of_reals", "discriminator"),
    ],
)
def test_each_part_has_its_weight(nets, batch, part, figure, phase):
    once, figures = loss(phase, nets, batch)
    without, _ = loss(phase, nets, batch, **{part: 0.0})
    twice, _ = loss(phase, nets, batch, **{part: 2 * getattr(CONFIG, part)})
    torch.testing.assert_close(once - without, getattr(CONFIG, part) * figures[figure])
    torch.testing.assert_close(twice - once, once - without)
    assert figures[figure] > 0


def test_fakes_are_read_by_the_classifier_and_not_by_the_discriminator(nets, batch):
    _, before = loss("generator", nets, batch)
    torch.nn.init.zeros_(nets["discriminator"].embedding.weight)
    _, same = loss("generator", nets, batch)
    assert torch.equal(before["label_loss_of_fakes"], same["label_loss_of_fakes"])
    torch.nn.init.zeros_(nets["classifier"].embedding.weight)
    _, unsure = loss("generator", nets, batch)
    assert unsure["label_loss_of_fakes"].item() == pytest.approx(torch.tensor(2.0).log().item())


def test_features_are_those_of_the_image_itself(nets, batch):
    """A decoder that gives each image back has nothing to answer for, wherever it is moved to."""
    made = objective()
    made.fakes = lambda nets, batch, rng: batch.real
    moved = Batch(batch.real, LABELS, augment=lambda images, rng: images.roll(3, dims=3))
    _, figures = made.loss(phase_of(made, "generator"), nets, moved, StepRandomness(1, 0, 0))
    assert figures["feature_loss"].item() == pytest.approx(0.0, abs=1e-6)
    assert figures["likeness_loss"].item() == 0.0

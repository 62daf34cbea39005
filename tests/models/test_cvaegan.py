"""The discriminator of the conditional VAE-GAN: what it says, and of which part of an image."""

import pytest
import torch

from atelier.errors import UserError
from atelier.models import cvaegan

CONFIG = cvaegan.Config(
    name="cvaegan", latent_dim=8, encoder_widths=[4], decoder_widths=[4], tail_width=4,
    prior_width=16, prior_blocks=1, discriminator_width=4,
)  # fmt: skip
ATTRIBUTES = torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]])


def build(size=32):
    torch.manual_seed(0)
    return cvaegan.build(CONFIG, (3, size, size), 2)


@pytest.mark.parametrize("size", [16, 32, 64])
def test_shapes(size):
    nets = build(size)
    images = nets["generator"](torch.randn(4, 8), ATTRIBUTES)
    assert images.shape == (4, 3, size, size)
    read = nets["discriminator"].read(images, ATTRIBUTES)
    sides = [(4, 1, size // 4, size // 4), (4, 1, size // 8, size // 8)]
    assert [logits.shape for logits in read.logits] == [(4, 1), *sides]
    assert read.evidence.shape == (4, 2)
    assert [maps.shape for maps in read.maps] == [(4, 8, *sides[0][2:]), (4, 16, *sides[1][2:])]
    assert nets["discriminator"](images, ATTRIBUTES).shape == (4, 1)


@torch.no_grad()
def test_evidence_is_half_of_what_turning_an_attribute_around_takes_from_the_logit():
    critic, images = build()["classifier"], torch.rand(4, 3, 32, 32)
    turned = torch.cat([1 - ATTRIBUTES[:, :1], ATTRIBUTES[:, 1:]], dim=1)
    here, there = critic.read(images, ATTRIBUTES), critic.read(images, turned)
    signs = 2 * ATTRIBUTES[:, :1] - 1
    change = here.logits[0] - there.logits[0]
    torch.testing.assert_close(change, 2 * signs * here.evidence[:, :1])
    torch.testing.assert_close(here.logits[1], there.logits[1])


@torch.no_grad()
def test_a_patch_sees_its_place_alone():
    critic, images = build(64)["discriminator"], torch.rand(4, 3, 64, 64)
    other = images.clone()
    other[:, :, :4, :4] = 0
    here, there = critic.read(images, ATTRIBUTES), critic.read(other, ATTRIBUTES)
    for before, after in zip(here.logits[1:], there.logits[1:], strict=True):
        changed = (before != after).any(0)[0]
        assert changed[0, 0]
        assert not changed[-1, -1]


@torch.no_grad()
def test_as_one_number_it_is_the_whole_and_the_patches():
    critic, images = build(64)["discriminator"], torch.rand(4, 3, 64, 64)
    whole, fine, coarse = critic.read(images, ATTRIBUTES).logits
    expected = whole[:, 0] + (fine.sum((1, 2, 3)) / 16 + coarse.sum((1, 2, 3)) / 8) / 2
    torch.testing.assert_close(critic(images, ATTRIBUTES)[:, 0], expected)


def test_logits_are_fp32_under_autocast():
    critic = build()["discriminator"]
    with torch.autocast("cpu", torch.bfloat16):
        assert critic(torch.rand(4, 3, 32, 32), ATTRIBUTES).dtype == torch.float32


@pytest.mark.parametrize(
    ("size", "labels", "says"),
    [(24, 2, "images of 24 pixels do not go with it"), (32, 0, "needs attributes to ask for")],
)
def test_what_does_not_go_is_refused(size, labels, says):
    with pytest.raises(UserError, match=says):
        cvaegan.build(CONFIG, (3, size, size), labels)

"""The conditional networks: what they are told reaches them, and the critic is a projection."""

from itertools import combinations

import pytest
import torch
from tests.rounding import are_apart, assert_alike

from atelier.errors import UserError
from atelier.models import cdcgan, dcgan

FIELDS = {
    "latent_dim": 8,
    "generator_width": 4,
    "discriminator_width": 4,
    "discriminator_norm": "none",
}
ATTRIBUTES = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 1.0, 1.0]])


def build(size=32, **changes):
    torch.manual_seed(0)
    config = cdcgan.Config(name="cdcgan", **FIELDS | {"attribute_dim": 6} | changes)
    return cdcgan.build(config, (3, size, size), 3)


@pytest.mark.parametrize("size", [8, 16, 32, 64])
def test_shapes_and_ranges(size):
    nets = build(size)
    images = nets["generator"](torch.randn(4, 8), ATTRIBUTES)
    assert images.shape == (4, 3, size, size)
    assert images.abs().max() <= 1
    assert nets["discriminator"](images, ATTRIBUTES).shape == (4, 1)


@torch.no_grad()
def accustomed():
    """A generator whose BatchNorm has the statistics of what it makes, as a trained one has."""
    generator = build()["generator"]
    for _ in range(20):
        generator(torch.randn(64, 8), ATTRIBUTES.repeat(16, 1))
    return generator.eval()


@torch.no_grad()
def test_the_same_noise_with_other_attributes_is_another_image():
    images = accustomed()(torch.randn(1, 8).repeat(4, 1), ATTRIBUTES)
    assert all(are_apart(one, other) for one, other in combinations(images, 2))


@torch.no_grad()
def test_each_image_is_made_alone():
    generator, noise = accustomed(), torch.randn(4, 8)
    together = generator(noise, ATTRIBUTES)
    for row in range(4):
        alone = generator(noise[row : row + 1], ATTRIBUTES[row : row + 1])
        assert_alike(alone, together[row : row + 1])
    generator.train()  # BatchNorm then mixes the images of a batch
    assert are_apart(generator(noise[:1], ATTRIBUTES[:1]), generator(noise, ATTRIBUTES)[:1])


def test_the_embedding_is_linear_so_that_fractions_blend():
    embedding = build()["generator"].embedding
    embedded = embedding(cdcgan.signed(torch.tensor([[0.0, 1, 0], [0.25, 1, 0], [1.0, 1, 0]])))
    assert torch.allclose(embedded[1], 0.75 * embedded[0] + 0.25 * embedded[2], atol=1e-6)


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_the_logit_is_a_realness_and_a_sum_over_attributes(norm):
    """Changing one attribute changes the logit by as much, whatever the others are."""
    critic = build(discriminator_norm=norm)["discriminator"]
    image = torch.rand(1, 3, 32, 32) * 2 - 1

    def logit(*attributes):
        return critic(image, torch.tensor([attributes]))

    step = logit(1.0, 0.0, 0.0) - logit(0.0, 0.0, 0.0)
    assert torch.allclose(step, logit(1.0, 1.0, 1.0) - logit(0.0, 1.0, 1.0), atol=1e-5)
    assert step.abs() > 1e-3
    features = critic.layers(image)
    assert torch.allclose(logit(0.5, 0.5, 0.5), critic.realness(features), atol=1e-5)
    expected = critic.realness(features) + features @ critic.embedding.weight.sum(1)
    assert torch.allclose(logit(1.0, 1.0, 1.0), expected, atol=1e-4)


def test_embeddings_begin_at_their_scale():
    nets = build(64, discriminator_width=16)
    features = 16 * 8 * 16
    assert nets["discriminator"].embedding.weight.std().item() == pytest.approx(
        features**-0.5, rel=0.05
    )
    wide = build(attribute_dim=4096)["generator"].embedding.weight
    assert wide.std().item() == pytest.approx(3**-0.5, rel=0.05)


def test_without_attributes_the_body_is_the_dcgans():
    """What conditioning adds: two embeddings, and the first layer's inputs for one of them."""
    plain = dcgan.build(dcgan.Config(name="dcgan", **FIELDS), (3, 32, 32))
    nets, features, first = build(), 4 * 4 * 16, 4 * 4 * 16
    added = {"generator": 3 * 6 + 6 + 6 * first, "discriminator": 3 * features}
    for name, more in added.items():
        count, without = (
            sum(p.numel() for p in net.parameters()) for net in (nets[name], plain[name])
        )
        assert count == without + more


def test_logits_are_fp32_under_autocast():
    critic = build()["discriminator"]
    with torch.autocast("cpu", torch.bfloat16):
        assert critic(torch.rand(4, 3, 32, 32), ATTRIBUTES).dtype == torch.float32


def test_it_leaves_as_a_program():
    generator = build()["generator"].eval()
    batch = torch.export.Dim("batch")
    program = torch.export.export(
        generator, (torch.randn(4, 8), ATTRIBUTES), dynamic_shapes=({0: batch}, {0: batch})
    )
    latent = torch.randn(2, 8)
    made = program.module()(latent, ATTRIBUTES[:2])
    assert torch.allclose(made, generator(latent, ATTRIBUTES[:2]), atol=1e-6)


def test_without_anything_to_ask_for_it_is_refused():
    config = cdcgan.Config(name="cdcgan", attribute_dim=6, **FIELDS)
    with pytest.raises(UserError, match=r"cdcgan needs attributes to ask for \(got none\)"):
        cdcgan.build(config, (3, 32, 32), 0)

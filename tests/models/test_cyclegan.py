"""CycleGAN's networks: what they see, how they begin, and that they leave as programs."""

import pytest
import torch
from tests.rounding import are_apart, assert_alike
from torch import nn

from atelier.errors import UserError
from atelier.models import cyclegan
from atelier.task import TRANSLATION


def config(**changes):
    fields = {
        "name": "cyclegan", "generator_width": 4, "residual_blocks": 1, "discriminator_width": 4,
        "receptive_field": 16, "upsampling": "transposed", "output": "image",
    }  # fmt: skip
    return cyclegan.Config.model_validate(fields | changes)


def build(size=32, **changes):
    torch.manual_seed(0)
    return cyclegan.build(config(**changes), (3, size, size))


def pictures(count=2, size=32):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("output", ["image", "change", "masked"])
@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
@pytest.mark.parametrize("size", [28, 64])
def test_translations_keep_the_size_and_the_range(size, upsampling, output):
    nets = build(size, output=output, upsampling=upsampling)
    assert list(nets) == ["a2b", "b2a", "discriminator_a", "discriminator_b"]
    assert set(TRANSLATION.networks) <= set(nets)
    for name in TRANSLATION.networks:
        made = nets[name](pictures(2, size))
        assert made.shape == (2, 3, size, size)
        assert made.dtype == torch.float32
        assert made.abs().max() <= 1


def test_a_mask_keeps_what_it_closes_and_paints_what_it_opens():
    generator, images = build(output="masked", upsampling="resize")["a2b"], pictures()
    last, mask = generator.layers[-1], -1
    with torch.no_grad():
        last.bias[mask] = -50
        assert torch.equal(generator(images), images)
        last.bias[mask] = 50
        painted = torch.tanh(generator.layers(images)[:, :-1])
        assert torch.allclose(generator(images), painted)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("training", [True, False])
def test_a_normalisation_is_torchs_own_and_keeps_the_layout_it_learns_in(count, training):
    layout = torch.channels_last
    maps = torch.randn(count, 5, 6, 4).contiguous(memory_format=layout)
    wanted = torch.randn(count, 5, 6, 4)
    found = []
    for norm in (cyclegan.InstanceNorm(5), nn.InstanceNorm2d(5)):
        given = maps.clone().requires_grad_()
        made = norm.train(training)(given)
        (made * wanted).sum().backward()
        found.append((made, given.grad))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    assert found[0][0].is_contiguous(memory_format=layout) or not training


@torch.no_grad()
def test_each_picture_is_translated_and_judged_alone():
    nets, images = build(), pictures(4)
    for network in nets.values():
        assert_alike(network(images)[:1], network(images[:1]))
        mixing = with_batch_norm(network)
        assert are_apart(mixing(images)[:1], mixing(images[:1]))


def with_batch_norm(network):
    """The same network, where each picture's normalisation is told of the others."""
    layers = [
        nn.BatchNorm2d(layer.num_features) if isinstance(layer, nn.InstanceNorm2d) else layer
        for layer in network.layers
    ]
    return nn.Sequential(*layers)


@pytest.mark.parametrize(("patch", "size", "side"), [(16, 32, 14), (34, 64, 14), (70, 256, 30)])
def test_a_logit_sees_exactly_its_patch(patch, size, side):
    """Without InstanceNorm, which tells every place of the whole picture's mean."""
    discriminator = build(size, receptive_field=patch)["discriminator_a"]
    for index, layer in enumerate(discriminator.layers):
        if isinstance(layer, nn.InstanceNorm2d):
            discriminator.layers[index] = nn.Identity()
    images = pictures(1, size).requires_grad_()
    logits = discriminator(images)
    assert logits.shape == (1, 1, side, side)
    logits[0, 0, side // 2, side // 2].backward()
    rows, columns = images.grad[0].abs().sum(0).nonzero(as_tuple=True)
    assert rows.max() - rows.min() + 1 == patch
    assert columns.max() - columns.min() + 1 == patch


def test_the_papers_networks_have_the_papers_size():
    """Counted in the authors' code, less the biases that a normalisation takes away again."""
    paper = {"generator_width": 64, "residual_blocks": 9, "discriminator_width": 64}
    nets = build(256, receptive_field=70, **paper)
    convolutions = {name: biases(net) for name, net in nets.items()}
    count = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
    assert count["a2b"] + convolutions["a2b"] == 11_378_179
    assert count["discriminator_b"] + convolutions["discriminator_b"] == 2_764_737


def biases(network):
    return sum(
        layer.out_channels
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.bias is None
    )


@pytest.mark.parametrize("name", ["a2b", "b2a", "discriminator_a", "discriminator_b"])
def test_weights_begin_normal_with_a_deviation_of_a_fiftieth(name):
    nets = build(64, generator_width=16, discriminator_width=32, receptive_field=34)
    layers = [m for m in nets[name].modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    weights = torch.cat([layer.weight.flatten() for layer in layers])
    assert weights.std().item() == pytest.approx(0.02, rel=0.05)
    # PyTorch's own start is uniform, whose fourth moment is 1.8 and not 3.
    assert (weights / weights.std()).pow(4).mean().item() == pytest.approx(3, rel=0.1)
    assert all(not layer.bias.any() for layer in layers if layer.bias is not None)


def test_a_change_begins_as_almost_nothing():
    images = pictures()
    painted, changed = (build(output=output)["a2b"] for output in ("image", "change"))
    assert (changed(images) - images).abs().mean() < 0.3 * (painted(images) - images).abs().mean()


def test_nothing_is_normalised_by_weights_or_by_the_batch():
    for layer in build().modules():
        assert not isinstance(layer, nn.BatchNorm2d)
        if isinstance(layer, nn.InstanceNorm2d):
            assert not layer.affine
            assert not layer.track_running_stats


@pytest.mark.parametrize("output", ["image", "change", "masked"])
@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
def test_a_generator_leaves_as_a_program_for_any_number_of_pictures(upsampling, output):
    generator = build(output=output, upsampling=upsampling)["a2b"].eval()
    count = torch.export.Dim("count", min=1, max=64)
    program = torch.export.export(generator, (pictures(2),), dynamic_shapes=({0: count},))
    for number in (1, 3, 8):
        images = pictures(number)
        assert_alike(program.module()(images), generator(images))


def test_channels_last_computes_the_same():
    generator, images = build()["a2b"], pictures()
    before = generator(images)
    after = generator.to(memory_format=torch.channels_last)(
        images.contiguous(memory_format=torch.channels_last)
    )
    assert_alike(before, after)


@pytest.mark.parametrize(
    ("patch", "size", "remedy"),
    [
        (34, 32, r"Write 16\."),
        (70, 64, r"Write 34\."),
        (16, 16, r"Images take 27 pixels or more\."),
    ],
)
def test_a_patch_that_sees_the_whole_picture_is_refused(patch, size, remedy):
    message = (
        r"^model\.receptive_field: at most 0\.6 of the image's side "
        rf"\(got {patch} pixels of {size}\)\. {remedy}$"
    )
    with pytest.raises(UserError, match=message):
        build(size, receptive_field=patch)

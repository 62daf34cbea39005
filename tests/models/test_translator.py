"""The translator's networks: how they begin, what their masks let through, what a logit sees."""

import pytest
import torch
from tests.rounding import assert_alike

from atelier.errors import UserError
from atelier.models import MODELS, translator
from atelier.task import TRANSLATION


def config(**changes):
    fields = {
        "name": "translator", "generator_widths": [4, 8], "tail_width": 4, "mask_floor": 0.05,
        "discriminator_widths": [4, 8, 8],
    }  # fmt: skip
    return translator.Config.model_validate(fields | changes)


def build(size=32, **changes):
    torch.manual_seed(0)
    return translator.build(config(**changes), (3, size, size))


def grown(generator):
    """The same with last layers that say something, as after a training."""
    torch.nn.init.normal_(generator.last.weight, std=0.5)
    return generator


def pictures(count=2, size=32):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("floor", [0.0, 0.05, 1.0])
def test_an_untrained_generator_is_the_identity(floor):
    nets, images = build(mask_floor=floor), pictures()
    assert set(TRANSLATION.networks) <= set(nets)
    for name in TRANSLATION.networks:
        assert torch.equal(nets[name](images), images)
        assert (grown(nets[name])(images) - images).abs().mean() > 0.01


@pytest.mark.parametrize("size", [32, 40])
def test_translations_keep_the_size_and_change_by_the_range_at_most(size):
    generator, images = grown(build(size, discriminator_widths=[4, 8])["a2b"]), pictures(2, size)
    torch.nn.init.constant_(generator.last.bias, 50)
    made = generator(images)
    assert made.shape == images.shape
    assert made.dtype == torch.float32
    assert torch.allclose(made - images, torch.full_like(images, 2.0), atol=1e-5)


@pytest.mark.parametrize(("floor", "let_through"), [(0.0, 0.0), (0.05, 0.05), (1.0, 1.0)])
def test_a_closed_mask_lets_its_floor_through_and_a_gradient_too(floor, let_through):
    generator, images = build(mask_floor=floor)["a2b"], pictures()
    with torch.no_grad():
        generator.last.bias.copy_(torch.tensor([1.0, 1.0, 1.0, -50.0]))
    made = generator(images)
    expected = let_through * 2 * torch.tanh(torch.tensor(0.5))
    assert torch.allclose(made - images, expected.expand_as(images), atol=1e-5)
    made.sum().backward()
    assert (generator.last.bias.grad[:3] > 1e-3).all() == (floor > 0)


def test_what_the_mask_keeps_is_kept_to_the_last_bit_under_autocast():
    generator, images = grown(build(mask_floor=0.0)["a2b"]), pictures()
    torch.nn.init.zeros_(generator.last.weight[3:])
    with torch.no_grad():
        generator.last.bias[3] = -200
    with torch.autocast("cpu", torch.bfloat16):
        made = generator(images)
    assert made.dtype == torch.float32
    assert torch.equal(made, images)


def test_both_generators_and_both_discriminators_are_their_own():
    nets = build()
    assert list(nets) == ["a2b", "b2a", "discriminator_a", "discriminator_b"]
    weights = [weight for net in nets.values() for weight in net.parameters()]
    assert len({weight.data_ptr() for weight in weights}) == len(weights)


@pytest.mark.parametrize(("head", "side", "patch"), [(0, 32, 18), (1, 16, 30), (2, 8, 54)])
def test_a_logit_sees_exactly_its_patch(head, side, patch):
    discriminator = build(128, discriminator_widths=[4, 8, 8, 8])["discriminator_a"]
    images = pictures(1, 128).requires_grad_()
    logits = discriminator(images)
    assert [each.shape[-1] for each in logits] == [32, 16, 8]
    assert logits[head].shape == (1, 1, side, side)
    logits[head][0, 0, side // 2, side // 2].backward()
    rows, columns = images.grad[0].abs().sum(0).nonzero(as_tuple=True)
    assert rows.max() - rows.min() + 1 == patch
    assert columns.max() - columns.min() + 1 == patch


def test_first_logits_are_neither_certain_nor_all_alike():
    discriminator = build(64, discriminator_widths=[40, 80, 160, 160])["discriminator_a"]
    for logits in discriminator(torch.randn(8, 3, 64, 64)):
        assert 0.1 < logits.std().item() < 1.5


@torch.no_grad()
def test_each_picture_is_translated_and_judged_alone():
    nets, images = build(), pictures(4)
    for name in ("a2b", "b2a"):
        assert_alike(grown(nets[name])(images)[:1], nets[name](images[:1]))
    for name in ("discriminator_a", "discriminator_b"):
        for all_of_them, alone in zip(nets[name](images), nets[name](images[:1]), strict=True):
            assert_alike(all_of_them[:1], alone)


def test_a_generator_leaves_as_a_program_for_any_number_of_pictures():
    generator = grown(build()["a2b"]).eval()
    count = torch.export.Dim("count", min=1, max=64)
    program = torch.export.export(generator, (pictures(2),), dynamic_shapes=({0: count},))
    for number in (1, 3, 8):
        images = pictures(number)
        assert_alike(program.module()(images), generator(images))


def test_the_laptops_networks_have_the_size_that_was_planned():
    laptop = {
        "generator_widths": [32, 64, 128], "tail_width": 16,
        "discriminator_widths": [40, 80, 160, 160],
    }  # fmt: skip
    count = {
        name: sum(weight.numel() for weight in net.parameters())
        for name, net in build(64, **laptop).items()
    }
    assert count["a2b"] == pytest.approx(1.13e6, rel=0.05)
    assert count["discriminator_a"] == pytest.approx(0.73e6, rel=0.05)


@pytest.mark.parametrize(("key", "size"), [("generator_widths", 28), ("discriminator_widths", 36)])
def test_a_picture_that_cannot_be_halved_so_often_is_refused(key, size):
    widths = {"generator_widths": [4, 8], "discriminator_widths": [4, 8], key: [4, 8, 8]}
    message = (
        rf"^model\.{key}: 3 maps of images of {size} pixels\. "
        r"The side is a multiple of 8, or name fewer maps\.$"
    )
    with pytest.raises(UserError, match=message):
        build(size, **widths)
    made = config(**widths)
    fitted = MODELS["translator"].fitted(made, size)
    assert fitted == {key: [4, 8]}
    build(size, **widths | fitted)

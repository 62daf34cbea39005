"""The prior: nothing is changed before it learns, and calibrated draws are spread as codes are."""

import pytest
import torch
from tests.rounding import are_apart

from atelier.models.blocks import Decoder, Grain
from atelier.models.flow import Generator, Prior

LATENT = 4


@pytest.fixture
def prior():
    torch.manual_seed(0)
    return Prior(LATENT, width=16, blocks=2)


def disturbed(prior):
    """Weights that no longer start at nothing."""
    for weights in prior.parameters():
        torch.nn.init.normal_(weights, 0.0, 0.1)
    return prior


@torch.no_grad()
def test_before_it_learns_it_gives_noise_back(prior):
    """The normal distribution's own velocity carries each number to itself, but for the steps."""
    noise = torch.randn(2000, LATENT)
    codes = prior(noise)
    assert torch.allclose(codes, noise * (codes / noise).mean(), atol=1e-4)
    assert codes.std().item() == pytest.approx(noise.std().item(), rel=0.02)


@torch.no_grad()
def test_the_plain_velocity_is_the_conditional_mean_of_normal_paths(prior):
    """By regression of x1 - x0 on x = (1 - t) x0 + t x1, of many pairs."""
    before, after = torch.randn(2, 200_000)
    for time in (0.1, 0.5, 0.8):
        here = (1 - time) * before + time * after
        slope = ((after - before) * here).mean() / here.square().mean()
        codes, times = torch.ones(1, LATENT), torch.full((1,), time)
        assert prior.velocity(codes, times)[0, 0] == pytest.approx(slope.item(), abs=0.02)


@torch.no_grad()
def test_calibrated_draws_have_the_means_and_covariances_of_codes(prior):
    codes = torch.randn(5000, LATENT) @ torch.randn(LATENT, LATENT) + torch.randn(LATENT)
    noise = torch.randn(5000, LATENT)
    disturbed(prior).calibrate(codes, prior.carried(noise))
    draws = prior(noise)
    torch.testing.assert_close(draws.mean(0), codes.mean(0), atol=1e-3, rtol=0)
    torch.testing.assert_close(torch.cov(draws.T), torch.cov(codes.T), atol=0.01, rtol=0.01)


@torch.no_grad()
def test_calibration_moves_no_further_than_it_must(prior):
    """Between two normal distributions of independent numbers, each is stretched alone."""
    spread = torch.tensor([0.5, 1.0, 2.0, 3.0])
    draws = torch.randn(20_000, LATENT)
    prior.calibrate(torch.randn(20_000, LATENT) * spread, draws)
    torch.testing.assert_close(prior.stretch, spread.diag(), atol=0.06, rtol=0)


@torch.no_grad()
def test_each_attribute_moves_the_mean_of_draws_as_of_codes():
    torch.manual_seed(0)
    prior = disturbed(Prior(LATENT, width=16, blocks=1, attributes=2))
    asked = torch.randint(0, 2, (8000, 2)).float()
    codes = torch.randn(8000, LATENT) + asked @ torch.randn(2, LATENT)
    noise = torch.randn(8000, LATENT)
    prior.calibrate(codes, prior.carried(noise, asked), asked)
    draws = prior(noise, asked)
    for column in range(2):
        with_it, without = (
            draws[asked[:, column] == value].mean(0) - codes[asked[:, column] == value].mean(0)
            for value in (1, 0)
        )
        torch.testing.assert_close(with_it, without, atol=0.05, rtol=0)
    torch.testing.assert_close(draws.mean(0), codes.mean(0), atol=1e-3, rtol=0)


@torch.no_grad()
def test_a_number_that_never_varies_divides_by_nothing(prior):
    codes = torch.randn(500, LATENT) * torch.tensor([1.0, 1.0, 1.0, 0.0])
    prior.calibrate(codes, prior.carried(torch.randn(500, LATENT)))
    assert torch.isfinite(prior(torch.randn(8, LATENT))).all()


@torch.no_grad()
def test_classes_that_add_up_to_one_are_attributes_too():
    """Then many weights give the same means; draws have them all the same."""
    torch.manual_seed(0)
    prior = disturbed(Prior(LATENT, width=16, blocks=1, attributes=3))
    kinds = torch.nn.functional.one_hot(torch.randint(0, 3, (9000,))).float()
    codes = torch.randn(9000, LATENT) + kinds @ torch.randn(3, LATENT)
    noise = torch.randn(9000, LATENT)
    prior.calibrate(codes, prior.carried(noise, kinds), kinds)
    draws = prior(noise, kinds)
    for kind in range(3):
        ours = kinds[:, kind] == 1
        torch.testing.assert_close(draws[ours].mean(0), codes[ours].mean(0), atol=1e-3, rtol=0)


@torch.no_grad()
def test_attributes_change_codes_and_pictures():
    torch.manual_seed(0)
    prior = disturbed(Prior(LATENT, width=16, blocks=1, attributes=1))
    decoder = Decoder((3, 16, 16), [4], LATENT, attributes=1, tail_width=4)
    torch.nn.init.normal_(decoder.last.weight)
    generator, noise = Generator(prior, decoder), torch.randn(1, LATENT)
    asked = torch.tensor([[0.0]]), torch.tensor([[1.0]])
    assert are_apart(*(prior(noise, one) for one in asked))
    assert are_apart(*(decoder(noise, one) for one in asked))
    assert are_apart(*(generator(noise, one) for one in asked))


@torch.no_grad()
def test_it_leaves_as_a_program():
    prior = disturbed(Prior(LATENT, width=16, blocks=1, attributes=2))
    generator = Generator(prior, Decoder((3, 16, 16), [4], LATENT, 2, tail_width=4)).eval()
    batch = torch.export.Dim("batch")
    given = torch.randn(4, LATENT), torch.rand(4, 2)
    program = torch.export.export(generator, given, dynamic_shapes=({0: batch}, {0: batch}))
    fewer = tuple(each[:2] for each in given)
    assert torch.allclose(program.module()(*fewer), generator(*fewer), atol=1e-5)


@torch.no_grad()
def test_grain_is_noise_that_a_code_decides():
    """Of a sine's spread, without a pattern, and another for another code."""
    torch.manual_seed(0)
    grain, codes = Grain(64, inputs=128), torch.randn(8, 128)
    drawn = grain(codes)
    assert drawn.shape == (8, 1, 64, 64)
    assert torch.equal(drawn, grain(codes))
    assert drawn.square().mean().item() == pytest.approx(0.5, abs=0.02)
    neighbours = (drawn[..., 1:] * drawn[..., :-1]).mean((1, 2, 3))
    others = (drawn[1:] * drawn[:-1]).mean((1, 2, 3))
    assert max(neighbours.abs().max(), others.abs().max()) < 0.05


@torch.no_grad()
def test_a_decoder_may_be_given_grain():
    decoder = Decoder((3, 16, 16), [4], LATENT, tail_width=4, grained=True)
    torch.nn.init.normal_(decoder.last.weight)
    codes = torch.randn(2, LATENT)
    with_it = decoder(codes)
    decoder.grain.directions.zero_()
    assert are_apart(with_it, decoder(codes))

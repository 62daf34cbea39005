"""The two halves of an autoencoder: shapes, the straight way, what is refused, the clamp."""

import pytest
import torch

from atelier.errors import UserError
from atelier.models import autoencoder, vae

BODY = {"latent_dim": 6, "width": 4, "depth": 1, "patch": 2, "thumbnail": 4}


def networks(module, name, size=16, **changed):
    torch.manual_seed(0)
    config = module.Config.model_validate({"name": name, **BODY, **changed})
    return module.build(config, (3, size, size))


@pytest.mark.parametrize(
    ("size", "patch", "depth"), [(16, 1, 0), (16, 2, 1), (32, 4, 2), (64, 4, 0)]
)
def test_an_image_becomes_a_code_and_the_code_an_image(size, patch, depth):
    nets = networks(autoencoder, "autoencoder", size, patch=patch, depth=depth)
    codes = nets["encoder"](torch.rand(2, 3, size, size) * 2 - 1)
    assert codes.shape == (2, 6)
    made = nets["decoder"](codes)
    assert made.shape == (2, 3, size, size)
    assert made.abs().max() <= 1


def test_the_convolutions_of_an_encoder_start_at_nothing():
    """Then its code is the straight way's: linear."""
    encoder = networks(autoencoder, "autoencoder")["encoder"].eval()
    a, b = torch.rand(2, 2, 3, 16, 16)
    middle = encoder((a + b) / 2)
    assert torch.allclose(middle, (encoder(a) + encoder(b)) / 2, atol=1e-5)
    assert not torch.allclose(encoder(a), encoder(b))


@pytest.mark.parametrize("changed", [{"patch": 3}, {"thumbnail": 5}, {"patch": 8}])
def test_sides_that_do_not_divide_are_refused(changed):
    with pytest.raises(UserError, match="do not go with"):
        networks(autoencoder, "autoencoder", **changed)


def test_deviations_stay_within_what_exp_can_hold():
    nets = networks(vae, "vae")
    with torch.no_grad():
        nets["encoder"].body.straight.weight.mul_(1e4)
    means, log_variances = nets["encoder"](torch.rand(8, 3, 16, 16)).chunk(2, dim=1)
    assert means.abs().max() > 10
    assert log_variances.min() == -10
    assert log_variances.max() == 10


def test_every_weight_is_trained():
    nets = networks(vae, "vae")
    # The last convolution of a residual block starts at zero, and what is before it learns later.
    torch.nn.init.normal_(nets["encoder"].body.head.weight)
    for network in nets.values():
        for module in network.modules():
            if hasattr(module, "conv2"):
                torch.nn.init.normal_(module.conv2.weight)
    codes = nets["encoder"](torch.rand(4, 3, 16, 16))[:, :6]
    nets["decoder"](codes).square().sum().backward()
    still = [
        name
        for name, weight in nets.named_parameters()
        if weight.grad is None or not weight.grad.abs().sum() > 0
    ]
    assert not still

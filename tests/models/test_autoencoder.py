"""The halves of an autoencoder: shapes, how they begin in closed form, what is refused."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn

from atelier.errors import UserError
from atelier.models import MODELS, autoencoder, vae
from atelier.models.blocks import UNet, beside, principal_components

BODY = {"latent_dim": 6, "encoder_widths": [4, 8], "decoder_widths": [4, 8], "tail_width": 4}


def networks(module, name, size=16, **changed):
    torch.manual_seed(0)
    config = module.Config.model_validate({"name": name, **BODY, **changed})
    return module.build(config, (3, size, size)).eval()


def images(count=64, size=16):
    """Each of six components weighs less than the one before it; then comes noise."""
    generator = torch.Generator().manual_seed(1)
    patterns = torch.linalg.qr(torch.randn(3 * size**2, 6, generator=generator)).Q
    weights = 10 * 0.7 ** torch.arange(6) * torch.randn(count, 6, generator=generator)
    noise = 0.1 * torch.randn(count, 3, size, size, generator=generator)
    return 0.1 + (weights @ patterns.T).unflatten(1, (3, size, size)) + noise


@pytest.mark.parametrize(
    ("size", "encoder_widths", "decoder_widths"),
    [(16, [4], [4, 8, 8]), (32, [4, 8, 8], [4]), (64, [4, 8], [4, 8, 8])],
)
def test_an_image_becomes_a_code_and_the_code_an_image(size, encoder_widths, decoder_widths):
    nets = networks(
        autoencoder, "autoencoder", size,
        encoder_widths=encoder_widths, decoder_widths=decoder_widths,
    )  # fmt: skip
    codes = nets["encoder"](torch.rand(2, 3, size, size) * 2 - 1)
    assert codes.shape == (2, 6)
    assert nets["decoder"](codes).shape == (2, 3, size, size)


def test_an_autoencoder_begins_as_principal_components():
    """Those of an independent library; codes have the same variance, 1, in each number."""
    nets, given = networks(autoencoder, "autoencoder"), images()
    autoencoder.begin(nets, given)
    codes = nets["encoder"](given)
    made = nets["decoder"](codes).flatten(1).detach().numpy()
    values = given.flatten(1).numpy()
    components = PCA(6, svd_solver="full").fit(values)
    expected = components.inverse_transform(components.transform(values))
    assert np.abs(made - expected).max() < 1e-3
    assert torch.allclose(codes.var(0, correction=0), torch.ones(6), atol=1e-3)


def test_a_variational_one_begins_as_probabilistic_components():
    """Against Tipping and Bishop's posterior (1999, equation 7), worked out with matrices."""
    nets, given = networks(vae, "vae"), images()
    vae.begin(nets, given)
    values = given.flatten(1).double()
    centred = values - values.mean(0)
    variances, directions = torch.linalg.eigh(centred.T @ centred / len(values))
    largest, directions = variances[-6:].flip(0), directions[:, -6:].flip(1)
    rest = variances[:-6].sum() / (len(variances) - 6)
    weights = directions * (largest - rest).sqrt()
    inner = weights.T @ weights + rest * torch.eye(6)
    means = centred @ weights @ torch.linalg.inv(inner)
    covariance = rest * torch.linalg.inv(inner)
    found, log_variances = nets["encoder"](given).double().chunk(2, 1)
    assert torch.allclose(found.abs(), means.abs(), atol=1e-3)  # a direction's sign is free
    assert torch.allclose(log_variances.exp(), covariance.diagonal().expand(64, 6), rtol=1e-3)
    made = nets["decoder"](found.float()).flatten(1).double()
    assert torch.allclose(made, means @ weights.T + values.mean(0), atol=1e-3)


def test_fewer_images_than_numbers_begin_well():
    """Directions that so few cannot have give nothing, and no infinity."""
    for module, name in ((autoencoder, "autoencoder"), (vae, "vae")):
        nets, given = networks(module, name), images(4)
        module.begin(nets, given)
        codes = nets["encoder"](given)
        assert torch.isfinite(codes).all()
        made = nets["decoder"](codes[:, :6])
        assert (made - given).square().mean() < 0.01 * given.var()


def test_what_components_leave_is_the_mean_variance_beyond_them():
    given = images()
    found = principal_components(given, 6)
    beyond = given.flatten(1).var(0, correction=0).sum() - found.variances.sum()
    assert found.rest == pytest.approx(float(beyond) / (3 * 16 * 16 - 6), rel=1e-3)


class Even(nn.Module):
    """In place of a U-Net: the same everywhere."""

    def forward(self, images, smallest):
        return torch.ones(len(images), 4, 8, 8)


def test_a_decoder_weaves_nothing_of_its_own():
    """What is even at half the side is even at the whole one, but for its border."""
    decoder = networks(autoencoder, "autoencoder")["decoder"]
    nn.init.normal_(decoder.last.weight)
    decoder.unet = Even()
    inner = decoder(torch.zeros(2, 6))[..., 3:-3, 3:-3]
    assert inner.abs().min() > 0
    assert torch.allclose(inner, inner[..., :1, :1].expand_as(inner), atol=1e-6)


def test_a_net_is_given_what_is_added_to_its_smallest_map():
    torch.manual_seed(0)
    net, given = UNet(3, [4, 8]), images(2)
    assert net(given).shape == (2, 4, 8, 8)
    moved = net(given, torch.ones(2, 8, 4, 4)) - net(given)
    assert moved.abs().amax(dim=(1, 2, 3)).min() > 0


@pytest.mark.parametrize("changed", [{"encoder_widths": [4] * 4}, {"decoder_widths": [4] * 5}])
def test_an_image_that_cannot_be_halved_so_often_is_refused(changed):
    (key,) = changed
    with pytest.raises(UserError, match=f"model.{key}: . maps of images of 16 pixels"):
        networks(autoencoder, "autoencoder", **changed)


@pytest.mark.parametrize(("size", "maps"), [(64, (3, 3)), (16, (3, 3)), (8, (2, 3)), (4, (1, 2))])
def test_a_small_image_takes_fewer_maps(size, maps):
    row, wide = MODELS["autoencoder"], {"encoder_widths": [4] * 3, "decoder_widths": [4] * 3}
    config = row.config.model_validate({"name": "autoencoder", **BODY, **wide})
    fitted = config.model_copy(update=dict(row.fitted(config, size)))
    assert (len(fitted.encoder_widths), len(fitted.decoder_widths)) == maps
    row.build(fitted, (3, size, size), 0)


def test_deviations_stay_within_what_exp_can_hold():
    nets = networks(vae, "vae")
    nets["encoder"].body.weight.normal_(0, 1e3)
    means, log_variances = nets["encoder"](torch.rand(8, 3, 16, 16)).chunk(2, dim=1)
    assert means.abs().max() > 10
    assert log_variances.min() == -10
    assert log_variances.max() == 10


def test_every_weight_is_trained():
    nets = networks(vae, "vae")
    vae.begin(nets, images())
    # What starts at zero hides what is before it, which learns later.
    for weight in nets.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, 0, 0.1)
    codes = nets["encoder"](torch.rand(4, 3, 16, 16))[:, :6]
    nets["decoder"](codes).square().sum().backward()
    still = [
        name
        for name, weight in nets.named_parameters()
        if weight.grad is None or not weight.grad.abs().sum() > 0
    ]
    assert not still


def test_channels_beside_each_other_have_dense_gradients():
    """Each its own, whatever layout it came in."""
    given = [torch.randn(2, channels, 8, 8, requires_grad=True) for channels in (4, 3)]
    last = [one.contiguous(memory_format=torch.channels_last) for one in given]
    weights = torch.randn(2, 7, 8, 8)
    found = torch.autograd.grad((beside(*last) * weights).sum(), last)
    for gradient, part in zip(found, weights.split([4, 3], dim=1), strict=True):
        assert gradient.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(gradient, part)

"""What several models are built from: a U-Net at half the side, and the halves of an autoencoder.

An autoencoder here starts as principal components, in closed form, and networks learn what those
leave. Its two halves serve four models and are longer than what may stand in each file; so they
are here, and the models' files say what is made of them.

Shapes are those that a processor runs fast: 3 x 3 convolutions of 32 channels and more, on maps of
half the image's side and below, two pixels folded into channels (Shi et al. 2016, arXiv
1609.05158). Blocks as in He et al. 2016, arXiv 1603.05027, without normalisation; each starts as
the identity (Zhang et al. 2019, arXiv 1901.09321).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, linear, pad, pixel_unshuffle, silu

from atelier.errors import UserError

OVERSAMPLED = 10
"""Directions beyond those wanted that the randomised decomposition looks along."""
POWER_ITERATIONS = 3
GROUP = 4
"""Images among which variation is measured: a batch holds a multiple of them."""
SMALLEST_VARIANCE = 1e-6
"""Of a direction along which images or codes hardly differ: nothing is divided by zero."""


def beside(*maps: Tensor) -> Tensor:
    """[B, C, H, W] each, of other channels -> all channels, in channels_last, as convolutions run
    fast: plain concatenation falls back to channels first where one of the maps has them so."""
    for each in maps:
        dense_gradient(each)
    return torch.cat([each.permute(0, 2, 3, 1) for each in maps], dim=-1).permute(0, 3, 1, 2)


def dense_gradient(maps: Tensor) -> None:
    """Has their gradient come back in channels_last: with the gaps of what they were concatenated
    to, or in another order, what comes before them takes five times as long."""
    if maps.requires_grad:
        maps.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))


def convolution(before: int, here: int) -> nn.Conv2d:
    return nn.Conv2d(before, here, 3, padding=1)


class Residual(nn.Module):
    """[B, C, H, W] -> the same shape: x plus two 3 x 3 convolutions of it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner, self.outer = convolution(width, width), convolution(width, width)
        nn.init.kaiming_normal_(self.inner.weight)
        nn.init.zeros_(self.inner.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.outer.weight)  # starts as the identity
        nn.init.zeros_(self.outer.bias)  # type: ignore[arg-type]

    def forward(self, maps: Tensor) -> Tensor:
        change: Tensor = self.outer(silu(self.inner(silu(maps))))
        return maps + change


def residuals(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(width) for _ in range(count)))


class UNet(nn.Module):
    """[B, C, S, S] -> [B, widths[0], S / 2, S / 2]: down to the smallest map, and up again.

    Ronneberger et al. 2015, arXiv 1505.04597; we deviate: the maps of the way down are added to
    those of the way up, and maps grow by interpolation, because a strided transposed convolution
    weaves a pattern of its stride (Odena et al. 2016, distill.pub/2016/deconv-checkerboard).
    One residual block at the largest map and two at each other, both ways.

    Args:
        widths: channels of the maps of side S / 2, S / 4, …
    """

    def __init__(self, channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        depths = [1] + [2] * (len(widths) - 1)
        self.first = convolution(4 * channels, widths[0])
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise(widths))
        self.falling = nn.ModuleList(map(residuals, widths, depths))
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in reversed(list(pairwise(widths))))
        self.rising = nn.ModuleList(map(residuals, widths[-2::-1], depths[-2::-1]))

    def forward(self, images: Tensor, smallest: Tensor | None = None) -> Tensor:
        """`smallest`: added to the smallest map, [B, widths[-1], S / 2^n, S / 2^n]."""
        maps: Tensor = self.falling[0](self.first(pixel_unshuffle(images, 2)))
        passed = []
        for halve, blocks in zip(self.down, self.falling[1:], strict=True):
            passed.append(maps)
            maps = halve(silu(maps))
            maps = blocks(maps)
        if smallest is not None:
            maps = maps + smallest
        for narrow, blocks in zip(self.up, self.rising, strict=True):
            grown = interpolate(narrow(silu(maps)), scale_factor=2, mode="bilinear")
            maps = blocks(passed.pop() + grown)
        return maps


class Encoder(nn.Module):
    """[B, C, S, S] in [-1, 1] -> [B, outputs]: a linear map, and what convolutions add to it.

    The linear map is set once, by `Components`; the convolutions start at nothing.

    Args:
        widths: channels of the maps of side S / 4, S / 8, …
    """

    weight: Tensor
    """[outputs, C S S]"""
    bias: Tensor
    """[outputs]"""

    def __init__(self, shape: tuple[int, ...], widths: Sequence[int], outputs: int) -> None:
        super().__init__()
        channels, size, _ = shape
        side = smallest_side(size, 4, len(widths), "encoder_widths")
        self.register_buffer("weight", torch.zeros(outputs, channels * size**2))
        self.register_buffer("bias", torch.zeros(outputs))
        layers: list[nn.Module] = [nn.PixelUnshuffle(4), convolution(16 * channels, widths[0])]
        for before, here in pairwise(widths):
            layers += [nn.SiLU(), nn.Conv2d(before, here, 4, 2, 1), Residual(here)]
        self.layers = nn.Sequential(*layers, nn.SiLU(), nn.Flatten())
        self.head = nn.Linear(widths[-1] * side**2, outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        change: Tensor = self.head(self.layers(images))
        plain: Tensor = linear(images.flatten(1), self.weight, self.bias)
        return plain.float() + change.float()


class Grain(nn.Module):
    """[B, inputs] -> [B, 1, S, S] in [-1, 1]: noise that a code decides, of its own at each pixel.

    Hair and skin have grain, which codes do not tell of; a network that has nothing irregular to
    make it of weaves a pattern instead (Karras et al. 2018, arXiv 1812.04948, section 3.2, whose
    noise is drawn). We deviate: each pixel's is the sine of where a code lies along a direction of
    its own, so that a code still says all of its picture.
    """

    directions: Tensor
    """[inputs, S S]"""

    def __init__(self, size: int, inputs: int) -> None:
        super().__init__()
        # Codes that have nothing to do with each other are more than a turn apart.
        turn = 2 * torch.pi * inputs**-0.5
        self.register_buffer("directions", turn * torch.randn(inputs, size**2))
        self.map = nn.Unflatten(1, (1, size, size))

    def forward(self, codes: Tensor) -> Tensor:
        noise: Tensor = self.map((codes @ self.directions).sin())
        return noise


class Decoder(nn.Module):
    """[B, inputs] -> [B, C, S, S] in about [-1, 1]: a linear picture, refined by a U-Net.

    The U-Net is given the code, too: at its smallest map. What it adds starts at nothing, and is
    put together at the whole side in one thin layer, because edges that are drawn at half the side
    alone are stairs. Where there are attributes, [B, attributes] in [0, 1], they enter beside the
    code.

    Args:
        tail_width: channels at the whole side.
        grained: whether the U-Net is given `grain`, too, beside the linear picture.
    """

    weight: Tensor
    """[C S S, inputs]"""
    bias: Tensor
    """[C S S]"""

    def __init__(
        self,
        shape: tuple[int, ...],
        widths: Sequence[int],
        inputs: int,
        attributes: int = 0,
        *,
        tail_width: int,
        grained: bool = False,
    ) -> None:
        super().__init__()
        channels, size, _ = shape
        side = smallest_side(size, 2, len(widths), "decoder_widths")
        self.register_buffer("weight", torch.zeros(channels * size**2, inputs))
        self.register_buffer("bias", torch.zeros(channels * size**2))
        self.picture = nn.Unflatten(1, shape)
        self.grain = Grain(size, inputs) if grained else None
        places = widths[-1] * side**2
        self.entry = nn.Linear(inputs, places)
        self.attributes = nn.Linear(attributes, places, bias=False) if attributes else None
        self.map = nn.Unflatten(1, (widths[-1], side, side))
        drawn = channels + 1 if grained else channels
        self.unet = UNet(drawn, widths)
        self.narrow = nn.Conv2d(widths[0], tail_width, 1)
        self.fine = convolution(tail_width + drawn, tail_width)
        self.last = convolution(tail_width, channels)
        nn.init.normal_(self.entry.weight, 0.0, 0.02)
        if self.attributes is not None:
            nn.init.normal_(self.attributes.weight, 0.0, 0.05)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, codes: Tensor, attributes: Tensor | None = None) -> Tensor:
        plain = self.picture(linear(codes, self.weight, self.bias))
        smallest = self.entry(codes)
        if self.attributes is not None:
            assert attributes is not None
            smallest = smallest + self.attributes(signed(attributes))
        drawn = plain if self.grain is None else beside(plain, self.grain(codes))
        halved = self.narrow(silu(self.unet(drawn, self.map(smallest))))
        grown = interpolate(halved, scale_factor=2, mode="bilinear")
        both = beside(silu(grown), drawn.to(grown.dtype))
        change = self.last(silu(self.fine(both)))
        refined: Tensor = plain.float() + change.float()
        return refined


def signed(attributes: Tensor) -> Tensor:
    """[0, 1] -> [-1, 1]: 0 asks for "without", a half asks for nothing."""
    return 2 * attributes - 1


def variation(maps: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, 1, H, W]: the mean deviation within each group of neighbours.

    So that a discriminator sees when fakes are all alike (Karras et al. 2018, arXiv 1710.10196,
    section 3). Reals and fakes are no neighbours where batches of each are multiples of a group.
    """
    groups = maps.float().unflatten(0, (-1, GROUP))
    # Not by torch's variance, which takes ten times as long along this dimension.
    variances = (groups - groups.mean(1, keepdim=True)).square().mean(1)
    deviations = (variances + 1e-8).sqrt().mean((1, 2, 3))
    each: Tensor = deviations.repeat_interleave(GROUP).to(maps.dtype)
    return each[:, None, None, None].expand(-1, 1, *maps.shape[2:])


class Components(NamedTuple):
    """The principal components of images, and what they leave."""

    mean: Tensor
    """[D], D values an image."""
    directions: Tensor
    """[D, L], of length 1; 0 beyond what so few images can have."""
    variances: Tensor
    """[L], along each."""
    rest: float
    """Mean variance along all other directions."""


def principal_components(images: Tensor, count: int) -> Components:
    """By a randomised decomposition (Halko et al. 2011, arXiv 0909.4061) of [N, C, S, S]."""
    values = images.flatten(1)
    mean = values.mean(0)
    values = values - mean
    found = min(count + OVERSAMPLED, *values.shape)
    _, singular, directions = torch.svd_lowrank(values, q=found, niter=POWER_ITERATIONS)
    missing = (0, max(count - found, 0))
    variances = pad(singular[:count].square() / len(values), missing)
    directions = pad(directions[:, :count], missing)
    left = values.square().sum(1).mean() - variances.sum()
    rest = float(left) / max(values.shape[1] - count, 1)
    return Components(mean, directions, variances, max(rest, SMALLEST_VARIANCE))


def set_linear(
    encoder: Encoder, decoder: Decoder, there: Tensor, back: Tensor, mean: Tensor
) -> None:
    """Codes are `there` [L, D] times what an image has beyond the mean; `back` is [D, L]."""
    encoder.weight[: len(there)] = there
    encoder.bias[: len(there)] = -(there @ mean)
    decoder.weight.copy_(back)
    decoder.bias.copy_(mean)


def smallest_side(size: int, first: int, maps: int, key: str) -> int:
    """Side of the smallest map, where the largest has `size` / `first` pixels.

    Raises:
        UserError: the image cannot be halved so often.
    """
    divisor: int = first * 2 ** (maps - 1)
    if size % divisor:
        remedy = f"The side is a multiple of {divisor}, or name fewer maps."
        raise UserError(f"model.{key}", f"{maps} maps of images of {size} pixels", remedy)
    return size // divisor

"""A learned prior: normal numbers become codes that are distributed as an encoder's.

A rectified flow (Liu et al. 2022, arXiv 2209.03003): a network learns the mean velocity of the
straight paths from noise to codes, and noise that follows it arrives distributed as the codes are.
Residual blocks with adaptive normalisation (Peebles and Xie 2022, arXiv 2212.09748). We deviate
twice. What the network says starts at nothing, and is added to the velocity that carries normal
numbers to themselves, so that an untrained prior is nearly the normal distribution, and so are a
VAE's codes. And because a network of this size leaves the draws too close to each other,
a last affine map, in closed form, gives them the means and the covariances of the codes.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, silu

from atelier.models.blocks import SMALLEST_VARIANCE, Decoder, signed

STEPS = 6
"""Of Heun's method, each with two evaluations."""
FREQUENCIES = 32
HIGHEST = 200.0
"""Radians that the fastest of a time's waves turns while it goes from 0 to 1."""


class Block(nn.Module):
    """[B, W], [B, W] of time and attributes -> [B, W]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.adapt = nn.Linear(width, 3 * width)
        self.inner, self.outer = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        nn.init.zeros_(self.adapt.weight)
        nn.init.zeros_(self.adapt.bias)

    def forward(self, features: Tensor, context: Tensor) -> Tensor:
        gain, shift, share = self.adapt(context).chunk(3, dim=1)
        adapted = layer_norm(features, (self.width,)) * (1 + gain) + shift
        changed: Tensor = features + (1 + share) * self.outer(silu(self.inner(adapted)))
        return changed


class Prior(nn.Module):
    """[B, L] normal, [B, K] attributes in [0, 1] where there are any -> codes [B, L]."""

    frequencies: Tensor
    stretch: Tensor
    """[L, L]"""
    centres: Tensor
    """[K + 1, L]: the codes' mean by attribute, the last row for all."""
    drawn_centres: Tensor
    """The same of draws before they are stretched."""

    def __init__(self, latent_dim: int, width: int, blocks: int, attributes: int = 0) -> None:
        super().__init__()
        self.entry = nn.Linear(latent_dim, width)
        self.context = nn.Linear(2 * FREQUENCIES + attributes, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.last = nn.Linear(width, latent_dim)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        waves = torch.exp(torch.linspace(0.0, math.log(HIGHEST), FREQUENCIES))
        self.register_buffer("frequencies", waves)
        self.register_buffer("stretch", torch.eye(latent_dim))
        self.register_buffer("centres", torch.zeros(attributes + 1, latent_dim))
        self.register_buffer("drawn_centres", torch.zeros(attributes + 1, latent_dim))

    def velocity(self, codes: Tensor, times: Tensor, *attributes: Tensor) -> Tensor:
        """What codes [B, L] on their way at times [B] in [0, 1] have on average: [B, L], fp32."""
        angles = times[:, None] * self.frequencies
        given = torch.cat([angles.sin(), angles.cos(), *map(signed, attributes)], dim=1)
        context, features = silu(self.context(given)), self.entry(codes)
        for block in self.blocks:
            features = block(features, context)
        # E[x1 - x0 | (1 - t) x0 + t x1 = x] of two independent standard normal variables.
        plain = (2 * times - 1) / (times.square() + (1 - times).square())
        velocity: Tensor = self.last(silu(features)).float() + plain[:, None] * codes.float()
        return velocity

    def carried(self, noise: Tensor, *attributes: Tensor) -> Tensor:
        """Noise after its way, before the affine map: [B, L]."""
        codes, step = noise.float(), 1 / STEPS
        for index in range(STEPS):
            begins = torch.full_like(codes[:, 0], index * step)
            first = self.velocity(codes, begins, *attributes)
            second = self.velocity(codes + step * first, begins + step, *attributes)
            codes = codes + step / 2 * (first + second)
        return codes

    def forward(self, noise: Tensor, *attributes: Tensor) -> Tensor:
        codes = self.carried(noise, *attributes)
        design = designed(codes, *attributes)
        centred = codes - design @ self.drawn_centres
        calibrated: Tensor = design @ self.centres + centred @ self.stretch
        return calibrated

    @torch.no_grad()
    def calibrate(self, codes: Tensor, draws: Tensor, *attributes: Tensor) -> None:
        """Sets the affine map so that draws are spread as codes are, [N, L] each.

        `draws` are `carried`, with the attributes of the codes in their places. Means are
        regressed on attributes; what is left is mapped by the optimal transport between two
        normal distributions (Peyré and Cuturi 2019, arXiv 1803.00567, equation 2.40).
        """
        design = designed(codes, *attributes).double()
        # The smallest solution, as attributes may hang together: classes that add up to one.
        solving = torch.linalg.pinv(design)
        covariances = []
        for rows, centres in ((draws, self.drawn_centres), (codes, self.centres)):
            solution = solving @ rows.double()
            centres.copy_(solution)
            covariances.append(torch.cov((rows.double() - design @ solution).T))
        found, aim = covariances
        root, inverse = _power(found, 0.5), _power(found, -0.5)
        self.stretch.copy_(inverse @ _power(root @ aim @ root, 0.5) @ inverse)


def designed(rows: Tensor, *attributes: Tensor) -> Tensor:
    """What means are regressed on: signed attributes, and a one, [B, K + 1]."""
    return torch.cat([*(signed(each).float() for each in attributes), rows[:, :1] * 0 + 1], dim=1)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Of a symmetric matrix without negative eigenvalues."""
    values, vectors = torch.linalg.eigh(matrix)
    powers: Tensor = values.clamp(min=SMALLEST_VARIANCE) ** exponent
    raised: Tensor = (vectors * powers) @ vectors.T
    return raised


class Generator(nn.Module):
    """[B, L] normal, [B, K] attributes in [0, 1] where there are any -> [B, C, S, S]."""

    def __init__(self, prior: Prior, decoder: Decoder) -> None:
        super().__init__()
        self.prior, self.decoder = prior, decoder

    def forward(self, latents: Tensor, attributes: Tensor | None = None) -> Tensor:
        asked = () if attributes is None else (attributes,)
        images: Tensor = self.decoder(self.prior(latents, *asked), *asked)
        return images

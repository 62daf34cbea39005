"""FastGAN, small: Liu et al. 2021, arXiv 2101.04775, as its section 3 describes it.

The generator: gated linear units, noise on every second map, and a skip-layer excitation from the
4 x 4 map to the largest. The discriminator: residual halving, and an autoencoder of its own, which
must give back the whole picture and a quarter of it. Spectral normalisation in both, hinge loss
with smoothed margins, DiffAugment of colour and translation, batches of 8. Half as wide as there;
what it gives back is held to the picture by absolute error, where the paper has a perceptual loss
whose network a machine without a connection can't have.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, glu, leaky_relu, relu
from torch.nn.utils.parametrizations import spectral_norm

from atelier.training.augment import DiffAugment

LATENT = 256
BATCH = 8
BETAS = (0.5, 0.999)
WIDTH = 32
"""Half of the paper's: maps of side 4, 8, 16, 32 and 64 have 16, 8, 4, 2 and 2 times as many."""
SLOPE = 0.2
RECONSTRUCTED = 32
"""Side, in pixels, of what the discriminator gives back."""
AUGMENT = DiffAugment(brightness=0.5, contrast=0.5, saturation=1.0, translation=0.125, cutout=0.0)


def convolution(before: int, here: int, side: int, stride: int = 1) -> nn.Module:
    padding = 1 if side > 1 else 0
    return spectral_norm(nn.Conv2d(before, here, side, stride, padding, bias=False))


class Noise(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, maps: Tensor) -> Tensor:
        noise = torch.randn(len(maps), 1, *maps.shape[2:], device=maps.device, dtype=maps.dtype)
        return maps + self.weight * noise


class Gate(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return glu(maps, dim=1)


def layer(before: int, here: int, noisy: bool) -> list[nn.Module]:
    noise: list[nn.Module] = [Noise()] if noisy else []
    return [convolution(before, 2 * here, 3), *noise, nn.BatchNorm2d(2 * here), Gate()]


def doubled(before: int, here: int, twice: bool) -> nn.Sequential:
    """To twice the side; every second one has two convolutions, with noise."""
    layers = layer(before, here, noisy=twice) + (layer(here, here, noisy=True) if twice else [])
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), *layers)


class Excitation(nn.Module):
    """A small map says which channels of a large one count (section 3.1)."""

    def __init__(self, small: int, large: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), nn.Conv2d(small, large, 4, bias=False), nn.SiLU(),
            nn.Conv2d(large, large, 1, bias=False), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, small: Tensor, large: Tensor) -> Tensor:
        excited: Tensor = large * self.layers(small)
        return excited


class Generator(nn.Module):
    """[B, LATENT] -> [B, 3, 64, 64] in [-1, 1]."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        w4, w8, w16, w32, w64 = (times * width for times in (16, 8, 4, 2, 2))
        first = spectral_norm(nn.ConvTranspose2d(LATENT, 2 * w4, 4, bias=False))
        self.to4 = nn.Sequential(first, nn.BatchNorm2d(2 * w4), Gate())
        self.to8, self.to16 = doubled(w4, w8, True), doubled(w8, w16, False)
        self.to32, self.to64 = doubled(w16, w32, True), doubled(w32, w64, False)
        self.excite = Excitation(w4, w64)
        self.colours = convolution(w64, 3, 3)

    def forward(self, latents: Tensor) -> Tensor:
        small = self.to4(latents[:, :, None, None])
        large = self.to64(self.to32(self.to16(self.to8(small))))
        images: Tensor = torch.tanh(self.colours(self.excite(small, large)))
        return images


class Halving(nn.Module):
    """To half the side: two convolutions, and one of the averaged input (figure 4)."""

    def __init__(self, before: int, here: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            convolution(before, here, 4, 2), nn.BatchNorm2d(here), nn.LeakyReLU(SLOPE),
            convolution(here, here, 3), nn.BatchNorm2d(here), nn.LeakyReLU(SLOPE),
        )  # fmt: skip
        self.direct = nn.Sequential(convolution(before, here, 1), nn.BatchNorm2d(here))

    def forward(self, maps: Tensor) -> Tensor:
        halved: Tensor = self.main(maps) + leaky_relu(self.direct(avg_pool2d(maps, 2)), SLOPE)
        return halved / 2


def decoder(before: int, width: int) -> nn.Sequential:
    """[B, before, 8, 8] -> [B, 3, 32, 32] in [-1, 1]."""
    return nn.Sequential(
        doubled(before, 4 * width, False), doubled(4 * width, 2 * width, False),
        convolution(2 * width, 3, 3), nn.Tanh(),
    )  # fmt: skip


class Discriminator(nn.Module):
    """[B, 3, 64, 64] -> [B, 5, 5] logits."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.first = nn.Sequential(convolution(3, width, 3), nn.LeakyReLU(SLOPE))
        self.to32, self.to16 = Halving(width, 2 * width), Halving(2 * width, 4 * width)
        self.to8 = Halving(4 * width, 8 * width)
        self.head = nn.Sequential(
            convolution(8 * width, 8 * width, 1), nn.BatchNorm2d(8 * width), nn.LeakyReLU(SLOPE),
            spectral_norm(nn.Conv2d(8 * width, 1, 4, bias=False)),
        )  # fmt: skip
        self.whole, self.part = decoder(8 * width, width), decoder(4 * width, width)

    def features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Of side 16 and 8."""
        middle = self.to16(self.to32(self.first(images)))
        return middle, self.to8(middle)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(images)[1])
        return logits[:, 0].float()

    def judged_and_given_back(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits, and the mean absolute error of the whole and of one of its quarters."""
        middle, last = self.features(images)
        row, column = (8 * int(torch.randint(2, ())) for _ in range(2))
        whole = self.whole(last).float()
        part = self.part(middle[:, :, row : row + 8, column : column + 8]).float()
        quarter = images[:, :, 4 * row : 4 * row + 32, 4 * column : 4 * column + 32]
        wanted = adaptive_avg_pool2d(images, RECONSTRUCTED)
        error = (whole - wanted).abs().mean() + (part - quarter).abs().mean()
        logits: Tensor = self.head(last)
        return logits[:, 0].float(), error


def build_generator() -> nn.Module:
    return Generator().apply(initialise)


def build_discriminator() -> nn.Module:
    return Discriminator().apply(initialise)


def initialise(module: nn.Module) -> None:
    if isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def discriminator_loss(discriminator: nn.Module, real: Tensor, fake: Tensor, step: int) -> Tensor:
    """Hinge with margins between 0.8 and 1, and what the discriminator gives back of reals."""
    assert isinstance(discriminator, Discriminator)
    logits, error = discriminator.judged_and_given_back(real)
    of_real = relu(0.8 + 0.2 * torch.rand_like(logits) - logits).mean()
    other = discriminator(fake)
    of_fake = relu(0.8 + 0.2 * torch.rand_like(other) + other).mean()
    return of_real + of_fake + error


def generator_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    logits: Tensor = discriminator(fake)
    return -logits.mean()

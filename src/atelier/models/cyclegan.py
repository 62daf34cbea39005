"""CycleGAN: two residual generators between two domains, a patch discriminator in each.

Zhu et al. 2017, arXiv 1703.10593, section 4 and appendix 7.2: two halvings, residual blocks, two
doublings; patch discriminators without sigmoid. We deviate: widths, blocks and the patch are
chosen; a convolution has no bias where the normalisation behind it takes the mean away; and a
generator may enlarge by repeated pixels, and add its change to its input instead of painting the
picture anew: both cost the paper nothing in days and spare us minutes.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from atelier.errors import UserError
from atelier.schema import Count, Positive, Strict

LARGEST_SHARE = 0.6
"""Of the image's side, for a discriminator's patch: one that sees all memorises silhouettes."""
STRIDED = {16: 1, 34: 2, 70: 3}
"""Receptive field in pixels -> strided convolutions that give it."""
NEARLY_WHITE = 0.99
"""Where a changed input is cut off: the inverse of tanh is infinite at 1."""


class Config(Strict):
    """Widths are the channels next to the image; they double at each halving of the side."""

    name: Literal["cyclegan"]
    generator_width: Positive
    residual_blocks: Count
    discriminator_width: Positive
    receptive_field: Literal[16, 34, 70]
    """Side, in pixels, of the patch that one of the discriminator's logits sees."""
    upsampling: Literal["transposed", "resize"]
    """`transposed`: the paper's transposed convolutions, whose taps fall unevenly and leave a
    checkerboard until a long training has evened them out. `resize`: each pixel is repeated, then
    a convolution (Odena et al. 2016, "Deconvolution and checkerboard artifacts")."""
    output: Literal["image", "change", "masked"]
    """`image`: painted anew, as in the paper. `change`: added to the input before the tanh, so
    that what is to stay as it is, such as a background, need not be learnt. `masked`: painted anew
    where a mask that is made with it says so, the input elsewhere (Tang et al. 2019, arXiv
    1903.12296, scheme 1)."""


class InstanceNorm(nn.InstanceNorm2d):
    """The same where a processor learns, in the layout that convolutions run fast in: torch's own
    copies maps in channels_last to channels first and back."""

    def forward(self, maps: Tensor) -> Tensor:
        if not self.training or maps.device.type != "cpu":
            return super().forward(maps)
        # The statistics of a batch of one image are that image's.
        images = [batch_norm(each, None, None, training=True) for each in maps.split(1)]
        return torch.cat(images)


class Residual(nn.Module):
    """[B, C, H, W] -> the same shape: x plus two normalised 3 x 3 convolutions of it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_convolution(width, width, 3), nn.ReLU(), *_convolution(width, width, 3)
        )

    def forward(self, maps: Tensor) -> Tensor:
        change: Tensor = self.layers(maps)
        return maps + change


class Generator(nn.Module):
    """[B, 3, H, W] in [-1, 1] -> the same in the other domain; H and W divisible by 4."""

    def __init__(self, channels: int, config: Config) -> None:
        super().__init__()
        width = config.generator_width
        layers = [*_convolution(channels, width, 7), nn.ReLU()]
        for here in (width, 2 * width):
            layers += [nn.Conv2d(here, 2 * here, 3, 2, 1, bias=False)]
            layers += [InstanceNorm(2 * here), nn.ReLU()]
        layers += [Residual(4 * width) for _ in range(config.residual_blocks)]
        for here in (4 * width, 2 * width):
            if config.upsampling == "resize":
                layers += [nn.Upsample(scale_factor=2), *_convolution(here, here // 2, 3)]
            else:
                layers += [nn.ConvTranspose2d(here, here // 2, 3, 2, 1, 1, bias=False)]
                layers += [InstanceNorm(here // 2)]
            layers += [nn.ReLU()]
        self.output = config.output
        painted = channels + (self.output == "masked")
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, painted, 7)]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        painted: Tensor = self.layers(images)
        if self.output == "image":
            return torch.tanh(painted)
        # In fp32: bf16 has three digits, too few for what is to stay as it is.
        painted, images = painted.float(), images.float()
        if self.output == "change":
            kept = torch.atanh(images.clamp(-NEARLY_WHITE, NEARLY_WHITE))
            return torch.tanh(kept + painted)
        mask = torch.sigmoid(painted[:, -1:])
        return mask * torch.tanh(painted[:, :-1]) + (1 - mask) * images


class Discriminator(nn.Module):
    """[B, 3, H, W] -> [B, 1, H', W'] logits, one for each patch: higher is more real."""

    def __init__(self, channels: int, width: int, receptive_field: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        strides = [2] * (STRIDED[receptive_field] - 1) + [1]
        for stride in strides:
            layers += [nn.Conv2d(width, 2 * width, 4, stride, 1, bias=False)]
            layers += [InstanceNorm(2 * width), nn.LeakyReLU(0.2)]
            width *= 2
        layers += [nn.Conv2d(width, 1, 4, 1, 1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits


def build(config: Config, shape: tuple[int, ...], labels: int = 0) -> nn.ModuleDict:
    """Networks for images of `shape` (channels, S, S), S divisible by 4.

    Raises:
        UserError: a patch covers more than 0.6 of the image's side.
    """
    channels, size, _ = shape
    if config.receptive_field > LARGEST_SHARE * size:
        fitting = [patch for patch in STRIDED if patch <= LARGEST_SHARE * size]
        least = math.ceil(min(STRIDED) / LARGEST_SHARE)
        raise UserError(
            "model.receptive_field",
            f"at most {LARGEST_SHARE} of the image's side "
            f"(got {config.receptive_field} pixels of {size})",
            f"Write {max(fitting)}." if fitting else f"Images take {least} pixels or more.",
        )
    discriminator = (channels, config.discriminator_width, config.receptive_field)
    nets = nn.ModuleDict(
        {
            "a2b": Generator(channels, config),
            "b2a": Generator(channels, config),
            "discriminator_a": Discriminator(*discriminator),
            "discriminator_b": Discriminator(*discriminator),
        }
    )
    nets.apply(_initialise)
    return nets


def _convolution(before: int, here: int, side: int) -> list[nn.Module]:
    """A convolution that keeps the size, its border mirrored, and its normalisation."""
    return [
        nn.ReflectionPad2d(side // 2),
        nn.Conv2d(before, here, side, bias=False),
        InstanceNorm(here),
    ]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

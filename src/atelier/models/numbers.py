"""The book's generator of numbers with a pattern, against a discriminator that can see a row.

Liu, Learn Generative AI with PyTorch (2024), 3.5. We deviate in the discriminator: the book's is
linear, so it sees only how often each index is used on average; two layers see a row as a whole,
which is what makes all 20 values appear. It returns logits, for BCE with logits.
"""

from typing import Literal

from torch import nn

from atelier.schema import Positive, Strict


class Config(Strict):
    """`latent_dim` is 100 in the book, as wide as a row."""

    name: Literal["numbers"]
    latent_dim: Positive
    hidden: Positive
    """Width of the discriminator's hidden layer."""


def build(config: Config, shape: tuple[int, ...], labels: int = 0) -> nn.ModuleDict:
    """`shape` is (100,): generator [B, latent_dim] -> [B, 100] >= 0; discriminator -> [B, 1]."""
    (depth,) = shape
    return nn.ModuleDict(
        {
            "generator": nn.Sequential(nn.Linear(config.latent_dim, depth), nn.ReLU()),
            "discriminator": nn.Sequential(
                nn.Linear(depth, config.hidden), nn.LeakyReLU(0.2), nn.Linear(config.hidden, 1)
            ),
        }
    )

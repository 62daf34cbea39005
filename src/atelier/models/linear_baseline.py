"""The book's own networks for numbers with a pattern, exactly as they are taught.

Liu, Learn Generative AI with PyTorch (2024), 3.5.2: one linear layer each, and a sigmoid.
Selectable as `model: linear_baseline` with `objective: linear_baseline`; its figures stand beside
those of `numbers` in docs/numbers.md. The book's training step is `tests/training/book.py`.
"""

from typing import Literal

from torch import nn

from atelier.schema import Positive, Strict


class Config(Strict):
    """`latent_dim` is 100 in the book."""

    name: Literal["linear_baseline"]
    latent_dim: Positive


def build(config: Config, shape: tuple[int, ...], labels: int = 0) -> nn.ModuleDict:
    """`shape` is (100,): D [B, 100] -> [B, 1] in (0, 1); G [B, latent_dim] -> [B, 100] >= 0."""
    (depth,) = shape
    D = nn.Sequential(nn.Linear(depth, 1), nn.Sigmoid())
    G = nn.Sequential(nn.Linear(config.latent_dim, depth), nn.ReLU())
    return nn.ModuleDict({"generator": G, "discriminator": D})

"""The smallest networks of every task, as a bundle is packed from them: 16 pixels, 8 numbers."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from atelier.bundle import pack as bundle
from atelier.bundle.bundle_model import Bundle
from atelier.bundle.card import Card
from atelier.bundle.comparison import Comparison, Figures
from atelier.bundle.pack import BundleDescription

SIZE = 16
CARD = Card("Makes toys.")


@dataclass(frozen=True)
class Toy:
    """What `pack` takes."""

    networks: dict[str, nn.Module]
    description: BundleDescription
    example: bundle.Example
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def pack(self, out: Path) -> str:
        return bundle.pack(out, self.networks, self.description, CARD, self.example, self.arrays)


def toy_images(seed: int = 0) -> nn.Module:
    """[B, 8] -> [B, 3, 16, 16], with what real generators are made of."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(8, 3 * 8 * 8),
        nn.Unflatten(1, (3, 8, 8)),
        nn.ConvTranspose2d(3, 3, 4, 2, 1),
        nn.BatchNorm2d(3),
        nn.Tanh(),
    )


def toy_numbers(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 100), nn.ReLU())


class Conditioned(nn.Module):
    """Latent [B, 8], attributes [B, 3] -> images whose red is the first attribute, and so on."""

    def __init__(self) -> None:
        super().__init__()
        self.noise = toy_images()

    def forward(self, latent: Tensor, attributes: Tensor) -> Tensor:
        images: Tensor = 0.1 * self.noise(latent) + 1.6 * attributes[:, :, None, None] - 0.8
        return images


class Brighter(nn.Module):
    """Images -> the same, lighter or darker by `by`, and more so where a filter says so."""

    def __init__(self, by: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.by = by
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4), nn.ReLU(),
            nn.Conv2d(4, 3, 1),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        return images + self.by + 0.01 * self.layers(images)


def toy_encoder(width: int) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 2, 4, 4), nn.SiLU(), nn.Flatten(), nn.Linear(32, width))


def pictures(count: int, size: int = SIZE, seed: int = 0) -> np.ndarray:
    """uint8 [count, size, size, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def some_numbers(opened: Bundle) -> np.ndarray:
    return opened.sample(bundle.EXAMPLE_NUMBERS, bundle.EXAMPLE_SEED)


def sheet_of_samples(opened: Bundle) -> np.ndarray:
    conditions = bundle.combinations(opened, 16) if opened.attributes else None
    return bundle.grid(opened.sample(16, bundle.EXAMPLE_SEED, attributes=conditions))


def sheet_of_translations(opened: Bundle) -> np.ndarray:
    given = {"A2B": pictures(3), "B2A": pictures(3, seed=1)}
    return bundle.pairs(*((one, opened.translate(one, name)) for name, one in given.items()))


def sheet_of_reconstructions(opened: Bundle) -> np.ndarray:
    return bundle.pairs((pictures(3), opened.reconstruct(pictures(3))))


def directions() -> np.ndarray:
    """Two steps in the latent, float32 [2, 8]."""
    return np.random.default_rng(0).standard_normal((2, 8)).astype(np.float32)


def mixture() -> dict[str, np.ndarray]:
    """Two narrow components, one three times as frequent."""
    return {
        "mixture_weights": np.array([0.25, 0.75], np.float32),
        "mixture_means": np.stack([np.full(8, -2.0), np.full(8, 2.0)]).astype(np.float32),
        "mixture_scales": np.full((2, 8), 0.1, np.float32),
        "latent_mean": np.zeros(8, np.float32),
        "latent_deviation": np.ones(8, np.float32),
    }


IMAGES = BundleDescription(
    experiment="faces-gan",
    scale="tiny",
    registered_name="faces-gan-tiny",
    task="unconditional",
    latent_dim=8,
    output_shape=(3, SIZE, SIZE),
    dataset="celeba",
    judge="judge",
    selected_images=1000,
)
NUMBERS = replace(
    IMAGES,
    experiment="numbers",
    registered_name="numbers-tiny",
    task="numbers",
    output_shape=(100,),
    dataset="numbers",
    judge=None,
    selected_images=500,
)
ATTRIBUTES = ("Eyeglasses", "Black_Hair", "Blond_Hair")
SEEN = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1]], np.uint8)
"""Never black and blond; glasses with black hair neither."""


def named(experiment: str, task: str, **changes: object) -> BundleDescription:
    words = {"experiment": experiment, "registered_name": f"{experiment}-tiny", "task": task}
    return replace(IMAGES, **words, **changes)  # type: ignore[arg-type]


STEERED = {"directions": ("Smiling", "Male")}
FACTS = {"Smiling": {"share": 0.5, "distance": 1.0}, "Male": {"share": 0.4, "distance": 2.0}}

TOYS = {
    "numbers": Toy({"generator": toy_numbers()}, NUMBERS, some_numbers),
    "unconditional": Toy(
        {"generator": toy_images()},
        replace(IMAGES, directions=("Smiling", "Male")),
        sheet_of_samples,
        {"directions": directions()},
    ),
    "conditional": Toy(
        {"generator": Conditioned()},
        named("faces-cgan", "conditional", attributes=ATTRIBUTES, **STEERED),
        sheet_of_samples,
        {"combinations": SEEN, "directions": directions()},
    ),
    "translation": Toy(
        {"a2b": Brighter(0.2), "b2a": Brighter(-0.2)},
        named("horse2zebra", "translation", latent_dim=None),
        sheet_of_translations,
    ),
    "autoencoder": Toy(
        {"encoder": toy_encoder(8), "decoder": toy_images()},
        named("faces-ae", "reconstruction", crop_share=0.75),
        sheet_of_reconstructions,
    ),
    "vae": Toy(
        {"encoder": toy_encoder(16), "decoder": toy_images()},
        named("faces-vae", "reconstruction", words={"sigma": 0.1, "directions": FACTS}, **STEERED),
        sheet_of_reconstructions,
        {"directions": directions(), **mixture()},
    ),
}
"""A reconstruction's encoder gives codes, or distributions of codes: two toys."""


GOOD = Figures(
    dataset="celeba",
    output_shape=(3, 8, 8),
    data_digest="data",
    judge_digest="judge",
    score=0.1,
    finite=True,
    diversity=0.9,
)
BETTER = Comparison(seed=1, difference=-0.3, standard_error=0.1, p_value=0.001)


class Canary:
    """Leaves a file where it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.file),)

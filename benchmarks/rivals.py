r"""Trains a rival of faces-gan for so many seconds, and scores it as faces-gan is scored.

    python benchmarks/rivals.py r3gan --seconds 360 --rate 0.0002 --seed 1 --out r3gan.json

Rivals are written anew as their papers describe them, sized for minutes on a processor, and get
what makes ours fast: bfloat16 where their losses bear it, penalties in every eighth step, images
that wait in memory, convolutions in the layout that runs fastest. What is scored is the last
average; of ours validation chooses one of three, which favours ours a little. The clock counts
training alone. Beside the JSON lies a grid of 64 pictures.
"""

import argparse
import time
from pathlib import Path
from typing import Any, Protocol

import fastgan
import numpy as np
import r3gan
import torch
from steps import autocast, move
from torch import Tensor, nn

from atelier.data.images import to_bytes, to_float
from atelier.evaluation.faces import open_bounds, score_images
from atelier.evaluation.judge import open_judge
from atelier.evaluation.reference import open_reference
from atelier.evaluation.report import write_grid, write_metrics
from atelier.training import ema
from atelier.training.augment import DiffAugment
from atelier.training.randomness import StepRandomness

SAMPLES = 1000
SAMPLE_SEED = 1000
SIZE = 64
EMA_SHARE = 0.05
"""The average of weights that is scored: as ours, because the papers' suits long trainings."""


class Rival(Protocol):
    """Two networks, and what a step of each minimises."""

    LATENT: int
    BATCH: int
    BETAS: tuple[float, float]
    AUGMENT: DiffAugment
    """Of all that the discriminator sees."""

    def build_generator(self) -> nn.Module: ...
    def build_discriminator(self) -> nn.Module: ...
    def discriminator_loss(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, step: int
    ) -> Tensor:
        """Of augmented images in [-1, 1]."""
        ...

    def generator_loss(self, discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor: ...


RIVALS: dict[str, Rival] = {"fastgan": fastgan, "r3gan": r3gan}  # type: ignore[dict-item]


class Training:
    """Two nets, two optimizers, an average, and the clock that runs only while they learn."""

    def __init__(self, rival: Rival, pixels: Tensor, rate: float, seed: int) -> None:
        torch.manual_seed(seed)
        self.rival, self.pixels = rival, pixels
        self.generator = rival.build_generator().to(memory_format=torch.channels_last)
        self.discriminator = rival.build_discriminator().to(memory_format=torch.channels_last)
        self.average = ema.averaged_copy(self.generator)
        self.optimizers = [
            torch.optim.Adam(network.parameters(), rate, rival.BETAS, fused=True)
            for network in (self.discriminator, self.generator)
        ]
        self.seconds, self.images, self.steps = 0.0, 0, 0

    def step(self) -> None:
        started = time.perf_counter()
        real = self._reals()
        with autocast():
            fake = self.generator(torch.randn(len(real), self.rival.LATENT))
        of_discriminator, of_generator = self.optimizers
        with autocast():
            seen = self._augmented(real), self._augmented(fake.detach().float())
            loss = self.rival.discriminator_loss(self.discriminator, *seen, self.steps)
        move(of_discriminator, loss)
        self.discriminator.requires_grad_(False)
        with autocast():
            seen = self._augmented(real), self._augmented(fake.float())
            loss = self.rival.generator_loss(self.discriminator, *seen)
        move(of_generator, loss)
        self.discriminator.requires_grad_(True)
        self.images += len(real)
        self.steps += 1
        ema.update(self.average, self.generator, EMA_SHARE, self.images, len(real))
        self.seconds += time.perf_counter() - started

    def _reals(self) -> Tensor:
        """Drawn anew, each mirrored or not by chance, in [-1, 1]."""
        images = to_float(self.pixels[torch.randint(len(self.pixels), (self.rival.BATCH,))])
        return torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(-1), images)

    def _augmented(self, images: Tensor) -> Tensor:
        return self.rival.AUGMENT(images, StepRandomness(int(torch.randint(2**31, ())), 0, 0))

    @torch.inference_mode()
    def sample(self, count: int, seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """uint8 [count, 3, 64, 64], apart from the training's own draws."""
        rng = torch.Generator().manual_seed(seed)
        latents = torch.randn(count, self.rival.LATENT, generator=rng)
        return torch.cat([to_bytes(self.average(part)) for part in latents.split(100)]).numpy()


def main() -> None:
    options = read_options()
    torch.set_num_threads(options.threads)
    reference = open_reference(options.prepared, open_judge(options.judge), "test", SAMPLES)
    bounds = open_bounds(reference, SAMPLES, SAMPLE_SEED)
    pixels = torch.from_numpy(np.load(options.prepared / "training.npy"))
    if pixels.shape[-1] != SIZE:
        raise SystemExit(f"{options.prepared}: rivals draw {SIZE} px (got {pixels.shape[-1]}).")
    training = Training(RIVALS[options.rival], pixels, options.rate, options.seed)
    while training.seconds < options.seconds:
        training.step()
    pictures = training.sample(SAMPLES, SAMPLE_SEED)
    metrics = score_images(reference.features(pictures), reference, bounds, SAMPLE_SEED)
    told = {"rival": options.rival, "rate": options.rate, "seed": options.seed}
    reached = {"seconds": training.seconds, "images": training.images, "threads": options.threads}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_metrics(options.out, told | reached | metrics)
    write_grid(options.out.with_suffix(".png"), pictures[:64])
    kids = ", ".join(f"{name} {metrics[name]['kid']:.3f}" for name in reference.extractors)
    print(
        f"{options.rival} at {options.rate}: {training.images:,} images in "
        f"{training.seconds:.0f} s: KID {kids}"
    )


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    artifacts = Path("artifacts", "laptop", "celeba")
    parser.add_argument("rival", choices=RIVALS)
    parser.add_argument("--prepared", type=Path, default=artifacts / "prepared")
    parser.add_argument("--judge", type=Path, default=artifacts / "judge")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float, required=True, help="Adam's, of both networks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="as ours had; default 2")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()

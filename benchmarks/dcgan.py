r"""Trains the plain DCGAN that faces-gan is measured against, once, and scores it at three marks.

Body, loss and settings are those that the PyTorch examples' DCGAN states (Radford, Metz, Chintala
2015, arXiv 1511.06434), written anew: transposed convolutions from 100 normal numbers to 64 x 64
pixels, base width 64 in both nets, BatchNorm, a sigmoid and binary cross-entropy, Adam 0.0002
(0.5, 0.999) for both, weights from N(0, 0.02), batches of 128, one step of each net in turn, fp32.
To its favour its images wait decoded in memory; nothing else is changed.

    python benchmarks/dcgan.py --prepared artifacts/laptop/celeba/prepared \
        --judge artifacts/laptop/celeba/judge --seed 1 --seconds 260 --images 100000 \
        --out dcgan.json

The marks are T seconds, N images and 4 T seconds of training; the time that scoring takes does not
count. Beside the JSON lies a grid of 64 pictures for each mark.
"""

import argparse
import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from atelier.data.batches import read_manifest
from atelier.data.images import to_bytes, to_float
from atelier.evaluation.faces import open_bounds, score_images
from atelier.evaluation.judge import open_judge
from atelier.evaluation.reference import open_reference
from atelier.evaluation.report import write_grid, write_metrics

LATENT = 100
WIDTH = 64
SIZE = 64
BATCH = 128
SAMPLES = 1000
SAMPLE_SEED = 1000


@dataclass(frozen=True)
class Mark:
    """A moment of a training at which its generator is scored: whichever limit it names."""

    name: str
    seconds: float | None = None
    images: int | None = None

    def reached(self, seconds: float, images: int) -> bool:
        if self.seconds is not None:
            return seconds >= self.seconds
        return self.images is not None and images >= self.images


def build_generator() -> nn.Sequential:
    """[B, 100, 1, 1] -> [B, 3, 64, 64] in [-1, 1]."""
    layers: list[nn.Module] = []
    before = LATENT
    for step, width in enumerate((8 * WIDTH, 4 * WIDTH, 2 * WIDTH, WIDTH)):
        stride, padding = (1, 0) if step == 0 else (2, 1)
        layers += [
            nn.ConvTranspose2d(before, width, 4, stride, padding, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        before = width
    layers += [nn.ConvTranspose2d(before, 3, 4, 2, 1, bias=False), nn.Tanh()]
    return nn.Sequential(*layers).apply(initialise)


def build_discriminator() -> nn.Sequential:
    """[B, 3, 64, 64] -> [B, 1, 1, 1] probability that the picture is real."""
    layers: list[nn.Module] = [nn.Conv2d(3, WIDTH, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for before in (WIDTH, 2 * WIDTH, 4 * WIDTH):
        layers += [
            nn.Conv2d(before, 2 * before, 4, 2, 1, bias=False),
            nn.BatchNorm2d(2 * before),
            nn.LeakyReLU(0.2, inplace=True),
        ]
    layers += [nn.Conv2d(8 * WIDTH, 1, 4, bias=False), nn.Sigmoid()]
    return nn.Sequential(*layers).apply(initialise)


def initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def epochs(pixels: Tensor) -> Iterator[Tensor]:
    """Batches of [-1, 1] images without end: each epoch is shuffled, and its last batch smaller."""
    while True:
        for rows in torch.randperm(len(pixels)).split(BATCH):
            yield to_float(pixels[rows])


class Training:
    """Two nets, two optimizers, and the clock that runs only while they learn."""

    def __init__(self, pixels: Tensor, seed: int) -> None:
        torch.manual_seed(seed)
        self.generator, self.discriminator = build_generator(), build_discriminator()
        self.generator_optimizer = adam(self.generator)
        self.discriminator_optimizer = adam(self.discriminator)
        self.loss = nn.BCELoss()
        self.batches = epochs(pixels)
        self.seconds = 0.0
        self.images = 0
        self.steps = 0

    def step(self) -> None:
        started = time.perf_counter()
        reals = next(self.batches)
        ones, zeros = torch.ones(len(reals)), torch.zeros(len(reals))
        fakes = self.generator(torch.randn(len(reals), LATENT, 1, 1))
        self.discriminator_optimizer.zero_grad()
        self.loss(self.discriminator(reals).flatten(), ones).backward()
        self.loss(self.discriminator(fakes.detach()).flatten(), zeros).backward()
        self.discriminator_optimizer.step()
        self.generator_optimizer.zero_grad()
        self.loss(self.discriminator(fakes).flatten(), ones).backward()
        self.generator_optimizer.step()
        self.seconds += time.perf_counter() - started
        self.images += len(reals)
        self.steps += 1

    @torch.inference_mode()
    def sample(self, count: int, seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """uint8 [count, 3, 64, 64], apart from the training's own draws.

        With each batch's own statistics, as the example samples: its running ones lag behind in a
        short training, and would make it look worse than it is.
        """
        rng = torch.Generator().manual_seed(seed)
        latents = torch.randn(count, LATENT, 1, 1, generator=rng)
        generator = copy.deepcopy(self.generator).train()
        return torch.cat([to_bytes(generator(part)) for part in latents.split(100)]).numpy()


def adam(network: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=0.0002, betas=(0.5, 0.999))


def run(training: Training, marks: list[Mark], score: Callable[[Mark], None]) -> None:
    """Trains until every mark is reached, and scores at each."""
    waiting = list(marks)
    while waiting:
        training.step()
        for mark in [m for m in waiting if m.reached(training.seconds, training.images)]:
            score(mark)
            waiting.remove(mark)


def main() -> None:
    arguments = read_arguments()
    torch.set_num_threads(arguments.threads)
    size = read_manifest(arguments.prepared)["size_pixels"]
    if size != SIZE:
        raise SystemExit(f"{arguments.prepared}: this DCGAN draws {SIZE} px (got {size}).")
    reference = open_reference(arguments.prepared, open_judge(arguments.judge), "test", SAMPLES)
    references = open_bounds(reference, SAMPLES, SAMPLE_SEED)
    pixels = torch.from_numpy(np.load(arguments.prepared / "training.npy"))
    training = Training(pixels, arguments.seed)
    report: dict[str, Any] = {"seed": arguments.seed, "threads": arguments.threads, "marks": {}}

    def score(mark: Mark) -> None:
        pictures = training.sample(SAMPLES, SAMPLE_SEED)
        metrics = score_images(reference.features(pictures), reference, references, SAMPLE_SEED)
        reached = {
            "seconds": training.seconds,
            "images": training.images,
            "steps": training.steps,
        }
        report["marks"][mark.name] = reached | metrics
        write_metrics(arguments.out, report)
        write_grid(arguments.out.with_name(f"{arguments.out.stem}-{mark.name}.png"), pictures[:64])
        kids = ", ".join(f"{name} {metrics[name]['kid']:.4f}" for name in reference.extractors)
        so_far = f"{training.images} images, {training.seconds:.0f} s"
        print(f"{mark.name}: {so_far}: KID {kids}", flush=True)

    marks = [
        Mark("equal-seconds", seconds=arguments.seconds),
        Mark("equal-images", images=arguments.images),
        Mark("four-times-the-seconds", seconds=4 * arguments.seconds),
    ]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    run(training, marks, score)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--prepared", type=Path, required=True, help="a prepared dataset at 64 px")
    parser.add_argument("--judge", type=Path, required=True, help="that dataset's judge")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="T")
    parser.add_argument("--images", type=int, required=True, help="N, reals shown to D")
    parser.add_argument("--threads", type=int, default=2, help="as faces-gan had; default 2")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()

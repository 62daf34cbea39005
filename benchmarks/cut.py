r"""Trains CUT, a rival of the translations, for so many seconds, and scores it as they are scored.

    python benchmarks/cut.py horse2zebra --seconds 350 --rate 0.0002 --seed 1 --out cut.json

Park et al. 2020, arXiv 2007.15651, sections 3 and 4: one generator a direction; what stays is held
by contrast, in which a patch of the output must be nearer to the input's patch of its own place
than to 255 others, in five of the generator's layers, and likewise of images of the goal that go
through unchanged; least-squares adversarial loss, batches of 1, Adam (0.5, 0.999) at a constant
rate. Bodies are those of our own classic CycleGAN at `laptop` (width 16, four residual blocks,
patches of 16 pixels), because the paper's, sixteen times as dear, would make a few hundred steps.
Each direction has half of the seconds, as ours trains both. The clock counts training alone.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from steps import autocast, move
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from atelier import config
from atelier.data.batches import Batches, open_batches
from atelier.data.images import to_bytes, to_float
from atelier.evaluation.domains import A2B, B2A
from atelier.evaluation.features import Images
from atelier.evaluation.report import write_grid, write_metrics
from atelier.evaluation.sheets import above
from atelier.evaluation.translation import score_directions
from atelier.models import cyclegan
from atelier.paths import Paths
from atelier.tasks.context import Context
from atelier.tasks.translation import open_both
from atelier.training import ema
from atelier.training.randomness import StepRandomness

SIZES = cyclegan.Config(
    name="cyclegan", generator_width=16, residual_blocks=4, discriminator_width=32,
    receptive_field=16, upsampling="resize", output="image",
)  # fmt: skip
BETAS = (0.5, 0.999)
PATCHES = 256
PROJECTED = 256
"""Width of the two-layer network that each layer's features pass before they are compared."""
TEMPERATURE = 0.07
EMA_SHARE = 0.05
SHOWN = 24
CHUNK = 50


def compared_layers(generator: cyclegan.Generator) -> list[int]:
    """Places in its layers: the padded input, both halvings, the first and the last block."""
    kinds = list(generator.layers)
    halvings = [
        place for place, layer in enumerate(kinds)
        if isinstance(layer, nn.Conv2d) and layer.stride == (2, 2)
    ]  # fmt: skip
    blocks = [place for place, layer in enumerate(kinds) if isinstance(layer, cyclegan.Residual)]
    return [0, *halvings, blocks[0], blocks[-1]]


def features(generator: cyclegan.Generator, images: Tensor, places: Sequence[int]) -> list[Tensor]:
    """The generator's maps at these places, as it would translate the images."""
    found, maps = [], images
    for place, layer in enumerate(generator.layers):
        maps = layer(maps)
        if place in places:
            found.append(maps)
        if place == max(places):
            break
    return found


class Projection(nn.Module):
    """[N, C] -> [N, PROJECTED] of length 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        layers = nn.Linear(channels, PROJECTED), nn.ReLU(), nn.Linear(PROJECTED, PROJECTED)
        self.layers = nn.Sequential(*layers)

    def forward(self, rows: Tensor) -> Tensor:
        return normalize(self.layers(rows).float(), dim=1)


def patch_contrast(queries: Tensor, keys: Tensor) -> Tensor:
    """Each query [N, P] shall be nearest to the key of its own row: equation 3."""
    logits = queries @ keys.detach().T / TEMPERATURE
    return cross_entropy(logits, torch.arange(len(queries)))


class Training:
    """One direction: a generator, a discriminator of its goal, and the projections."""

    def __init__(self, batches: Batches, turned: bool, rate: float, seed: int) -> None:
        torch.manual_seed(seed)
        nets = cyclegan.build(SIZES, tuple(batches.shape))
        generator = nets["a2b"]
        assert isinstance(generator, cyclegan.Generator)
        self.generator, self.discriminator = generator, nets["discriminator_b"]
        self.places = compared_layers(generator)
        found = features(generator, torch.zeros(1, *batches.shape), self.places)
        self.projections = nn.ModuleList(Projection(maps.shape[1]) for maps in found)
        self.average = ema.averaged_copy(generator)
        learns = [*generator.parameters(), *self.projections.parameters()]
        self.of_generator = torch.optim.Adam(learns, rate, BETAS, fused=True)
        self.of_discriminator = torch.optim.Adam(
            self.discriminator.parameters(), rate, BETAS, fused=True
        )
        self.batches, self.turned, self.seed = batches, turned, seed
        self.seconds, self.steps = 0.0, 0

    def step(self) -> None:
        started = time.perf_counter()
        drawn = self.batches.take(StepRandomness(self.seed, self.steps, 0), 1)
        given, goal = drawn["real"], drawn["other"]
        if self.turned:
            given, goal = goal, given
        with autocast():
            made = self.generator(given)
            real, fake = self.discriminator(goal), self.discriminator(made.detach())
            loss = ((real.float() - 1).square().mean() + fake.float().square().mean()) / 2
        move(self.of_discriminator, loss)
        self.discriminator.requires_grad_(False)
        with autocast():
            loss = (self.discriminator(made).float() - 1).square().mean()
            same = self.generator(goal)
            loss = loss + (self.contrast(given, made) + self.contrast(goal, same)) / 2
        move(self.of_generator, loss)
        self.discriminator.requires_grad_(True)
        self.steps += 1
        ema.update(self.average, self.generator, EMA_SHARE, self.steps, 1)
        self.seconds += time.perf_counter() - started

    def contrast(self, given: Tensor, made: Tensor) -> Tensor:
        """Mean over layers, of as many places as there are or are wanted."""
        maps = zip(
            features(self.generator, made, self.places),
            features(self.generator, given, self.places),
            self.projections,
            strict=True,
        )
        losses = []
        for ours, theirs, project in maps:
            rows = torch.randperm(ours[0, 0].numel())[:PATCHES]
            picked = [both[0].flatten(1).T[rows] for both in (ours, theirs)]
            losses.append(patch_contrast(*map(project, picked)))
        return torch.stack(losses).mean()

    @torch.inference_mode()
    def translate(self, images: Images) -> Images:
        """uint8 [N, 3, S, S] -> the same in the goal."""
        inputs = to_float(torch.from_numpy(images.copy())).split(CHUNK)
        return torch.cat([to_bytes(self.average(part)) for part in inputs]).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("experiment", help="whose data it takes, such as horse2zebra")
    parser.add_argument("--scale", default="laptop")
    parser.add_argument("--seconds", type=float, required=True, help="of both directions together")
    parser.add_argument("--rate", type=float, required=True, help="Adam's, of all networks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2, help="as ours had; default 2")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    experiment = config.load_experiment(options.scale, options.experiment)
    context = Context(experiment, Paths(options.scale), "test")
    batches = open_batches(
        context.prepared, torch.device("cpu"), experiment.training.flip, experiment.sampling
    )
    trained: dict[str, Training] = {}
    for direction in (A2B, B2A):
        trained[direction] = Training(batches, direction == B2A, options.rate, options.seed)
        while trained[direction].seconds < options.seconds / 2:
            trained[direction].step()
    directions = open_both(context)
    metrics: dict[str, Any] = score_directions(
        trained[A2B].translate, trained[B2A].translate, directions, context.prepared,
        tuple(context.trusted_labels),
    )  # fmt: skip
    told = {"rate": options.rate, "seed": options.seed, "seconds": options.seconds}
    steps = {"steps": {name: training.steps for name, training in trained.items()}}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_metrics(options.out, told | steps | metrics)
    for name, training in trained.items():
        given = directions.of[name].inputs[:SHOWN]
        place = options.out.with_name(f"{options.out.stem}-{name}.png")
        write_grid(place, above(given, training.translate(given)))
    print(f"cut at {options.rate}: {steps['steps']} steps; figures in {options.out}")


if __name__ == "__main__":
    main()

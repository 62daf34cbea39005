r"""Our steps beside those of our peers: the same networks, mathematics and batch, in turn.

    python benchmarks/peers.py --out peers.json

The plain steps are those of the PyTorch examples' DCGAN and of CycleGAN's reference, written anew
as their authors run them: single precision, channels first, Adam as it comes, each pass by itself.
Theirs and ours have processes of their own, which run a round each in turn: what our start changes
in a process (threads, memory, tiny numbers) is not given to theirs. To their favour, their images
wait decoded in memory. Before anything is timed, the losses of both are found to be the same.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from subprocess import DEVNULL, PIPE
from typing import Any

import torch
from bench import Bench, of_noise, of_side
from gpu_pictures import exact_fp32
from gpu_training import wait
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, l1_loss, mse_loss

from atelier import config
from atelier.device import visible
from atelier.display import print_table
from atelier.models import MODELS
from atelier.objectives.phase import Batch
from atelier.training.randomness import StepRandomness

LATENT = 100
POOL = 50
CYCLE, IDENTITY = 10.0, 0.5
LEARNING_RATE, BETAS = 2e-4, (0.5, 0.999)
PICTURES = 512
AGREE = 1e-4
"""Largest relative difference between two losses that are the same."""
SIDES = ("peer", "fp32", "bf16")
COLUMNS = ("step", "theirs, images/s", "ours, fp32", "times", "ours, bf16", "times")


class Peer(ABC):
    """Somebody's training, of networks that are given."""

    networks: tuple[str, ...]
    domains = 1

    def __init__(self, nets: nn.ModuleDict) -> None:
        self.nets = nets

    @abstractmethod
    def losses(self, images: list[Tensor], noise: Tensor) -> tuple[Tensor, Tensor]:
        """The makers' and the discriminators', of the same weights."""

    @abstractmethod
    def step(self, images: list[Tensor]) -> None: ...

    def adam(self, *names: str) -> torch.optim.Adam:
        parameters = [weight for name in names for weight in self.nets[name].parameters()]
        return torch.optim.Adam(parameters, lr=LEARNING_RATE, betas=BETAS)


class DcganExample(Peer):
    """Radford et al. 2015, arXiv 1511.06434, as the PyTorch examples have it."""

    networks = ("generator", "discriminator")

    def __init__(self, nets: nn.ModuleDict) -> None:
        super().__init__(nets)
        self.optimizers = self.adam("discriminator"), self.adam("generator")

    def losses(self, images: list[Tensor], noise: Tensor) -> tuple[Tensor, Tensor]:
        fake = self.nets["generator"](noise)
        of_fake = self.error(fake.detach(), 0)
        return self.error(fake, 1), self.error(images[0], 1) + of_fake

    def step(self, images: list[Tensor]) -> None:
        discriminator, generator = self.optimizers
        self.nets["discriminator"].zero_grad()
        self.error(images[0], 1).backward()
        noise = torch.randn(len(images[0]), LATENT, device=images[0].device)
        fake = self.nets["generator"](noise)
        self.error(fake.detach(), 0).backward()
        discriminator.step()
        self.nets["generator"].zero_grad()
        self.error(fake, 1).backward()
        generator.step()

    def error(self, images: Tensor, label: float) -> Tensor:
        chances = torch.sigmoid(self.nets["discriminator"](images))
        return binary_cross_entropy(chances, torch.full_like(chances, label))


class CycleGanReference(Peer):
    """Zhu et al. 2017, arXiv 1703.10593, least squares, identity, and a pool of 50."""

    networks = ("a2b", "b2a", "discriminator_a", "discriminator_b")
    domains = 2

    def __init__(self, nets: nn.ModuleDict) -> None:
        super().__init__(nets)
        self.makers = self.adam("a2b", "b2a")
        self.judges = self.adam("discriminator_a", "discriminator_b")
        self.pools: tuple[list[Tensor], list[Tensor]] = ([], [])

    def losses(self, images: list[Tensor], noise: Tensor) -> tuple[Tensor, Tensor]:
        loss, fakes = self.of_makers(*images)
        of_judges = [self.of_judge(*each) for each in zip("ab", images, fakes, strict=True)]
        return loss, torch.stack(of_judges).sum()

    def step(self, images: list[Tensor]) -> None:
        for name in ("discriminator_a", "discriminator_b"):
            self.nets[name].requires_grad_(False)
        self.makers.zero_grad()
        loss, fakes = self.of_makers(*images)
        loss.backward()
        self.makers.step()
        for name in ("discriminator_a", "discriminator_b"):
            self.nets[name].requires_grad_(True)
        self.judges.zero_grad()
        for domain, real, fake, pool in zip("ab", images, fakes, self.pools, strict=True):
            self.of_judge(domain, real, self.exchanged(pool, fake)).backward()
        self.judges.step()

    def of_makers(self, a: Tensor, b: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        a2b, b2a = self.nets["a2b"], self.nets["b2a"]
        fake_b = a2b(a)
        back_a = b2a(fake_b)
        fake_a = b2a(b)
        back_b = a2b(fake_a)
        loss = CYCLE * IDENTITY * (l1_loss(a2b(b), b) + l1_loss(b2a(a), a))
        loss = loss + CYCLE * (l1_loss(back_a, a) + l1_loss(back_b, b))
        for domain, fake in (("a", fake_a), ("b", fake_b)):
            loss = loss + self.error(domain, fake, 1)
        return loss, (fake_a.detach(), fake_b.detach())

    def of_judge(self, domain: str, real: Tensor, fake: Tensor) -> Tensor:
        return 0.5 * (self.error(domain, real, 1) + self.error(domain, fake, 0))

    def error(self, domain: str, images: Tensor, label: float) -> Tensor:
        logits = self.nets[f"discriminator_{domain}"](images)
        return mse_loss(logits, torch.full_like(logits, label))

    @staticmethod
    def exchanged(pool: list[Tensor], fakes: Tensor) -> Tensor:
        given = []
        for fake in fakes:
            place = int(torch.randint(POOL, ()))
            if len(pool) < POOL:
                pool.append(fake)
            elif torch.rand(()) < 0.5:
                pool[place], fake = fake, pool[place]
            given.append(fake)
        return torch.stack(given)


@dataclass(frozen=True)
class Case:
    """A step that a peer and we both take."""

    experiment: str
    """Whose data and logging we take."""
    side: int
    batch: int
    model: Mapping[str, Any]
    objective: Mapping[str, Any]
    peer: type[Peer]

    def work(self, precision: str) -> tuple[config.Experiment, config.Dataset]:
        work = config.load_experiment("laptop", self.experiment)
        dataset = config.load_dataset("laptop", work.dataset)
        adam = {"learning_rate": LEARNING_RATE, "betas": BETAS, "schedule": "constant"}
        body = work.model_dump() | {"model": self.model, "objective": self.objective}
        body["training"] |= {
            "batch_size": self.batch, "precision": precision, "flip": False, "augmentation": None,
            "channels_last": True,
            "optimizers": dict.fromkeys(self.peer.networks, adam),
        }  # fmt: skip
        return config.Experiment.model_validate(body), of_side(dataset, self.side)


DCGAN = {
    "name": "dcgan", "latent_dim": LATENT, "generator_width": 64, "discriminator_width": 64,
    "discriminator_norm": "batch",
}  # fmt: skip
CYCLEGAN = {
    "name": "cyclegan", "generator_width": 64, "residual_blocks": 9, "discriminator_width": 64,
    "upsampling": "transposed", "output": "image",
}  # fmt: skip
CYCLE_LOSSES = {
    "name": "cyclegan", "adversarial": "lsgan", "cycle": CYCLE, "identity": IDENTITY,
    "identity_until": 1.0, "pool": POOL,
}  # fmt: skip
CASES: Mapping[str, Case] = {
    "DCGAN, 64 pixels": Case("faces-gan", 64, 64, DCGAN, {"name": "bce"}, DcganExample),
    "CycleGAN, 64 pixels": Case(
        "horse2zebra", 64, 1, CYCLEGAN | {"receptive_field": 34}, CYCLE_LOSSES, CycleGanReference
    ),
    "CycleGAN, 256 pixels": Case(
        "horse2zebra", 256, 1, CYCLEGAN | {"receptive_field": 70}, CYCLE_LOSSES, CycleGanReference
    ),
}


def ours(case: Case, precision: str, scratch: Path) -> Bench:
    return of_noise(case.experiment, *case.work(precision), scratch)


def pictures(case: Case, count: int) -> list[Tensor]:
    """Noise in [-1, 1], of one domain or two, where it is computed with."""
    generator = torch.Generator().manual_seed(1)
    shape = (count, 3, case.side, case.side)
    drawn = (torch.rand(shape, generator=generator) for _ in range(case.peer.domains))
    return [(each * 2 - 1).to(visible()) for each in drawn]


def check(case: Case) -> None:
    """That both mean the same: losses in fp32 of the same weights, images and noise."""
    with tempfile.TemporaryDirectory() as scratch:
        learner = ours(case, "fp32", Path(scratch)).learner
    images, rng = pictures(case, case.batch), StepRandomness(1, 0, 0, device=visible())
    with exact_fp32():
        losses = case.peer(learner.nets).losses(images, rng.copy().normal(case.batch, LATENT))
        batch = Batch(images[0], other=images[-1])
        mine = {
            phase.name.rstrip("s"): learner.objective.loss(phase, learner.nets, batch, rng.copy())[
                0
            ]
            for phase in learner.phases
        }
    for name, theirs in zip(("generator", "discriminator"), losses, strict=True):
        assert math.isclose(mine[name].item(), theirs.item(), rel_tol=AGREE), (case, name)


def serve(case: Case, side: str, seconds: float) -> None:
    """A round for each line that is read, and how many images it made a second."""
    with tempfile.TemporaryDirectory() as scratch:
        step = (
            plain_steps(case) if side == "peer" else ours(case, side, Path(scratch)).run.take_step
        )
        for _ in sys.stdin:
            steps, started = 0, time.perf_counter()
            while time.perf_counter() - started < seconds:
                step()
                steps += 1
            wait(visible())
            print(steps * case.batch / (time.perf_counter() - started), flush=True)


def plain_steps(case: Case) -> Callable[[], None]:
    work, _ = case.work("fp32")
    torch.manual_seed(1)
    nets = MODELS[work.model.name].build(work.model, (3, case.side, case.side), 0).to(visible())
    peer, images = case.peer(nets), pictures(case, PICTURES if case.side < 128 else 16)

    def step() -> None:
        rows = torch.randint(len(images[0]), (case.batch,), device=images[0].device)
        peer.step([domain[rows] for domain in images])

    return step


def compare(name: str, seconds: float, rounds: int) -> dict[str, list[float]]:
    """Images a second of each round, the sides in turn; the first round warms up."""
    words = [sys.executable, __file__, "--seconds", str(seconds), "--serve", name]
    serving = {
        side: subprocess.Popen([*words, side], stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True)
        for side in SIDES
    }
    rates: dict[str, list[float]] = {side: [] for side in SIDES}
    try:
        for turn in range(rounds + 1):
            for side, process in serving.items():
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write("round\n")
                process.stdin.flush()
                rate = float(process.stdout.readline())
                if turn:
                    rates[side].append(rate)
    finally:
        for process in serving.values():
            process.kill()
            process.wait()
    return rates


def cells(name: str, rates: Mapping[str, list[float]]) -> tuple[str, ...]:
    """Medians, and medians of each round's quotients."""
    found = [name, f"{median(rates['peer']):.2f}"]
    for side in ("fp32", "bf16"):
        times = median(a / b for a, b in zip(rates[side], rates["peer"], strict=True))
        found += [f"{median(rates[side]):.2f}", f"{times:.2f}"]
    return tuple(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("steps", nargs="*", default=CASES, help="default all")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a round, at least")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="a JSON file of every round")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        name, side = options.serve
        serve(CASES[name], side, options.seconds)
        return
    found = {}
    for name in options.steps:
        check(CASES[name])
        found[name] = compare(name, options.seconds, options.rounds)
        print(" | ".join(cells(name, found[name])), file=sys.stderr, flush=True)
        if options.out:
            options.out.write_text(json.dumps(found, indent=1) + "\n")
    print_table(COLUMNS, [cells(name, rates) for name, rates in found.items()])


if __name__ == "__main__":
    main()

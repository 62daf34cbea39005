r"""How near each training comes to what its own convolutions and matrix products could do.

In turn, in many short rounds, and in a process of its own for each experiment: steps of a training
as the loop takes them; the same convolutions and matrix products alone, collected from a step with
their shapes, strides and types; and the best bare convolution of this machine at that precision.

    python benchmarks/bench.py                          all experiments of scale laptop
    python benchmarks/bench.py faces-gan --profile .    where its steps go, and a trace to open

Pictures are of noise: how fast a step is does not depend on them. Where a training has parts, each
is measured in its middle and counts by its share of the images.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from gpu_training import Work, wait
from torch import Tensor
from torch.nn.functional import conv2d
from torch.utils.flop_counter import flop_registry

from atelier import config, params
from atelier.display import print_table
from atelier.training import loop, runtime, setup
from atelier.training.cost import OperationCounter

PICTURES = 512
BARE = ((48, 32), (96, 16), (192, 8))
"""Channels and sides of the 3x3 convolutions that show what the machine can."""
BARE_BATCH = 32
COLUMNS = (
    "experiment", "images/s", "GFLOP/s", "its convolutions and products alone", "share of these",
    "best bare convolution", "share of it", "peak memory, MB",
)  # fmt: skip


@dataclass
class Part:
    """Of a training: the stretch between two changes of what its steps do."""

    share: float
    images: int
    """Of a round."""
    operations: float
    """Of a round's convolutions and products."""
    whole: list[float] = field(default_factory=list)
    """Seconds of each round's steps,"""
    alone: list[float] = field(default_factory=list)
    """and of its convolutions and products alone."""


@dataclass(frozen=True)
class Described:
    """A tensor's form, as an operator was given it."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    def made(self) -> Tensor:
        # What was expanded repeats one number along a stride of nothing.
        sizes = [size if step else 1 for size, step in zip(self.sizes, self.strides, strict=True)]
        base = torch.empty_strided(sizes, self.strides, dtype=self.dtype, device=self.device)
        filled = base.normal_() if self.dtype.is_floating_point else base.zero_()
        return filled.expand(self.sizes)


class Collector(OperationCounter):
    """Also tells which convolutions and matrix products these are, and how often each is called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[tuple[Any, ...]] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in flop_registry:
            words = tuple(sorted((kwargs or {}).items()))
            self.calls[func, _described(args), words] += 1
        return super().__torch_dispatch__(func, types, args, kwargs)


def _described(value: Any) -> Any:
    if isinstance(value, Tensor):
        return Described(tuple(value.shape), value.stride(), value.dtype, value.device)
    return tuple(map(_described, value)) if isinstance(value, list | tuple) else value


def _given(value: Any) -> Any:
    if isinstance(value, Described):
        return value.made()
    return [_given(one) for one in value] if isinstance(value, tuple) else value


def replay(calls: Counter[tuple[Any, ...]]) -> Callable[[], None]:
    """All the calls, of tensors of those forms, which are made beforehand."""
    ready = [
        (func, [_given(one) for one in args], dict(words), times)
        for (func, args, words), times in calls.items()
    ]

    def run() -> None:
        with torch.inference_mode():
            for func, args, words, times in ready:
                for _ in range(times):
                    func(*args, **words)

    return run


def of_side(dataset: config.Dataset, side: int) -> config.Dataset:
    """The same with pictures of another side."""
    data = dataset.data.model_copy(update={"size_pixels": side})
    return dataset.model_copy(update={"data": data})


def noise_for(work: Work, dataset: config.Dataset, folder: Path) -> Path:
    """A prepared dataset of that layout, of noise, with every label that the training names."""
    manifest: dict[str, Any] = {"layout": dataset.data.layout, "dataset": dataset.name}
    if dataset.data.layout != "numbers":
        size, sampling = dataset.data.size_pixels, getattr(work, "sampling", None)
        assert size is not None
        draw = np.random.default_rng(0)
        domains = [dict(getattr(sampling, side, {})) for side in ("a", "b")]
        names = {*getattr(sampling, "attributes", ()), *getattr(sampling, "balance", ())}
        names |= {name for domain in domains for name in domain}
        if isinstance(work, config.Judge):
            names = {f"label {index}" for index in range(40)}
        ordered = sorted(names)
        labels = draw.integers(0, 2, (PICTURES, len(ordered)), dtype=np.uint8)
        for rows, domain in zip(np.array_split(np.arange(PICTURES), 2), domains, strict=True):
            for name, value in domain.items():
                labels[rows, ordered.index(name)] = value
        np.save(folder / "training_labels.npy", labels)
        shape = (PICTURES, 3, size, size)
        np.save(folder / "training.npy", draw.integers(0, 256, shape, dtype=np.uint8))
        manifest["labels"] = ordered
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


class Bench:
    """One experiment's training, which can be put to any share of its images."""

    def __init__(self, name: str, work: Work, prepared: Path, folder: Path) -> None:
        self.precision = runtime.resolve_precision(work.training.precision)
        fabric = runtime.launch(self.precision)
        self.learner = setup.build(work, prepared, fabric)
        self.device = fabric.device
        self.run = loop._Run(name, work, self.learner, folder, None)
        self.steps = max(phase.every for phase in self.learner.phases)
        """Of a round: in so many, each phase has its turn."""

    def parts(self) -> list[tuple[float, float]]:
        """Where the training's parts begin and end, as shares of its images."""
        changes = {at for phase in self.learner.phases for at in (phase.begins, phase.until)}
        ends = sorted({0.0, 1.0, *changes})
        return list(pairwise(ends))

    def enter(self, progress: float) -> None:
        """As if the training had come so far."""
        clock = self.run.clock
        clock.step = int(progress * self.run.planned / clock.batch_size) // self.steps * self.steps
        for index, phase in enumerate(self.learner.phases):
            if phase.prepare is not None and phase.is_due(clock.step, self.run.progress):
                self.run._prepare(index, phase.prepare)

    def round(self) -> None:
        """So many steps, from the same one each time."""
        before = self.run.clock.step
        for _ in range(self.steps):
            self.run.take_step()
        self.run.clock.step = before

    def timed(self, run: Callable[[], None]) -> float:
        wait(self.device)
        started = time.perf_counter()
        run()
        wait(self.device)
        return time.perf_counter() - started

    def measure(self, seconds: float) -> tuple[list[Part], float]:
        """Each part in rounds of so many seconds together, and the best bare convolution."""
        parts, bare = [], Bare(self.precision, self.device)
        best: list[float] = []
        for begins, ends in self.parts():
            self.enter((begins + ends) / 2)
            self.round()
            with Collector() as collected:
                self.round()
            alone = replay(collected.calls)
            alone()
            part = Part(ends - begins, self.steps * self.run.clock.batch_size, collected.operations)
            until = time.perf_counter() + seconds * part.share
            while len(part.whole) < 3 or time.perf_counter() < until:
                part.whole.append(self.timed(self.round))
                part.alone.append(self.timed(alone))
                best.append(bare.fastest(self.timed))
            parts.append(part)
        return parts, median(best)


def of_noise(name: str, work: Work, dataset: config.Dataset, folder: Path) -> Bench:
    """A training whose pictures are noise; all that it writes is in `folder`."""
    (prepared := folder / "prepared").mkdir()
    return Bench(name, work, noise_for(work, dataset, prepared), folder)


class Bare:
    """Convolutions as no network wraps them, forward and backward."""

    def __init__(self, precision: str, device: torch.device) -> None:
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.pairs = []
        for channels, side in BARE:
            shape = (BARE_BATCH, channels, side, side)
            given = torch.randn(shape, dtype=dtype, device=device)
            weight = torch.randn((channels, channels, 3, 3), dtype=dtype, device=device)
            pair = [
                one.to(memory_format=torch.channels_last).requires_grad_()
                for one in (given, weight)
            ]
            self.pairs.append((pair, 3 * 2 * given.numel() * 9 * channels))

    def fastest(self, timed: Callable[[Callable[[], None]], float]) -> float:
        """Operations a second."""

        def run(pair: list[Tensor]) -> None:
            torch.autograd.grad(conv2d(*pair, padding=1).sum(), pair)

        return max(operations / timed(lambda p=pair: run(p)) for pair, operations in self.pairs)


def row(name: str, parts: Iterable[Part], bare: float, peak_mb: float) -> dict[str, Any]:
    """Over the parts, by their shares of the images."""
    whole = sum(part.share * median(part.whole) / part.images for part in parts)
    alone = sum(part.share * median(part.alone) / part.images for part in parts)
    operations = sum(part.share * part.operations / part.images for part in parts)
    return {
        "experiment": name,
        "images_per_second": 1 / whole,
        "gflops": operations / whole / 1e9,
        "gflops_alone": operations / alone / 1e9,
        "share_of_alone": alone / whole,
        "gflops_bare": bare / 1e9,
        "share_of_bare": operations / whole / bare,
        "peak_mb": peak_mb,
    }


def one(name: str, scale: str, seconds: float, profile: Path | None) -> dict[str, Any]:
    """What one experiment's row says."""
    work = config.load_experiment(scale, name)
    dataset = config.load_dataset(scale, work.dataset)
    with tempfile.TemporaryDirectory() as scratch:
        bench = of_noise(name, work, dataset, Path(scratch))
        parts, bare = bench.measure(seconds)
        if profile is not None:
            look_into(bench, profile / f"{name}.trace.json")
    found = row(name, parts, bare, peak_mb(bench.device))
    return found | {"precision": bench.precision, "parts": [asdict(part) for part in parts]}


def peak_mb(device: torch.device) -> float:
    """Of the GPU's memory that tensors took, or of the memory that this process did."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def look_into(bench: Bench, trace: Path) -> None:
    """Prints where a round of the last part goes, and leaves a trace for chrome://tracing."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if bench.device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as profile:
        bench.round()
    order = f"self_{bench.device.type}_time_total"
    print(profile.key_averages().table(sort_by=order, row_limit=25), file=sys.stderr)
    profile.export_chrome_trace(str(trace))


def cells(found: dict[str, Any]) -> tuple[str, ...]:
    return (
        found["experiment"],
        f"{found['images_per_second']:.0f}",
        f"{found['gflops']:.0f}",
        f"{found['gflops_alone']:.0f}",
        f"{found['share_of_alone']:.0%}",
        f"{found['gflops_bare']:.0f}",
        f"{found['share_of_bare']:.0%}",
        f"{found['peak_mb']:.0f}",
    )


def by_itself(*words: str) -> dict[str, Any]:
    """What this script prints last with those words, in a process of its own."""
    ran = subprocess.run([sys.executable, sys.argv[0], *words], stdout=subprocess.PIPE, check=True)
    row: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return row


def told(
    rows: Iterable[dict[str, Any]],
    cells: Callable[[dict[str, Any]], tuple[str, ...]],
    out: Path | None,
) -> list[dict[str, Any]]:
    """All rows; each is said, and written with those before it, as soon as it is measured."""
    found = []
    for row in rows:
        found.append(row)
        print(" | ".join(cells(row)), file=sys.stderr, flush=True)
        if out:
            out.write_text(json.dumps(found, indent=1) + "\n")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("experiments", nargs="*", help="of params.yaml; default all")
    parser.add_argument("--scale", default="laptop")
    parser.add_argument("--seconds", type=float, default=30.0, help="of rounds, each")
    parser.add_argument("--profile", type=Path, help="a folder for traces; prints tables, too")
    parser.add_argument("--out", type=Path, help="a JSON file of all that was measured")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = options.experiments or params.listed_experiments()
    if options.alone:
        print(json.dumps(one(names[0], options.scale, options.seconds, options.profile)))
        return
    words = ["--scale", options.scale, "--seconds", str(options.seconds), "--alone"]
    words += ["--profile", str(options.profile)] if options.profile else []
    found = told((by_itself(name, *words) for name in names), cells, options.out)
    print_table(COLUMNS, [cells(one) for one in found])


if __name__ == "__main__":
    main()

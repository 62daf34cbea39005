"""How fast steps are at several sides, for gpu.py: plain, as our files have them, and compiled.

Plain is what nobody has tuned: single precision without TF32, channels first, not compiled. Beside
it stand the settings that might be the best, of which the fastest counts; its share of what the
device's matrix product reaches in bf16; what it waits, and how long it compiles. Of two networks
the plain step is a peer's (peers.py).

Pictures are of noise, batches those of the files, and a GAN of three parts plays its game.
"""

import contextlib
import gc
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from bench import Bench, noise_for, of_side
from gpu_measurement import say
from gpu_pictures import exact_fp32
from gpu_tables import COMPILED, PLAIN, Report, fastest, line_of
from gpu_training import ENDLESS, Work, changed, wait, waits_counted
from peers import CASES, plain_steps
from peers import Case as PeersCase
from scaling import LATE

from atelier import config
from atelier.device import visible
from atelier.training import runtime
from atelier.training.cost import OperationCounter

ROUND_STEPS = 8
"""Of a round at least: a GPU works ahead of the processor but at a round's end."""
PEERS = ("DCGAN, 64 pixels", "CycleGAN, 256 pixels")
SMALL: Mapping[str, Mapping[str, Any]] = {
    "dcgan": {"generator_width": 8, "discriminator_width": 8},
    "cyclegan": {
        "generator_width": 4, "discriminator_width": 4, "residual_blocks": 1, "receptive_field": 16,
    },
}  # fmt: skip
"""Sizes at which a processor takes the peers' steps, too; side and batch are these:"""
SMALL_SIDE, SMALL_BATCH = 32, 2
MATRIX, SMALL_MATRIX, PRODUCTS = 8192, 512, 10
SPENT = "no time left"
FIRST, OWN_SIDE, OTHER_SIDE = range(3)
Written = Callable[[], None]


@dataclass(frozen=True)
class Setting:
    """How steps are taken: what is changed in a file's training."""

    name: str
    training: Mapping[str, Any]

    @property
    def plain(self) -> bool:
        return self.name == PLAIN

    @property
    def compiled(self) -> bool:
        return bool(self.training["compile"])

    def compiling(self) -> "Setting":
        return Setting(self.name + COMPILED, {**self.training, "compile": True})


@dataclass(frozen=True)
class Steps:
    """A round of a training's steps, which can be taken again and again."""

    take: Callable[[], None]
    count: int
    images: int

    def timed(self) -> float:
        wait(visible())
        started = time.perf_counter()
        self.take()
        wait(visible())
        return time.perf_counter() - started


@dataclass(frozen=True)
class Case:
    """A training whose steps are timed in several settings."""

    name: str
    work: Work
    dataset: config.Dataset
    rank: int
    """What is measured first: a peer's, one of the file's own side, any other."""
    settings: tuple[Setting, ...]
    """Plain, and what might be the best of those that are not compiled."""
    peer: PeersCase | None = None
    """Whose plain steps are taken instead of ours."""

    @property
    def key(self) -> str:
        side = self.dataset.data.size_pixels
        return self.name if side is None else f"{self.name} {side}"

    def steps(self, setting: Setting, scratch: Path) -> Steps:
        """Built anew; a folder in `scratch` keeps the pictures for its other settings."""
        if self.peer is not None and setting.plain:
            return repeated(plain_steps(self.peer), 1, self.peer.batch)
        work = changed(self.work, images=ENDLESS, **setting.training)
        prepared = scratch / self.key / "prepared"
        if not prepared.exists():
            prepared.mkdir(parents=True)
            noise_for(work, self.dataset, prepared)
        bench = Bench(self.name, work, prepared, prepared.parent)
        bench.enter(LATE)
        return repeated(bench.round, bench.steps, bench.steps * work.training.batch_size)


def repeated(take: Callable[[], None], steps: int, images: int) -> Steps:
    """Rounds as long as they should be, of shorter ones."""
    times = -(-ROUND_STEPS // steps)

    def round_() -> None:
        for _ in range(times):
            take()

    return Steps(round_, times * steps, times * images)


def settings(precision: str, *channels_last: bool) -> tuple[Setting, ...]:
    """Plain, and in that precision with channels last, first, or each."""
    tuned = (
        Setting(
            f"{precision}, channels {'last' if last else 'first'}",
            {"precision": precision, "channels_last": last, "compile": False},
        )
        for last in channels_last
    )
    plain = {"precision": "fp32", "channels_last": False, "compile": False}
    return (Setting(PLAIN, plain), *tuned)


def cases(scale: str, names: list[str], sides: list[int]) -> list[Case]:
    """The peers' steps, and those of a scale's experiments at these sides; `numbers` have none."""
    found = [of_peer(name) for name in PEERS]
    for name in names:
        work = config.load_experiment(scale, name)
        dataset = config.load_dataset(scale, work.dataset)
        precision = runtime.resolve_precision(work.training.precision)
        own = dataset.data.size_pixels
        if own is None:
            found.append(Case(name, work, dataset, OWN_SIDE, settings(precision, False)))
            continue
        for side in sides:
            rank, at = OWN_SIDE if side == own else OTHER_SIDE, of_side(dataset, side)
            found.append(Case(name, work, at, rank, settings(precision, True)))
    return found


def of_peer(name: str) -> Case:
    """In small on a processor, which would take minutes for a step."""
    peer = CASES[name]
    if visible().type == "cpu":
        model = {**peer.model, **SMALL[peer.model["name"]]}
        peer = replace(peer, model=model, side=SMALL_SIDE, batch=SMALL_BATCH)
    work, dataset = peer.work("auto")
    held = settings(runtime.resolve_precision("auto"), False, True)
    return Case(name.partition(",")[0], work, dataset, FIRST, held, peer)


def order(found: list[Case]) -> Iterator[tuple[Case, bool]]:
    """Which case is measured when, and whether compiled: the peers' wholly, then all others as they
    are, and then compiled, which takes longest."""
    both = [(case, compiled) for case in found for compiled in (False, True)]
    yield from sorted(both, key=lambda one: (one[0].rank != FIRST and one[1], one[0].rank))


class Sides:
    """The table of all cases, each part guarded so that its fault stops no other.

    Args:
        seconds: of a setting's rounds, at least.
        left: the seconds that remain for all.
        written: called after each part.
    """

    def __init__(
        self, report: Report, seconds: float, left: Callable[[], float], written: Written
    ) -> None:
        self.report, self.seconds, self.left, self.written = report, seconds, left, written
        self.compiling: list[float] = []
        """Seconds that settings took which are compiled."""

    def run(self, found: list[Case]) -> None:
        self.report["matrix_tflops"] = matrix_rate() / 1e12
        rows: dict[str, Report] = {case.key: row_of(case) for case in found}
        self.report["rows"] = list(rows.values())
        with tempfile.TemporaryDirectory() as scratch:
            for case, compiled in order(found):
                if compiled:
                    self.compile_best(case, rows[case.key], Path(scratch))
                else:
                    for setting in case.settings:
                        self.measure(case, setting, rows[case.key], Path(scratch))
                self.written()

    def compile_best(self, case: Case, row: Report, scratch: Path) -> None:
        """The fastest as it was measured, if there is time for one more of those."""
        name = fastest(row)
        if name is None:
            return
        setting = next(each for each in case.settings if each.name == name).compiling()
        started = time.perf_counter()
        cell = self.measure(case, setting, row, scratch, median(self.compiling or [0.0]))
        cell["gflop_per_image"] = row["settings"][name]["gflop_per_image"]
        if cell.get("fault") != SPENT:
            self.compiling.append(time.perf_counter() - started)

    def measure(
        self, case: Case, setting: Setting, row: Report, scratch: Path, needs: float = 0.0
    ) -> Report:
        cell: Report = {}
        row["settings"][setting.name] = cell
        if self.left() <= needs:
            cell["fault"] = SPENT
            return cell
        try:
            cell.update(self.timed(case, setting, scratch))
        except Exception as error:
            cell.update(fault=line_of(error), traceback=traceback.format_exc())
        forget(setting.compiled)
        said = cell["fault"] if "fault" in cell else f"{cell['images_per_second']:,.1f} images/s"
        say(f"{case.key}: {setting.name}: {said}")
        return cell

    def timed(self, case: Case, setting: Setting, scratch: Path) -> Report:
        steps = case.steps(setting, scratch)
        # Only now: whoever builds a training has its products shortened.
        with exact_fp32() if setting.plain else contextlib.nullcontext():
            return timings(steps, self.seconds, setting.compiled)


def row_of(case: Case) -> Report:
    side, batch = case.dataset.data.size_pixels, case.work.training.batch_size
    return {"name": case.name, "side": side, "batch": batch, "settings": {}}


def timings(steps: Steps, seconds: float, compiles: bool) -> Report:
    """The first round warms up: it compiles, or its operations are counted."""
    with contextlib.nullcontext() if compiles else OperationCounter() as counter:
        warm_up = steps.timed()
    spent = [steps.timed()]
    while sum(spent) < seconds:
        spent.append(steps.timed())
    found = {"images_per_second": steps.images / median(spent)}
    if counter is None:
        found["compile_seconds"] = warm_up - median(spent)
    else:
        found["gflop_per_image"] = counter.operations / steps.images / 1e9
    if visible().type == "cuda":
        found["waits_per_step"] = waits(steps)
    return found


def waits(steps: Steps) -> float:
    """How often a step's lines wait for the GPU."""
    with waits_counted() as lines:
        torch.cuda.set_sync_debug_mode("warn")
        try:
            steps.take()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return lines.total() / steps.count


def matrix_rate() -> float:
    """Operations a second of a large product in bf16."""
    device = visible()
    size = MATRIX if device.type == "cuda" else SMALL_MATRIX
    pair = [torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2)]

    def products() -> None:
        for _ in range(PRODUCTS):
            torch.mm(*pair)

    steps = Steps(products, PRODUCTS, 0)
    steps.timed()
    return PRODUCTS * 2 * size**3 / steps.timed()


def forget(compiled: bool) -> None:
    """Gives memory back: the next training may need all of it."""
    if compiled:
        torch.compiler.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

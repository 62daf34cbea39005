"""What gpu.py measures of one experiment, each part guarded so that its fault stops no other."""

import contextlib
import copy
import math
import statistics
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from gpu_evaluation import Evaluation
from gpu_pictures import Request, ceiling, differences, exact_fp32, requests, score, shown
from gpu_tables import Report, losses_of, span_of_losses
from gpu_training import (
    ENDLESS,
    WARM_UP_STEPS,
    BusyWatch,
    Stopwatch,
    SyncWatch,
    Work,
    changed,
    train,
    waits_counted,
)
from safetensors.torch import load_file
from torch import Tensor

from atelier import config
from atelier.evaluation.report import write_grid
from atelier.training import runtime, setup
from atelier.training.history import History, long_table

COMPARED = 16
"""Pictures that the CPU makes, too."""
ROUNDS = 2
ROUND_SECONDS = 2.0
WATCHED_STEPS = 16
HALF = 4
LOG_STEPS, SAMPLE_STEPS = 10, 100
STARTED = time.perf_counter()


def say(line: str) -> None:
    print(f"[{time.perf_counter() - STARTED:6.1f} s] {line}", flush=True)


@dataclass(frozen=True)
class Amount:
    """How much is measured of an experiment."""

    seconds: float
    """Of training."""
    samples: int
    """Pictures that are compared,"""
    evaluated: int = 0
    """and those by which evaluating is timed, where they are made of noise alone; 0: none."""
    brief: bool = False
    """Only what it learns, and not how fast."""


class Measurement:
    """One experiment, or one judge, on the device."""

    def __init__(self, name: str, work: Work, prepared: Path, out: Path, report: Report) -> None:
        self.name, self.work, self.prepared, self.out = name, work, prepared, out
        self.report = report
        self.precision = runtime.resolve_precision(work.training.precision)

    def build(self, work: Work, precision: str) -> setup.Learner:
        return setup.build(work, self.prepared, runtime.launch(precision))

    def run(self, amount: Amount, folder: Path) -> None:
        say(f"{self.name}: {self.precision}")
        with self.guarded("build"):
            learner = self.build(self.work, self.precision)
            asked = requests(self.work, self.prepared, amount.samples)
            before = self.scores(learner, asked)
            with self.guarded("training"):
                self.train(learner, amount.seconds, folder)
            with self.guarded("evaluation"):
                self.evaluate(learner, asked, before)
            with self.guarded("comparison"):
                self.compare(learner, asked, folder)
            if amount.evaluated:
                with self.guarded("evaluating many"):
                    self.evaluate_many(learner, amount.evaluated)
            del learner
        if amount.brief:
            return
        with self.guarded("speed"):
            self.speed()
        with self.guarded("repetition"):
            self.repeat()
        if torch.cuda.is_available():
            with self.guarded("waits"):
                self.waits()
            with self.guarded("busy"):
                self.busy()
            torch.cuda.empty_cache()

    @contextlib.contextmanager
    def guarded(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        except Exception:
            self.report.setdefault("faults", {})[stage] = traceback.format_exc()
            say(f"{self.name}: {stage} FAILED\n{traceback.format_exc()}")
        took = time.perf_counter() - started
        self.report.setdefault("seconds", {})[stage] = took

    def train(self, learner: setup.Learner, seconds: float, folder: Path) -> None:
        """In two halves: the second goes on from the first one's checkpoint."""
        batch, device = self.work.training.batch_size, learner.fabric.device
        work = changed(
            self.work, log_every_images=LOG_STEPS * batch, sample_every_images=SAMPLE_STEPS * batch
        )
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        steps = 0
        for _ in range(2):
            watch = train(work, learner, folder, Stopwatch(device, seconds / 2))
            steps += watch.steps
            if watch.elapsed:  # the training may be done after its first half
                self.report["training_images_per_second"] = watch.steps_per_second * batch
        if device.type == "cuda":
            self.report["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
        self.report["images"] = steps * batch
        curves: dict[str, list[float]] = {}
        for row in long_table(folder / "output" / "history.csv"):
            curves.setdefault(row["figure"], []).append(float(row["value"]))
        self.report["curves"] = {
            name: {"first": values[0], "last": values[-1], "rows": len(values)}
            for name, values in curves.items()
        }
        self.report["finite"] = all(math.isfinite(v) for row in curves.values() for v in row)
        losses = losses_of(self.report)
        self.report["moving"] = any(pair["first"] != pair["last"] for pair in losses.values())
        say(f"{self.name}: {steps * batch:,} images, {span_of_losses(self.report)}")

    def scores(self, learner: setup.Learner, asked: list[Request]) -> dict[str, float]:
        return {
            request.name: score(request, self.made(learner, request), self.prepared)
            for request in asked
        }

    def made(self, learner: setup.Learner, request: Request) -> Tensor:
        return request.made_by(learner.averages, learner.latent_dim)

    def evaluate(
        self, learner: setup.Learner, asked: list[Request], before: dict[str, float]
    ) -> None:
        """Figures and sheets of the averages, as they are now and were before the training."""
        self.report["figures"] = figures = {}
        for request in asked:
            made = self.made(learner, request)
            figures[request.name] = {
                "kind": "share" if request.reals is None else "witness KID",
                "pictures": len(request),
                "before": before[request.name],
                "after": score(request, made, self.prepared),
                "ceiling": ceiling(request, self.prepared),
            }
            say(f"{self.name}: {request.name}: {figures[request.name]}")
            if request.reals is not None:
                write_grid(self.out / f"{self.name}-{request.name}.png", shown(request, made))

    def evaluate_many(self, learner: setup.Learner, count: int) -> None:
        """Where they are made of noise alone."""
        if not isinstance(self.work, config.Experiment) or self.work.task.name != "unconditional":
            return
        report: Report = {}
        self.report["evaluating"] = report
        Evaluation(report, learner.averages["generator"], self.prepared).run(self.work, count)
        say(f"{self.name}: evaluating {count:,} pictures: {report}")

    def compare(self, learner: setup.Learner, asked: list[Request], folder: Path) -> None:
        """The device's pictures beside those of the CPU, whose weights come from a snapshot."""
        History(folder / "output").snapshot(0, learner.averages)
        here = copy.deepcopy(learner.averages).cpu()
        here.load_state_dict(load_file(folder / "output/snapshots/000000000.safetensors"))
        self.report["device_against_cpu"] = found = {}
        for request in [r.first(COMPARED) for r in asked if r.reals is not None]:
            by_cpu = request.made_by(here, learner.latent_dim)
            rows = {"fp32 as trained": differences(self.made(learner, request), by_cpu)}
            with exact_fp32():
                rows["exact fp32"] = differences(self.made(learner, request), by_cpu)
            with learner.fabric.autocast():
                rows[self.precision] = differences(self.made(learner, request), by_cpu)
            found[request.name] = rows
            say(f"{self.name}: {request.name} against the CPU's: {rows}")

    def speed(self) -> None:
        """Images per second in the experiment's own precision and in fp32, in turn."""
        work = changed(self.work, images=ENDLESS)
        chosen = dict.fromkeys([self.precision, "fp32"])
        learners = {precision: self.build(work, precision) for precision in chosen}
        rates: dict[str, list[float]] = {precision: [] for precision in learners}
        for _ in range(ROUNDS):
            for precision, learner in learners.items():
                with tempfile.TemporaryDirectory() as scratch:
                    watch = Stopwatch(learner.fabric.device, ROUND_SECONDS)
                    train(work, learner, Path(scratch), watch)
                rates[precision].append(watch.steps_per_second * self.work.training.batch_size)
        self.report["images_per_second"] = rates
        say(f"{self.name}: images per second {rates}")

    def repeat(self) -> None:
        """Some steps, the same once more, and the same stopped and resumed half-way."""
        straight = self.weights(HALF + HALF)
        for name, stops in {"repeated": (HALF + HALF,), "resumed": (HALF, HALF)}.items():
            again = self.weights(*stops)
            largest = max(float((again[k] - w).abs().max()) for k, w in straight.items())
            self.report.setdefault("differences", {})[name] = largest
        say(f"{self.name}: largest differences of weights {self.report['differences']}")

    def weights(self, *stops: int) -> dict[str, Tensor]:
        """After so many steps, then so many more by networks that a checkpoint filled."""
        with tempfile.TemporaryDirectory() as folder:
            for steps in stops:
                learner = self.build(self.work, self.precision)
                watch = Stopwatch(learner.fabric.device, math.inf, steps - WARM_UP_STEPS)
                train(self.work, learner, Path(folder), watch)
        return {name: value.double().cpu() for name, value in learner.nets.state_dict().items()}

    def waits(self) -> None:
        learner = self.build(self.work, self.precision)
        watch = SyncWatch(learner.fabric.device, math.inf, WATCHED_STEPS)
        with waits_counted() as lines, tempfile.TemporaryDirectory() as out:
            train(changed(self.work, images=ENDLESS), learner, Path(out), watch)
        self.report["waits_per_step"] = {k: n / WATCHED_STEPS for k, n in lines.most_common()}
        say(f"{self.name}: waits per step {self.report['waits_per_step']}")

    def busy(self) -> None:
        """The share of a step in which the GPU computes, and its five longest kernels."""
        watch = BusyWatch(runtime.launch(self.precision).device, math.inf, WATCHED_STEPS)
        with tempfile.TemporaryDirectory() as out:
            learner = self.build(self.work, self.precision)
            train(changed(self.work, images=ENDLESS), learner, Path(out), watch)
        own = self.report["images_per_second"][self.precision]
        step = self.work.training.batch_size / statistics.median(own)
        self.report["busy"] = {
            "profiled": watch.busy * watch.steps_per_second,
            "of a step": watch.busy / step,
        }
        say(f"{self.name}: busy {self.report['busy']}")
        print(
            watch.profile.key_averages().table(
                sort_by="self_device_time_total", row_limit=5, max_name_column_width=60
            )
        )

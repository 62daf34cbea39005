"""The one training loop under a stopwatch, for gpu.py."""

import contextlib
import io
import math
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from atelier import config
from atelier.errors import Interrupted
from atelier.tasks import MODULES
from atelier.training import loop, setup

WARM_UP_STEPS = 5
ENDLESS = 10**12

Work = config.Experiment | config.Judge


class Stopwatch:
    """Tells a training to stop, and times its steps after the first few."""

    def __init__(self, device: torch.device, seconds: float, steps: int = ENDLESS) -> None:
        self.device, self.seconds, self.last = device, seconds, WARM_UP_STEPS + steps
        self.steps, self.started, self.elapsed = 0, math.inf, 0.0

    def __call__(self) -> bool:
        self.steps += 1
        if self.steps == WARM_UP_STEPS:
            wait(self.device)
            self.started = time.perf_counter()
            self.begin()
        done = self.steps >= self.last or time.perf_counter() - self.started >= self.seconds
        if done:
            self.stop()
        return done

    def begin(self) -> None:
        """The steps that count begin."""

    def stop(self) -> None:
        if not self.elapsed and self.started < math.inf:
            wait(self.device)
            self.elapsed = time.perf_counter() - self.started

    @property
    def steps_per_second(self) -> float:
        return (self.steps - WARM_UP_STEPS) / self.elapsed if self.elapsed else math.nan


class SyncWatch(Stopwatch):
    """Counts the lines of a step at which the processor waits for the GPU."""

    def begin(self) -> None:
        torch.cuda.set_sync_debug_mode("warn")

    def stop(self) -> None:
        torch.cuda.set_sync_debug_mode("default")
        super().stop()


class BusyWatch(Stopwatch):
    """Adds up how long the GPU computes, to be set beside how long the steps take."""

    busy = math.nan
    """Seconds of kernels and copies per step."""

    def begin(self) -> None:
        self.profile = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])
        self.profile.start()

    def stop(self) -> None:
        if not self.elapsed and self.started < math.inf:
            super().stop()
            self.profile.stop()
            spent = sum(event.self_device_time_total for event in self.profile.key_averages())
            self.busy = spent / 1e6 / (self.steps - WARM_UP_STEPS)


@contextlib.contextmanager
def waits_counted() -> Iterator[Counter[str]]:
    """The lines that wait for the GPU, counted where torch is told to warn of them."""
    lines: Counter[str] = Counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield lines
    # Torch says once, too, that this mode is a prototype.
    lines.update(
        f"{'/'.join(Path(warning.filename).parts[-2:])}:{warning.lineno}"
        for warning in caught
        if "called a synchronizing" in str(warning.message)
    )


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def train(work: Work, learner: setup.Learner, folder: Path, watch: Stopwatch) -> Stopwatch:
    """As `atelier train` does, until the watch says stop or the training is done."""
    preview = MODULES[work.task.name].preview if isinstance(work, config.Experiment) else None
    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(Interrupted):
        loop.train("benchmark", work, learner, folder, preview=preview, should_stop=watch)
    watch.stop()
    return watch


def changed(work: Work, **training: Any) -> Work:
    return work.model_copy(update={"training": work.training.model_copy(update=training)})

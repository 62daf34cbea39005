r"""What a training's loop costs beside its steps: all that logs, shows, saves and tracks.

    python benchmarks/loop.py faces-gan horse2zebra faces-ae

Two processes learn the same from noise: `train()` with its averages, logs, pictures, snapshots,
checkpoints and an MLflow that follows, and a bare loop of the same steps. They take turns of some
seconds, in which the other, its threads included, is stopped; how many images each has seen in its
turns is compared. Clocks run on meanwhile: what happens every so many seconds, as saving and
tracking do, weighs twice what it does in a training.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from bench import of_noise

from atelier import config
from atelier.display import print_table
from atelier.pipeline.registering import follow
from atelier.tasks import MODULES
from atelier.training import loop

SIDES = ("train", "bare")
WARM_UP_STEPS = 20
COLUMNS = ("experiment", "bare loop, images/s", "train(), images/s", "slower by")


def learn(name: str, side: str, scratch: Path) -> None:
    """One side, which counts its steps in a file, until it is killed."""
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{scratch}/mlflow.db"
    work = config.load_experiment("laptop", name)
    dataset = config.load_dataset("laptop", work.dataset)
    bench = of_noise(name, work, dataset, scratch)
    steps = np.memmap(scratch / "steps", np.int64, "w+", shape=1)

    def counted() -> bool:
        steps[0] += 1
        return False

    if side == "bare":
        while True:
            bench.run.take_step()
            counted()
    folder, preview = scratch / "training", MODULES[work.task.name].preview
    with follow(work, "laptop", folder):
        loop.train(name, work, bench.learner, folder, preview=preview, should_stop=counted)


class Side:
    """A process that learns, and stands still but in its turns."""

    def __init__(self, name: str, side: str, scratch: Path) -> None:
        scratch.mkdir()
        words = [sys.executable, __file__, "--learn", name, side, str(scratch)]
        self.process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        self.file = scratch / "steps"
        while self.steps < WARM_UP_STEPS:
            if self.process.poll() is not None:
                raise SystemExit(f"{name}: {side} ended: {' '.join(words)}")
            time.sleep(0.1)
        self.process.send_signal(signal.SIGSTOP)

    @property
    def steps(self) -> int:
        return int.from_bytes(self.file.read_bytes(), sys.byteorder) if self.file.exists() else 0

    def turn(self, seconds: float) -> float:
        """Steps a second."""
        before, started = self.steps, time.perf_counter()
        self.process.send_signal(signal.SIGCONT)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGSTOP)
        return (self.steps - before) / (time.perf_counter() - started)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def compare(name: str, seconds: float, turn: float) -> tuple[str, ...]:
    """Medians over turns say how fast each is, sums how much slower one is."""
    batch = config.load_experiment("laptop", name).training.batch_size
    rates: dict[str, list[float]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as scratch:
        sides = {side: Side(name, side, Path(scratch, side)) for side in SIDES}
        try:
            for number in range(int(seconds / turn / len(SIDES))):
                for side in SIDES if number % 2 else reversed(SIDES):
                    rates[side].append(batch * sides[side].turn(turn))
        finally:
            for side in sides.values():
                side.end()
    slower = 1 - sum(rates["train"]) / sum(rates["bare"])
    return (name, *(f"{median(rates[side]):.1f}" for side in ("bare", "train")), f"{slower:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("experiments", nargs="*", help="of scale laptop")
    parser.add_argument("--seconds", type=float, default=240, help="of both together, each")
    parser.add_argument("--turn", type=float, default=4, help="seconds")
    parser.add_argument("--learn", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.learn:
        name, side, scratch = options.learn
        learn(name, side, Path(scratch))
        return
    rows = [compare(name, options.seconds, options.turn) for name in options.experiments]
    print_table(COLUMNS, rows)


if __name__ == "__main__":
    main()

r"""Batch as a lever: what trainings of other batches come to in the same seconds.

    python benchmarks/batches.py faces-ae horse2zebra --out batches.json

Each training of scale laptop is planned for as many images as it sees in `--seconds`, so that its
schedules run to their end, and has its learning rates times the root of what its batch is times
that of the file (Malladi et al. 2022, arXiv 2205.10287, of Adam). Its figure is the one that
snapshots are chosen by, of validation images: smaller is better. Needs prepared data and judges, as
`make repro` leaves them.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import by_itself, told
from gpu_training import ENDLESS, Stopwatch, changed, train

from atelier import config
from atelier.display import print_table
from atelier.paths import Paths
from atelier.tasks import MODULES
from atelier.tasks.context import Context
from atelier.training import runtime, setup

BATCHES = (4, 8, 16, 32, 64)
PROBE_SECONDS = 10.0
"""Of steps that say how many images a second there will be."""
LOGGED = 50
"""Steps from one row to the next."""
COLUMNS = ("experiment", "batch", "learning rates, times", "images", "images/s", "figure", "+-")


def of_batch(work: config.Experiment, batch: int, images: int) -> config.Experiment:
    """The same with another batch, and learning rates to suit."""
    training = work.training
    times = (batch / training.batch_size) ** 0.5
    optimizers = {
        name: adam.model_copy(update={"learning_rate": adam.learning_rate * times})
        for name, adam in training.optimizers.items()
    }
    every = LOGGED * batch
    found = changed(
        work, batch_size=batch, images=images, optimizers=optimizers,
        log_every_images=every, sample_every_images=ENDLESS,
    )  # fmt: skip
    assert isinstance(found, config.Experiment)
    return found


def one(name: str, batch: int, seconds: float) -> dict[str, Any]:
    """A training of that batch, and its figure."""
    written, paths = config.load_experiment("laptop", name), Paths("laptop")
    fabric = runtime.launch(runtime.resolve_precision(written.training.precision))
    prepared = paths.prepared(written.dataset)

    def learn(images: int, limit: float) -> tuple[setup.Learner, Stopwatch]:
        work = of_batch(written, batch, images)
        learner = setup.build(work, prepared, fabric)
        with tempfile.TemporaryDirectory() as folder:
            return learner, train(work, learner, Path(folder), Stopwatch(fabric.device, limit))

    _, probed = learn(ENDLESS, PROBE_SECONDS)
    images = int(probed.steps_per_second * seconds) * batch
    started = time.perf_counter()
    learner, _ = learn(images, ENDLESS)
    took = time.perf_counter() - started
    figure = MODULES[written.task.name].figure(
        learner.averages, Context(written, paths, "validation")
    )
    return {
        "experiment": name,
        "batch": batch,
        "rates_times": (batch / written.training.batch_size) ** 0.5,
        "images": images,
        "images_per_second": images / took,
        "figure": figure.value,
        "standard_error": figure.standard_error,
    }


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["experiment"],
        f"{row['batch']}",
        f"{row['rates_times']:.2f}",
        f"{row['images']:,}",
        f"{row['images_per_second']:.0f}",
        f"{row['figure']:.5f}",
        f"{row['standard_error']:.5f}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("experiments", nargs="+", help="of scale laptop, of one part each")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--seconds", type=float, default=100.0, help="of each training")
    parser.add_argument("--out", type=Path, help="a JSON file of all rows")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.experiments[0], options.batches[0], options.seconds)))
        return
    measured = (
        by_itself(name, "--batches", str(batch), "--seconds", str(options.seconds), "--one")
        for name in options.experiments
        for batch in options.batches
    )
    rows = told(measured, cells, options.out)
    print_table(COLUMNS, [cells(row) for row in rows])


if __name__ == "__main__":
    main()

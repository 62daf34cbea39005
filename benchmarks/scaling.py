r"""What a training's step costs as images, batches and networks grow: time and peak memory.

    python benchmarks/scaling.py --out scaling.json --plot docs/images/scaling.png

Each row is a training of scale laptop with one thing changed, in a process of its own: its steps by
a clock, its operations counted, its peak memory. Where nothing grows faster than the work, GFLOP/s
do not fall from the second row on, and memory grows by at most as much as what was changed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import torch
from bench import Collector, of_noise, of_side, peak_mb, told
from gpu_training import Work

from atelier import config
from atelier.display import print_table
from atelier.models import MODELS
from atelier.training import runtime
from atelier.training.cost import batch_memory

EXPERIMENTS = ("faces-gan", "horse2zebra", "faces-ae")
LATE = 0.9
"""Share of a training at which it is looked at: there a GAN of three parts plays its game."""
AXES: Mapping[str, tuple[float, ...]] = {
    "side": (32, 64, 128, 256),
    "batch": (1, 4, 16, 64, 256),
    "width": (0.5, 1, 2, 4),
}
FEW = 4
"""Images of a batch where sides grow."""
SECONDS = 4.0
ROUND, MOST_GFLOP = 8, 3600.0
"""Steps of a round, of which one has a penalty, and what they may take."""
COLUMNS = ("experiment", "what", "value", "batch", "images/s", "GFLOP/s", "peak memory, MB")


def changed(name: str, axis: str, value: float) -> tuple[Work, config.Dataset]:
    """The experiment and its dataset with that one thing changed; sides in batches of a few."""
    work = config.load_experiment("laptop", name)
    dataset = config.load_dataset("laptop", work.dataset)
    batch = work.training.batch_size
    if axis == "side":
        dataset, batch = of_side(dataset, int(value)), FEW
    elif axis == "batch":
        batch = int(value)
    else:
        widths = {
            key: tuple(int(width * value) for width in widths)
            for key, widths in work.model
            if key.endswith("_widths")
        }
        one = {
            key: max(int(width * value), 1) for key, width in work.model if key.endswith("_width")
        }
        work = work.model_copy(update={"model": work.model.model_copy(update=widths | one)})
    training = work.training.model_copy(update={"batch_size": batch})
    return work.model_copy(update={"training": training}), dataset


def too_much(name: str, axis: str, value: float) -> bool:
    """Whether a round of that would take a processor minutes, or a quarter of the memory; or the
    model compares more images than such a batch has."""
    work, dataset = changed(name, axis, value)
    assert isinstance(work, config.Experiment)
    side = dataset.data.size_pixels
    assert side is not None
    factor = value**2 if axis == "width" else (side / 64) ** 2
    batch = work.training.batch_size
    if batch % MODELS[work.model.name].group:
        return True
    labels = len(getattr(work.sampling, "attributes", ())) or 1
    memory = batch_memory(work, (3, side, side), labels, "fp32")
    too_long = work.plan.gflop_per_image * factor * ROUND * batch > MOST_GFLOP
    return too_long or memory > runtime.free_memory(torch.device("cpu")) / 4


def one(name: str, axis: str, value: float) -> dict[str, Any]:
    work, dataset = changed(name, axis, value)
    with tempfile.TemporaryDirectory() as scratch:
        bench = of_noise(name, work, dataset, Path(scratch))
        bench.enter(LATE)
        with Collector() as collected:
            bench.round()
        times = [bench.timed(bench.round)]
        while sum(times) < SECONDS:
            times.append(bench.timed(bench.round))
    images, seconds = bench.steps * work.training.batch_size, median(times)
    return {
        "experiment": name,
        "axis": axis,
        "value": value,
        "batch": work.training.batch_size,
        "images_per_second": images / seconds,
        "gflops": collected.operations / seconds / 1e9,
        "peak_mb": peak_mb(bench.device),
    }


def in_a_process_of_its_own(name: str, axis: str, value: float) -> dict[str, Any] | None:
    """The row; nothing where the system killed it, as for want of memory, which is said."""
    words = ["--out", "-", "--one", name, axis, str(value)]
    ran = subprocess.run(
        [sys.executable, __file__, *words], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        said = (ran.stderr.splitlines() or ["killed"])[-1]
        print(f"{name} {axis} {value:g}: {said} ({ran.returncode})", file=sys.stderr)
        return None
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        row["experiment"],
        row["axis"],
        f"{row['value']:g}",
        f"{row['batch']}",
        f"{row['images_per_second']:.1f}",
        f"{row['gflops']:.0f}",
        f"{row['peak_mb']:.0f}",
    )


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    from matplotlib import pyplot

    figure, places = pyplot.subplots(2, len(AXES), figsize=(11, 6), sharey="row")
    for column, axis in enumerate(AXES):
        for place, key, label in (
            (places[0][column], "gflops", "GFLOP/s"),
            (places[1][column], "peak_mb", "peak memory, MB"),
        ):
            for name in EXPERIMENTS:
                of_one = [row for row in rows if (row["experiment"], row["axis"]) == (name, axis)]
                place.plot(
                    [row["value"] for row in of_one], [row[key] for row in of_one], "o-", label=name
                )
            place.set_xscale("log", base=2)
            place.set_yscale("log", base=2)
            place.set_xlabel({"width": "width, times that of laptop"}.get(axis, axis))
            if column == 0:
                place.set_ylabel(label)
    places[0][0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True, help="a JSON file of all rows")
    parser.add_argument("--plot", type=Path, help="a picture of them")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, axis, value = options.one
        print(json.dumps(one(name, axis, float(value))))
        return
    measured = (
        in_a_process_of_its_own(name, axis, value)
        for name in EXPERIMENTS
        for axis, values in AXES.items()
        for value in values
        if not too_much(name, axis, value)
    )
    rows = told(filter(None, measured), cells, options.out)
    print_table(COLUMNS, [cells(row) for row in rows])
    if options.plot:
        plot(rows, options.plot)


if __name__ == "__main__":
    main()

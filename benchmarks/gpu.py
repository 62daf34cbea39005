r"""Trains each experiment for some seconds on this machine's device and says how that went.

Written for a GPU, where nobody waits for a whole training to see whether it would run. First, at
several sides, how many images a second the steps take as nobody has tuned them, as our files have
them, and compiled, beside the steps of two peers. Then the trainings: losses and speed, bf16
against fp32 in turn, peak memory, the steps' waits for the device, the device's pictures beside the
CPU's, and a distance to the test images before and after. All through the one loop, stopped and
resumed once; and how long evaluating thousands of pictures takes. It needs no orchestrator, tracker
or data versioning.

    python benchmarks/gpu.py --scale gpu --out .atelier/gpu
    python benchmarks/gpu.py --scale tiny --seconds 1 --sides 32 64 --sides-seconds 60 \
        --budget 120 --evaluated 100 --out .atelier/gpu-tiny

The data stand in ROOT/data, and are drawn there where they are missing. What fails is written
down and the next experiment goes on; so is what `--budget` leaves out, the last of all first.
`--photographs ROOT` trains faces-gan on real faces for what is left of it; its pictures are for
looking at alone.
"""

import argparse
import contextlib
import json
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import torch
from gpu_measurement import STARTED, Amount, Measurement, say
from gpu_sides import Sides, cases
from gpu_tables import Report, markdown
from gpu_training import Work

from atelier import config, params
from atelier.data.drawn import draw
from atelier.data.prepare import prepare
from atelier.drawing.scenes import DrawingCounts
from atelier.training import runtime

COUNTS = DrawingCounts(
    faces_training=1400, faces_validation=16, faces_test=600, animals_training=250, animals_test=50
)
EVALUATION_SECONDS = 30.0
"""What is kept of the budget for what follows the last training."""
ROUND_SECONDS = 0.5
"""Of the rounds of a setting at a side, beside the one that warms up."""
PHOTOGRAPHS = "faces-gan-photographs"


class Benchmark:
    """All measurements of a scale, written down after each."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments, self.out = arguments, arguments.out
        self.out.mkdir(parents=True, exist_ok=True)
        cuda = torch.cuda.is_available()
        self.report: Report = {
            "device": torch.cuda.get_device_name() if cuda else "CPU",
            "torch": torch.__version__,
            "scale": arguments.scale,
            "threads": torch.get_num_threads(),
            "sides": {},
            "experiments": {},
            "left_out": [],
        }
        self.longest = 0.0
        """Seconds that an experiment has taken."""

    @property
    def left(self) -> float:
        return float(self.arguments.budget) - (time.perf_counter() - STARTED)

    def prepared(self, root: Path, dataset: config.Dataset, scratch: Path) -> Path:
        """At the size that the dataset's file names."""
        out = scratch / root.name / dataset.name / "prepared"
        if not out.exists():
            out.parent.mkdir(parents=True, exist_ok=True)
            prepare(dataset.data, root, out)
            say(f"prepared {dataset.name}")
        return out

    def measure(self, name: str, work: Work, prepared: Path, chosen: Amount) -> None:
        plan = work.plan if isinstance(work, config.Experiment) else None
        row: Report = {
            "precision": runtime.resolve_precision(work.training.precision),
            "planned_images": work.training.images,
            "planned_seconds": plan.seconds if plan else None,
            "gflop": plan.gflop_per_image if plan else None,
        }
        self.report["experiments"][name] = row
        with tempfile.TemporaryDirectory() as folder:
            Measurement(name, work, prepared, self.out, row).run(chosen, Path(folder))
        self.write()

    def write(self) -> None:
        (self.out / "gpu.json").write_text(json.dumps(self.report, indent=1) + "\n")
        (self.out / "gpu.md").write_text(markdown(self.report) + "\n")

    def run(self, scratch: Path) -> None:
        names: list[str] = self.arguments.experiments or list(params.listed_experiments())
        with self.guarded("the steps at several sides"):
            self.sides(names)
        with self.guarded("the trainings"):
            self.trainings(names, scratch)
        if self.arguments.photographs:
            if self.left > EVALUATION_SECONDS:
                with self.guarded(PHOTOGRAPHS):
                    self.photographs(scratch)
            else:
                self.leave_out(PHOTOGRAPHS)
        self.write()
        print((self.out / "gpu.md").read_text())

    @contextlib.contextmanager
    def guarded(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception:
            self.report.setdefault("faults", {})[what] = traceback.format_exc()
            say(f"{what}: FAILED\n{traceback.format_exc()}")

    def leave_out(self, what: str) -> None:
        self.report["left_out"].append(what)
        say(f"{what}: left out, the budget is spent")

    def sides(self, names: list[str]) -> None:
        ends = time.perf_counter() + float(self.arguments.sides_seconds)
        found = cases(self.arguments.scale, names, self.arguments.sides)

        def left() -> float:
            return min(self.left, ends - time.perf_counter())

        if left() > 0:
            Sides(self.report["sides"], ROUND_SECONDS, left, self.write).run(found)

    def trainings(self, names: list[str], scratch: Path) -> None:
        asked = self.arguments
        works = self.works(names)
        folders = [asked.root / "data" / d.data.path for _, d in works.values() if d.data.path]
        if not all(folder.exists() for folder in folders):
            draw(asked.root, COUNTS)
        for name, (work, dataset) in works.items():
            if self.left < max(asked.seconds, self.longest):
                self.leave_out(name)
                continue
            started = time.perf_counter()
            with self.guarded(name):
                prepared = self.prepared(asked.root, dataset, scratch)
                chosen = Amount(asked.seconds, asked.samples, asked.evaluated)
                self.measure(name, work, prepared, chosen)
            self.longest = max(self.longest, time.perf_counter() - started)

    def works(self, names: list[str]) -> dict[str, tuple[Work, config.Dataset]]:
        """And the judges, where they are asked for."""
        scale = self.arguments.scale
        found: dict[str, tuple[Work, config.Dataset]] = {}
        for name in names:
            experiment = config.load_experiment(scale, name)
            found[name] = experiment, config.load_dataset(scale, experiment.dataset)
        for dataset in {dataset.name: dataset for _, dataset in found.values()}.values():
            if self.arguments.judges and dataset.judge is not None:
                found[f"judge-{dataset.name}"] = dataset.judge, dataset
        return found

    def photographs(self, scratch: Path) -> None:
        work = config.load_experiment(self.arguments.scale, "faces-gan")
        dataset = config.load_dataset(self.arguments.scale, work.dataset)
        prepared = self.prepared(self.arguments.photographs, dataset, scratch)
        chosen = Amount(self.left - EVALUATION_SECONDS, self.arguments.samples, brief=True)
        self.measure(PHOTOGRAPHS, work, prepared, chosen)


def read_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("experiments", nargs="*", help="of params.yaml; default all")
    parser.add_argument("--scale", default="gpu", help="default gpu")
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 128, 256], help="in pixels")
    parser.add_argument(
        "--sides-seconds", type=float, default=200.0, help="for the steps at these; 0: none"
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="of training, each")
    parser.add_argument("--budget", type=float, default=480.0, help="seconds for everything")
    parser.add_argument("--samples", type=int, default=1000, help="pictures that are compared")
    parser.add_argument("--evaluated", type=int, default=5000, help="by which evaluating is timed")
    parser.add_argument("--judges", action="store_true", help="train the datasets' judges, too")
    parser.add_argument("--root", type=Path, default=Path(), help="the folder that holds data/")
    parser.add_argument("--prepared", type=Path, help="keep prepared data here for the next call")
    parser.add_argument("--photographs", type=Path, help="a folder whose data/celeba is real")
    parser.add_argument("--out", type=Path, required=True, help="folder for tables and sheets")
    return parser.parse_args(arguments)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        arguments = read_arguments()
        Benchmark(arguments).run(arguments.prepared or Path(scratch))


if __name__ == "__main__":
    main()

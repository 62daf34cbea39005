r"""Trains each experiment for some seconds on this machine's device and says how that went.

Written for a GPU, where nobody waits for a whole training to see whether it would run: losses and
speed, bf16 against fp32 in turn, peak memory, the steps' waits for the device, the device's
pictures beside the CPU's, and a distance to the test images before and after. All through the one
loop, stopped and resumed once. It needs no orchestrator, tracker or data versioning.

    python benchmarks/gpu.py --scale gpu --seconds 15 --out .atelier/gpu
    python benchmarks/gpu.py --scale tiny --seconds 3 --out .atelier/gpu-tiny

The data stand in ROOT/data, and are drawn there where they are missing. What fails is written
down and the next experiment goes on. `--photographs ROOT` trains faces-gan on real faces for what
is left of `--budget`; its pictures are for looking at alone.
"""

import argparse
import json
import tempfile
import time
import traceback
from pathlib import Path

import torch
from gpu_measurement import STARTED, Measurement, say
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
            "experiments": {},
        }

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

    def measure(
        self, name: str, work: Work, prepared: Path, seconds: float, brief: bool = False
    ) -> None:
        plan = work.plan if isinstance(work, config.Experiment) else None
        row: Report = {
            "precision": runtime.resolve_precision(work.training.precision),
            "planned_images": work.training.images,
            "planned_seconds": plan.seconds if plan else None,
            "gflop": plan.gflop_per_image if plan else None,
        }
        self.report["experiments"][name] = row
        with tempfile.TemporaryDirectory() as folder:
            measurement = Measurement(name, work, prepared, self.out, self.arguments.samples, row)
            measurement.run(seconds, Path(folder), brief)
        (self.out / "gpu.json").write_text(json.dumps(self.report, indent=1) + "\n")
        (self.out / "gpu.md").write_text(markdown(self.report) + "\n")

    def run(self, scratch: Path) -> None:
        scale, root = self.arguments.scale, self.arguments.root
        works: dict[str, tuple[Work, config.Dataset]] = {}
        for name in self.arguments.experiments or params.listed_experiments():
            experiment = config.load_experiment(scale, name)
            works[name] = experiment, config.load_dataset(scale, experiment.dataset)
        folders = [root / "data" / d.data.path for _, d in works.values() if d.data.path]
        if not all(folder.exists() for folder in folders):
            draw(root, COUNTS)
        for dataset in {dataset.name: dataset for _, dataset in works.values()}.values():
            if self.arguments.judges and dataset.judge is not None:
                works[f"judge-{dataset.name}"] = dataset.judge, dataset
        for name, (work, dataset) in works.items():
            if self.left < self.arguments.seconds:
                say(f"{name}: left out, the budget is spent")
                continue
            try:
                prepared = self.prepared(root, dataset, scratch)
                self.measure(name, work, prepared, self.arguments.seconds)
            except Exception:
                say(f"{name}: FAILED\n{traceback.format_exc()}")
        if self.arguments.photographs and self.left > EVALUATION_SECONDS:
            self.photographs(scratch)
        print((self.out / "gpu.md").read_text())

    def photographs(self, scratch: Path) -> None:
        work = config.load_experiment(self.arguments.scale, "faces-gan")
        dataset = config.load_dataset(self.arguments.scale, work.dataset)
        prepared = self.prepared(self.arguments.photographs, dataset, scratch)
        name = "faces-gan-photographs"
        self.measure(name, work, prepared, self.left - EVALUATION_SECONDS, brief=True)


def read_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("experiments", nargs="*", help="of params.yaml; default all")
    parser.add_argument("--scale", default="gpu", help="default gpu")
    parser.add_argument("--seconds", type=float, default=15.0, help="of training, each")
    parser.add_argument("--budget", type=float, default=480.0, help="seconds for everything")
    parser.add_argument("--samples", type=int, default=1000, help="pictures that are compared")
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

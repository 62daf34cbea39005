r"""Trains `numbers` and the book's own variant on several training seeds and prints their figures.

Both go through the one training loop, each with its complete file; the published weights are scored
on draws that no training saw. The table is the one of docs/numbers.md.

    python benchmarks/linear_baseline.py --seeds 10 --out .atelier/baseline.json
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from atelier.config import Experiment, load_dataset
from atelier.data.prepare import prepare
from atelier.evaluation.keys import (
    ALL_ZERO_SHARE,
    ENTROPY_SHARE,
    MULTIPLES_SHARE,
    VALUES_COVERED,
)
from atelier.evaluation.numbers import score_numbers
from atelier.evaluation.report import write_metrics
from atelier.schema import load
from atelier.training import loop, runtime, setup

FILES = (Path("experiments/laptop/numbers.yaml"), Path("benchmarks/linear-baseline.yaml"))
COLUMNS = {
    MULTIPLES_SHARE: "multiples of 5",
    VALUES_COVERED: "values of 20",
    ENTROPY_SHARE: "entropy, of ln 20",
    ALL_ZERO_SHARE: "all-zero rows",
    "steps": "steps",
}
Figures = dict[str, float]


def main() -> None:
    arguments = read_arguments()
    report: dict[str, list[Figures]] = {}
    with TemporaryDirectory() as scratch:
        prepared = Path(scratch, "prepared")
        prepare(load_dataset("laptop", "numbers").data, Path(), prepared)
        for file in arguments.files:
            work = load(file, Experiment)
            report[work.name] = []
            for seed in range(1, arguments.seeds + 1):
                figures = train_and_score(
                    work, seed, prepared, Path(scratch, f"{work.name}-{seed}")
                )
                report[work.name].append(figures)
                print(f"{work.name}, seed {seed}: {figures}", flush=True)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        write_metrics(arguments.out, report)
    print(table(report))


def train_and_score(work: Experiment, seed: int, prepared: Path, folder: Path) -> Figures:
    """One training from `seed`; figures of the weights that it would publish."""
    training = work.training.model_copy(update={"seed": seed})
    work = work.model_copy(update={"training": training})
    learner = setup.build(work, prepared, runtime.launch(work.training.precision))
    summary = loop.train(work.name, work, learner, folder)
    rng = torch.Generator().manual_seed(work.evaluation.seed)
    latents = torch.randn(work.evaluation.samples, learner.latent_dim, generator=rng)
    with torch.inference_mode():
        scores = learner.averages["generator"](latents)
    return {"seed": seed, "steps": summary.steps, **score_numbers(scores)}


def table(report: dict[str, list[Figures]]) -> str:
    """Markdown: a row per variant, smallest to largest over the seeds."""
    lines = [f"| variant | seeds | {' | '.join(COLUMNS.values())} |"]
    lines.append("|---" * (len(COLUMNS) + 2) + "|")
    for name, rows in report.items():
        spans = [span([row[column] for row in rows]) for column in COLUMNS]
        lines.append(f"| `{name}` | {len(rows)} | {' | '.join(spans)} |")
    return "\n".join(lines)


def span(values: Sequence[float]) -> str:
    """`0.9967 to 0.9999`, or the one value where all are equal."""
    least, most = (f"{value:.4f}".removesuffix(".0000") for value in (min(values), max(values)))
    return least if least == most else f"{least} to {most}"


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", type=Path, nargs="*", default=FILES, help="experiments' files")
    parser.add_argument("--seeds", type=int, default=10, help="training seeds 1 to SEEDS")
    parser.add_argument("--out", type=Path, help="JSON to write")
    return parser.parse_args()


if __name__ == "__main__":
    main()

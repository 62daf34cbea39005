r"""Trains experiments anew with other seeds, apart from the pipeline, and shows what seeds change.

One training is one draw: what is said of an experiment should hold for the next seed, too. Each
seed gets a folder of its own, in which the pipeline's own commands train, bundle and evaluate; the
prepared data and the judge are the pipeline's. Faces are also shown to judges of other seeds, see
other_judges.py.

    python benchmarks/seeds.py faces-gan horse2zebra --seeds 2 3 --out seeds.json

Run it where `atelier repro` has run, and nothing beside it. Two are trained at once, each on half
of the cores. What is finished is not done again, unless what decides a training has changed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from other_judges import JUDGES

from atelier import config
from atelier.evaluation.report import flatten, write_metrics
from atelier.operations.devices import shares_of_cores
from atelier.paths import Paths
from atelier.pipeline.definition import checkpoint_folder
from atelier.rewriting import rewritten

SEEDS = Path(".atelier", "seeds")
AT_ONCE = 2
STAGES = ("train", "bundle", "evaluate")
OTHER_JUDGES = "other_judges"
EDITS = ("editing.Eyeglasses.flipped_in_range", "editing.Eyeglasses.most_changed")
OTHERS = tuple(f"{OTHER_JUDGES}.{figure}" for figure in ("median kid", "median recall", "copies"))
FACES = (*OTHERS, "judge.kid", "judge.recall", "witness.kid")
FIGURES = {
    "numbers": ("numbers.multiples_share", "numbers.values_covered"),
    "unconditional": (*FACES, *EDITS),
    "conditional": (*FACES, "accuracy.minimum", "diversity.minimum"),
    "translation": tuple(
        f"{direction}.{figure}"
        for direction in ("A2B", "B2A")
        for figure in ("twin.inside", "witness.kid", "verdict", "out_of_range")
    ),
    "reconstruction": ("reconstruction.psnr_db_above_pca", "judge.kid_mixture", *EDITS),
}
"""By task, what an experiment's table shows of `metrics.json` and of other judges, by its dotted
name, where it is there."""


def lay_out(root: Path, experiment: config.Experiment, scale: str, seed: int) -> None:
    """A project whose experiment has another seed, and whose code and data are ours."""
    root.mkdir(parents=True, exist_ok=True)
    for file in ("params.yaml", "dvc.yaml"):
        shutil.copyfile(file, root / file)
    shutil.copytree("experiments", root / "experiments", dirs_exist_ok=True)
    file = Paths(scale).experiment_file(experiment.name)
    changed = rewritten(file.read_text("utf-8"), {("training", "seed"): seed})
    (root / file).write_text(changed, "utf-8")
    JUDGES.mkdir(parents=True, exist_ok=True)
    paths, dataset = Paths(scale), experiment.dataset
    ours = (paths.prepared(dataset), paths.judge(dataset), JUDGES)
    for shared in (Path("src"), Path("data"), *ours):
        link = root / shared
        link.parent.mkdir(parents=True, exist_ok=True)
        if shared.exists() and not link.exists():
            link.symlink_to(shared.resolve())


def folder_of(name: str, scale: str, seed: int) -> Path:
    """Another where what decides its training is another."""
    return SEEDS / f"{checkpoint_folder('train', name, scale).name}-{seed}"


def train(
    experiment: config.Experiment, scale: str, seed: int, variables: Mapping[str, str]
) -> None:
    """Trains, packs and evaluates, unless that is done."""
    name = experiment.name
    root = folder_of(name, scale, seed)
    if (root / Paths(scale).metrics(name)).exists():
        return
    lay_out(root, experiment, scale, seed)
    for stage in STAGES:
        command = [sys.executable, "-m", "atelier", stage, name, "--scale", scale]
        subprocess.run(command, cwd=root, check=True, env=os.environ | dict(variables))


def train_all(experiments: Sequence[config.Experiment], scale: str, seeds: Sequence[int]) -> None:
    """Each with each seed but its own, two at once."""
    free: SimpleQueue[dict[str, str]] = SimpleQueue()

    def train_one(work: tuple[int, config.Experiment]) -> None:
        seed, experiment = work
        share = free.get()
        try:
            train(experiment, scale, seed, share)
        finally:
            free.put(share)

    work = [each for each in product(seeds, experiments) if each[0] != each[1].training.seed]
    with shares_of_cores(AT_ONCE) as shares, ThreadPoolExecutor(AT_ONCE) as pool:
        for share in shares:
            free.put(share)
        list(pool.map(train_one, work))


def metrics_of(experiment: config.Experiment, scale: str, seed: int) -> dict[str, Any]:
    """What the evaluation says of this seed, and what other judges say of its faces."""
    name, folder = experiment.name, folder_of(experiment.name, scale, seed)
    root = Path() if seed == experiment.training.seed else folder
    metrics: dict[str, Any] = json.loads((root / Paths(scale).metrics(name)).read_text("utf-8"))
    if OTHERS[0] in FIGURES[experiment.task.name]:
        out = folder.resolve() / "other-judges.json"
        if not out.exists():
            script = Path(__file__).with_name("other_judges.py")
            command = [sys.executable, str(script), name, "--scale", scale, "--out", str(out)]
            out.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(command, cwd=root, check=True)
        metrics[OTHER_JUDGES] = json.loads(out.read_text("utf-8"))[name]
    return metrics


def figures_of(task: str, metrics: Mapping[str, Any]) -> dict[str, float]:
    """Those of the task that its metrics have, by their dotted names."""
    flat = flatten(metrics)
    return {key: flat[path] for key in FIGURES[task] if (path := key.replace(".", "/")) in flat}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("experiments", nargs="+")
    parser.add_argument("--scale", default="laptop")
    parser.add_argument("--seeds", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    table: dict[str, dict[str, dict[str, float]]] = {}
    experiments = [config.load_experiment(options.scale, name) for name in options.experiments]
    train_all(experiments, options.scale, options.seeds)
    for experiment in experiments:
        name = experiment.name
        seeds = [experiment.training.seed, *options.seeds]
        table[name] = {
            str(seed): figures_of(experiment.task.name, metrics_of(experiment, options.scale, seed))
            for seed in seeds
        }
        write_metrics(options.out, table)
        for key in table[name][str(seeds[0])]:
            values = ", ".join(f"{figures[key]:.3f}" for figures in table[name].values())
            print(f"{name}: {key}: {values}", flush=True)


if __name__ == "__main__":
    main()

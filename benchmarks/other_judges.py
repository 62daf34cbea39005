r"""Asks judges of other seeds than the one that chose a generator, which flatters its choice.

The judge of a dataset chooses among a training's snapshots and decides at the gate, so its own
distance to the champion is too small. This trains judges that differ from it in the seed alone, and
scores a published bundle by each, by the witness, and by copying: the share of samples that lie
nearer to their nearest of all training images than all but 1% of the held-out reals do.

    python benchmarks/other_judges.py faces-gan faces-cgan --seeds 11 12 13 --out other-judges.json

Run it where `atelier repro` has run; judges are kept in .atelier/judges and trained once. With
`--training-seed 2` it scores what `atelier seeds` made of the experiments with that seed.
"""

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from dvc.api import DVCFileSystem

from atelier import config
from atelier.bundle.bundle_model import Bundle
from atelier.errors import UserError
from atelier.evaluation.conditional import shuffled_rows
from atelier.evaluation.features import Images, JudgeFeatures, WitnessFeatures, evenly
from atelier.evaluation.judge import open_judge
from atelier.evaluation.keys import JUDGE, WITNESS
from atelier.evaluation.kid import kid
from atelier.evaluation.manifold import manifold
from atelier.evaluation.memorisation import copies
from atelier.evaluation.report import write_metrics
from atelier.paths import Paths
from atelier.pipeline.bundling import open_published
from atelier.pipeline.definition import checkpoint_folder
from atelier.pipeline.judging import keep_best
from atelier.spread import spread_of
from atelier.tasks.conditional import sampler
from atelier.tasks.context import Context
from atelier.tasks.pictures import sampled
from atelier.training import loop, runtime, setup

JUDGES = Path(".atelier", "judges")


def judge_of(dataset: config.Dataset, paths: Paths, seed: int) -> Path:
    """The folder of the judge of this seed, trained unless it is there; another where anything that
    makes a judge is another."""
    assert dataset.judge is not None
    stage = checkpoint_folder("judge", dataset.name, paths.scale)
    folder = JUDGES / f"{stage.name}-{seed}"
    if (folder / "judge").exists():
        return folder / "judge"
    seeded = dataset.judge.training.model_copy(update={"seed": seed})
    work = dataset.judge.model_copy(update={"training": seeded})
    prepared = paths.prepared(dataset.name)
    fabric = runtime.launch(runtime.resolve_precision(seeded.precision))
    learner = setup.build(work, prepared, fabric)
    loop.train(f"judge {seed}", work, learner, folder)
    keep_best(folder / "output", work, prepared, folder / "metrics.json")
    return (folder / "output").rename(folder / "judge")


def samples_of(bundle: Bundle, context: Context) -> Images:
    """As many as the test split has; of a conditional generator with the labels of its images."""
    if not context.attributes:
        return sampled(bundle, context.samples, context.seed)
    rows = evenly(context.conditions(), context.samples)
    return sampler(bundle)(shuffled_rows(rows, context.seed), context.seed)


@contextmanager
def bundle_of(name: str, paths: Paths, training_seed: int | None) -> Iterator[Bundle]:
    """The workspace's, or that of the DVC experiment with this seed.

    Raises:
        UserError: today's experiment was never trained with that seed.
    """
    if training_seed is None:
        yield open_published(paths.bundle(name))
        return
    spread = spread_of(name, paths.scale)
    if spread is None or training_seed not in spread.trained:
        remedy = f"Run: atelier seeds {name} --seeds {training_seed}"
        raise UserError(name, f"not trained with seed {training_seed}", remedy)
    files = DVCFileSystem(rev=spread.trained[training_seed])
    with TemporaryDirectory() as folder:
        files.get(paths.bundle(name).as_posix(), f"{folder}/bundle", recursive=True)
        yield open_published(Path(folder, "bundle"))


def figures_of(
    name: str, scale: str, seeds: Iterable[int], training_seed: int | None
) -> dict[str, Any]:
    """KID and recall by each judge and by the witness, and the share of copies."""
    experiment, paths = config.load_experiment(scale, name), Paths(scale)
    dataset = config.load_dataset(scale, experiment.dataset)
    context = Context(experiment, paths, "test")
    with bundle_of(name, paths, training_seed) as bundle:
        pictures = samples_of(bundle, context)
    training, reals = context.images("training"), evenly(context.images(), context.samples)
    extractors: dict[str, Any] = {WITNESS: WitnessFeatures(training)}
    for seed in seeds:
        judge = open_judge(judge_of(dataset, paths, seed))
        assert judge is not None
        extractors[f"{JUDGE} {seed}"] = JudgeFeatures(judge, training)
    figures: dict[str, Any] = {}
    for key, extract in extractors.items():
        of_reals, of_made = extract(reals), extract(pictures)
        distance = kid(of_reals, of_made)
        figures[key] = {
            "kid": distance.value,
            "kid_standard_error": distance.standard_error,
            "recall": manifold(of_reals, of_made)["recall"],
        }
    judges = [figures[key] for key in figures if key != WITNESS]
    for figure in ("kid", "recall"):
        figures[f"median {figure}"] = median(found[figure] for found in judges)
    figures["copies"] = copies(pictures, training, reals).share
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("experiments", nargs="+")
    parser.add_argument("--scale", default="laptop")
    parser.add_argument("--seeds", type=int, nargs="+", default=[11, 12, 13])
    parser.add_argument("--training-seed", type=int)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    found = {
        name: figures_of(name, options.scale, options.seeds, options.training_seed)
        for name in options.experiments
    }
    write_metrics(options.out, found)
    for name, figures in found.items():
        print(
            f"{name}: median KID {figures['median kid']:.3f}, witness "
            f"{figures[WITNESS]['kid']:.3f}, median recall {figures['median recall']:.2f}, "
            f"copies {figures['copies']:.3f}"
        )


if __name__ == "__main__":
    main()

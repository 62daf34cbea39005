"""The stages of dvc.yaml, each a function of a name and a scale.

Heavy imports stand inside the functions: a stage pays only for what it needs.
"""

import json
from pathlib import Path
from typing import Any

from atelier.config import Experiment, Judge, load_dataset, load_experiment
from atelier.data.folders import built_aside
from atelier.data.sampling import Domains, members
from atelier.errors import UserError
from atelier.files import write_whole
from atelier.params import default_scale, load_parameters
from atelier.paths import JUDGE, JUDGE_B, PARAMETERS, SPLITS, Paths, check_scale
from atelier.pipeline.locks import alone
from atelier.pipeline.processes import launch, leads
from atelier.schema import check, unknown

DRAWN = Path("artifacts", "drawn.json")
NO_JUDGE = {
    "numbers": {
        "judge": "arithmetic",
        "reason": "the pattern is a rule: figures follow from counting",
    },
    "pictures": {
        "judge": "imagenet",
        "reason": "no labels, so no judge: features that ImageNet taught choose and gate",
    },
}
"""What stands in a judge's place, by what a dataset holds."""


def scale_or_default(scale: str | None) -> str:
    return default_scale() if scale is None else check_scale(scale)


def draw() -> None:
    """Builds what `data/` lacks, then says what a whole drawing is: data.dvc waits for the file.

    The file says the same whether the data were drawn, imported or pulled: data.dvc alone names
    what they are.

    Raises:
        UserError: it names data that are to be pulled.
    """
    from atelier.data.drawn import draw as draw_datasets
    from atelier.drawing import RENDERER, SEED
    from atelier.drawing.scenes import DrawingCounts
    from atelier.pipeline.absent_data import refuse_to_draw_over

    counts = check(load_parameters().drawing, DrawingCounts, PARAMETERS, "drawing")
    refuse_to_draw_over(counts)
    draw_datasets(Path(), counts)
    said = {"renderer": RENDERER, "seed": SEED, "counts": counts.model_dump()}
    write_whole(DRAWN, json.dumps(said, indent=2) + "\n")


def prepare(name: str, scale: str) -> None:
    """data/<name> -> artifacts/<scale>/<name>/prepared."""
    from atelier.data.prepare import prepare as prepare_dataset

    dataset = load_dataset(scale, name)
    with alone(name, scale, "prepare"):
        prepare_dataset(dataset.data, Path(), Paths(scale).prepared(name))


def judge(name: str, scale: str) -> None:
    """Trains the dataset's judge, keeps the snapshot that validation likes best, and tests it."""
    _train_judge(JUDGE, name, scale)


def judge_b(name: str, scale: str) -> None:
    """The same of the second judge, which neither chooses nor gates."""
    _train_judge(JUDGE_B, name, scale)


def _train_judge(stage: str, name: str, scale: str) -> None:
    from atelier.evaluation import report
    from atelier.pipeline.judging import keep_best
    from atelier.pipeline.training import Hooks, run_training

    dataset, paths = load_dataset(scale, name), Paths(scale)
    _need(paths.prepared(name) / "manifest.json", f"prepare@{name}")
    work = getattr(dataset, stage)
    if work is None:
        with alone(name, scale, stage):
            _no_judge(stage, name, paths, NO_JUDGE[dataset.data.holds])
        return
    _check_labels(paths.dataset_file(name), work.used_labels, paths.prepared(name))

    def finish(folder: Path) -> None:
        table = keep_best(folder, work, paths.prepared(name), paths.judge_metrics(name, stage))
        report.write_table(paths.judge_table(name, stage), table)

    if _follows(stage, name, scale, work, name):
        return
    hooks = Hooks(finish=finish)
    with alone(name, scale, stage):
        run_training(stage, name, scale, work, paths.judge(name, stage), name, hooks)


def _no_judge(stage: str, name: str, paths: Paths, words: dict[str, str]) -> None:
    with built_aside(paths.judge(name, stage)) as building:
        (building / "judge.json").write_text(json.dumps(words, indent=2) + "\n")
    figures = {"judge": words["judge"]}  # a reason would be a column of `dvc metrics show`
    write_whole(paths.judge_metrics(name, stage), json.dumps(figures, indent=2) + "\n")
    in_its_place = f"name,value\n{words['judge']} in its place,0.0\n"
    write_whole(paths.judge_table(name, stage), in_its_place)


def train(name: str, scale: str) -> None:
    """Trains an experiment; MLflow follows, where it can, and never stops it."""
    from atelier.evaluation import report
    from atelier.pipeline.registering import follow
    from atelier.pipeline.training import Hooks, run_training
    from atelier.registry import lineage
    from atelier.tasks import MODULES
    from atelier.training.history import long_table

    experiment, paths = load_experiment(scale, name), Paths(scale)
    _need_dataset(experiment.dataset, paths, judged=False)
    _check_domains(experiment, paths)
    if _follows("train", name, scale, experiment, experiment.dataset):
        return

    def observer(folder: Path) -> Any:
        return follow(experiment, scale, folder)

    def finish(folder: Path) -> None:
        report.write_table(paths.curves(name), long_table(folder / "history.csv"))

    hooks = Hooks(observer, finish, MODULES[experiment.task.name].preview)
    out = paths.train(name)
    with alone(name, scale, "train"):
        made_by = lineage.read_lineage()
        run_training("train", name, scale, experiment, out, experiment.dataset, hooks)
        lineage.keep(out, made_by)


def _follows(stage: str, name: str, scale: str, work: Experiment | Judge, dataset: str) -> bool:
    """Starts the other processes of a training, where it has any; in one of those: computes its
    part, which then is done."""
    launch(stage, name, "--scale", scale)
    if leads():
        return False
    from atelier.pipeline.training import follow_training

    follow_training(stage, name, scale, work, dataset)
    return True


def bundle(name: str, scale: str) -> None:
    """Packs the snapshot that the validation split likes best."""
    from atelier.pipeline.bundling import choose_and_pack
    from atelier.registry import lineage

    experiment, paths = load_experiment(scale, name), Paths(scale)
    _need_dataset(experiment.dataset, paths)
    with alone(name, scale, "train", "bundle"):
        _need(paths.train(name) / "snapshots", f"train@{name}")
        made_by = lineage.read_lineage()
        choose_and_pack(experiment, paths)
        lineage.keep(paths.bundle(name), made_by)


def evaluate(name: str, scale: str) -> None:
    """Scores the bundle, and nothing but the bundle, on the test split."""
    from atelier.pipeline.bundling import score_bundle

    experiment, paths = load_experiment(scale, name), Paths(scale)
    _need_dataset(experiment.dataset, paths)
    with alone(name, scale, "bundle", "evaluate"):
        _need(paths.bundle(name), f"bundle@{name}")
        score_bundle(experiment, paths)


def register(name: str, scale: str) -> None:
    """Hands the bundle to the registry and its gate; leaves a receipt."""
    from atelier.pipeline.registering import register_bundle

    experiment, paths = load_experiment(scale, name), Paths(scale)
    _need_dataset(experiment.dataset, paths)
    with alone(name, scale, "bundle", "evaluate", "register"):
        _need(paths.bundle(name), f"bundle@{name}")
        _need(paths.metrics(name), f"evaluate@{name}")
        register_bundle(experiment, scale)


def _need_dataset(name: str, paths: Paths, judged: bool = True) -> None:
    _need(paths.prepared(name) / "manifest.json", f"prepare@{name}")
    if judged:
        _need(paths.judge(name) / "judge.json", f"judge@{name}")


def _need(path: Path, stage: str) -> None:
    """Refuses to begin without what an earlier stage makes."""
    if not path.exists():
        raise UserError(path, "not there yet", f"Run: dvc repro {stage}")


def _check_labels(path: Path, used: tuple[str, ...], prepared: Path) -> None:
    """A label that the dataset lacks would be noticed only when the judge is trained."""
    labels = json.loads((prepared / "manifest.json").read_text())["labels"]
    for name in used:
        if name not in labels:
            raise unknown(f"{path}: judge.used_labels", name, labels)


def _check_domains(experiment: Experiment, paths: Paths) -> None:
    """A split without two images of each domain would be noticed only after the training.

    Raises:
        UserError: naming the split and the domain.
    """
    from numpy import load

    sampling, prepared = experiment.sampling, paths.prepared(experiment.dataset)
    if not isinstance(sampling, Domains):
        return
    names = json.loads((prepared / "manifest.json").read_text())["labels"]
    for split in SPLITS:
        for rule in (sampling.a, sampling.b):
            try:
                members(load(prepared / f"{split}_labels.npy"), names, rule)
            except UserError as error:
                where = f"{paths.experiment_file(experiment.name)}: {error.where}"
                remedy = f"Add pictures to {experiment.dataset}, or write other domains."
                raise UserError(where, f"{split} split: {error.problem}", remedy) from None

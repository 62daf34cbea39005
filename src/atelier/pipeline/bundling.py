"""From snapshots to a published bundle: validation chooses, the test split scores.

`bundle` reads the validation split, `evaluate` the test split and nothing but the bundle; what
differs from task to task stands in `tasks`.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from atelier.bundle.bundle_model import Bundle, Refused, open_bundle
from atelier.bundle.comparison import Comparer
from atelier.config import Experiment
from atelier.data.folders import built_aside
from atelier.device import visible
from atelier.display import say
from atelier.errors import UserError
from atelier.evaluation import report
from atelier.evaluation.estimate import latest_of_the_best
from atelier.models import MODELS
from atelier.paths import Paths
from atelier.tasks import MODULES
from atelier.tasks.context import Context


def choose_and_pack(experiment: Experiment, paths: Paths) -> None:
    """Packs the latest snapshot whose validation figure is not clearly above the smallest.

    A later one has learnt more, and its average has settled as learning rates fell; where figures
    differ by chance alone, the smallest would as often be an earlier one's.
    """
    context = Context(experiment, paths, "validation")
    task = MODULES[experiment.task.name]
    found = []
    for path in sorted((paths.train(experiment.name) / "snapshots").iterdir()):
        networks = published_networks(context, path)
        figure = task.figure(networks, context)
        error = f" +- {figure.standard_error:.5f}" if figure.standard_error else ""
        say(f"bundle: snapshot {path.stem}: {figure.value:.5f}{error}")
        found.append((figure, path, networks))
    _, path, networks = found[latest_of_the_best([figure for figure, _, _ in found])]
    task.pack(networks, context, paths.bundle(experiment.name), int(path.stem))


def published_networks(context: Context, snapshot: Path) -> nn.ModuleDict:
    """The averaged networks of a snapshot, in evaluation mode, where the context has them run."""
    experiment = context.experiment
    family = MODELS[experiment.model.name]
    nets = family.build(experiment.model, context.shape, len(context.attributes))
    published = nn.ModuleDict({name: nets[name] for name in family.task.networks})
    try:
        published.load_state_dict(load_file(snapshot))
    except RuntimeError:
        problem = "its weights are those of another model than the experiment's file names now"
        raise UserError(snapshot, problem, "Run: dvc repro") from None
    return published.eval().to(context.device).to(memory_format=torch.channels_last)


def score_bundle(experiment: Experiment, paths: Paths) -> None:
    """Scores the published bundle on the test split: metrics.json, tables and pictures."""
    context = Context(experiment, paths, "test", second_opinion=True)
    bundle = open_published(paths.bundle(experiment.name))
    with built_aside(paths.evaluation(experiment.name)) as building:
        metrics = MODULES[experiment.task.name].score(bundle, context, building)
    metrics["judge_trusted"] = context.trusted_labels
    report.write_metrics(paths.metrics(experiment.name), metrics)


def open_published(folder: Path) -> Bundle:
    """Ready to run on the visible device."""
    try:
        return open_bundle(folder).to(visible())
    except Refused as refusal:
        remedy = f"Run: dvc repro --force bundle@{folder.parent.name}"
        raise UserError(folder, f"the bundle is refused ({refusal})", remedy) from None


def open_comparer(experiment: Experiment, scale: str) -> Comparer:
    """Who compares bundles of this experiment for the gate, on the test split."""
    return MODULES[experiment.task.name].comparer(Context(experiment, Paths(scale), "test"))

"""A new experiment from one that is there: a file for each scale, and its line in params.yaml.

All is checked before anything is written, and what a training will cost is counted anew.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atelier.config import (
    NAME_PATTERN,
    Dataset,
    Experiment,
    check_fit,
    listing,
    load_dataset,
    load_experiment,
    trained_networks,
)
from atelier.data.sampling import Balanced, Domains
from atelier.errors import UserError
from atelier.models import MODELS
from atelier.objectives import OBJECTIVES
from atelier.operations.adding import add
from atelier.params import Parameters, load_parameters
from atelier.paths import PARAMETERS, SCALES, Paths
from atelier.rewriting import rewritten
from atelier.schema import check, parse, unknown
from atelier.task import CLASSIFICATION
from atelier.training.cost import cost_of

SAME_COST = 0.01
"""A difference, as a share, that no plan is changed for."""
Changes = dict[tuple[str, ...], Any]
"""Another value by place: see rewriting.py."""


def new_experiment(
    name: str,
    source: str,
    objective: str | None = None,
    model: str | None = None,
    dataset: str | None = None,
) -> list[Path]:
    """Writes experiments/<scale>/<name>.yaml for every scale, then the line in params.yaml.

    Args:
        objective, model, dataset: others than the source's; what goes with them changes too.

    Returns the new files. All appear or none does.

    Raises:
        UserError: the name is taken or no name, the source is unknown, or what was asked for does
            not fit together.
    """
    parameters = load_parameters()
    _check_names(name, source, parameters)
    losses = [name for name, loss in OBJECTIVES.items() if CLASSIFICATION not in loss.tasks]
    if objective is not None and objective not in losses:
        raise unknown("--objective", objective, losses)
    if dataset is not None and dataset not in parameters.datasets:
        raise unknown("--dataset", dataset, parameters.datasets)
    texts, made = {}, []
    for scale in SCALES:
        path = Paths(scale).experiment_file(name)
        texts[path] = _text(scale, name, source, objective, model, dataset)
        made.append(_checked(path, texts[path]))
        texts[path] = _with_cost(path, texts[path], made[-1], load_experiment(scale, source))
    add(texts, "experiments", name, listing(made[0]).model_dump())
    return list(texts)


def _check_names(name: str, source: str, parameters: Parameters) -> None:
    if not re.fullmatch(NAME_PATTERN, name):
        raise UserError(name, "no name for an experiment", "Lower-case letters, digits, hyphens.")
    taken = [path for scale in SCALES if (path := Paths(scale).experiment_file(name)).exists()]
    if taken or name in parameters.experiments:
        raise UserError(taken[0] if taken else PARAMETERS, f"has {name} already", "Choose another.")
    if source not in parameters.experiments:
        raise unknown("--from", source, parameters.experiments)


def _text(
    scale: str,
    name: str,
    source: str,
    objective: str | None,
    model: str | None,
    dataset: str | None,
) -> str:
    """The source's file of one scale with what is new in its place."""
    path = Paths(scale).experiment_file(source)
    before, text = load_experiment(scale, source), path.read_text(encoding="utf-8")
    changes: Changes = {
        ("name",): name,
        ("registered_name",): name if scale == "laptop" else f"{name}-{scale}",
    }
    if model not in (None, before.model.name):
        changes["model",] = {"name": model, **_model_values(str(model), source)}
    if objective not in (None, before.objective.name):
        loss = OBJECTIVES[str(objective)]
        changes["objective",] = {"name": objective, **loss.values}
        changes |= {("training", key): value for key, value in loss.training.items()}
        if "optimizers" not in loss.training:
            changes |= _optimizers(before, loss.config.model_validate(changes["objective",]))
    if dataset not in (None, before.dataset):
        changes |= _of_dataset(before, load_dataset(scale, str(dataset)))
    return rewritten(text, changes)


def _optimizers(before: Experiment, objective: Any) -> Changes:
    """The source's, of those networks that the new objective trains, too."""
    there = before.training.optimizers
    trained = trained_networks(objective)
    if not there.keys() - trained:
        return {}
    kept = {name: adam.model_dump(mode="json") for name, adam in there.items() if name in trained}
    return {("training", "optimizers"): kept}


def _model_values(model: str, source: str) -> Mapping[str, Any]:
    """What a model starts with.

    Raises:
        UserError: there is no such model, or its size differs from scale to scale.
    """
    chosen = [name for name, row in MODELS.items() if row.task != CLASSIFICATION]
    if model not in chosen:
        raise unknown("--model", model, chosen)
    if (values := MODELS[model].values) is None:
        ready = [name for name, row in MODELS.items() if row.values is not None]
        raise UserError(
            "--model",
            f"no values to start {model} with (got --from {source})",
            f"Start from an experiment of that model, or take {' or '.join(ready)}.",
        )
    return values


def _of_dataset(before: Experiment, dataset: Dataset) -> Changes:
    """The dataset, a model for its size, and the rule by which its images are drawn: of the labels
    that its judge tells.

    Raises:
        UserError: the task needs labels that the dataset lacks.
    """
    changes: Changes = {("dataset",): dataset.name}
    if (fitted := MODELS[before.model.name].fitted) and dataset.data.size_pixels:
        values = fitted(before.model, dataset.data.size_pixels)
        changes |= {("model", key): value for key, value in values.items()}
    sampling, labels = before.sampling, () if dataset.judge is None else dataset.judge.used_labels
    if isinstance(sampling, Balanced) and labels:
        changes["sampling", "attributes"] = list(labels)
    if isinstance(sampling, Domains) and labels:
        rule = {*sampling.a, *sampling.b}
        if not rule <= set(labels):
            first, second = _two_domains(dataset, labels)
            changes |= {("sampling", "a"): first, ("sampling", "b"): second}
        balance = [label for label in sampling.balance if label in labels]
        changes["sampling", "balance"] = balance if rule <= set(labels) else []
    return changes


def _two_domains(dataset: Dataset, labels: tuple[str, ...]) -> tuple[dict[str, int], ...]:
    """Both folders of a pair; else those with one of the first two labels and without the other."""
    if dataset.data.layout == "pairs":
        return {labels[0]: 0}, {labels[0]: 1}
    if len(labels) < 2:
        raise UserError("--dataset", f"{dataset.name} has one label; a translation needs two")
    return {labels[0]: 1, labels[1]: 0}, {labels[1]: 1, labels[0]: 0}


def _checked(path: Path, text: str) -> Experiment:
    """The experiment that a text describes, once it is sound and fits its dataset."""
    experiment = check(parse(text), Experiment, path)
    check_fit(path, experiment, load_dataset(path.parent.name, experiment.dataset))
    return experiment


def _with_cost(path: Path, text: str, made: Experiment, before: Experiment) -> str:
    """The text with its plan: operations counted from the networks, seconds by the source's pace.

    Raises:
        UserError: the networks can't be built for images of that size.
    """
    try:
        gflop = cost_of(made, load_dataset(path.parent.name, made.dataset))
    except UserError as error:
        raise UserError(f"{path}: {error.where}", error.problem, error.remedy) from None
    plan = before.plan
    work = plan.gflop_per_image * before.training.images
    share = gflop * made.training.images / work if work else 1.0
    if abs(share - 1) < SAME_COST:
        return text
    changes: Changes = {
        ("plan", "gflop_per_image"): float(f"{gflop:.4g}"),
        ("plan", "seconds"): max(round(plan.seconds * share), 1),
    }
    return rewritten(text, changes)

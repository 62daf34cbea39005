"""A new experiment from one that is there: a file for each scale, and its line in params.yaml.

All is checked before anything is written.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from atelier.config import (
    NAME_PATTERN,
    Experiment,
    check_fit,
    listing,
    load_dataset,
    load_experiment,
)
from atelier.errors import UserError
from atelier.files import write_whole
from atelier.models import MODELS
from atelier.objectives import OBJECTIVES
from atelier.params import Listed, Parameters, load_parameters
from atelier.paths import PARAMETERS, SCALES, Paths
from atelier.rewriting import extended, rewritten
from atelier.schema import check, unknown
from atelier.task import CLASSIFICATION


def new_experiment(
    name: str, source: str, objective: str | None = None, model: str | None = None
) -> list[Path]:
    """Writes experiments/<scale>/<name>.yaml for every scale, then the line in params.yaml.

    Returns the new files. All appear or none does.

    Raises:
        UserError: the name is taken or no name, the source is unknown, or what was asked for does
            not fit together.
    """
    parameters = load_parameters()
    _check_names(name, source, parameters)
    chosen = [name for name, loss in OBJECTIVES.items() if CLASSIFICATION not in loss.tasks]
    if objective is not None and objective not in chosen:
        raise unknown("--objective", objective, chosen)
    texts = {
        Paths(scale).experiment_file(name): _text(scale, name, source, objective, model)
        for scale in SCALES
    }
    made = [_checked(path, text) for path, text in texts.items()]
    mapping = _with_line(PARAMETERS.read_text(encoding="utf-8"), name, listing(made[0]))
    expected = parameters.experiments | {name: listing(made[0])}
    if check(yaml.safe_load(mapping), Parameters, PARAMETERS).experiments != expected:
        raise _not_line_by_line(name, listing(made[0]))  # such as one that repeats another by *name
    _write(texts, mapping)
    return list(texts)


def _check_names(name: str, source: str, parameters: Parameters) -> None:
    if not re.fullmatch(NAME_PATTERN, name):
        raise UserError(name, "no name for an experiment", "Lower-case letters, digits, hyphens.")
    taken = [path for scale in SCALES if (path := Paths(scale).experiment_file(name)).exists()]
    if taken or name in parameters.experiments:
        raise UserError(taken[0] if taken else PARAMETERS, f"has {name} already", "Choose another.")
    if source not in parameters.experiments:
        raise unknown("--from", source, parameters.experiments)


def _text(scale: str, name: str, source: str, objective: str | None, model: str | None) -> str:
    """The source's file of one scale with what is new in its place."""
    path = Paths(scale).experiment_file(source)
    before, text = load_experiment(scale, source), path.read_text(encoding="utf-8")
    changes: dict[tuple[str, ...], Any] = {
        ("name",): name,
        ("registered_name",): name if scale == "laptop" else f"{name}-{scale}",
    }
    if model not in (None, before.model.name):
        changes["model",] = {"name": model, **_model_values(str(model), source)}
    if objective not in (None, before.objective.name):
        loss = OBJECTIVES[str(objective)]
        changes["objective",] = {"name": objective, **loss.values}
        changes |= {("training", key): value for key, value in loss.training.items()}
    return rewritten(text, changes)


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


def _checked(path: Path, text: str) -> Experiment:
    """The experiment that a text describes, once it is sound and fits its dataset."""
    experiment = check(yaml.safe_load(text), Experiment, path)
    check_fit(path, experiment, load_dataset(path.parent.name, experiment.dataset))
    return experiment


def _with_line(text: str, name: str, listed: Listed) -> str:
    """params.yaml with one line more below `experiments`."""
    try:
        return extended(text, ("experiments",), name, listed.model_dump())
    except ValueError:
        raise _not_line_by_line(name, listed) from None


def _not_line_by_line(name: str, listed: Listed) -> UserError:
    problem = "can't be added to: it is not one experiment a line"
    remedy = f"Add {name}: {listed.as_line()} by hand."
    return UserError(f"{PARAMETERS}: experiments", problem, remedy)


def _write(texts: dict[Path, str], mapping: str) -> None:
    """The mapping last: until it names them, nothing reads the files."""
    written: list[Path] = []
    try:
        for path, text in texts.items():
            with path.open("x", encoding="utf-8", newline="\n") as file:
                written.append(path)
                file.write(text)
        write_whole(PARAMETERS, mapping)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise UserError(error.filename, f"cannot be written ({error.strerror})") from None

"""A new experiment from one that is there: a file for each scale, and its line in params.yaml.

Files are edited as text, at the places that YAML itself names, so that comments, order and style
stay. All is checked before anything is written.
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
from atelier.models import MODELS
from atelier.objectives import OBJECTIVES
from atelier.params import Parameters, load_parameters
from atelier.paths import PARAMETERS, SCALES, Paths
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
    mapping = _with_line(PARAMETERS.read_text(encoding="utf-8"), name, listing(made[0]).as_line())
    expected = parameters.experiments | {name: listing(made[0])}
    if check(yaml.safe_load(mapping), Parameters, PARAMETERS).experiments != expected:
        raise _not_line_by_line(name, listing(made[0]).as_line())
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
    for keys, value in changes.items():
        text = _replaced(text, keys, value)
    return text


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


def _replaced(text: str, keys: tuple[str, ...], value: Any) -> str:
    """The text with another value at a place, in the style of the one that stands there."""
    node = _find(text, keys)
    start, end = node.start_mark.index, _end(node)
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        indent = "\n" + " " * node.start_mark.column
        new = indent.join(f"{key}: {_flow(inner)}" for key, inner in value.items())
    else:
        new = _flow(value)
    # A comment beside the old value says nothing of the new one.
    rest = re.sub(r"^[ \t]+#[^\n]*", "", text[end:])
    return text[:start] + new + rest


def _with_line(text: str, name: str, said: str) -> str:
    """params.yaml with one line more below `experiments`."""
    node = _find(text, ("experiments",))
    if node.flow_style:
        raise _not_line_by_line(name, said)
    line_end = text.find("\n", _end(node))
    line_end = len(text) if line_end < 0 else line_end
    indent = " " * node.start_mark.column
    return f"{text[:line_end]}\n{indent}{name}: {said}{text[line_end:]}"


def _not_line_by_line(name: str, said: str) -> UserError:
    problem = "can't be added to: it is not one experiment a line"
    return UserError(f"{PARAMETERS}: experiments", problem, f"Add {name}: {said} by hand.")


def _find(text: str, keys: tuple[str, ...]) -> Any:
    """The YAML node at a place that is known to be there."""
    node: Any = yaml.compose(text, yaml.SafeLoader)
    for key in keys:
        node = next(value for found, value in node.value if found.value == key)
    return node


def _end(node: Any) -> int:
    """Where a value's text ends; YAML counts what follows an indented block as part of it."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _flow(value: Any) -> str:
    """A value as YAML in one line."""
    dumped = yaml.safe_dump([value], default_flow_style=True, sort_keys=False, width=1000)
    return str(dumped).strip()[1:-1]


def _write(texts: dict[Path, str], mapping: str) -> None:
    """The mapping last: until it names them, nothing reads the files."""
    written: list[Path] = []
    beside = PARAMETERS.with_suffix(".writing")
    try:
        for path, text in texts.items():
            with path.open("x", encoding="utf-8", newline="\n") as file:
                written.append(path)
                file.write(text)
        beside.write_text(mapping, encoding="utf-8", newline="\n")
        beside.replace(PARAMETERS)
    except OSError as error:
        for path in (*written, beside):
            path.unlink(missing_ok=True)
        raise UserError(error.filename, f"cannot be written ({error.strerror})") from None

"""A new experiment from one that is there: a file for each scale, and its line in params.yaml.

All is checked before anything is written.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from atelier.config import (
    NAME_PATTERN,
    Experiment,
    Listed,
    Parameters,
    as_line,
    check_fit,
    listing,
    load_dataset,
    load_experiment,
    load_parameters,
)
from atelier.errors import UserError
from atelier.files import write_whole
from atelier.paths import PARAMETERS, SCALES, Paths
from atelier.rewriting import extended, rewritten
from atelier.schema import check, unknown

OBJECTIVE_VALUES: dict[str, dict[str, Any]] = {
    "bce": {},
    "lsgan": {},
    "hinge": {},
    # lambda as in the paper; two critic steps instead of five suit two cores.
    "wgan_gp": {"gradient_penalty": 10.0, "critic_steps": 2},
    # For 64 pixels; gamma grows with the image's area.
    "relativistic": {"gamma": 0.1, "penalty_every": 8},
    "relativistic_ac": {
        "gamma": 0.1,
        "penalty_every": 8,
        "real_label_weight": 1.0,
        "fake_label_weight": 0.5,
    },
    "seed": {},
    # As in the paper, but that the identity term, a third of the cost, ends early.
    "cyclegan": {
        "adversarial": "lsgan",
        "cycle": 10.0,
        "identity": 0.5,
        "identity_until": 0.3,
        "pool": 50,
    },
    "reconstruction": {"absolute_share": 0.0},
    "elbo": {"first_kl_weight": 0.1, "warm_up_share": 0.1},
}
"""What an objective starts with where the source has another one."""

MODEL_VALUES: dict[str, dict[str, Any]] = {
    "numbers": {"latent_dim": 100, "hidden": 128},
    "seed": {"latent_dim": 100},
}
"""The same of models whose size is the same at every scale."""

SEED_ADAM = {"learning_rate": 0.0005, "betas": [0.9, 0.999], "schedule": "constant"}
SEED_TRAINING: dict[tuple[str, ...], Any] = {
    ("training", "batch_size"): 10,
    ("training", "optimizers", "generator"): SEED_ADAM,
    ("training", "optimizers", "discriminator"): SEED_ADAM,
    ("training", "ema_share"): 0.0,
    ("training", "early_stopping"): {
        "watch": "distance",
        "draws": 10,
        "patience_steps": 800,
        "keep": "last",
    },
}
"""Exactly as the seed trains (Liu 2024, 3.5)."""


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
    if objective is not None and objective not in OBJECTIVE_VALUES:
        raise unknown("--objective", objective, OBJECTIVE_VALUES)
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
        if model not in MODEL_VALUES:
            raise UserError(
                "--model",
                f"no values to start {model} with (got --from {source})",
                f"Start from an experiment of that model, or take {' or '.join(MODEL_VALUES)}.",
            )
        changes["model",] = {"name": model, **MODEL_VALUES[model]}
    if objective not in (None, before.objective.name):
        changes["objective",] = {"name": objective, **OBJECTIVE_VALUES[str(objective)]}
        if objective == "seed":
            changes |= SEED_TRAINING
    return rewritten(text, changes)


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
    remedy = f"Add {name}: {as_line(listed)} by hand."
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

"""The loss families that an experiment can name: one row each.

An objective's file has its `Config` and `build(config, setting)`, which makes an Objective (see
phase.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from atelier.objectives import (
    back_translation,
    bce,
    classification,
    cvaegan,
    cyclegan,
    elbo,
    hinge,
    linear_baseline,
    lsgan,
    reconstruction,
    relativistic,
    relativistic_ac,
    vaegan,
    wgan_gp,
)
from atelier.objectives.phase import Objective, Setting
from atelier.schema import Strict
from atelier.task import (
    CLASSIFICATION,
    CONDITIONAL,
    NUMBERS,
    RECONSTRUCTION,
    TRANSLATION,
    UNCONDITIONAL,
    Task,
)

FROM_NOISE = (NUMBERS, UNCONDITIONAL, CONDITIONAL)
"""Tasks of a generator against a discriminator."""


@dataclass(frozen=True)
class Loss:
    """One loss family: which tasks' models it trains, how it is configured and built."""

    tasks: tuple[Task, ...]
    config: type[Strict]
    build: Callable[[Any, Setting], Objective]
    models: tuple[str, ...] = ()
    """The only models whose networks it can train; empty: all of its tasks."""
    penalises_gradients: bool = False
    """Image by image, which a discriminator whose BatchNorm mixes images does not bear."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What it starts with in a new experiment whose source has another one."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Likewise of the block `training`, by keys of that block."""

    def trains(self, model: str, task: Task) -> bool:
        """Whether it can train the model of that name and task."""
        return task in self.tasks and model in (self.models or (model,))


_BOOK_ADAM = {"learning_rate": 0.0005, "betas": [0.9, 0.999], "schedule": "constant"}
"""As the book trains the linear baseline (Liu 2024, 3.5)."""
_VAE_ADAM = {"learning_rate": 0.001, "betas": [0.9, 0.98], "schedule": "cosine"}
_SHARPENING_ADAM = {"learning_rate": 0.0004, "betas": [0.0, 0.99], "schedule": "flat_then_linear"}
_FLOW_ADAM = {"learning_rate": 0.0015, "betas": [0.9, 0.99], "schedule": "cosine"}
_CYCLEGAN_ADAM = {"learning_rate": 0.0002, "betas": [0.5, 0.999], "schedule": "flat_then_linear"}
_PENALTY = {"gamma": 0.1, "penalty_every": 8}
"""For 64 pixels; gamma grows with the image's area."""
_THREE_PARTS = {
    "gamma": 0.05, "penalty_every": 8, "reconstruct_until": 0.29, "learn_codes_until": 0.71,
    "head_start": 0.008, "patches": 0.25, "likeness": 10.0, "features": 0.5,
    "real_label_weight": 1.0,
}  # fmt: skip
_THREE_PARTS_ADAM = {
    **dict.fromkeys(("encoder", "decoder"), _VAE_ADAM),
    "prior": _FLOW_ADAM,
    "classifier": {**_FLOW_ADAM, "learning_rate": 0.001},
    "generator": {**_SHARPENING_ADAM, "schedule": "warm_up_then_linear"},
    "discriminator": {**_SHARPENING_ADAM, "learning_rate": 0.0007},
}

OBJECTIVES: Mapping[str, Loss] = {
    "bce": Loss(FROM_NOISE, bce.Config, bce.build),
    "lsgan": Loss(FROM_NOISE, lsgan.Config, lsgan.build),
    "hinge": Loss(FROM_NOISE, hinge.Config, hinge.build),
    "wgan_gp": Loss(
        FROM_NOISE, wgan_gp.Config, wgan_gp.build, penalises_gradients=True,
        # lambda as in the paper; two critic steps instead of five suit two cores.
        values={"gradient_penalty": 10.0, "critic_steps": 2},
    ),
    "relativistic": Loss(
        FROM_NOISE, relativistic.Config, relativistic.build, penalises_gradients=True,
        values=_PENALTY,
    ),
    "relativistic_ac": Loss(
        (CONDITIONAL,), relativistic_ac.Config, relativistic_ac.build, penalises_gradients=True,
        values={**_PENALTY, "real_label_weight": 1.0, "fake_label_weight": 0.5},
    ),
    "linear_baseline": Loss(
        (NUMBERS,), linear_baseline.Config, linear_baseline.build,
        training={
            "batch_size": 10,
            "optimizers": {"generator": _BOOK_ADAM, "discriminator": _BOOK_ADAM},
            "ema_share": 0.0,
            "early_stopping": {
                "watch": "distance", "draws": 10, "patience_steps": 800, "keep": "last",
            },
        },
    ),
    "cyclegan": Loss(
        (TRANSLATION,), cyclegan.Config, cyclegan.build,
        # As in the paper, but that the identity term, a third of the cost, ends early.
        values={
            "adversarial": "lsgan", "cycle": 10.0, "identity": 0.5, "identity_until": 0.3,
            "pool": 50,
        },
        training={
            "batch_size": 1,
            "optimizers": dict.fromkeys(
                ("a2b", "b2a", "discriminator_a", "discriminator_b"), _CYCLEGAN_ADAM
            ),
            "augmentation": None,
        },
    ),
    "back_translation": Loss(
        (TRANSLATION,), back_translation.Config, back_translation.build, penalises_gradients=True,
        values={
            "cycle": 5.0, "change": 0.5, "warm_up_share": 0.15, "noise": 0.03, "recolour_a": 0.0,
            "recolour_b": 0.0, "patch_floor": 0.5, "gamma": 0.01, "penalty_every": 8,
        },
    ),
    "reconstruction": Loss(
        (RECONSTRUCTION,), reconstruction.Config, reconstruction.build,
        values={"absolute_share": 0.0},
    ),
    "elbo": Loss(
        (RECONSTRUCTION,), elbo.Config, elbo.build,
        values={"first_kl_weight": 1.0, "warm_up_share": 0.0},
    ),
    "vaegan": Loss(
        (UNCONDITIONAL,), vaegan.Config, vaegan.build, models=("vaegan",), penalises_gradients=True,
        values=_THREE_PARTS, training={"optimizers": _THREE_PARTS_ADAM},
    ),
    "cvaegan": Loss(
        (CONDITIONAL,), cvaegan.Config, cvaegan.build, penalises_gradients=True,
        values={**_THREE_PARTS, "fake_label_weight": 0.5},
        training={"optimizers": _THREE_PARTS_ADAM},
    ),
    "classification": Loss((CLASSIFICATION,), classification.Config, classification.build),
}  # fmt: skip

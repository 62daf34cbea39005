"""What the tables of models and objectives allow, for tests that go over all of it."""

from pathlib import Path

import yaml

from atelier.models import MODELS
from atelier.objectives import OBJECTIVES
from atelier.rewriting import rewritten
from atelier.schema import read_yaml

TINY = Path(__file__).parents[1] / "experiments" / "tiny"
SHIPPED = (
    "numbers",
    "faces-gan",
    "faces-cgan",
    "horse2zebra",
    "black2blond",
    "faces-ae",
    "faces-vae",
)
"""Experiments that the README shows and whose time is promised; a user may have added others."""
ALONE = {row.objective for row in MODELS.values() if row.objective}
"""Objectives that train one model and nothing else."""


_ADAM = {"learning_rate": 0.0003, "betas": [0.0, 0.99], "schedule": "constant"}
PLAIN_GAN = {
    ("model",): {
        "name": "dcgan", "latent_dim": 16, "generator_width": 8, "discriminator_width": 8,
        "discriminator_norm": "none",
    },
    ("objective",): {"name": "relativistic", "gamma": 0.1, "penalty_every": 8},
    ("training", "optimizers"): {"generator": _ADAM, "discriminator": _ADAM},
}  # fmt: skip
"""What makes faces-gan of scale tiny the plain one of a generator and a discriminator."""


CLASSIC = {
    "model": {
        "name": "cyclegan", "generator_width": 4, "residual_blocks": 1, "discriminator_width": 4,
        "receptive_field": 16, "upsampling": "resize", "output": "masked",
    },
    "objective": {
        "name": "cyclegan", "adversarial": "lsgan", "cycle": 10.0, "identity": 0.5,
        "identity_until": 0.3, "pool": 50,
    },
}  # fmt: skip
"""What makes a translation of scale tiny CycleGAN's; its networks have the same names."""


PLAIN_CONDITIONAL = {
    "model": {
        "name": "cdcgan", "latent_dim": 16, "attribute_dim": 4, "generator_width": 8,
        "discriminator_width": 8, "discriminator_norm": "none",
    },
    "objective": {
        "name": "relativistic_ac", "gamma": 0.1, "penalty_every": 8, "real_label_weight": 1.0,
        "fake_label_weight": 0.5,
    },
}  # fmt: skip
"""What makes faces-cgan of scale tiny a plain one; its rates are PLAIN_GAN's."""


def plain_conditional():
    """Such an experiment."""
    body = read_yaml(TINY / "faces-cgan.yaml") | PLAIN_CONDITIONAL
    rates = {"generator": dict(_ADAM), "discriminator": dict(_ADAM)}
    body["training"] = body["training"] | {"optimizers": rates}
    return body


def plain_gan():
    """The text of such an experiment."""
    return rewritten((TINY / "faces-gan.yaml").read_text(), PLAIN_GAN)


def fits(objective, model):
    row = MODELS[model]
    chosen = row.objective == objective if row.objective else objective not in ALONE
    return chosen and OBJECTIVES[objective].trains(model, row.task)


def tiny(kind):
    """What the experiments of scale tiny say of each model or objective, by its name."""
    bodies = [read_yaml(path) for path in sorted(TINY.glob("*.yaml"))]
    datasets = [read_yaml(path) for path in sorted((TINY / "datasets").glob("*.yaml"))]
    judges = [dataset[stage] for dataset in datasets for stage in ("judge", "judge_b")]
    every = [
        yaml.safe_load(plain_gan()),
        PLAIN_CONDITIONAL,
        CLASSIC,
        *bodies,
        *filter(None, judges),
    ]
    return {body[kind]["name"]: body[kind] for body in every}


def tiny_model(name):
    """A model's configuration at scale tiny; of one that no experiment has, a small one."""
    body = {"name": name, "latent_dim": 8, **(MODELS[name].values or {})}
    return MODELS[name].config.model_validate(tiny("model").get(name, body))

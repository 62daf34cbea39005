"""The architectures that an experiment can name: one row each.

A model's file has its `Config`, its networks, and `build(config, shape, labels)`, which makes them
for data of a shape and so many labels. What the networks of a task take and make says
`atelier.task`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from atelier.models import (
    autoencoder,
    cdcgan,
    cvaegan,
    cyclegan,
    dcgan,
    judge,
    judge_b,
    linear_baseline,
    numbers,
    translator,
    vae,
    vaegan,
)
from atelier.models.blocks import GROUP
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


@dataclass(frozen=True)
class Model:
    """One architecture: what it is for, how it is configured and built."""

    task: Task
    config: type[Strict]
    build: Callable[[Any, tuple[int, ...], int], nn.ModuleDict]
    """(config, shape of one image or row, number of labels) -> all networks by name."""
    objective: str = ""
    """The one objective that can train it, and that trains nothing else; empty: any of the task."""
    why: str = ""
    """Why it is that one alone."""
    values: Mapping[str, Any] | None = None
    """What a new experiment starts with, where the size is the same at every scale."""
    begin: Callable[[nn.ModuleDict, Tensor], None] | None = None
    """Sets what needs no training from images [N, C, S, S] in [-1, 1], in place."""
    group: int = 1
    """Images that a network compares with each other: batches are multiples of them."""
    fitted: Callable[[Any, int], Mapping[str, Any]] | None = None
    """(config, side of an image) -> the keys that take other values for images so small."""


def _smaller_patch(config: cyclegan.Config, size: int) -> Mapping[str, Any]:
    """The largest patch that a discriminator may see of an image, where `config` asks for more."""
    fitting = [patch for patch in cyclegan.STRIDED if patch <= cyclegan.LARGEST_SHARE * size]
    patch = max(fitting, default=config.receptive_field)
    return {"receptive_field": patch} if patch < config.receptive_field else {}


def _fewer_maps(config: Strict, size: int) -> Mapping[str, Any]:
    """As many maps of each network as an image so small can be halved to."""
    halvings = (size & -size).bit_length() - 1
    most = {
        "encoder_widths": halvings - 1,  # begins at a quarter of the side
        **dict.fromkeys(("decoder_widths", "generator_widths", "discriminator_widths"), halvings),
    }
    return {
        key: list(widths)[:count]
        for key, count in most.items()
        if len(widths := getattr(config, key, ())) > count
    }


MODELS: Mapping[str, Model] = {
    "numbers": Model(
        NUMBERS, numbers.Config, numbers.build, values={"latent_dim": 100, "hidden": 128}
    ),
    "linear_baseline": Model(
        NUMBERS, linear_baseline.Config, linear_baseline.build, objective="linear_baseline",
        why="the book's sigmoid and its BCELoss go together", values={"latent_dim": 100},
    ),
    "dcgan": Model(
        UNCONDITIONAL, dcgan.Config, dcgan.build,
        values={
            "latent_dim": 64, "generator_width": 32, "discriminator_width": 32,
            "discriminator_norm": "none",
        },
    ),
    "cdcgan": Model(
        CONDITIONAL, cdcgan.Config, cdcgan.build,
        values={
            "latent_dim": 64, "attribute_dim": 16, "generator_width": 32,
            "discriminator_width": 32, "discriminator_norm": "none",
        },
    ),
    "cyclegan": Model(
        TRANSLATION, cyclegan.Config, cyclegan.build, objective="cyclegan",
        why="each goes with the other's kind of discriminators", fitted=_smaller_patch,
        values={
            "generator_width": 16, "residual_blocks": 4, "discriminator_width": 32,
            "receptive_field": 16, "upsampling": "resize", "output": "image",
        },
    ),
    "translator": Model(
        TRANSLATION, translator.Config, translator.build, objective="back_translation",
        why="its discriminators answer at several sides, to which only that one listens",
        fitted=_fewer_maps,
    ),
    "autoencoder": Model(
        RECONSTRUCTION, autoencoder.Config, autoencoder.build, begin=autoencoder.begin,
        fitted=_fewer_maps,
    ),
    "vae": Model(
        RECONSTRUCTION, vae.Config, vae.build, objective="elbo",
        why="the ELBO needs means and log-variances", begin=vae.begin, fitted=_fewer_maps,
    ),
    "vaegan": Model(
        UNCONDITIONAL, vaegan.Config, vaegan.build, begin=vae.begin, group=GROUP,
        fitted=_fewer_maps,
    ),
    "cvaegan": Model(
        CONDITIONAL, cvaegan.Config, cvaegan.build, objective="cvaegan",
        why="its discriminator also judges patches, to which only that one listens",
        begin=vae.begin, group=GROUP, fitted=_fewer_maps,
    ),
    "judge": Model(CLASSIFICATION, judge.Config, judge.build),
    "judge_b": Model(CLASSIFICATION, judge_b.Config, judge_b.build),
}  # fmt: skip

"""Attribute directions for a bundle, found from the judge's labels of samples or from true ones."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from atelier.data.images import to_bytes
from atelier.display import say
from atelier.editing.directions import find_attribute_directions
from atelier.evaluation.features import in_batches
from atelier.tasks.context import Context, Labels
from atelier.tasks.pictures import made_from

SAMPLES = 4000
"""Pictures that the judge labels; a rare attribute needs many to have its few positives."""


@dataclass(frozen=True)
class Found:
    """What a bundle says and holds of its directions; nothing where none was found."""

    names: tuple[str, ...] = ()
    words: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, npt.NDArray[np.float32]] = field(default_factory=dict)


def directions_of_samples(
    generator: nn.Module, context: Context, conditions: Labels | None = None
) -> Found:
    """From pictures that the generator makes of noise, labelled by the judge.

    `conditions`: rows of attributes [N, K] to make them with, drawn by chance.
    """
    if (judge := context.judge) is None:
        return Found()
    seeded = torch.Generator().manual_seed(context.seed)
    latents = torch.randn(SAMPLES, context.experiment.model.latent_dim, generator=seeded)
    inputs = [latents]
    if conditions is not None:
        rows = torch.randint(len(conditions), (SAMPLES,), generator=seeded)
        inputs.append(torch.from_numpy(conditions)[rows].float())
    pictures = to_bytes(made_from(generator, *inputs)).numpy()
    labels = (in_batches(judge, pictures) > 0).astype(np.uint8)
    return directions_of(latents.numpy(), labels, context)


def directions_of(latents: npt.NDArray[np.float32], labels: Labels, context: Context) -> Found:
    """Of the attributes that the judge can be trusted with: no edit could be checked for others.

    Args:
        labels: of all the dataset's, in their order.
    """
    names = [name for name in context.label_names if name in context.trusted_labels]
    columns = [context.label_names.index(name) for name in names]
    found = find_attribute_directions(latents, labels[:, columns], names)
    for name, reason in found.left_out.items():
        say(f"directions: {name} left out: {reason}")
    if not found.names:
        return Found()
    arrays = {"directions": found.vectors, "latent_mean": found.mean}
    return Found(found.names, {"directions": found.words()}, arrays)

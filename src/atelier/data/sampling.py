"""Which training images a step sees, and how often: evenly, balanced by attributes, or two domains.

A rule names attributes and never moves a file: who is in a domain, and how much an image counts,
follow from the prepared labels.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from atelier.errors import UserError
from atelier.schema import Share, Strict, unknown

Labels = NDArray[np.uint8]
"""[N, K] of 0 and 1."""
Weights = NDArray[np.float64]
"""[N], at least 0: how often an image is drawn, up to a factor."""


class Uniform(Strict):
    """Every image once in each epoch."""

    name: Literal["uniform"]


class Balanced(Strict):
    """Rare combinations of the chosen attributes are drawn more often than they occur."""

    name: Literal["balanced"]
    attributes: tuple[str, ...] = Field(strict=False, min_length=1)
    """What a generator can be asked for, in this order."""
    power: Share
    """An image weighs count(its combination) ** -power: 0 is uniform, 1 makes all alike."""
    heaviest: Annotated[float, Field(ge=1)]
    """Largest weight, as a multiple of the smallest."""


class Domains(Strict):
    """Two sets of images, drawn apart: unpaired translation learns from one to the other.

    `a` and `b` map attributes to the value that they have there; in a pair folder `domain_b` is
    the one attribute.
    """

    name: Literal["domains"]
    a: dict[str, Literal[0, 1]] = Field(min_length=1)
    b: dict[str, Literal[0, 1]] = Field(min_length=1)
    balance: tuple[str, ...] = Field(strict=False)
    """Attributes that shall be equally frequent in both, by weights: what goes with the domain in
    the data (men with black hair) is else learnt as part of it."""


def columns(names: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """The labels' columns of some attributes.

    Raises:
        UserError: the dataset has no such attribute.
    """
    for name in wanted:
        if name not in names:
            raise unknown("sampling", name, names)
    return [list(names).index(name) for name in wanted]


def balanced_weights(labels: Labels, power: float, heaviest: float) -> Weights:
    """count(combination) ** -power, capped at `heaviest` times the smallest."""
    _, inverse, counts = np.unique(labels, axis=0, return_inverse=True, return_counts=True)
    weights = counts[inverse.reshape(-1)].astype(np.float64) ** -power
    capped: Weights = np.minimum(weights, heaviest * weights.min())
    return capped


def members(labels: Labels, names: Sequence[str], domain: Mapping[str, int]) -> NDArray[np.intp]:
    """Rows of the images of a domain.

    Raises:
        UserError: unknown attribute, or fewer than two images.
    """
    chosen = labels[:, columns(names, list(domain))] == np.array(list(domain.values()))
    rows = np.flatnonzero(chosen.all(axis=1))
    if len(rows) < 2:
        rule = ", ".join(f"{name}={value}" for name, value in domain.items())
        raise UserError("sampling", f"a domain needs two images or more (got {len(rows)}: {rule})")
    return rows


def domain_weights(a: Labels, b: Labels) -> tuple[Weights, Weights]:
    """Weights that give each combination of the balanced attributes the same share in both.

    The common share of a combination is the geometric mean of its two shares; one that either
    domain lacks keeps a weight of 0 in the other. [N, K] and [M, K] -> [N] and [M].
    """
    if a.shape[1] == 0:
        return np.ones(len(a)), np.ones(len(b))
    both = np.concatenate([a, b])
    _, inverse = np.unique(both, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    of_a, of_b = inverse[: len(a)], inverse[len(a) :]
    size = inverse.max() + 1
    share_a = np.bincount(of_a, minlength=size) / len(a)
    share_b = np.bincount(of_b, minlength=size) / len(b)
    common = np.sqrt(share_a * share_b)
    if not common.any():
        raise UserError("sampling.balance", "the domains share no combination of these attributes")
    return (
        np.divide(common, share_a, out=np.zeros(size), where=share_a > 0)[of_a],
        np.divide(common, share_b, out=np.zeros(size), where=share_b > 0)[of_b],
    )

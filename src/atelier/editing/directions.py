"""Attribute directions: which way a latent has to move for one attribute to appear, and no other.

In closed form, from latents and the labels of their pictures. The latents are whitened; there the
covariance with a label is the normal of its linear discriminant (Fisher 1936), the way along which
the label changes fastest. Attributes that go together in the data (glasses and beards) share much
of their normals, so each direction is conditioned on the others as Shen et al. 2020 do (InterFace-
GAN, arXiv 1907.10786), but in one step for all, and by degrees: see CONDITIONING.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Latents = NDArray[np.float32]
"""[N, L]: what a generator or decoder is given."""
Labels = NDArray[np.uint8]
"""[N, K] of 0 and 1."""

LEAST_EXAMPLES = 200
"""Positives and negatives that an attribute needs."""
CONDITIONING = 0.5
"""Share of the labels' unexplained covariance that is kept when the normals are told apart. At 1 a
direction is the attribute's coefficient in the regression of the latents on all labels; at 0 it is
at right angles to all other normals, and weaker; the larger, the more the others change with it."""
SAME = 0.5
"""Attributes that correlate more, either way, are one thing seen twice (no beard, and lipstick, of
being female): they are not held still while the other changes."""
CHANCE = 3.0
"""An attribute of which the latents explain less than so many times what chance does has no
direction. Chance explains L / N of any label."""
SMALLEST_VARIANCE = 1e-6
"""Of a latent number, as a share of the mean: below, it is constant and tells nothing."""


@dataclass(frozen=True)
class AttributeDirections:
    """Steps by attribute, and where the attribute's owners are."""

    names: tuple[str, ...]
    vectors: NDArray[np.float32]
    """[D, L]: adding a row moves a latent by one standard deviation along it: by one in whitened
    latents, and so by one standard deviation of all latents' places on that line."""
    shares: tuple[float, ...]
    """Of the latents, that have the attribute."""
    distances: tuple[float, ...]
    """How many such steps lie between those that have the attribute and those that lack it, all
    other attributes being equal."""
    mean: NDArray[np.float32]
    """[L], of the latents."""
    left_out: dict[str, str]
    """Attributes without a direction, and why."""

    def words(self) -> dict[str, dict[str, float]]:
        """What a bundle says of its directions, for arithmetic: see arithmetic.py."""
        facts = zip(self.names, self.shares, self.distances, strict=True)
        return {name: {"share": share, "distance": far} for name, share, far in facts}


def find_attribute_directions(
    latents: Latents,
    labels: Labels,
    names: Sequence[str],
    conditioning: float = CONDITIONING,
) -> AttributeDirections:
    """A direction for each of the named attributes, conditioned on all others.

    Args:
        latents: as they were decoded, without truncation; at least ten times as many as L.
        labels: of the pictures, a column for each name.
        conditioning: see CONDITIONING.

    An attribute with fewer than LEAST_EXAMPLES positives or negatives, or that the latents do not
    tell, is left out and neither conditions the others.
    """
    mean = latents.mean(axis=0, dtype=np.float64)
    whitened, colour = _whiten(latents - mean)
    chance = whitened.shape[1] / len(latents)
    left_out: dict[str, str] = {}
    known: list[_Known] = []
    for name, column in zip(names, labels.T, strict=True):
        if why := _too_few(column):
            left_out[name] = why
            continue
        one = _Known.of(name, column > 0, whitened)
        if one.explained < CHANCE * chance:
            left_out[name] = (
                f"the latents hardly tell it: they explain {one.explained:.1%}, chance {chance:.1%}"
            )
            continue
        known.append(one)
    steps = {one.name: _step(one, known, conditioning) for one in known}
    # All else equal, by regression of the latents on the labels.
    partial = {one.name: _coefficient(one, known, 1.0) for one in known}
    vectors = np.array([colour @ steps[one.name] for one in known], np.float32)
    return AttributeDirections(
        names=tuple(one.name for one in known),
        vectors=vectors.reshape(len(known), len(mean)),
        shares=tuple(one.share for one in known),
        distances=tuple(
            float(partial[one.name] @ steps[one.name]) / one.deviation for one in known
        ),
        mean=mean.astype(np.float32),
        left_out=left_out,
    )


@dataclass(frozen=True)
class _Known:
    """A label that the latents tell."""

    name: str
    share: float
    standardised: NDArray[np.float64]
    """[N], of mean 0 and variance 1."""
    normal: NDArray[np.float64]
    """[M]: covariance with the whitened latents."""

    @classmethod
    def of(cls, name: str, owned: NDArray[np.bool_], whitened: NDArray[np.float64]) -> "_Known":
        share = float(owned.mean())
        standardised = (owned - share) / np.sqrt(share * (1 - share))
        return cls(name, share, standardised, whitened.T @ standardised / len(whitened))

    @property
    def deviation(self) -> float:
        return float(np.sqrt(self.share * (1 - self.share)))

    @property
    def explained(self) -> float:
        """Share of the label's variance that is linear in the latents: R squared."""
        return float(self.normal @ self.normal)

    def correlation(self, other: "_Known") -> float:
        return float((self.standardised * other.standardised).mean())


def _step(one: _Known, known: list[_Known], conditioning: float) -> NDArray[np.float64]:
    """[M], of length 1 in whitened latents."""
    coefficient = _coefficient(one, known, conditioning)
    unit: NDArray[np.float64] = coefficient / np.linalg.norm(coefficient)
    return unit


def _coefficient(one: _Known, known: list[_Known], kept: float) -> NDArray[np.float64]:
    """[M]: how the whitened latents follow one label while the others stay."""
    others = [k for k in known if k is not one and abs(one.correlation(k)) <= SAME]
    apart = [one, *others]
    normals = np.stack([k.normal for k in apart], axis=1)
    labels = np.stack([k.standardised for k in apart], axis=1)
    explained = normals.T @ normals
    system = explained + kept * (labels.T @ labels / len(labels) - explained)
    # Least squares: with more labels than latent numbers the normals depend on each other.
    solved: NDArray[np.float64] = normals @ np.linalg.lstsq(system, np.eye(len(system))[0])[0]
    return solved


def _whiten(centred: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[N, L] -> [N, M] of unit covariance, and [L, M] that leads back."""
    variances, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    kept = variances > SMALLEST_VARIANCE * variances.mean()
    deviations = np.sqrt(variances[kept])
    return centred @ axes[:, kept] / deviations, axes[:, kept] * deviations


def _too_few(owned: Labels) -> str | None:
    positives = int((owned > 0).sum())
    negatives = len(owned) - positives
    if min(positives, negatives) >= LEAST_EXAMPLES:
        return None
    return f"{positives} positives and {negatives} negatives; needs {LEAST_EXAMPLES} of each"

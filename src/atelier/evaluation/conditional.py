"""Does a conditional generator make what it was asked for, and still many different faces of it?

Requests are uniform over the combinations of attributes that the training images have. Accuracy is
told apart for "with" and "without" an attribute, because a generator that never makes glasses is
right about "without" each time. Diversity is compared within one combination, with real images of
the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from atelier.data.batches import read_manifest
from atelier.data.sampling import Labels, columns
from atelier.evaluation.estimate import Estimate, Share
from atelier.evaluation.faces import open_bounds, score_images
from atelier.evaluation.features import FeaturesBy, Images, evenly, in_batches
from atelier.evaluation.keys import (
    ACCURACY,
    JUDGE,
    LEFT_OUT,
    MINIMUM,
    OUT_OF_RANGE,
    SETTINGS,
    WITH,
    WITHOUT,
    WITNESS,
)
from atelier.evaluation.kid import kid
from atelier.evaluation.range import judge_range
from atelier.evaluation.reference import ReferenceSet, mean_pairwise_distance
from atelier.models.judge import Judge

ConditionalSampler = Callable[[Labels, int], Images]
"""(conditions [N, K], seed) -> uint8 [N, 3, S, S]."""
Verdicts = npt.NDArray[np.bool_]
"""[N, K]: what the judge sees of each attribute."""

LEAST_REALS = 50
"""Real images of a combination that its diversity is compared with."""
FOR_REALISM, FOR_ACCURACY, FOR_DIVERSITY = 0, 1, 2
"""Offsets of the seed: each question draws pictures of its own."""


@dataclass(frozen=True)
class Examination:
    """The requests, the reals and the judge that any number of generators are held to."""

    reference: ReferenceSet
    judge: Judge
    columns: list[int]
    """The attributes among the judge's labels."""
    attributes: tuple[str, ...]
    allowed: Labels
    """[M, K]: the combinations that can be asked for."""
    rows: Labels
    """[N, K]: what each of the reference's reals has."""

    def as_the_reals(self, sample: ConditionalSampler, seed: int) -> Images:
        """Pictures with the attributes that the split's images have."""
        return sample(shuffled_rows(self.rows, seed), seed + FOR_REALISM)

    def score(self, features: FeaturesBy, sample: ConditionalSampler, seed: int) -> dict[str, Any]:
        """The figures of `score_images`, with `accuracy`, `out_of_range` and `diversity`.

        The first are of `features`, of pictures as `as_the_reals` asks for them. In `accuracy` a
        verdict on a picture out of range does not count, and so its request is missed; in
        `accuracy_of_all` each verdict counts.
        """
        count = len(self.rows)
        references = open_bounds(self.reference, count, seed)
        metrics = score_images(features, self.reference, references, seed)
        requests = uniform_requests(self.allowed, count)
        pictures = sample(requests, seed + FOR_ACCURACY)
        said = self.verdicts(pictures)
        seen = self.reference.extractors[JUDGE](pictures)
        inside = judge_range(self.reference).in_range(seen)
        metrics[ACCURACY] = accuracy(requests, said, self.attributes, inside)
        metrics["accuracy_of_all"] = accuracy(requests, said, self.attributes)
        metrics[OUT_OF_RANGE] = float(1 - inside.mean())
        metrics["diversity"] = self.diversity(sample, seed + FOR_DIVERSITY)
        metrics[SETTINGS]["combinations"] = len(self.allowed)
        return metrics

    def figure(self, sample: ConditionalSampler, seed: int) -> Estimate:
        """What chooses a snapshot, smaller is better: KID in judge features + missed requests.

        KID alone would take one that makes the right mixture of faces for the wrong requests. For
        a generator that is any good, both are a tenth or two on drawn faces.
        """
        faces = self.as_the_reals(sample, seed)
        found = self.reference.extractors[JUDGE](faces)
        distance = kid(self.reference.real_features[JUDGE], found)
        requests = uniform_requests(self.allowed, len(self.rows))
        said = self.verdicts(sample(requests, seed + FOR_ACCURACY))
        missed = 1 - float(accuracy(requests, said, self.attributes)[MINIMUM])
        return Estimate(distance.value + missed, distance.standard_error)

    def verdicts(self, images: Images) -> Verdicts:
        """[N, 3, S, S] -> [N, K]."""
        said: Verdicts = in_batches(self.judge, images)[:, self.columns] > 0
        return said

    def diversity(self, sample: ConditionalSampler, seed: int) -> dict[str, Any]:
        """Mean pairwise witness distance in a request, as a share of the reals' of that request."""
        shares = {}
        for combination in np.unique(self.rows, axis=0):
            same = (self.rows == combination).all(axis=1)
            if same.sum() >= LEAST_REALS:
                made = sample(np.tile(combination, (int(same.sum()), 1)), seed)
                fakes = self.reference.extractors[WITNESS](made)
                reals = self.reference.real_features[WITNESS][same]
                share = mean_pairwise_distance(fakes) / mean_pairwise_distance(reals)
                shares[request_name(combination, self.attributes)] = share
        if not shares:
            return {LEFT_OUT: f"no combination has {LEAST_REALS} real images"}
        values = list(shares.values())
        return {"mean": float(np.mean(values)), MINIMUM: min(values), "within": shares}


def open_examination(
    reference: ReferenceSet,
    prepared: Path,
    judge: Judge,
    judge_labels: Sequence[str],
    attributes: Sequence[str],
) -> Examination:
    """Opens the labels of the reference's split and of the training images, nothing else."""
    names = tuple(reference.manifest["labels"])
    rows: Labels = np.load(prepared / f"{reference.split}_labels.npy")[
        :, columns(names, attributes)
    ]
    return Examination(
        reference,
        judge,
        columns(judge_labels, attributes),
        tuple(attributes),
        seen_combinations(prepared, attributes),
        evenly(rows, len(reference.reals)),
    )


def seen_combinations(prepared: Path, attributes: Sequence[str]) -> Labels:
    """The combinations that the training images have, each once: [M, K]."""
    names = read_manifest(prepared)["labels"]
    labels = np.load(prepared / "training_labels.npy")[:, columns(names, attributes)]
    found: Labels = np.unique(labels, axis=0)
    return found


def uniform_requests(combinations: Labels, count: int) -> Labels:
    """[M, K] -> [count, K]: each equally often, up to one."""
    return combinations[np.arange(count) % len(combinations)]


def shuffled_rows(rows: Labels, seed: int) -> Labels:
    """[N, K] in another order: the reals and the fakes of a comparison are not in step."""
    return rows[np.random.default_rng(seed).permutation(len(rows))]


def accuracy(
    requests: Labels,
    said: Verdicts,
    attributes: Sequence[str],
    counts: npt.NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """Shares of requests that the judge finds met, with and without each attribute apart.

    A side that was never asked for has no share; without any request the minimum is 0.

    Args:
        counts: whose verdict counts, [N]; that of all others is taken for wrong.
    """
    right = said == (requests > 0)
    if counts is not None:
        right &= counts[:, None]
    figures: dict[str, dict[str, float]] = {WITH: {}, WITHOUT: {}}
    for column, name in enumerate(attributes):
        for side, condition in ((WITH, 1), (WITHOUT, 0)):
            chosen = requests[:, column] == condition
            if chosen.any():
                figures[side][name] = float(right[chosen, column].mean())
    shares = [*figures[WITH].values(), *figures[WITHOUT].values()]
    return {MINIMUM: min(shares, default=0.0), **figures}


def least_met(requests: Labels, said: Verdicts) -> Share:
    """The smallest of the shares of `accuracy`, and of how many requests it is: [N, K] twice."""
    right = said == (requests > 0)
    sides = [
        right[requests[:, column] == condition, column]
        for column in range(requests.shape[1])
        for condition in (0, 1)
    ]
    shares = [Share(float(side.mean()), len(side)) for side in sides if len(side)]
    return min(shares, key=lambda share: share.value, default=Share(0.0, 0))


def request_name(combination: Labels, attributes: Sequence[str]) -> str:
    """[K] -> "Eyeglasses and Male", or "none": what a metric's name may hold."""
    present = [name for name, value in zip(attributes, combination, strict=True) if value]
    return " and ".join(present) or "none"

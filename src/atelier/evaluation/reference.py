"""What generators are held to: the real images of one split, as the extractors see them.

Opened once, it scores any number of generators: `bundle` its snapshots (validation split), the
gate a challenger and a champion, `evaluate` what is published (test split).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import pdist

from atelier.data.batches import TRAINING, read_manifest
from atelier.errors import UserError
from atelier.evaluation.estimate import Estimate
from atelier.evaluation.feature_cache import Place
from atelier.evaluation.features import (
    HERE,
    Extractor,
    Features,
    FeaturesBy,
    ImagenetFeatures,
    Images,
    JudgeFeatures,
    WitnessFeatures,
    evenly,
    of_reals,
)
from atelier.evaluation.keys import EXTRACTORS, JUDGE, JUDGE_B, WITNESS
from atelier.evaluation.kid import Comparison, compare, kid
from atelier.models.judge import Judge

COLLAPSED_BELOW = 0.5
"""A set whose pictures differ by less than this share of the reals' difference has collapsed."""


@dataclass(frozen=True)
class ReferenceSet:
    """The reals of a split and their features, by extractor."""

    split: str
    manifest: dict[str, Any]
    training: Images
    """A memory map: the statistics' source, and the reals that the ceiling is made of."""
    reals: Images
    extractors: Mapping[str, Extractor]
    real_features: Mapping[str, Features]

    @property
    def chooses(self) -> str:
        """The extractor that chooses snapshots and gates: the judge; without one, `imagenet`."""
        return next(name for name in EXTRACTORS if name in self.extractors)

    def features(self, images: Images) -> FeaturesBy:
        """Of any images of the split's shape, by extractor; found when they are asked for."""
        if images.dtype != np.uint8 or images.shape[1:] != self.reals.shape[1:]:
            wanted = f"uint8 [N, {', '.join(map(str, self.reals.shape[1:]))}]"
            raise ValueError(f"expected {wanted} (got {images.dtype} {list(images.shape)})")
        return FeaturesBy(images, self.extractors)

    def features_of_reals(self, images: Images) -> FeaturesBy:
        """The same of images that are real, or made of real ones."""
        return of_reals(images, self.extractors)

    def kid(self, fakes: Mapping[str, Features]) -> dict[str, Estimate]:
        """Distance to the reals, by extractor."""
        return {name: kid(self.real_features[name], found) for name, found in fakes.items()}

    def chosen_by(self, fakes: Mapping[str, Features]) -> Estimate:
        """Distance to the reals by the extractor that chooses; no other looks."""
        return kid(self.real_features[self.chooses], fakes[self.chooses])

    def compare(
        self,
        challenger: Mapping[str, Features],
        champion: Mapping[str, Features],
        paired: bool = False,
    ) -> dict[str, Comparison]:
        """Is the challenger nearer to the reals than the champion? By extractor."""
        return {
            name: compare(reals, challenger[name], champion[name], paired)
            for name, reals in self.real_features.items()
        }

    def diversity_share(self, fakes: Mapping[str, Features]) -> float:
        """Mean pairwise witness distance as a share of the reals': see COLLAPSED_BELOW."""
        reals = mean_pairwise_distance(self.real_features[WITNESS])
        return mean_pairwise_distance(fakes[WITNESS]) / reals


def open_reference(
    prepared: Path,
    judge: Judge | None,
    split: str,
    count: int,
    second: Judge | None = None,
    place: Place = HERE,
) -> ReferenceSet:
    """At most `count` reals of one split, beside the training images; opens no other array.

    Args:
        second: a judge for a second opinion, which chooses nothing.
        place: where features are computed and kept.

    Raises:
        UserError: the dataset is not prepared, or has no such split of two images or more.
    """
    manifest = read_manifest(prepared)
    sizes = {name: found["count"] for name, found in manifest["splits"].items()}
    if sizes.get(split, 0) < 2:
        known = ", ".join(f"{name} ({size})" for name, size in sizes.items())
        raise UserError(prepared, f"no split {split} to compare with", f"It has {known}.")
    training: Images = np.load(prepared / TRAINING, mmap_mode="r")
    reals = evenly(np.load(prepared / f"{split}.npy", mmap_mode="r"), count)
    extractors = open_extractors(judge, training, second, place)
    real_features = of_reals(reals, extractors)
    return ReferenceSet(split, manifest, training, reals, extractors, real_features)


def open_extractors(
    judge: Judge | None,
    training: Images,
    second: Judge | None = None,
    place: Place = HERE,
) -> dict[str, Extractor]:
    """By name; the judges' where there are any."""
    judges = {JUDGE: judge, JUDGE_B: second}
    found: list[Extractor] = [
        JudgeFeatures(one, training, name, place) for name, one in judges.items() if one is not None
    ]
    found += [ImagenetFeatures(training, place), WitnessFeatures(training, place)]
    return {extractor.name: extractor for extractor in found}


def mean_pairwise_distance(features: Features) -> float:
    """Mean Euclidean distance over all pairs of rows, [N, D]: 0 when all are the same."""
    return float(pdist(torch.from_numpy(features)).mean())

"""The referee of autoencoders: paired errors on the same test images."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import wilcoxon

from atelier.evaluation.features import Extractor, Images
from atelier.registry.bundle_model import Bundle
from atelier.registry.gate import ROUNDS, STANDARD_ERRORS, Comparison, Figures, Round
from atelier.registry.referee import Digests, figures_of, fresh_seed

Errors = npt.NDArray[np.float64]
"""[N], one for each image."""


@dataclass(frozen=True)
class ReconstructionReferee:
    """Mean error per image; Wilcoxon's signed-rank test on the differences image by image.

    The error is a function of the image, so the two rounds see disjoint halves of the test images.
    """

    images: Images
    errors: Callable[[Bundle, Images], Errors]
    diversity: Callable[[Bundle], float]
    floors: Callable[[Bundle], list[str]]
    witness: Extractor
    rests_on: Digests

    def figures(self, bundle: Bundle) -> Figures:
        errors = self.errors(bundle, self.images)
        finite = bool(np.isfinite(errors).all())
        score = float(errors.mean())
        broken = self.floors(bundle)
        return figures_of(bundle, self.rests_on, score, finite, self.diversity(bundle), broken)

    def compare(self, challenger: Bundle, champion: Bundle) -> list[Round]:
        seed = fresh_seed()
        order = np.random.default_rng(seed).permutation(len(self.images))
        return [
            [self._compare_part(self.images[np.sort(half)], challenger, champion, seed)]
            for half in np.array_split(order, ROUNDS)
        ]

    def _compare_part(
        self, images: Images, challenger: Bundle, champion: Bundle, seed: int
    ) -> Comparison:
        ours, theirs = (self.errors(bundle, images) for bundle in (challenger, champion))
        seen = self.witness(images)
        gaps = [
            np.linalg.norm(self.witness(bundle.reconstruct(images)) - seen, axis=1)
            for bundle in (challenger, champion)
        ]
        farther, error = mean_and_error(gaps[0] - gaps[1])
        return compare_errors(seed, ours, theirs, farther > STANDARD_ERRORS * error)


def compare_errors(
    seed: int, challenger: Errors, champion: Errors, witness_worse: bool = False
) -> Comparison:
    """From two errors of each image, [N] and [N]."""
    difference, error = mean_and_error(challenger - champion)
    p_value = 1.0
    if error > 0:
        p_value = float(wilcoxon(challenger, champion, alternative="less").pvalue)
    return Comparison(seed, difference, error, p_value, witness_worse)


def mean_and_error(differences: npt.NDArray[np.floating]) -> tuple[float, float]:
    """The mean of paired differences and its standard error."""
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return float(differences.mean()), float(error)

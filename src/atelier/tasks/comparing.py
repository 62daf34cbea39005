"""What the tasks' comparers share: fresh draws, digests, and the statistics of a comparison."""

import hashlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from atelier.bundle.bundle_model import Bundle
from atelier.bundle.comparison import ROUNDS, STANDARD_ERRORS, Comparison, Figures, Round
from atelier.data.images import to_bytes
from atelier.evaluation.features import Extractor, Features, Images
from atelier.evaluation.keys import WITNESS
from atelier.evaluation.reference import ReferenceSet

Errors = npt.NDArray[np.float64]
"""[N], one for each image."""


@dataclass(frozen=True)
class Digests:
    """Of what figures rest on: a champion's that rest on other data or another judge are stale."""

    data: str
    judge: str
    """Empty where there is none."""


def digests(prepared: Path, judge: Path | None) -> Digests:
    """From the folders of a prepared dataset and of its judge."""
    data = digest_of_files([prepared / "manifest.json"])
    weights = sorted(judge.glob("*.safetensors")) if judge else []
    return Digests(data, digest_of_files(weights) if weights else "")


def figures_of(
    bundle: Bundle,
    rests_on: Digests,
    score: float,
    finite: bool,
    diversity: float,
    broken_floors: Iterable[str] = (),
) -> Figures:
    """A bundle's figures beside what its manifest says."""
    return Figures(
        dataset=str(bundle.manifest["dataset"]),
        output_shape=tuple(bundle.manifest["output_shape"]),
        data_digest=rests_on.data,
        judge_digest=rests_on.judge,
        score=score,
        finite=finite,
        diversity=diversity,
        broken_floors=tuple(broken_floors),
    )


def compare_sets(
    reference: ReferenceSet,
    ours: dict[str, Features],
    theirs: dict[str, Features],
    seed: int,
    part: str = "",
) -> Comparison:
    """KID of two sets to the reference's reals, by the extractor that chooses; the witness beside a
    judge may object."""
    found = reference.compare(ours, theirs)
    chosen, witness = found[reference.chooses], found[WITNESS]
    objects = reference.chooses != WITNESS
    worse = objects and witness.difference > STANDARD_ERRORS * witness.standard_error
    return Comparison(seed, chosen.difference, chosen.standard_error, chosen.p_value, worse, part)


def mean_and_error(differences: Errors) -> tuple[float, float]:
    """The mean of paired differences and its standard error."""
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return float(differences.mean()), float(error)


def fresh_seed() -> int:
    """Never the same twice: nobody can choose a generator that suits the gate's own draws."""
    return secrets.randbelow(2**31)


def to_pixels(outputs: torch.Tensor) -> npt.NDArray[np.uint8]:
    """[N, C, S, S] in [-1, 1] -> uint8 of the same shape; what is not finite becomes mid-grey."""
    pixels: npt.NDArray[np.uint8] = to_bytes(outputs.nan_to_num(0.0, 1.0, -1.0)).numpy()
    return pixels


def digest_of_files(files: Iterable[Path]) -> str:
    """One hash of the contents of all files, in their order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


@dataclass(frozen=True)
class ErrorComparer:
    """Mean error per image; Wilcoxon's signed-rank test on the differences image by image.

    The error is a function of the image, so the two rounds see disjoint halves of the test images.
    """

    images: Images
    """What a bundle is given, and what it should make of it."""
    made: Callable[[Bundle, Images], Images]
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
            np.linalg.norm(self.witness(self.made(bundle, images)) - seen, axis=1)
            for bundle in (challenger, champion)
        ]
        farther, error = mean_and_error(gaps[0] - gaps[1])
        return compare_errors(seed, ours, theirs, farther > STANDARD_ERRORS * error)


def compare_errors(
    seed: int, challenger: Errors, champion: Errors, witness_worse: bool = False
) -> Comparison:
    """From two errors of each image, [N] and [N], by Wilcoxon's signed-rank test."""
    difference, error = mean_and_error(challenger - champion)
    p_value = 1.0
    if error > 0:
        from scipy.stats import wilcoxon

        p_value = float(wilcoxon(challenger, champion, alternative="less").pvalue)
    return Comparison(seed, difference, error, p_value, witness_worse)

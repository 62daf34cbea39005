"""What the tasks' comparers share: fresh draws, digests, and the statistics of a comparison."""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from atelier.bundle.bundle_model import Bundle
from atelier.bundle.comparison import (
    SIGNIFICANT,
    SIGNIFICANT_ALONE,
    STANDARD_ERRORS,
    Comparison,
    Figures,
    Round,
)
from atelier.data.images import to_bytes
from atelier.evaluation.features import Extractor, Features, Images
from atelier.evaluation.keys import IMAGENET
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
    ours: Mapping[str, Features],
    theirs: Mapping[str, Features],
    seed: int,
    part: str = "",
    objections: Iterable[str] = (),
    translated: bool = False,
) -> Round:
    """KID of two sets to the reference's reals, by the extractor that chooses and by `imagenet`.

    Either may find the challenger better: where pictures are good, a judge that learned to tell a
    few labels has little left to see. Each then has half of the level, so that together they err no
    more often than one. The witness may only object.

    Args:
        objections: what has been found beside it.
        translated: both are made of the same inputs, of all that there are.
    """
    found = reference.compare(ours, theirs, paired=translated)
    deciding = {reference.chooses, IMAGENET} & found.keys()
    level = (SIGNIFICANT_ALONE if translated else SIGNIFICANT) / len(deciding)
    said = {
        name: Comparison(
            seed,
            one.difference,
            one.standard_error,
            one.p_value,
            part=" ".join(word for word in (part, name) if word),
            level=level,
        )
        for name, one in found.items()
    }
    worse = [
        f"{name} says worse"
        for name, one in said.items()
        if name not in deciding and one.is_farther()
    ]
    said[reference.chooses] = replace(said[reference.chooses], objections=(*worse, *objections))
    return [one for name, one in said.items() if name in deciding]


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

    The error is a function of the image, so there is one round, over all test images.
    """

    images: Images
    """What a bundle is given, and what it should make of it."""
    made: Callable[[Bundle, Images], Images]
    errors: Callable[[Bundle, Images], Errors]
    diversity: Callable[[Bundle], float]
    floors: Callable[[Bundle], list[str]]
    further: Mapping[str, Extractor]
    """By name, those that may object."""
    rests_on: Digests

    def figures(self, bundle: Bundle) -> Figures:
        errors = self.errors(bundle, self.images)
        finite = bool(np.isfinite(errors).all())
        score = float(errors.mean())
        broken = self.floors(bundle)
        return figures_of(bundle, self.rests_on, score, finite, self.diversity(bundle), broken)

    def compare(self, challenger: Bundle, champion: Bundle) -> list[Round]:
        ours, theirs = (self.errors(bundle, self.images) for bundle in (challenger, champion))
        made = [self.made(bundle, self.images) for bundle in (challenger, champion)]
        worse = [
            f"{name} says worse"
            for name, extract in self.further.items()
            if self._farther(extract, *made)
        ]
        return [[compare_errors(ours, theirs, worse)]]

    def _farther(self, extract: Extractor, ours: Images, theirs: Images) -> bool:
        """Whether features of ours lie farther from the images' own."""
        seen = extract.of_reals(self.images)
        gaps = [np.linalg.norm(extract(made) - seen, axis=1) for made in (ours, theirs)]
        farther, error = mean_and_error(gaps[0] - gaps[1])
        return farther > STANDARD_ERRORS * error


def compare_errors(
    challenger: Errors, champion: Errors, objections: Iterable[str] = ()
) -> Comparison:
    """From two errors of each test image, [N] and [N], by Wilcoxon's signed-rank test."""
    difference, error = mean_and_error(challenger - champion)
    p_value = 1.0
    if error > 0:
        from scipy.stats import wilcoxon

        p_value = float(wilcoxon(challenger, champion, alternative="less").pvalue)
    return Comparison(0, difference, error, p_value, tuple(objections), level=SIGNIFICANT_ALONE)

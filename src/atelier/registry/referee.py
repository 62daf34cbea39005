"""Scores bundles for the gate: each on its own, and two against each other on fresh seeds."""

import hashlib
import math
import secrets
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from atelier.data.images import to_bytes
from atelier.evaluation.features import Features
from atelier.evaluation.numbers import score_numbers
from atelier.evaluation.yardstick import Yardstick
from atelier.registry.bundle_model import Sampler
from atelier.registry.gate import COMPARISONS, STANDARD_ERRORS, Comparison, Figures

NUMBERS_DRAWN = 10_000
NUMBERS_GROUPS = 20
"""Scores of so many groups of draws give a comparison of numbers its spread."""
SMALLEST_MULTIPLES_SHARE = 0.5
LARGEST_ALL_ZERO_SHARE = 0.1


class Referee(Protocol):
    """What the gate asks of a task."""

    def figures(self, sampler: Sampler) -> Figures: ...

    def compare(self, challenger: Sampler, champion: Sampler) -> list[Comparison]: ...


RefereeFactory = Callable[[], Referee]
"""Opening a referee reads images and a judge, so it is opened only when the gate has to decide."""


class ImageReferee:
    """KID in judge features to the real test images, with the witness beside it."""

    def __init__(self, yardstick: Yardstick, prepared: Path, judge: Path, samples: int) -> None:
        """`prepared` and `judge` are the folders that the yardstick was made from."""
        self.yardstick, self.samples = yardstick, samples
        self.data_digest = digest_of_files([prepared / "manifest.json"])
        self.judge_digest = digest_of_files(sorted(judge.glob("*.safetensors")))

    def figures(self, sampler: Sampler) -> Figures:
        features, finite = self._features(sampler, secrets.randbelow(2**31))
        return Figures(
            dataset=str(sampler.manifest["dataset"]),
            output_shape=tuple(sampler.manifest["output_shape"]),
            data_digest=self.data_digest,
            judge_digest=self.judge_digest,
            score=self.yardstick.kid(features)["judge"].value,
            finite=finite,
            diversity=self.yardstick.diversity_share(features),
        )

    def compare(self, challenger: Sampler, champion: Sampler) -> list[Comparison]:
        return [self._compare(challenger, champion) for _ in range(COMPARISONS)]

    def _compare(self, challenger: Sampler, champion: Sampler) -> Comparison:
        seed = secrets.randbelow(2**31)
        # Not the same latents for both: the test takes the two sets for independent.
        ours, _ = self._features(challenger, seed)
        theirs, _ = self._features(champion, seed + 1)
        found = self.yardstick.compare(ours, theirs)
        judge, witness = found["judge"], found["witness"]
        worse = witness.difference > STANDARD_ERRORS * witness.standard_error
        return Comparison(seed, judge.difference, judge.standard_error, judge.p_value, worse)

    def _features(self, sampler: Sampler, seed: int) -> tuple[dict[str, Features], bool]:
        outputs = torch.cat(list(sampler.outputs(self.samples, seed)))
        pixels = to_pixels(outputs)
        return self.yardstick.features(pixels), bool(torch.isfinite(outputs).all())


class NumbersReferee:
    """The stopping score of numbers with a pattern; arithmetic judges, so there is no test data."""

    def figures(self, sampler: Sampler) -> Figures:
        scores = torch.cat(list(sampler.outputs(NUMBERS_DRAWN, secrets.randbelow(2**31))))
        found = score_numbers(scores)
        broken = []
        if found["multiples_share"] < SMALLEST_MULTIPLES_SHARE:
            broken.append(f"{found['multiples_share']:.1%} multiples of 5")
        if found["all_zero_share"] > LARGEST_ALL_ZERO_SHARE:
            broken.append(f"{found['all_zero_share']:.1%} of rows are all zero")
        return Figures(
            dataset=str(sampler.manifest["dataset"]),
            output_shape=tuple(sampler.manifest["output_shape"]),
            data_digest="",
            judge_digest="",
            score=found["stopping_score"],
            finite=bool(torch.isfinite(scores).all()),
            diversity=found["entropy_share"],
            broken_floors=tuple(broken),
        )

    def compare(self, challenger: Sampler, champion: Sampler) -> list[Comparison]:
        seeds = [secrets.randbelow(2**31) for _ in range(COMPARISONS)]
        return [
            compare_scores(seed, _group_scores(challenger, seed), _group_scores(champion, seed + 1))
            for seed in seeds
        ]


def compare_scores(seed: int, challenger: list[float], champion: list[float]) -> Comparison:
    """From the scores of independent groups of draws, in normal approximation (Welch's error)."""
    difference = statistics.fmean(challenger) - statistics.fmean(champion)
    variances = (statistics.variance(one) / len(one) for one in (challenger, champion))
    error = math.sqrt(sum(variances))
    score = difference / error if error > 0 else math.copysign(math.inf, difference or 1.0)
    return Comparison(seed, difference, error, 0.5 * math.erfc(-score / math.sqrt(2)))


def _group_scores(sampler: Sampler, seed: int) -> list[float]:
    scores = torch.cat(list(sampler.outputs(NUMBERS_DRAWN, seed)))
    return [score_numbers(part)["stopping_score"] for part in torch.chunk(scores, NUMBERS_GROUPS)]


def to_pixels(outputs: torch.Tensor) -> np.ndarray:
    """[N, C, S, S] in [-1, 1] -> uint8 of the same shape; what is not finite becomes mid-grey."""
    return to_bytes(outputs.nan_to_num(0.0, 1.0, -1.0)).numpy()


def digest_of_files(files: Iterable[Path]) -> str:
    """One hash of the contents of all files, in their order."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()

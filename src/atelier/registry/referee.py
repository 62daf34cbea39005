"""Scores bundles for the gate: each on its own, and two against each other in rounds.

What a referee needs of a task's data it is given; `atelier.pipeline.tasks` opens one for each task.
"""

import hashlib
import math
import secrets
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from atelier.data.images import to_bytes
from atelier.evaluation.features import Features
from atelier.evaluation.numbers import score_numbers
from atelier.evaluation.yardstick import Yardstick
from atelier.registry.bundle_model import Bundle
from atelier.registry.gate import ROUNDS, STANDARD_ERRORS, Comparison, Figures, Round

NUMBERS_DRAWN = 10_000
NUMBERS_GROUPS = 20
"""Scores of so many groups of draws give a comparison of numbers its spread."""
SMALLEST_MULTIPLES_SHARE = 0.5
LARGEST_ALL_ZERO_SHARE = 0.1


class Referee(Protocol):
    """What the gate asks of a task."""

    def figures(self, bundle: Bundle) -> Figures: ...

    def compare(self, challenger: Bundle, champion: Bundle) -> list[Round]: ...


RefereeFactory = Callable[[], Referee]
"""Opening a referee reads images and a judge, so it is opened only when the gate has to decide."""


@dataclass(frozen=True)
class Digests:
    """Of what figures rest on: a champion's that rest on other data or another judge are stale."""

    data: str
    judge: str
    """Empty where arithmetic judges."""


def digests(prepared: Path, judge: Path | None) -> Digests:
    """From the folders of a prepared dataset and of its judge."""
    data = digest_of_files([prepared / "manifest.json"])
    return Digests(data, digest_of_files(sorted(judge.glob("*.safetensors"))) if judge else "")


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


class NumbersReferee:
    """The stopping score of numbers with a pattern; arithmetic judges, so there is no test data."""

    def figures(self, bundle: Bundle) -> Figures:
        scores = torch.cat(list(bundle.outputs(NUMBERS_DRAWN, fresh_seed())))
        found = score_numbers(scores)
        broken = []
        if found["multiples_share"] < SMALLEST_MULTIPLES_SHARE:
            broken.append(f"{found['multiples_share']:.1%} multiples of 5")
        if found["all_zero_share"] > LARGEST_ALL_ZERO_SHARE:
            broken.append(f"{found['all_zero_share']:.1%} of rows are all zero")
        finite, diversity = bool(torch.isfinite(scores).all()), found["entropy_share"]
        score = found["stopping_score"]
        return figures_of(bundle, Digests("", ""), score, finite, diversity, broken)

    def compare(self, challenger: Bundle, champion: Bundle) -> list[Round]:
        seeds = [fresh_seed() for _ in range(ROUNDS)]
        return [
            [compare_scores(s, _group_scores(challenger, s), _group_scores(champion, s + 1))]
            for s in seeds
        ]


def compare_scores(seed: int, challenger: list[float], champion: list[float]) -> Comparison:
    """From the scores of independent groups of draws, in normal approximation (Welch's error)."""
    difference = statistics.fmean(challenger) - statistics.fmean(champion)
    variances = (statistics.variance(one) / len(one) for one in (challenger, champion))
    error = math.sqrt(sum(variances))
    score = difference / error if error > 0 else math.copysign(math.inf, difference or 1.0)
    return Comparison(seed, difference, error, 0.5 * math.erfc(-score / math.sqrt(2)))


def _group_scores(bundle: Bundle, seed: int) -> list[float]:
    scores = torch.cat(list(bundle.outputs(NUMBERS_DRAWN, seed)))
    return [score_numbers(part)["stopping_score"] for part in torch.chunk(scores, NUMBERS_GROUPS)]


def compare_sets(
    yardstick: Yardstick,
    ours: dict[str, Features],
    theirs: dict[str, Features],
    seed: int,
    part: str = "",
) -> Comparison:
    """KID of two sets to the yardstick's reals, in judge features; the witness may object."""
    found = yardstick.compare(ours, theirs)
    judge, witness = found["judge"], found["witness"]
    worse = witness.difference > STANDARD_ERRORS * witness.standard_error
    return Comparison(seed, judge.difference, judge.standard_error, judge.p_value, worse, part)


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

"""Numbers with a pattern: arithmetic judges."""

import math
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from atelier.bundle.bundle_model import Bundle
from atelier.bundle.card import Card
from atelier.bundle.comparison import ROUNDS, Comparer, Comparison, Figures, Round
from atelier.bundle.pack import EXAMPLE_NUMBERS, EXAMPLE_SEED
from atelier.bundle.pack import pack as pack_bundle
from atelier.data.numbers import STOPPING_SCORE
from atelier.evaluation import report
from atelier.evaluation.estimate import Estimate
from atelier.evaluation.keys import ALL_ZERO_SHARE, ENTROPY_SHARE, MULTIPLES_SHARE
from atelier.evaluation.numbers import evaluate_numbers, score_numbers, value_table
from atelier.tasks.comparing import Digests, figures_of, fresh_seed
from atelier.tasks.context import Context
from atelier.tasks.pictures import latents_of, made_from

if TYPE_CHECKING:
    from atelier.training.setup import Learner

CHOSEN_ON = 2000
DRAWN = 10_000
GROUPS = 20
"""Scores of so many groups of draws give a comparison its spread."""
SMALLEST_MULTIPLES_SHARE = 0.5
LARGEST_ALL_ZERO_SHARE = 0.1


def preview(learner: "Learner") -> None:
    """Numbers are no pictures."""


def figure(networks: nn.ModuleDict, context: Context) -> Estimate:
    """The stopping score of fresh draws."""
    outputs = made_from(networks["generator"], latents_of(context, CHOSEN_ON))
    return Estimate(score_numbers(outputs)[STOPPING_SCORE])


def pack(networks: nn.ModuleDict, context: Context, out: Path, images: int) -> None:
    card = Card("Makes numbers from 0 to 99, each a multiple of 5.")
    pack_bundle(
        out,
        {"generator": networks["generator"]},
        context.describe(images),
        card,
        lambda bundle: bundle.sample(EXAMPLE_NUMBERS, EXAMPLE_SEED),
    )


def score(bundle: Bundle, context: Context, folder: Path) -> dict[str, Any]:
    def scores(count: int, seed: int) -> Tensor:
        return torch.cat(list(bundle.outputs(count, seed)))

    metrics = evaluate_numbers(scores, context.seed, context.samples)
    rows = value_table(scores(context.samples, context.seed))
    named = [{"name": row["value"], "value": row["share"]} for row in rows]
    report.write_table(folder / "values.csv", named)
    return metrics


def comparer(context: Context) -> Comparer:
    return NumbersComparer()


class NumbersComparer:
    """The stopping score of numbers with a pattern; there is no test data."""

    def figures(self, bundle: Bundle) -> Figures:
        scores = torch.cat(list(bundle.outputs(DRAWN, fresh_seed())))
        found = score_numbers(scores)
        broken = []
        if found[MULTIPLES_SHARE] < SMALLEST_MULTIPLES_SHARE:
            broken.append(f"{found[MULTIPLES_SHARE]:.1%} multiples of 5")
        if found[ALL_ZERO_SHARE] > LARGEST_ALL_ZERO_SHARE:
            broken.append(f"{found[ALL_ZERO_SHARE]:.1%} of rows are all zero")
        finite, diversity = bool(torch.isfinite(scores).all()), found[ENTROPY_SHARE]
        score = found[STOPPING_SCORE]
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
    scores = torch.cat(list(bundle.outputs(DRAWN, seed)))
    return [score_numbers(part)[STOPPING_SCORE] for part in torch.chunk(scores, GROUPS)]

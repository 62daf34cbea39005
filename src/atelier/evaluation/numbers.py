"""Exact figures for generators of numbers: what share follows the pattern, and how much of it."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from atelier.data.numbers import (
    DISTANCE,
    STEP,
    STOPPING_SCORE,
    VALUES,
    all_zero_share,
    coverage,
    data_to_num,
    distance,
    entropy,
    multiples_share,
    stopping_score,
)
from atelier.evaluation.keys import (
    ALL_ZERO_SHARE,
    ENTROPY_SHARE,
    MULTIPLES_SHARE,
    SETTINGS,
    VALUES_COVERED,
)

DRAWS = 10_000

NumberSampler = Callable[[int, int], Tensor]
"""(count, seed) -> scores, [count, 100] float32, at least 0; a row's largest is its number."""


def score_numbers(scores: Tensor) -> dict[str, float]:
    """Figures of any count of rows, [N, 100]. Perfect: share 1, distance 0, all 20, score 0."""
    return {
        MULTIPLES_SHARE: float(multiples_share(scores)),
        DISTANCE: float(distance(scores)),
        VALUES_COVERED: coverage(scores),
        "entropy_nats": float(entropy(scores)),
        ENTROPY_SHARE: float(entropy(scores)) / math.log(VALUES),
        ALL_ZERO_SHARE: float(all_zero_share(scores)),
        STOPPING_SCORE: float(stopping_score(scores)),
    }


def evaluate_numbers(sample: NumberSampler, seed: int, count: int = DRAWS) -> dict[str, object]:
    """Draws once and scores: {"numbers": figures, "settings": n and seed}."""
    scores = sample(count, seed)
    return {"numbers": score_numbers(scores), SETTINGS: {"samples": count, "seed": seed}}


def value_table(scores: Tensor) -> list[dict[str, float]]:
    """How often each value of the pattern appears: rows for a plot."""
    counts = torch.bincount(data_to_num(scores), minlength=VALUES * STEP)[::STEP]
    shares = counts.double() / max(len(scores), 1)
    return [{"value": index * STEP, "share": float(share)} for index, share in enumerate(shares)]

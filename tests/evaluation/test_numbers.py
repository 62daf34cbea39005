"""Exact figures on draws whose answer is known."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from atelier.evaluation.numbers import evaluate_numbers, score_numbers, value_table


def perfect(count: int, seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return one_hot(torch.randint(0, 20, (count,), generator=rng) * 5, 100).float()


def test_a_perfect_generator() -> None:
    found = evaluate_numbers(perfect, seed=1)
    figures = found["numbers"]
    assert isinstance(figures, dict)
    assert found["settings"] == {"samples": 10_000, "seed": 1}
    assert figures["multiples_share"] == 1
    assert figures["distance"] == 0
    assert figures["values_covered"] == 20
    assert figures["entropy_nats"] == pytest.approx(math.log(20), abs=0.01)
    assert figures["entropy_share"] == pytest.approx(1, abs=0.005)
    assert figures["all_zero_share"] == 0
    assert figures["stopping_score"] == pytest.approx(0, abs=0.01)


def test_what_distance_alone_rewards_is_seen() -> None:
    silent = score_numbers(torch.zeros(2000, 100))
    assert silent["distance"] == 0
    assert silent["all_zero_share"] == 1
    assert silent["stopping_score"] == pytest.approx(math.log(20) + 1)
    stuck = score_numbers(one_hot(torch.full((2000,), 35), 100).float())
    assert stuck["values_covered"] == 1
    assert stuck["stopping_score"] == pytest.approx(math.log(20))


def test_uniform_numbers() -> None:
    figures = score_numbers(one_hot(torch.arange(100), 100).float())
    assert figures["multiples_share"] == pytest.approx(0.2)
    assert figures["distance"] == pytest.approx((0 + 1 + 4 + 9 + 16) / 5)


def test_the_table_has_a_row_for_each_value() -> None:
    rows = value_table(perfect(1000, 0))
    assert [row["value"] for row in rows] == list(range(0, 100, 5))
    assert sum(row["share"] for row in rows) == pytest.approx(1)

"""The gate promotes what is better beyond chance, and never what is broken."""

from dataclasses import replace

import numpy as np
import pytest
from tests.toys import BETTER, GOOD

from atelier.bundle.comparison import SIGNIFICANT_ALONE, Comparison, Figures
from atelier.errors import UserError
from atelier.evaluation.kid import compare
from atelier.registry.gate import decide
from atelier.tasks.numbers import compare_scores

TWICE = [[BETTER], [BETTER]]


def test_the_first_to_pass_the_floors_is_promoted() -> None:
    decision = decide(GOOD, None)
    assert decision.promote
    assert "first version" in decision.reason


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (replace(GOOD, finite=False), "not finite"),
        (replace(GOOD, diversity=0.49), "collapsed"),
        (replace(GOOD, diversity=float("nan")), "collapsed"),
        (replace(GOOD, score=float("nan")), "score nan"),
        (replace(GOOD, broken_floors=("40.0% multiples of 5",)), "40.0% multiples"),
    ],
)
def test_a_broken_floor_stops_even_the_better(broken: Figures, reason: str) -> None:
    for champion in (None, GOOD):
        decision = decide(broken, champion, TWICE)
        assert not decision.promote
        assert reason in decision.reason


@pytest.mark.parametrize(
    ("second", "promoted"),
    [
        (BETTER, True),
        (replace(BETTER, difference=-0.19), False),
        (replace(BETTER, p_value=0.02), False),
        (replace(BETTER, objections=("witness says worse",)), False),
        (replace(BETTER, difference=0.0, standard_error=0.0, p_value=0.5), False),
    ],
)
def test_both_comparisons_must_agree(second: Comparison, promoted: bool) -> None:
    assert decide(GOOD, GOOD, [[BETTER], [second]]).promote is promoted
    assert decide(GOOD, GOOD, [[second], [BETTER]]).promote is promoted


@pytest.mark.parametrize(
    ("other", "promoted"),
    [
        (replace(BETTER, difference=0.01, p_value=0.5), True),
        (replace(BETTER, difference=0.21, p_value=0.99), False),
        (replace(BETTER, difference=0.01, p_value=0.5, objections=("recall 0.2 -> 0.1",)), False),
    ],
)
def test_no_part_of_a_task_may_be_worse(other: Comparison, promoted: bool) -> None:
    """Both directions not worse, one better."""
    parts = [replace(BETTER, part="A2B"), replace(other, part="B2A")]
    decision = decide(GOOD, GOOD, [parts, parts])
    assert decision.promote is promoted
    assert "B2A" in decision.reason


def test_each_round_must_find_a_better_part() -> None:
    tie = replace(BETTER, difference=0.01, p_value=0.5)
    assert not decide(GOOD, GOOD, [[BETTER, tie], [tie, tie]]).promote


def test_one_round_is_not_enough() -> None:
    with pytest.raises(UserError, match=r"gate: needs 2 rounds of comparisons \(got 1\)\."):
        decide(GOOD, GOOD, [[BETTER]])


def test_one_round_over_all_that_there_is_has_to_be_surer() -> None:
    alone = replace(BETTER, p_value=0.0005, level=SIGNIFICANT_ALONE)
    assert decide(GOOD, GOOD, [[alone]]).promote
    assert not decide(GOOD, GOOD, [[replace(alone, p_value=0.005)]]).promote
    with pytest.raises(UserError, match="needs 2 rounds"):
        decide(GOOD, GOOD, [[alone, BETTER]])


def test_what_it_cannot_tell_it_says() -> None:
    tie = replace(BETTER, difference=-0.01, p_value=0.3)
    assert decide(GOOD, GOOD, [[tie], [tie]]).reason.startswith("cannot tell the two apart")
    objected = replace(BETTER, objections=("recall 0.2 -> 0.1",))
    assert "recall 0.2 -> 0.1" in decide(GOOD, GOOD, [[objected], [BETTER]]).reason


@pytest.mark.parametrize(
    ("champion", "message"),
    [
        (replace(GOOD, dataset="horse2zebra"), "another dataset than the champion's"),
        (replace(GOOD, output_shape=(3, 16, 16)), "another output shape"),
        (replace(GOOD, judge_digest="older"), "scored with another judge .*Score it again first"),
        (replace(GOOD, data_digest="older"), "scored with another test data"),
    ],
)
def test_what_cannot_be_compared_is_refused(champion: Figures, message: str) -> None:
    with pytest.raises(UserError, match=message):
        decide(GOOD, champion, TWICE)


def compared(reals: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> Comparison:
    found = compare(reals, ours, theirs)
    return Comparison(0, found.difference, found.standard_error, found.p_value)


def test_equals_are_promoted_at_most_once_in_200() -> None:
    """Same code against itself: features resampled from one pool."""
    rng = np.random.default_rng(0)
    reals, pool = rng.standard_normal((100, 8)), rng.standard_normal((4000, 8)) * 1.1
    promoted = 0
    for _ in range(200):
        parts = np.split(pool[rng.permutation(4000)[:400]], 4)
        pairs = [[compared(reals, *parts[:2])], [compared(reals, *parts[2:])]]
        promoted += decide(GOOD, GOOD, pairs).promote
    assert promoted <= 1


def test_what_is_nearer_to_the_reals_is_promoted() -> None:
    rng = np.random.default_rng(0)
    reals = rng.standard_normal((200, 8))
    pairs = [
        [compared(reals, rng.standard_normal((200, 8)), rng.standard_normal((200, 8)) + 0.7)]
        for _ in range(2)
    ]
    assert decide(GOOD, GOOD, pairs).promote


def test_scores_of_numbers_are_compared_with_their_spread() -> None:
    rng = np.random.default_rng(0)
    low, high = (list(rng.normal(mean, 0.1, 20)) for mean in (0.0, 1.0))
    assert compare_scores(0, low, high).is_better()
    assert not compare_scores(0, high, low).is_better()
    assert not compare_scores(0, [0.0, 0.0], [0.0, 0.0]).is_better()
    equals = sum(
        all(compare_scores(0, *rng.normal(0, 0.1, (2, 20)).tolist()).is_better() for _ in range(2))
        for _ in range(200)
    )
    assert equals <= 1

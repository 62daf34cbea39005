"""KID against torch-fidelity, against the spread it claims, and against two ways to be wrong."""

import numpy as np
import numpy.typing as npt
import pytest

from atelier.bundle.comparison import SIGNIFICANT, SIGNIFICANT_ALONE
from atelier.evaluation.kid import compare, kernel, kid

Array = npt.NDArray[np.float32]
DIMENSIONS = 64


def draw(seed: int, count: int, shift: float = 0.0) -> Array:
    """Correlated Gaussian features, moved by `shift` in each dimension."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).standard_normal((DIMENSIONS, DIMENSIONS)) / 8
    return (rng.standard_normal((count, DIMENSIONS)) @ mixing + shift).astype(np.float32)


def test_equals_torch_fidelity_on_the_full_sample() -> None:
    from torch_fidelity.metric_kid import kernel_mmd

    reals, fakes = draw(1, 300), draw(2, 300, 0.1)
    theirs = kernel_mmd(reals.astype(float), fakes.astype(float))
    assert kid(reals, fakes).value == pytest.approx(theirs, rel=1e-9)


def test_counts_may_differ() -> None:
    reals, fakes = draw(1, 50), draw(2, 30, 0.2)
    within_reals = [kernel(reals[i : i + 1], reals[j : j + 1]) for i in range(50) for j in range(i)]
    within_fakes = [kernel(fakes[i : i + 1], fakes[j : j + 1]) for i in range(30) for j in range(i)]
    expected = np.mean(within_reals) + np.mean(within_fakes) - 2 * kernel(reals, fakes).mean()
    assert kid(reals, fakes).value == pytest.approx(float(expected), rel=1e-9)


BIAS = 0.004


def draw_wide(seed: int, count: int = 500) -> Array:
    """As many independent channels as an extractor has."""
    return np.random.default_rng(seed).standard_normal((count, 256), dtype=np.float32)


def test_same_distribution_is_at_zero() -> None:
    values = [kid(draw_wide(seed), draw_wide(seed + 1000)).value for seed in range(10)]
    assert np.abs(values).max() < BIAS
    assert abs(np.mean(values)) < BIAS / 4


def test_the_bound_catches_a_biased_estimate() -> None:
    reals, fakes = draw_wide(0), draw_wide(1000)
    biased = (
        kernel(reals, reals).mean() + kernel(fakes, fakes).mean() - 2 * kernel(reals, fakes).mean()
    )
    assert biased > BIAS


def test_the_bound_catches_a_bootstrap_with_replacement() -> None:
    rng = np.random.default_rng(5)
    reals, fakes = draw_wide(0), draw_wide(1000)
    resampled = [
        kid(reals[rng.integers(0, 500, 500)], fakes[rng.integers(0, 500, 500)]).value
        for _ in range(5)
    ]
    assert np.mean(resampled) > BIAS


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5])
def test_standard_error_is_the_spread_over_fresh_samples(shift: float) -> None:
    found = [kid(draw(2 * s, 150), draw(2 * s + 1, 100, shift)) for s in range(120)]
    spread = np.std([estimate.value for estimate in found])
    claimed = np.sqrt(np.mean([estimate.standard_error**2 for estimate in found]))
    assert claimed == pytest.approx(spread, rel=0.3)


def test_comparison_is_the_difference_of_two_kids() -> None:
    reals, near, far = draw(1, 200), draw(2, 150, 0.1), draw(3, 100, 0.3)
    found = compare(reals, near, far)
    assert found.difference == pytest.approx(kid(reals, near).value - kid(reals, far).value)
    assert found.p_value < SIGNIFICANT
    back = compare(reals, far, near)
    assert back.difference == pytest.approx(-found.difference)
    assert back.p_value == pytest.approx(1 - found.p_value)


def test_shared_reals_sharpen_the_comparison() -> None:
    reals, near, far = draw(1, 60), draw(2, 2000, 0.3), draw(3, 2000, 0.33)
    apart = np.hypot(kid(reals, near).standard_error, kid(reals, far).standard_error)
    assert compare(reals, near, far).standard_error < 0.5 * apart


def test_a_generator_against_itself_is_a_tie() -> None:
    reals, fakes = draw(1, 100), draw(2, 100, 0.2)
    found = compare(reals, fakes, fakes)
    assert found.difference == pytest.approx(0, abs=1e-9)
    assert found.p_value == pytest.approx(0.5)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_equal_generators_are_promoted_at_most_once_in_200_trials(shift: float) -> None:
    reals = draw(0, 300)

    def nearer(trial: int, round_number: int) -> bool:
        seed = 10_000 + 4 * trial + 2 * round_number
        challenger, champion = draw(seed, 100, shift), draw(seed + 1, 100, shift)
        return compare(reals, challenger, champion).p_value < SIGNIFICANT

    promotions = sum(nearer(trial, 0) and nearer(trial, 1) for trial in range(200))
    assert promotions <= 1


def paired_draws(trial: int, count: int, shift: float = 0.2) -> tuple[Array, Array]:
    """What two equal translators make of the same inputs: most of it is the inputs'."""
    inputs = draw(20_000 + trial, count, shift)
    own = [0.5 * draw(seed, count) for seed in (30_000 + 2 * trial, 30_001 + 2 * trial)]
    return inputs + own[0], inputs + own[1]


def test_equal_translators_are_promoted_at_most_once_in_200_trials() -> None:
    reals = draw(0, 100)
    found = [compare(reals, *paired_draws(trial, 60), paired=True) for trial in range(200)]
    p_values = np.array([one.p_value for one in found])
    assert (p_values < SIGNIFICANT_ALONE).sum() <= 1
    assert np.mean(p_values < 0.05) < 0.1
    claimed = np.sqrt(np.mean([one.standard_error**2 for one in found]))
    assert claimed == pytest.approx(np.std([one.difference for one in found]), rel=0.3)


def test_pairs_show_what_independent_sets_of_that_size_do_not() -> None:
    reals = draw(0, 100)
    better, equal = paired_draws(1, 60, 0.2)
    worse = equal + 0.08
    apart, together = (compare(reals, better, worse, paired=of) for of in (False, True))
    assert together.difference == pytest.approx(apart.difference)
    assert together.standard_error < 0.8 * apart.standard_error
    assert together.p_value < SIGNIFICANT_ALONE < apart.p_value


def test_p_values_of_equal_generators_are_spread_evenly() -> None:
    reals = draw(0, 300)
    p_values = [
        compare(reals, draw(9000 + 2 * t, 100, 0.2), draw(9001 + 2 * t, 100, 0.2)).p_value
        for t in range(200)
    ]
    assert np.mean(np.array(p_values) < 0.05) < 0.1
    assert 0.4 < np.mean(np.array(p_values) < 0.5) < 0.6

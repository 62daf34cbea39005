"""A few figures stand for many, in words that say how sure they are."""

import pytest

from atelier.registry.headline import gate_figure, headlines, number

DISTANCES = {
    "judge/kid": 0.0302,
    "judge/kid_standard_error": 0.0041,
    "judge/kid_ceiling": 0.001,
    "judge/kid_ceiling_standard_error": 0.002,
    "witness/kid": 1.5,
    "witness/kid_standard_error": 0.27,
}


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (0.0302, 0.0041, "0.0302 ± 0.0041"),
        (0.0856, 0.0538, "0.086 ± 0.054"),
        (19.02, 9.84, "19.0 ± 9.8"),
        (1234.5, 98.0, "1234 ± 98"),
        (-3552.8, None, "-3553"),
        (0.00548881, None, "0.00549"),
        (0.5, 0.0, "0.5"),
        (0.9999, None, "0.9999"),
        (1.0, None, "1"),
        (0.5, float("nan"), "0.5"),
    ],
)
def test_a_value_has_as_many_decimals_as_its_error(
    value: float, error: float | None, words: str
) -> None:
    assert number(value, error) == words


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        (DISTANCES, "KID 0.0302 ± 0.0041 (judge)"),
        ({**DISTANCES, "judge/of_the_way": 0.938}, "KID 0.0302 ± 0.0041 = 94% of the way (judge)"),
        ({"witness/kid": 1.5}, "KID 1.5 (witness)"),
        (
            {"A2B/judge/kid": 0.5, "A2B/judge/kid_standard_error": 0.1, "B2A/judge/kid": 0.25,
             "A2B/witness/kid": 3.0, "B2A/judge/of_the_way": -0.25},
            "KID A2B 0.50 ± 0.10, B2A 0.25 = -25% of the way (judge)",
        ),
        (
            {"reconstruction/mse": 0.005, "reconstruction/psnr_db": 23.0},
            "MSE 0.005",
        ),
        (
            {"reconstruction/mse": 0.005, "elbo/nats_per_image": -3552.8, "judge/kid_mixture": 0.1},
            "negative ELBO in nats per image -3553",
        ),
        ({"numbers/stopping_score": 0.25, "numbers/multiples_share": 1.0}, "stopping score 0.25"),
        ({"colour/range": 1.0}, ""),
    ],
)  # fmt: skip
def test_the_gates_figure_is_said_with_its_error(figures: dict[str, float], words: str) -> None:
    assert gate_figure(figures) == words


def test_a_headline_knows_what_it_is_held_to() -> None:
    first, second = headlines(DISTANCES)
    assert (first.beside, first.beside_value, first.beside_error) == (
        "ceiling of training images", 0.001, 0.002,
    )  # fmt: skip
    assert second.beside == ""

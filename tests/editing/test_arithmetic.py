"""Arithmetic over named groups: read from text, from members, and from directions alone."""

import numpy as np
import pytest

from atelier.editing.arithmetic import Groups, Rule, Term, combine, parse
from atelier.editing.directions import find_attribute_directions
from atelier.errors import UserError

NAMES = ("Male", "Eyeglasses")
BOOK = "Male=1,Eyeglasses=1 - Male=0,Eyeglasses=1 + Male=0,Eyeglasses=0"


def test_the_books_example_is_read() -> None:
    assert parse(BOOK) == [
        Term(1, {"Male": 1, "Eyeglasses": 1}),
        Term(-1, {"Male": 0, "Eyeglasses": 1}),
        Term(1, {"Male": 0, "Eyeglasses": 0}),
    ]
    assert parse("- Male=0 + Male=1")[0] == Term(-1, {"Male": 0})
    assert str(parse(BOOK)[1]) == "Male=0,Eyeglasses=1"


@pytest.mark.parametrize(
    "text", ["", "Male", "Male=2", "Male=1 -", "Male=1 Eyeglasses=0", "+ + Male=1", "3 + Male=1"]
)
def test_what_is_no_arithmetic_is_one_line(text: str) -> None:
    with pytest.raises(UserError, match=r"--arithmetic: groups NAME=1,NAME=0 joined by"):
        parse(text)


def test_a_rule_against_itself() -> None:
    with pytest.raises(UserError, match="nobody both has and lacks Male"):
        parse("Male=1,Male=0")


def test_a_difference_is_no_latent() -> None:
    with pytest.raises(UserError, match=r"one more \(got 0 left over\)"):
        combine(parse("Male=1 - Male=0"), lambda rule: np.zeros(2, np.float32))


@pytest.fixture(scope="module")
def people() -> tuple[np.ndarray, np.ndarray]:
    """Men wear glasses more often; being one moves the latent by 3, glasses move it by 2."""
    draw = np.random.default_rng(0)
    men = draw.random(20_000) < 0.4
    glasses = draw.random(20_000) < np.where(men, 0.4, 0.15)
    latents = draw.standard_normal((20_000, 6)).astype(np.float32)
    latents[:, 0] += 3.0 * men
    latents[:, 1] += 2.0 * glasses
    return latents, np.stack([men, glasses], axis=1).astype(np.uint8)


def group_mean(latents: np.ndarray, labels: np.ndarray, rule: Rule) -> np.ndarray:
    """The mean latent of a rule's members."""
    columns = [NAMES.index(name) for name in rule]
    members = (labels[:, columns] == list(rule.values())).all(axis=1)
    return np.asarray(latents[members].mean(axis=0))


def test_directions_alone_say_where_groups_are(people: tuple[np.ndarray, np.ndarray]) -> None:
    """As the members' means do, though no member is at hand."""
    latents, labels = people
    found = find_attribute_directions(latents, labels, NAMES)
    rows = dict(zip(found.names, found.vectors, strict=True))
    groups = Groups(found.mean, rows, found.words())
    for rule in ({"Male": 1, "Eyeglasses": 1}, {"Male": 0, "Eyeglasses": 0}):
        members = group_mean(latents, labels, rule)
        np.testing.assert_allclose(groups(rule), members, atol=0.15)
    expected = combine(parse(BOOK), lambda rule: group_mean(latents, labels, rule))
    np.testing.assert_allclose(combine(parse(BOOK), groups), expected, atol=0.15)
    # A man without glasses: 3 along the first axis, 0 along the second.
    np.testing.assert_allclose(expected, [3, 0, 0, 0, 0, 0], atol=0.1)
    with pytest.raises(UserError, match=r"group: unknown \(got 'Hat'\)"):
        groups({"Hat": 1})
    with pytest.raises(UserError, match=r"Did you mean Eyeglasses\?"):
        groups({"Eyeglases": 1})

"""Latent arithmetic over named groups: "Male=1,Eyeglasses=1 - Male=0,Eyeglasses=1 + Male=0".

A group is a rule, who has which attributes and who lacks them, and stands for the mean latent of
its members; picking rows by hand, as is usual (Liu, Learn Generative AI with PyTorch, 2024, 7.3),
works for one set of weights only. `Groups` gets by without the members: directions and three facts
about each, which a bundle holds, say where they are, and do so for groups too rare to have a mean.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atelier.errors import UserError
from atelier.schema import unknown

Rule = dict[str, int]
"""Attributes and whether the group has them: 1, or lacks them: 0. The unnamed may be either."""
Latent = NDArray[np.float32]
"""[L]"""


@dataclass(frozen=True)
class Term:
    sign: int
    rule: Rule

    def __str__(self) -> str:
        return ",".join(f"{name}={value}" for name, value in self.rule.items())


def parse(text: str) -> list[Term]:
    """Reads groups between plus and minus signs that stand between spaces.

    Raises:
        UserError: anything else.
    """
    parts = re.split(r"(?:^|\s)([+-])\s", text.strip() if text.strip()[:1] in "+-" else f"+ {text}")
    pairs = list(zip(parts[1::2], parts[2::2], strict=True))
    if parts[0] or not pairs:
        raise _unreadable(text)
    return [Term(1 if sign == "+" else -1, _rule(words)) for sign, words in pairs]


def _rule(words: str) -> Rule:
    rule: Rule = {}
    for part in words.split(","):
        name, _, value = (word.strip() for word in part.partition("="))
        if not name or value not in ("0", "1") or re.search(r"\s", name):
            raise _unreadable(part)
        if rule.setdefault(name, int(value)) != int(value):
            raise UserError("--arithmetic", f"nobody both has and lacks {name}")
    return rule


def _unreadable(part: str) -> UserError:
    example = '"Male=1,Eyeglasses=1 - Male=0,Eyeglasses=1 + Male=0,Eyeglasses=0"'
    problem = f"groups NAME=1,NAME=0 joined by + or - (got {part.strip()[:60]!r})"
    return UserError("--arithmetic", problem, f"Such as {example}.")


def combine(terms: Sequence[Term], mean_of: Callable[[Rule], Latent]) -> Latent:
    """a - b + c: the sum of the groups' latents, each with its sign.

    Raises:
        UserError: the signs do not leave one latent, as in a - b.
    """
    if (left := sum(term.sign for term in terms)) != 1:
        raise UserError(
            "--arithmetic",
            f"as many groups added as taken away, and one more (got {left} left over)",
            "A difference of two groups is a step: add it to a third.",
        )
    total: Latent = np.sum([term.sign * mean_of(term.rule) for term in terms], axis=0)
    return total.astype(np.float32)


@dataclass(frozen=True)
class Groups:
    """Where groups are, from directions alone: the mean latent and a step for each attribute.

    The linear model of the latents given the labels: having an attribute moves a latent by the
    distance between owners and others, from the mean by the share of the others of it, all else
    equal. Attributes that a rule does not name are those of the average.
    """

    mean: Latent
    directions: Mapping[str, Latent]
    """[L] each: one standard deviation."""
    facts: Mapping[str, Mapping[str, float]]
    """`share` and `distance` of each: see AttributeDirections.words."""

    def __call__(self, rule: Rule) -> Latent:
        """The latent [L] that stands for a group.

        Raises:
            UserError: an attribute without a direction.
        """
        latent = self.mean.astype(np.float64)
        for name, value in rule.items():
            if name not in self.directions or name not in self.facts:
                known = [known for known in self.directions if known in self.facts]
                raise unknown("group", name, known)
            fact = self.facts[name]
            latent += (value - fact["share"]) * fact["distance"] * self.directions[name]
        return latent.astype(np.float32)

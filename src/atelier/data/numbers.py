"""Numbers with a pattern: sequences of ten integers, each a multiple of 5, as 100-wide one-hots.

Names and meanings follow the book (Liu, Learn Generative AI with PyTorch, 2024, 3.5).
Deviations: `distance` compares shapes that match (the book's broadcast to 10 x 10), every draw may
take its own generator, and `all_zero_share`, `entropy` and `coverage` see the three faults that
`distance` alone rewards: all-zero rows decode to 0, and one repeated multiple is enough for 0.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

SEQUENCE_LENGTH = 10
DEPTH = 100
STEP = 5
VALUES = DEPTH // STEP
"""How many values follow the pattern: 0, 5, …, 95."""


def gen_sequence(length: int = SEQUENCE_LENGTH, rng: torch.Generator | None = None) -> Tensor:
    """Draws integers from {0, 5, …, 95}, with repeats: [length] int64."""
    return torch.randint(0, VALUES, (length,), generator=rng) * STEP


def int_to_onehot(number: int | Tensor) -> Tensor:
    """Encodes integers of 0 … 99: [...] int64 -> [..., 100] float32, each row with one 1."""
    return functional.one_hot(torch.as_tensor(number), DEPTH).float()


def gen_batch(length: int = SEQUENCE_LENGTH, rng: torch.Generator | None = None) -> Tensor:
    """Draws one sequence as one-hots: [length, 100] float32."""
    return int_to_onehot(gen_sequence(length, rng))


def data_to_num(data: Tensor) -> Tensor:
    """Decodes scores to integers: [..., 100] -> [...] int64. Ties, and all-zero rows, give 0."""
    return torch.argmax(data, dim=-1)


def distance(data: Tensor) -> Tensor:
    """Mean squared remainder by 5: 0 for the pattern, 6 for uniform numbers, at most 16."""
    remainders = (data_to_num(data) % STEP).float()
    return functional.mse_loss(remainders, torch.zeros_like(remainders))


def multiples_share(data: Tensor) -> Tensor:
    """Share of rows that decode to a multiple of 5."""
    return (data_to_num(data) % STEP == 0).float().mean()


def all_zero_share(data: Tensor) -> Tensor:
    """Share of rows without any score above zero: they decode to 0 without meaning it."""
    return (data <= 0).all(dim=-1).float().mean()


def _value_shares(data: Tensor) -> Tensor:
    numbers = data_to_num(data)
    counts = torch.bincount(numbers[numbers % STEP == 0] // STEP, minlength=VALUES).float()
    return counts / counts.sum().clamp(min=1)


def coverage(data: Tensor) -> int:
    """How many of the 20 values appear."""
    return int((_value_shares(data) > 0).sum())


def entropy(data: Tensor) -> Tensor:
    """Entropy of the multiples of 5 among the rows, in nats: at most ln 20."""
    nats: Tensor = torch.special.entr(_value_shares(data)).sum()
    return nats


def stopping_score(data: Tensor) -> Tensor:
    """0 for a perfect generator: distance + (ln 20 - entropy) + all-zero share."""
    return distance(data) + (math.log(VALUES) - entropy(data)) + all_zero_share(data)


DISTANCE, STOPPING_SCORE = "distance", "stopping_score"
SCORES = {DISTANCE: distance, STOPPING_SCORE: stopping_score}
"""What early stopping can watch: the book's own figure, and the one that can't be gamed."""

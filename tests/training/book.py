"""The book's training step, kept as the lesson that it is.

Liu, Learn Generative AI with PyTorch (2024), 3.5.2. A test shows that the one training loop, with
the phases of `objectives/linear_baseline.py`, makes the same weights as `train_D_G` does.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from atelier.data.numbers import DEPTH, SEQUENCE_LENGTH, gen_batch


def train_D_G(
    D: nn.Module, G: nn.Module, loss_fn: nn.Module, optimD: Optimizer, optimG: Optimizer
) -> Tensor:
    """One step of the seed: D on reals, D on fakes, then G; returns G's batch [10, 100].

    The one deviation: fakes are detached where D learns, so that D's loss leaves G alone.
    """
    true_labels = torch.ones((SEQUENCE_LENGTH, 1))
    fake_labels = torch.zeros((SEQUENCE_LENGTH, 1))

    loss = loss_fn(D(gen_batch()), true_labels)
    _step(optimD, loss)

    generated = G(torch.randn((SEQUENCE_LENGTH, DEPTH)))
    loss = loss_fn(D(generated.detach()), fake_labels)
    _step(optimD, loss)

    generated = G(torch.randn((SEQUENCE_LENGTH, DEPTH)))
    loss = loss_fn(D(generated), true_labels)
    _step(optimG, loss)
    return cast(Tensor, generated.detach())


def _step(optimizer: Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

"""A step of a rival: what it runs in, and how an optimizer moves."""

import torch
from torch import Tensor

from atelier.training.runtime import processor_has_bf16


def autocast() -> torch.autocast:
    """bfloat16 where this processor is fast in it, as the precision `auto` of ours."""
    return torch.autocast("cpu", torch.bfloat16, enabled=processor_has_bf16())


def move(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()

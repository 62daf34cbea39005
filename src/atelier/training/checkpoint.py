"""Saving and loading the state of a training, whole or not at all."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from atelier.errors import AtelierError
from atelier.files import written_aside


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes beside `path`, flushes to the disk and renames: a kill leaves the old file or the new.

    The state holds tensors, numbers, strings, lists and dicts only, so that it loads with
    `weights_only`.
    """
    with written_aside(path, durable=True) as beside, beside.open("wb") as file:
        torch.save(state, file)


def load(path: Path, device: torch.device) -> dict[str, Any] | None:
    """The saved state, or None where there is none."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state


def check_finite(steps: dict[str, torch.Tensor]) -> None:
    """Ends the run when a phase has noted the step of a loss that was not finite; -1 is none."""
    for phase, step in steps.items():
        if (first := int(step)) >= 0:
            raise AtelierError(
                f"training: the loss of phase {phase} was not finite in step {first}. Lower the "
                "learning rate, or raise the penalty; the last checkpoint is from before it."
            )


def collect(nets: nn.ModuleDict, averages: nn.ModuleDict, optimizers: dict[str, Optimizer]) -> Any:
    """The state of all that learns."""
    return {
        "nets": nets.state_dict(),
        "averages": averages.state_dict(),
        "optimizers": {name: optimizer.state_dict() for name, optimizer in optimizers.items()},
    }


def restore(
    state: Any, nets: nn.ModuleDict, averages: nn.ModuleDict, optimizers: dict[str, Optimizer]
) -> None:
    """Puts back what `collect` took."""
    nets.load_state_dict(state["nets"])
    averages.load_state_dict(state["averages"])
    for name, optimizer in optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])

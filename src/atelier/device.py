"""The device on which what follows a training runs: bundling, evaluating, comparing, drawing.

The CPU's pictures are the reference. Another device's may differ from them by 1 of 255 in at most
0.1% of their values, since everywhere networks run in IEEE single precision.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import torch
from torch import nn

from atelier.errors import UserError

CPU = torch.device("cpu")


def visible() -> torch.device:
    """What a stage runs on: the GPU that its slot lets it see, or else the CPU."""
    return torch.device("cuda") if torch.cuda.is_available() else CPU


def named(name: str) -> torch.device:
    """The device that somebody asked for, `cpu`, `cuda` or `cuda:1`.

    Raises:
        UserError: it is no device, or not here.
    """
    there = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in there:
        raise UserError("--device", f"not here (got {name})", f"There is {', '.join(there)}.")
    return torch.device(wanted)


def device_of(network: nn.Module) -> torch.device:
    """Where its weights lie."""
    held = chain(network.parameters(), network.buffers())
    return next((tensor.device for tensor in held), CPU)


@contextmanager
def exactly(device: torch.device) -> Iterator[None]:
    """Has a GPU's convolutions keep all of single precision, which torch lets them shorten."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        yield

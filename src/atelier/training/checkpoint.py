"""Saving and loading the state of a training: whole, read with a check, the one before kept."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.serialization import get_crc32_options, set_crc32_options

from atelier.display import say
from atelier.errors import AtelierError
from atelier.files import written_aside

FILE, BEFORE = "checkpoint.pt", "checkpoint.before.pt"
"""In a training's folder: its last state, and the one before, should the last be damaged."""
SUM_BYTES = 4
"""At the end of a file, where torch's reader passes over them: the CRC-32 of all before them."""
READ_BYTES = 1 << 20


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes beside `path`, flushes to the disk and renames; what was there is the one before.

    A kill leaves the old states or the new one. The state holds tensors, numbers, strings, lists
    and dicts only, so that it loads with `weights_only`.
    """
    with written_aside(path, durable=True) as beside:
        try:
            with _one_sum(), beside.open("wb") as file:
                torch.save(state, file)
        except RuntimeError as error:
            # torch's writer covers what the system said of the disk.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise
        with beside.open("ab") as file:
            file.write(_sum(beside, beside.stat().st_size))
        if path.exists():
            path.replace(path.with_name(BEFORE))


@contextmanager
def _one_sum() -> Iterator[None]:
    """Ours: torch's own of each tensor would take three times as long as all the rest."""
    before = get_crc32_options()
    set_crc32_options(False)
    try:
        yield
    finally:
        set_crc32_options(before)


def load(path: Path, device: torch.device) -> dict[str, Any] | None:
    """The last state that is whole, or None where there is none."""
    if (whole := sound(path)) is None:
        return None
    state: dict[str, Any] = torch.load(whole, map_location=device, weights_only=True)
    return state


def sound(path: Path) -> Path | None:
    """The file of the last state that is whole: `path` or the one before it, if any.

    A damaged one is said, and removed, so that it never becomes the one before.
    """
    damaged = False
    for kept in (path, path.with_name(BEFORE)):
        if not kept.exists():
            continue
        if _is_whole(kept):
            if damaged:
                say(f"{path}: cut short or changed; goes on from the one before")
            return kept
        damaged = True
        kept.unlink(missing_ok=True)
    if damaged:
        say(f"{path}: cut short or changed, and none before it is whole: begins anew")
    return None


def _is_whole(path: Path) -> bool:
    size = path.stat().st_size - SUM_BYTES
    if size <= 0:
        return False
    with path.open("rb") as file:
        file.seek(size)
        return file.read() == _sum(path, size)


def _sum(path: Path, size: int) -> bytes:
    """The CRC-32 of a file's first bytes."""
    total = 0
    with path.open("rb") as file:
        while part := file.read(min(READ_BYTES, size - file.tell())):
            total = zlib.crc32(part, total)
    return total.to_bytes(SUM_BYTES)


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

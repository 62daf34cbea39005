"""Features of real images, computed once for all stages that ask for them.

Every experiment of a dataset is scored, and held to its champion, beside the same real images, some
of them blurred and shuffled; to look at them takes longer than to look at what was made. A file is
named by all that its content rests on: pixels, weights, the code that looks, torch, the processor
and how many threads add up. So nothing in it is ever stale, and removing it is safe.
"""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from atelier.device import CPU, device_of
from atelier.files import written_aside

Pixels = npt.NDArray[np.uint8]
Raw = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Place:
    """Where features are computed, and where those of real images are kept."""

    device: torch.device = CPU
    kept: Path | None = None
    """A folder; None keeps nothing."""

    def raw(self, network: nn.Module, images: Pixels, look: Callable[[], Raw]) -> Raw:
        """What `look` finds, or has found before, with this network, in these images."""
        if self.kept is None:
            return look()
        path = self.kept / f"{_key(network, images)}.npy"
        try:
            with path.open("rb") as kept:
                found: Raw = np.lib.format.read_array(kept, allow_pickle=False)
        except (OSError, ValueError):  # not there, or spoilt by another hand
            found = look()
            with written_aside(path) as beside, beside.open("wb") as file:
                np.save(file, found, allow_pickle=False)
        return found


def _key(network: nn.Module, images: Pixels) -> str:
    digest = hashlib.sha256(f"{images.shape} {_machine(device_of(network))}".encode())
    digest.update(np.ascontiguousarray(images).data)
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy())
    for path in _sources(network):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _machine(device: torch.device) -> str:
    """What decides the last bits, beside the code."""
    if device.type == "cuda":
        return f"{torch.__version__} {torch.cuda.get_device_name(device)}"
    instructions = torch.backends.cpu.get_cpu_capability()
    return f"{torch.__version__} {instructions} {torch.get_num_threads()}"


def _sources(network: nn.Module) -> list[Path]:
    """The files of ours that say how it looks, and how pixels are given to it."""
    names = {type(module).__module__ for module in network.modules()}
    names |= {"atelier.data.images", "atelier.evaluation.features"}
    files = [sys.modules[name].__file__ for name in sorted(names) if name.startswith("atelier.")]
    return [Path(file) for file in files if file]

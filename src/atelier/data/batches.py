"""Training batches from a prepared dataset, drawn by a step's own randomness."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from atelier.data.images import to_float
from atelier.data.numbers import DEPTH, SCORES, gen_batch
from atelier.errors import UserError


class Randomness(Protocol):
    """This process's share of draws that are made for the whole global batch."""

    def rows(self, population: int, count: int) -> Tensor: ...
    def uniform(self, *shape: int) -> Tensor: ...
    def draw(self, count: int, draw: Callable[[int, torch.Generator], Tensor]) -> Tensor: ...


class Batches(Protocol):
    """Where a training step's data come from."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def label_names(self) -> tuple[str, ...]: ...

    def take(self, rng: Randomness, count: int) -> tuple[Tensor, Tensor | None]:
        """Returns [count, *shape] floats, and [count, K] labels of 0 and 1 where there are any."""
        ...

    def label_shares(self) -> Tensor:
        """Share of positives per label: [K]."""
        ...

    def score(self, name: str, draws: Tensor) -> float:
        """How far a generator's draws are from the data's own rule: 0 is perfect."""
        ...


class ImageBatches:
    """Rows of the training split, held as uint8 on the training device."""

    def __init__(self, prepared: Path, device: torch.device, flip: bool) -> None:
        manifest = read_manifest(prepared)
        self.label_names = tuple(manifest["labels"])
        self.pixels = torch.from_numpy(np.load(prepared / "training.npy")).to(device)
        self.labels = torch.from_numpy(np.load(prepared / "training_labels.npy")).to(device)
        self.shape = tuple(self.pixels.shape[1:])
        self.flip = flip

    def take(self, rng: Randomness, count: int) -> tuple[Tensor, Tensor | None]:
        rows = rng.rows(len(self.pixels), count).to(self.pixels.device)
        images = to_float(self.pixels[rows])
        if self.flip:
            mirrored = rng.uniform(count, 1, 1, 1) < 0.5
            images = torch.where(mirrored, images.flip(-1), images)
        return images, self.labels[rows]

    def label_shares(self) -> Tensor:
        return self.labels.float().mean(0).cpu()

    def score(self, name: str, draws: Tensor) -> float:
        raise UserError(
            "training.early_stopping", "pictures follow no rule to stop by", "Write null."
        )


class NumberBatches:
    """Rows of sequences drawn anew for each step: the pattern is a rule, not a finite set."""

    shape = (DEPTH,)
    label_names = ()

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def take(self, rng: Randomness, count: int) -> tuple[Tensor, Tensor | None]:
        return rng.draw(count, gen_batch), None

    def label_shares(self) -> Tensor:
        return torch.empty(0)

    def score(self, name: str, draws: Tensor) -> float:
        return float(SCORES[name](draws))


def open_batches(prepared: Path, device: torch.device, flip: bool) -> Batches:
    """The training split of whatever kind of dataset was prepared there."""
    if read_manifest(prepared)["layout"] == "numbers":
        return NumberBatches(device)
    return ImageBatches(prepared, device, flip)


def read_manifest(prepared: Path) -> dict[str, Any]:
    """What `prepare` wrote about the arrays beside it."""
    try:
        manifest: dict[str, Any] = json.loads((prepared / "manifest.json").read_text())
    except FileNotFoundError:
        name = prepared.parent.name
        raise UserError(prepared, "not prepared yet", f"Run: dvc repro prepare@{name}") from None
    return manifest

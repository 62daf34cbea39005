"""Training batches from a prepared dataset, drawn by a step's own randomness."""

import json
from collections.abc import Callable
from math import inf, prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from atelier.data.images import to_float
from atelier.data.numbers import DEPTH, SCORES, gen_batch
from atelier.data.sampling import (
    Balanced,
    Domains,
    Uniform,
    balanced_weights,
    columns,
    domain_weights,
    members,
)
from atelier.errors import UserError

TRAINING = "training.npy"
READ_AT_ONCE = 4096
"""Images, on their way from the disk to where they are held."""
MOST_VALUES = 10_000 * 3 * 64**2
"""Of the examples, so that they take no more memory where images are larger."""
Drawn = dict[str, Tensor]
"""One step's data by what it is: `real` [B, …] always; `labels` [B, K]; `other` [B, …], the second
domain."""


class Randomness(Protocol):
    """This process's share of draws that are made for the whole global batch."""

    def rows(self, population: int, count: int) -> Tensor: ...
    def weighted_rows(self, weights: Tensor, count: int) -> Tensor: ...
    def uniform(self, *shape: int) -> Tensor: ...
    def draw(self, count: int, draw: Callable[[int, torch.Generator], Tensor]) -> Tensor: ...


class Batches(Protocol):
    """Where a training step's data come from."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def label_names(self) -> tuple[str, ...]: ...

    def take(self, rng: Randomness, count: int) -> Drawn:
        """Fresh data: images in [-1, 1] or one-hots, and labels of 0 and 1 where there are any."""
        ...

    def label_shares(self) -> Tensor:
        """Share of positives per label: [K]."""
        ...

    def score(self, name: str, draws: Tensor) -> float:
        """How far a generator's draws are from the data's own rule: 0 is perfect."""
        ...


class Pixels:
    """Images of the training split as uint8: on the training device, or where that has no room for
    them on the disk, from which those drawn are read.

    Args:
        layout: of what is taken, in memory.
        most: bytes that may be held on the device.
        chosen: the rows that are wanted; default all.
    """

    def __init__(
        self,
        prepared: Path,
        device: torch.device,
        layout: torch.memory_format,
        most: float,
        chosen: NDArray[np.int64] | None = None,
    ) -> None:
        # A private map: torch wants what it could write to, though nothing is written.
        stored = torch.from_numpy(np.load(prepared / TRAINING, mmap_mode="c"))
        self.device, self.layout = device, layout
        self.shape = tuple(stored.shape[1:])
        self.rows = torch.arange(len(stored)) if chosen is None else torch.from_numpy(chosen)
        self.held: Tensor | None = None
        self.stored = stored
        if len(self) * prod(self.shape) <= most:
            self.held = torch.empty(
                (len(self), *self.shape), dtype=torch.uint8, device=device, memory_format=layout
            )
            for part in torch.arange(len(self)).split(READ_AT_ONCE):
                self.held[part[0] : part[-1] + 1] = stored[self.rows[part]].to(device)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Tensor) -> Tensor:
        """[B] -> uint8 [B, C, S, S] on the device."""
        if self.held is not None:
            return self.held[rows.to(self.device, non_blocking=True)]
        read = self.stored[self.rows[rows]].contiguous(memory_format=self.layout)
        if self.device.type == "cuda":  # a copy from such memory does not wait for the device
            read = read.pin_memory()
        return read.to(self.device, non_blocking=True)


class ImageBatches:
    """Rows of the training split."""

    def __init__(
        self,
        prepared: Path,
        device: torch.device,
        flip: bool,
        sampling: Uniform | Balanced | None = None,
        layout: torch.memory_format = torch.contiguous_format,
        most: float = inf,
    ) -> None:
        names = tuple(read_manifest(prepared)["labels"])
        labels = np.load(prepared / "training_labels.npy")
        self.weights: Tensor | None = None
        if isinstance(sampling, Balanced):
            labels = np.ascontiguousarray(labels[:, columns(names, sampling.attributes)])
            names = sampling.attributes
            weights = balanced_weights(labels, sampling.power, sampling.heaviest)
            self.weights = torch.from_numpy(weights)
        self.label_names = names
        self.pixels = Pixels(prepared, device, layout, most)
        self.labels = torch.from_numpy(labels).to(device)
        self.shape = self.pixels.shape
        self.flip = flip

    def take(self, rng: Randomness, count: int) -> Drawn:
        if self.weights is None:
            rows = rng.rows(len(self.pixels), count)
        else:
            rows = rng.weighted_rows(self.weights, count)
        labels = self.labels[rows.to(self.labels.device, non_blocking=True)]
        return {"real": _as_images(self.pixels.take(rows), self.flip, rng), "labels": labels}

    def label_shares(self) -> Tensor:
        return self.labels.float().mean(0).cpu()

    def score(self, name: str, draws: Tensor) -> float:
        raise UserError(
            "training.early_stopping", "pictures follow no rule to stop by", "Write null."
        )


class DomainBatches:
    """Two domains of the training split, drawn apart: random pairs, independent flips."""

    label_names = ()

    def __init__(
        self,
        prepared: Path,
        device: torch.device,
        flip: bool,
        domains: Domains,
        layout: torch.memory_format = torch.contiguous_format,
        most: float = inf,
    ) -> None:
        names = tuple(read_manifest(prepared)["labels"])
        labels = np.load(prepared / "training_labels.npy")
        rows = [members(labels, names, domain) for domain in (domains.a, domains.b)]
        balanced = labels[:, columns(names, domains.balance)]
        found = domain_weights(balanced[rows[0]], balanced[rows[1]])
        self.weights = [torch.from_numpy(weights) for weights in found]
        self.pixels = [Pixels(prepared, device, layout, most / 2, chosen) for chosen in rows]
        self.shape = self.pixels[0].shape
        self.flip = flip

    def take(self, rng: Randomness, count: int) -> Drawn:
        drawn = []
        for pixels, weights in zip(self.pixels, self.weights, strict=True):
            rows = rng.weighted_rows(weights, count)
            drawn.append(_as_images(pixels.take(rows), self.flip, rng))
        return {"real": drawn[0], "other": drawn[1]}

    def label_shares(self) -> Tensor:
        return torch.empty(0)

    def score(self, name: str, draws: Tensor) -> float:
        raise UserError(
            "training.early_stopping", "pictures follow no rule to stop by", "Write null."
        )


def _as_images(pixels: Tensor, flip: bool, rng: Randomness) -> Tensor:
    return mirrored(pixels, rng) if flip else to_float(pixels)


def mirrored(pixels: Tensor, rng: Randomness) -> Tensor:
    """uint8 [B, C, S, S] -> floats in [-1, 1], each left-right mirrored or not, by chance."""
    turned = rng.uniform(len(pixels), 1, 1, 1) < 0.5
    return to_float(torch.where(turned, pixels.flip(-1), pixels))


class NumberBatches:
    """Rows of sequences drawn anew for each step: the pattern is a rule, not a finite set."""

    shape = (DEPTH,)
    label_names = ()

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def take(self, rng: Randomness, count: int) -> Drawn:
        return {"real": rng.draw(count, gen_batch)}

    def label_shares(self) -> Tensor:
        return torch.empty(0)

    def score(self, name: str, draws: Tensor) -> float:
        return float(SCORES[name](draws))


def open_batches(
    prepared: Path,
    device: torch.device,
    flip: bool,
    sampling: Uniform | Balanced | Domains | None = None,
    layout: torch.memory_format = torch.contiguous_format,
    most: float = inf,
) -> Batches:
    """The training split of whatever kind of dataset was prepared there; images as `Pixels`."""
    if read_manifest(prepared)["layout"] == "numbers":
        return NumberBatches(device)
    if isinstance(sampling, Domains):
        return DomainBatches(prepared, device, flip, sampling, layout, most)
    return ImageBatches(prepared, device, flip, sampling, layout, most)


def examples(prepared: Path, count: int) -> Tensor:
    """At most `count` training images in [-1, 1], evenly spaced: [N, C, S, S].

    And at most so many of a side beyond 64 pixels as take the memory of 10,000 of 64: 625 of 256.
    """
    pixels = np.load(prepared / TRAINING, mmap_mode="r")
    most = min(count, len(pixels), MOST_VALUES // prod(pixels.shape[1:]))
    rows = np.linspace(0, len(pixels) - 1, most).astype(np.int64)
    return to_float(torch.from_numpy(pixels[rows]))


def read_manifest(prepared: Path) -> dict[str, Any]:
    """What `prepare` wrote about the arrays beside it."""
    try:
        manifest: dict[str, Any] = json.loads((prepared / "manifest.json").read_text())
    except FileNotFoundError:
        name = prepared.parent.name
        raise UserError(prepared, "not prepared yet", f"Run: dvc repro prepare@{name}") from None
    return manifest

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


class ImageBatches:
    """Rows of the training split, held as uint8 on the training device."""

    def __init__(
        self,
        prepared: Path,
        device: torch.device,
        flip: bool,
        sampling: Uniform | Balanced | None = None,
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
        self.pixels = torch.from_numpy(np.load(prepared / "training.npy")).to(device)
        self.labels = torch.from_numpy(labels).to(device)
        self.shape = tuple(self.pixels.shape[1:])
        self.flip = flip

    def take(self, rng: Randomness, count: int) -> Drawn:
        if self.weights is None:
            rows = rng.rows(len(self.pixels), count)
        else:
            rows = rng.weighted_rows(self.weights, count)
        rows = rows.to(self.pixels.device, non_blocking=True)
        images = mirrored(self.pixels[rows], rng) if self.flip else to_float(self.pixels[rows])
        return {"real": images, "labels": self.labels[rows]}

    def label_shares(self) -> Tensor:
        return self.labels.float().mean(0).cpu()

    def score(self, name: str, draws: Tensor) -> float:
        raise UserError(
            "training.early_stopping", "pictures follow no rule to stop by", "Write null."
        )


class DomainBatches:
    """Two domains of the training split, drawn apart: random pairs, independent flips."""

    label_names = ()

    def __init__(self, prepared: Path, device: torch.device, flip: bool, domains: Domains) -> None:
        names = tuple(read_manifest(prepared)["labels"])
        labels = np.load(prepared / "training_labels.npy")
        rows = [members(labels, names, domain) for domain in (domains.a, domains.b)]
        balanced = labels[:, columns(names, domains.balance)]
        found = domain_weights(balanced[rows[0]], balanced[rows[1]])
        self.weights = [torch.from_numpy(weights) for weights in found]
        pixels = np.load(prepared / "training.npy", mmap_mode="r")
        self.pixels = [torch.from_numpy(np.array(pixels[chosen])).to(device) for chosen in rows]
        self.shape = tuple(pixels.shape[1:])
        self.flip = flip

    def take(self, rng: Randomness, count: int) -> Drawn:
        drawn = []
        for pixels, weights in zip(self.pixels, self.weights, strict=True):
            rows = rng.weighted_rows(weights, count).to(pixels.device, non_blocking=True)
            drawn.append(mirrored(pixels[rows], rng) if self.flip else to_float(pixels[rows]))
        return {"real": drawn[0], "other": drawn[1]}

    def label_shares(self) -> Tensor:
        return torch.empty(0)

    def score(self, name: str, draws: Tensor) -> float:
        raise UserError(
            "training.early_stopping", "pictures follow no rule to stop by", "Write null."
        )


def mirrored(pixels: Tensor, rng: Randomness) -> Tensor:
    """uint8 [B, C, S, S] -> floats in [-1, 1], each left-right mirrored or not, by chance."""
    images = to_float(pixels)
    return torch.where(rng.uniform(len(images), 1, 1, 1) < 0.5, images.flip(-1), images)


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
) -> Batches:
    """The training split of whatever kind of dataset was prepared there."""
    if read_manifest(prepared)["layout"] == "numbers":
        return NumberBatches(device)
    if isinstance(sampling, Domains):
        return DomainBatches(prepared, device, flip, sampling)
    return ImageBatches(prepared, device, flip, sampling)


def examples(prepared: Path, count: int) -> Tensor:
    """At most `count` training images in [-1, 1], evenly spaced: [N, C, S, S]."""
    pixels = np.load(prepared / "training.npy", mmap_mode="r")
    rows = np.linspace(0, len(pixels) - 1, min(count, len(pixels))).astype(np.int64)
    return to_float(torch.from_numpy(pixels[rows]))


def read_manifest(prepared: Path) -> dict[str, Any]:
    """What `prepare` wrote about the arrays beside it."""
    try:
        manifest: dict[str, Any] = json.loads((prepared / "manifest.json").read_text())
    except FileNotFoundError:
        name = prepared.parent.name
        raise UserError(prepared, "not prepared yet", f"Run: dvc repro prepare@{name}") from None
    return manifest

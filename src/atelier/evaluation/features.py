"""Features in which sets of images are compared; the extractor's name is part of each figure's.

`judge` is the classifier's statistics of three depths. `imagenet` was trained by others, on
photographs (see imagenet.py). `witness` is never trained, so nothing can be tuned to it: random
convolutions and the radial power spectrum (see witness.py). All are standardised by training
images, and channels that hardly vary there are dropped: one nearly dead channel is enough to make a
cubic kernel explode.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from atelier.data.images import to_float
from atelier.device import device_of, exactly
from atelier.evaluation.imagenet import Imagenet
from atelier.evaluation.keys import IMAGENET, JUDGE, WITNESS
from atelier.evaluation.witness import Witness
from atelier.models.judge import Judge

Images = npt.NDArray[np.uint8]
"""[N, 3, S, S] in [0, 255]; a memory map will do."""
Features = npt.NDArray[np.float32]
"""[N, D], standardised."""
Rows = TypeVar("Rows", bound=npt.NDArray[Any])
"""[N, …]: images, labels or indices."""

BATCH = 256
STATISTICS_ROWS = 2000
"""Training images that standardise; more change the third digit of no figure."""
SMALLEST_DEVIATION = 0.01
"""Channels that vary less than this share of the median channel are dropped."""
CLIP = 5.0
"""In training standard deviations."""


class Extractor(Protocol):
    """Turns images into standardised features."""

    @property
    def name(self) -> str: ...

    @property
    def training(self) -> Features:
        """Of the training images that standardise."""

    def __call__(self, images: Images) -> Features: ...


@dataclass(frozen=True)
class Standardiser:
    """Shift and scale of the channels that are kept, learnt from training images."""

    mean: npt.NDArray[np.float32]
    deviation: npt.NDArray[np.float32]
    kept: npt.NDArray[np.intp]

    @classmethod
    def fit(cls, raw: npt.NDArray[np.float32]) -> "Standardiser":
        """From raw training features, [N, D]."""
        deviation = raw.std(axis=0, dtype=np.float64)
        varying = deviation[deviation > 0]
        least = SMALLEST_DEVIATION * np.median(varying) if len(varying) else np.inf
        kept = np.flatnonzero(deviation > least)
        mean = raw.mean(axis=0, dtype=np.float64)
        return cls(mean[kept].astype("f4"), deviation[kept].astype("f4"), kept)

    def __call__(self, raw: npt.NDArray[np.float32]) -> Features:
        scaled: Features = (raw[:, self.kept] - self.mean) / self.deviation
        return scaled.clip(-CLIP, CLIP)


class NetworkFeatures:
    """What a network makes of images, [B, C, S, S] in [-1, 1] -> [B, D], standardised by training
    images.

    These are looked at when the first features are asked for: opening one costs nothing.
    """

    def __init__(self, name: str, network: nn.Module, training: Images) -> None:
        self.name, self.network = name, network
        self._images = training

    def __call__(self, images: Images) -> Features:
        return self.standardise(in_batches(self.network, images))

    @cached_property
    def training(self) -> Features:
        return self.standardise(self._raw)

    @cached_property
    def standardise(self) -> Standardiser:
        return Standardiser.fit(self._raw)

    @cached_property
    def _raw(self) -> npt.NDArray[np.float32]:
        return in_batches(self.network, evenly(self._images, STATISTICS_ROWS))


class JudgeFeatures(NetworkFeatures):
    """Channel means and deviations at three depths of a judge."""

    def __init__(self, judge: Judge, training: Images, name: str = JUDGE) -> None:
        super().__init__(name, _Depths(judge), training)


class _Depths(nn.Module):
    """A judge's statistics, without its answers."""

    def __init__(self, judge: Judge) -> None:
        super().__init__()
        self.judge = judge.eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.judge.features(images)


class ImagenetFeatures(NetworkFeatures):
    """Means of the last maps of a network that ImageNet taught."""

    def __init__(self, training: Images) -> None:
        super().__init__(IMAGENET, Imagenet(), training)


class WitnessFeatures(NetworkFeatures):
    """Random convolutions and the radial power spectrum."""

    def __init__(self, training: Images) -> None:
        super().__init__(WITNESS, Witness(channels=training.shape[1]), training)


class FeaturesBy(Mapping[str, Features]):
    """Features of the same images by extractor, each found when it is first asked for."""

    def __init__(self, images: Images, extractors: Mapping[str, Extractor]) -> None:
        self._images, self._extractors = images, extractors
        self._found: dict[str, Features] = {}

    def __getitem__(self, name: str) -> Features:
        if name not in self._found:
            self._found[name] = self._extractors[name](self._images)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._extractors)

    def __len__(self) -> int:
        return len(self._extractors)


def evenly(rows: Rows, count: int) -> Rows:
    """At most `count` rows, evenly spaced: whatever the order, every part of the set is seen."""
    if len(rows) <= count:
        return rows
    chosen: Rows = rows[np.linspace(0, len(rows) - 1, count).round().astype(int)]
    return chosen


def in_batches(network: nn.Module, images: Images) -> npt.NDArray[np.float32]:
    """Runs a network over images where it lies, converted to [-1, 1] batch by batch, without
    gradients."""
    device = device_of(network)
    with torch.inference_mode(), exactly(device):
        found = [
            # A copy: torch warns of read-only memory, which a memory map is.
            network(to_float(torch.from_numpy(np.array(images[start : start + BATCH])).to(device)))
            for start in range(0, len(images), BATCH)
        ]
        return torch.cat(found).float().cpu().numpy()

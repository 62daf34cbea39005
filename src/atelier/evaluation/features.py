"""Features in which sets of images are compared; the extractor's name is part of each figure's.

`judge` is the classifier's statistics of three depths. `imagenet` was trained by others, on
photographs (see imagenet.py). `witness` is never trained, so nothing can be tuned to it: random
convolutions and the radial power spectrum (see witness.py). All are standardised by training
images, and channels that hardly vary there are dropped: one nearly dead channel is enough to make a
cubic kernel explode.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from atelier.data.images import to_float
from atelier.device import device_of, exactly
from atelier.evaluation.feature_cache import Place
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
HERE = Place()
"""On the CPU, and nothing is kept."""


class Extractor(Protocol):
    """Turns images into standardised features."""

    @property
    def name(self) -> str: ...

    @property
    def training(self) -> Features:
        """Of the training images that standardise."""

    def __call__(self, images: Images) -> Features: ...

    def of_reals(self, images: Images) -> Features:
        """The same, for images that are looked at again and again."""


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

    def __init__(
        self, name: str, network: nn.Module, training: Images, place: Place = HERE
    ) -> None:
        self.name, self.network, self.place = name, network.to(place.device), place
        self._images = training

    def __call__(self, images: Images) -> Features:
        return self.standardise(in_batches(self.network, images))

    def of_reals(self, images: Images) -> Features:
        return self.standardise(self._raw_of_reals(images))

    def _raw_of_reals(self, images: Images) -> npt.NDArray[np.float32]:
        return self.place.raw(self.network, images, lambda: in_batches(self.network, images))

    @cached_property
    def training(self) -> Features:
        return self.standardise(self._raw)

    @cached_property
    def standardise(self) -> Standardiser:
        return Standardiser.fit(self._raw)

    @cached_property
    def _raw(self) -> npt.NDArray[np.float32]:
        return self._raw_of_reals(evenly(self._images, STATISTICS_ROWS))


class JudgeFeatures(NetworkFeatures):
    """Channel means and deviations at three depths of a judge."""

    def __init__(
        self, judge: Judge, training: Images, name: str = JUDGE, place: Place = HERE
    ) -> None:
        super().__init__(name, _Depths(judge), training, place)


class _Depths(nn.Module):
    """A judge's statistics, without its answers."""

    def __init__(self, judge: Judge) -> None:
        super().__init__()
        self.judge = judge.eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.judge.features(images)


class ImagenetFeatures(NetworkFeatures):
    """Means of the last maps of a network that ImageNet taught."""

    def __init__(self, training: Images, place: Place = HERE) -> None:
        super().__init__(IMAGENET, Imagenet(), training, place)


class WitnessFeatures(NetworkFeatures):
    """Random convolutions and the radial power spectrum."""

    def __init__(self, training: Images, place: Place = HERE) -> None:
        super().__init__(WITNESS, Witness(channels=training.shape[1]), training, place)


class FeaturesBy(Mapping[str, Features]):
    """Features of the same images by extractor, each found when it is first asked for."""

    def __init__(
        self, images: Images, extractors: Mapping[str, Callable[[Images], Features]]
    ) -> None:
        self.images, self._extractors = images, extractors
        self._found: dict[str, Features] = {}

    def __getitem__(self, name: str) -> Features:
        if name not in self._found:
            self._found[name] = self._extractors[name](self.images)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._extractors)

    def __len__(self) -> int:
        return len(self._extractors)


def of_reals(images: Images, extractors: Mapping[str, Extractor]) -> FeaturesBy:
    """Features of images that are real, or made of real ones: they are found once, and kept."""
    return FeaturesBy(images, {name: one.of_reals for name, one in extractors.items()})


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

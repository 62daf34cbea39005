"""How long evaluating many pictures takes on the device, for gpu.py: made, looked at, compared."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from gpu_pictures import images_of_test, noise
from gpu_tables import Report, line_of
from torch import nn

from atelier import config
from atelier.data.images import to_bytes
from atelier.device import device_of
from atelier.evaluation.feature_cache import Place
from atelier.evaluation.features import ImagenetFeatures, Images, NetworkFeatures, WitnessFeatures
from atelier.evaluation.kid import kid
from atelier.tasks.pictures import made_from

EXTRACTORS: dict[str, Callable[[Images, Place], NetworkFeatures]] = {
    "witness": lambda training, place: WitnessFeatures(training, place=place),
    "imagenet": lambda training, place: ImagenetFeatures(training, place=place),
}
Found = TypeVar("Found")


class Evaluation:
    """Of a generator that makes pictures of noise alone, as the stage `evaluate` goes about it."""

    def __init__(self, report: Report, generator: nn.Module, prepared: Path) -> None:
        self.generator, self.place = generator, Place(device_of(generator))
        self.training: Images = np.load(prepared / "training.npy", mmap_mode="r")
        self.test = images_of_test(prepared)
        self.report = report

    def run(self, work: config.Experiment, count: int) -> None:
        """Beside as many test images: the same again where there are fewer, at no less work."""
        self.report.update(pictures=count, seconds={})
        made = self.timed("generating", lambda: self.made(work, count))
        reals = np.resize(self.test, made.shape)
        for name in EXTRACTORS:
            try:
                self.look(name, reals, made)
            except ImportError as error:  # whose weights are a package of their own
                self.report.setdefault("faults", {})[f"features, {name}"] = line_of(error)
        self.report["seconds"]["together"] = sum(self.report["seconds"].values())

    def made(self, work: config.Experiment, count: int) -> Images:
        pictures: Images = to_bytes(made_from(self.generator, noise(work, count))).numpy()
        return pictures

    def look(self, name: str, reals: Images, made: Images) -> None:
        extract = EXTRACTORS[name](self.training, self.place)
        both = self.timed(f"features, {name}", lambda: (extract(reals), extract(made)))
        self.timed(f"KID, {name}", lambda: kid(*both))

    def timed(self, part: str, run: Callable[[], Found]) -> Found:
        """All of them end on the processor, so none leaves the device at work."""
        started = time.perf_counter()
        found = run()
        self.report["seconds"][part] = time.perf_counter() - started
        return found

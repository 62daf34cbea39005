"""The referee of generators that make images from noise, with attributes or without."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from atelier.evaluation.features import Features, Images
from atelier.evaluation.yardstick import Yardstick
from atelier.registry.bundle_model import Bundle
from atelier.registry.gate import ROUNDS, Figures, Round
from atelier.registry.referee import (
    Digests,
    compare_sets,
    figures_of,
    fresh_seed,
    to_pixels,
)

Attributes = npt.NDArray[np.uint8]
"""[N, K] of 0 and 1: what is asked for."""
Floors = Callable[[Images, Attributes], list[str]]
"""Floors of its own kind that images made for these requests do not reach, in words."""


class ImageReferee:
    """KID in judge features to the real test images, with the witness beside it.

    `requests`: rows of asked attributes to draw from, those of the test images; None where nothing
    can be asked for.
    """

    def __init__(
        self,
        yardstick: Yardstick,
        rests_on: Digests,
        samples: int,
        requests: Attributes | None = None,
        floors: Floors | None = None,
    ) -> None:
        self.yardstick, self.rests_on, self.samples = yardstick, rests_on, samples
        self.requests, self.floors = requests, floors

    def figures(self, bundle: Bundle) -> Figures:
        pixels, asked, finite = self._sample(bundle, fresh_seed())
        features = self.yardstick.features(pixels)
        broken = self.floors(pixels, asked) if self.floors and asked is not None else []
        return figures_of(
            bundle,
            self.rests_on,
            score=self.yardstick.kid(features)["judge"].value,
            finite=finite,
            diversity=self.yardstick.diversity_share(features),
            broken_floors=broken,
        )

    def compare(self, challenger: Bundle, champion: Bundle) -> list[Round]:
        return [self._round(challenger, champion) for _ in range(ROUNDS)]

    def _round(self, challenger: Bundle, champion: Bundle) -> Round:
        seed = fresh_seed()
        # Not the same latents for both: the test takes the two sets for independent.
        ours, theirs = self._features(challenger, seed), self._features(champion, seed + 1)
        return [compare_sets(self.yardstick, ours, theirs, seed)]

    def _features(self, bundle: Bundle, seed: int) -> dict[str, Features]:
        return self.yardstick.features(self._sample(bundle, seed)[0])

    def _sample(self, bundle: Bundle, seed: int) -> tuple[Images, Attributes | None, bool]:
        asked = None
        if self.requests is not None:
            draw = np.random.default_rng(seed)
            asked = self.requests[draw.integers(len(self.requests), size=self.samples)]
        outputs = torch.cat(list(bundle.outputs(self.samples, seed, attributes=asked)))
        return to_pixels(outputs), asked, bool(torch.isfinite(outputs).all())

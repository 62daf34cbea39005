"""The referee of translations: each direction is a part of its own, both ways not worse."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from atelier.data.images import to_float
from atelier.evaluation.domains import Ways
from atelier.evaluation.features import Images
from atelier.evaluation.translation import score_ways
from atelier.registry.bundle_model import DIRECTIONS, Bundle
from atelier.registry.gate import ROUNDS, Comparison, Figures, Round
from atelier.registry.referee import Digests, compare_sets, figures_of, fresh_seed


@dataclass(frozen=True)
class TranslationReferee:
    """KID in judge features to the target domain's real test images, per direction.

    A translation is a function of its input, so the two rounds see disjoint halves of the test
    images, each mirrored or not by chance.
    """

    ways: Ways
    prepared: Path
    rests_on: Digests

    def figures(self, bundle: Bundle) -> Figures:
        a2b, b2a = (partial(bundle.translate, direction=name) for name in self.ways.way)
        metrics = score_ways(a2b, b2a, self.ways, self.prepared)
        broken = [f"{name} does nothing" for name in self.ways.way if metrics[name]["does_nothing"]]
        return figures_of(
            bundle,
            self.rests_on,
            score=float(np.mean([metrics[name]["judge"]["kid"] for name in self.ways.way])),
            finite=all(self._is_finite(bundle, name) for name in self.ways.way),
            diversity=min(self._diversity(bundle, name) for name in self.ways.way),
            broken_floors=broken,
        )

    def compare(self, challenger: Bundle, champion: Bundle) -> list[Round]:
        seed = fresh_seed()
        draw = np.random.default_rng(seed)
        halves = {
            name: np.array_split(shuffled(way.matched_inputs, draw), ROUNDS)
            for name, way in self.ways.way.items()
        }
        return [
            [
                self._compare_part(name, halves[name][number], challenger, champion, seed)
                for name in self.ways.way
            ]
            for number in range(ROUNDS)
        ]

    def _compare_part(
        self, name: str, inputs: Images, challenger: Bundle, champion: Bundle, seed: int
    ) -> Comparison:
        target = self.ways.way[name].target
        ours, theirs = (
            target.features(bundle.translate(inputs, name)) for bundle in (challenger, champion)
        )
        return compare_sets(target, ours, theirs, seed, part=name)

    def _diversity(self, bundle: Bundle, name: str) -> float:
        way = self.ways.way[name]
        return way.target.diversity_share(
            way.target.features(bundle.translate(way.matched_inputs, name))
        )

    def _is_finite(self, bundle: Bundle, name: str) -> bool:
        network = bundle.networks[DIRECTIONS[name]]
        with torch.inference_mode():
            return all(
                bool(torch.isfinite(network(to_float(torch.from_numpy(image[None])))).all())
                for image in self.ways.way[name].inputs
            )


def shuffled(images: Images, draw: np.random.Generator) -> Images:
    """In another order, each mirrored or not."""
    mixed = np.array(images[draw.permutation(len(images))])
    mirrored = draw.random(len(mixed)) < 0.5
    mixed[mirrored] = mixed[mirrored, ..., ::-1]
    return mixed

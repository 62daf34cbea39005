"""Comparers of every task: floors catch what is broken, and the better is found, in both rounds."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from atelier.bundle.comparison import Comparer, Figures
from atelier.data.sampling import Domains
from atelier.evaluation.domains import A2B, B2A, BothDirections, Direction
from atelier.evaluation.features import Features, Images, Standardiser
from atelier.evaluation.range import Range
from atelier.evaluation.reference import ReferenceSet
from atelier.registry.gate import decide
from atelier.tasks.comparing import Digests, ErrorComparer, compare_errors
from atelier.tasks.context import Labels
from atelier.tasks.pictures import PictureComparer, reconstructed
from atelier.tasks.translation import TranslationComparer, shuffled

RESTS_ON = Digests("data", "judge")
SIZE = 8
STEP = 80
"""How much brighter domain B is, in 8 bits."""


class Patches:
    """Means of 2 x 2 patches and deviations: features that need no training."""

    def __init__(self, name: str, training: Images) -> None:
        self.name = name
        self.standardise = Standardiser.fit(self._raw(training))
        self.training = self(training)

    def __call__(self, images: Images) -> Features:
        return self.standardise(self._raw(images))

    def _raw(self, images: Images) -> Features:
        floats = images.astype(np.float32)
        patches = floats.reshape(len(images), 3, 2, SIZE // 2, 2, SIZE // 2)
        return np.concatenate(
            [patches.mean((3, 5)).reshape(len(images), -1), floats.std((2, 3))], axis=1
        )


class Brightness(nn.Module):
    """The judge: is it B?"""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((1, 2, 3), keepdim=True).flatten(1) + 1 - 110 / 127.5


def pictures(seed: int, count: int, mean: float) -> Images:
    """uint8 [count, 3, 8, 8] around a brightness, each with its own colour."""
    draw = np.random.default_rng(seed)
    colour = draw.normal(mean, 10, (count, 3, 1, 1))
    return np.clip(colour + draw.normal(0, 8, (count, 3, SIZE, SIZE)), 0, 255).astype(np.uint8)


def reference(reals: Images, training: Images) -> ReferenceSet:
    extractors: dict[str, Any] = {name: Patches(name, training) for name in ("judge", "witness")}
    features = {name: extract(reals) for name, extract in extractors.items()}
    manifest = {"dataset": "toys", "drawn": False, "size_pixels": SIZE, "crop": 1.0}
    return ReferenceSet("test", manifest, training, reals, extractors, features)


def bundle(**methods: Any) -> Any:
    manifest = {"dataset": "toys", "output_shape": [3, SIZE, SIZE]}
    return SimpleNamespace(manifest=manifest, **methods)


def verdict(comparer: Comparer, challenger: Any, champion: Any) -> tuple[bool, str]:
    figures = comparer.figures(challenger), comparer.figures(champion)
    decision = decide(*figures, comparer.compare(challenger, champion))
    return decision.promote, decision.reason


# Images ------------------------------------------------------------------------------------------


def generator(mean: float, spread: float = 10.0) -> Any:
    """Makes pictures of a brightness; attributes make the first column's brighter."""

    def outputs(count: int, seed: int, attributes: Labels | None = None) -> list[Tensor]:
        made = pictures(seed, count, 70).astype(np.float32)
        made = mean + (made - 70) * (spread / 10)
        if attributes is not None:
            made += STEP * attributes[:, :1, None, None]
        return [torch.from_numpy(made / 127.5 - 1).float()]

    return bundle(outputs=outputs)


def picture_comparer(**more: Any) -> PictureComparer:
    held_to = reference(pictures(1, 150, 70), pictures(2, 300, 70))
    return PictureComparer(held_to, RESTS_ON, 120, **more)


def test_images_nearer_to_the_reals_are_promoted() -> None:
    assert verdict(picture_comparer(), generator(70), generator(90))[0]
    assert not verdict(picture_comparer(), generator(90), generator(70))[0]
    assert not verdict(picture_comparer(), generator(70), generator(70))[0]


def test_collapsed_images_and_those_that_are_not_finite_break_a_floor() -> None:
    promoted, reason = verdict(picture_comparer(), generator(70, spread=2), generator(90))
    assert not promoted
    assert "collapsed" in reason
    broken = generator(float("nan"))
    assert not picture_comparer().figures(broken).finite


def test_requests_are_those_of_the_test_images_and_what_is_not_heeded_breaks_a_floor() -> None:
    requests = np.array([[1, 0], [0, 1], [0, 0]], np.uint8)
    seen = []

    def floors(images: Images, conditions: Labels) -> list[str]:
        seen.append({tuple(row) for row in conditions.tolist()})
        bright = images.mean((1, 2, 3)) > 110
        share = float((bright == (conditions[:, 0] > 0)).mean())
        return [] if share > 0.9 else [f"{share:.0%}"]

    comparer = picture_comparer(requests=requests, floors=floors)
    assert comparer.figures(generator(70)).broken_floors == ()
    assert seen[0] == {(1, 0), (0, 1), (0, 0)}
    deaf = bundle(outputs=lambda n, seed, attributes: generator(70).outputs(n, seed))
    assert comparer.figures(deaf).broken_floors


# Translation -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def translations() -> TranslationComparer:
    dark, bright = pictures(3, 120, 70), pictures(4, 120, 70 + STEP)
    training = np.concatenate([pictures(5, 300, 70), pictures(6, 300, 70 + STEP)])
    rules = {"domain_b": 0}, {"domain_b": 1}

    def one(inputs: Images, reals: Images, source: int) -> Direction:
        rows = np.arange(len(inputs))
        return Direction(
            rules[source], rules[1 - source], rows, inputs, rows, reference(reals, training), reals
        )

    held_to = reference(np.concatenate([dark, bright]), training).extractors["judge"]
    domains = Domains(name="domains", a={"domain_b": 0}, b={"domain_b": 1}, balance=())
    directions = BothDirections(
        of={A2B: one(dark, bright, 0), B2A: one(bright, dark, 1)},
        judge=Brightness(),  # type: ignore[arg-type]
        judge_labels=("domain_b",),
        domains=domains,
        known=Range.fit(held_to.training, held_to(np.concatenate([dark, bright]))),
        seed=0,
    )
    return TranslationComparer(directions, Path("nowhere"), RESTS_ON)


def translation(there: float = STEP, back: float = -STEP, cast: float = 0.0) -> Any:
    """Brighter there, darker back; `cast` is a wrong colour, in the first direction alone."""

    def translate(pictures: Images, direction: str) -> Images:
        moved = pictures.astype(np.float32) + (there if direction == A2B else back)
        moved[..., 0] += cast if direction == A2B else 0
        return np.clip(moved, 0, 255).astype(np.uint8)

    return bundle(translate=translate, networks={"a2b": nn.Identity(), "b2a": nn.Identity()})


def test_one_way_better_and_the_other_not_worse_is_promoted(
    translations: TranslationComparer,
) -> None:
    promoted, reason = verdict(translations, translation(), translation(cast=30))
    assert promoted, reason
    assert "A2B" in reason
    assert not verdict(translations, translation(), translation())[0]


def test_better_there_and_worse_back_is_not(translations: TranslationComparer) -> None:
    promoted, reason = verdict(translations, translation(back=-55), translation(cast=30))
    assert not promoted
    assert "worse (round 1: B2A" in reason


def test_a_translation_that_does_nothing_breaks_a_floor(translations: TranslationComparer) -> None:
    figures = translations.figures(translation(there=0))
    assert figures.broken_floors == ("A2B does nothing",)
    assert translations.figures(translation()).broken_floors == ()


def test_the_rounds_see_disjoint_halves(translations: TranslationComparer) -> None:
    images = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1) + np.zeros((1, 3, 4, 4), np.uint8)
    mixed = shuffled(images, np.random.default_rng(0))
    assert sorted(mixed[:, 0, 0, 0]) == list(range(20))
    assert list(mixed[:, 0, 0, 0]) != list(range(20))
    seen: list[set[bytes]] = []

    def translate(images: Images, direction: str) -> Images:
        seen.append({image.tobytes() for image in images})
        return images

    noting = bundle(translate=translate)
    translations.compare(noting, noting)
    first, second = seen[0] | seen[2], seen[4] | seen[6]
    assert not first & second


# Reconstruction ----------------------------------------------------------------------------------


def autoencoder(error: float) -> Any:
    """Gives back its input with noise of that size."""

    def reconstruct(images: Images) -> Images:
        noise = np.random.default_rng(len(images)).normal(0, error, images.shape)
        return np.clip(images + noise, 0, 255).astype(np.uint8)

    return bundle(reconstruct=reconstruct)


def squared(made: Any, images: Images) -> np.ndarray:
    gap = reconstructed(made, images).astype(np.float64) - images
    return np.square(gap).mean((1, 2, 3))


@pytest.fixture(scope="module")
def reconstructions() -> ErrorComparer:
    images = pictures(7, 100, 120)
    return ErrorComparer(
        images=images,
        made=reconstructed,
        errors=squared,
        diversity=lambda made: 1.0,
        floors=lambda made: [],
        witness=Patches("witness", images),
        rests_on=RESTS_ON,
    )


def test_smaller_errors_are_promoted(reconstructions: ErrorComparer) -> None:
    assert verdict(reconstructions, autoencoder(4), autoencoder(6))[0]
    assert not verdict(reconstructions, autoencoder(6), autoencoder(4))[0]
    assert not verdict(reconstructions, autoencoder(4), autoencoder(4))[0]
    figures = reconstructions.figures(autoencoder(4))
    assert isinstance(figures, Figures)
    assert figures.score == pytest.approx(16, rel=0.1)


def test_equal_autoencoders_are_promoted_at_most_once_in_200() -> None:
    draw = np.random.default_rng(0)
    shared = draw.gamma(2.0, size=(200, 2, 60))
    compare = partial(compare_errors, 0)
    promoted = sum(
        all(
            compare(errors + draw.normal(0, 0.1, 60), errors + draw.normal(0, 0.1, 60)).is_better()
            for errors in both
        )
        for both in shared
    )
    assert promoted <= 1

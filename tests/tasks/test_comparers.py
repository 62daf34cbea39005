"""Comparers of every task: floors catch what is broken, and the better is found, in both rounds."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from atelier.bundle.comparison import SIGNIFICANT, Comparer, Figures
from atelier.data.sampling import Domains
from atelier.evaluation.domains import A2B, B2A, BothDirections, Direction
from atelier.evaluation.estimate import Share
from atelier.evaluation.features import Features, Images, Standardiser
from atelier.evaluation.range import Range
from atelier.evaluation.reference import ReferenceSet
from atelier.evaluation.translation import Standing
from atelier.registry.gate import decide
from atelier.tasks.comparing import (
    Digests,
    ErrorComparer,
    compare_errors,
    compare_sets,
    to_pixels,
)
from atelier.tasks.context import Labels
from atelier.tasks.pictures import PictureComparer, reconstructed
from atelier.tasks.translation import TranslationComparer, broken_floors

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

    def of_reals(self, images: Images) -> Features:
        return self(images)

    def _raw(self, images: Images) -> Features:
        floats = images.astype(np.float32)
        patches = floats.reshape(len(images), 3, 2, SIZE // 2, 2, SIZE // 2)
        return np.concatenate(
            [patches.mean((3, 5)).reshape(len(images), -1), floats.std((2, 3))], axis=1
        )


class Contrast(Patches):
    """Sees that alone, and no colour."""

    def _raw(self, images: Images) -> Features:
        return super()._raw(images)[:, -3:]


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


def test_the_truly_better_is_promoted_nine_times_of_ten_and_equals_never() -> None:
    """Whatever else is looked at: what objects by chance alone would keep the better from it."""
    comparer = picture_comparer()
    assert sum(verdict(comparer, generator(70), generator(80))[0] for _ in range(10)) >= 9
    assert not any(verdict(comparer, generator(72), generator(72))[0] for _ in range(10))


def test_collapsed_images_and_those_that_are_not_finite_break_a_floor() -> None:
    promoted, reason = verdict(picture_comparer(), generator(70, spread=2), generator(90))
    assert not promoted
    assert "collapsed" in reason
    broken = generator(float("nan"))
    assert not picture_comparer().figures(broken).finite


def test_a_judge_gone_blind_promotes_nobody_alone() -> None:
    """It lost its eye for colour, so that by its own distance wrong colours are as good as right
    ones, and a little more contrast decides. What never learned from it objects."""
    held_to = picture_comparer().reference
    training = held_to.training

    blind = Contrast("judge", training)
    features = {**held_to.real_features, "judge": blind(held_to.reals)}
    with_blind = replace(
        held_to, extractors={**held_to.extractors, "judge": blind}, real_features=features
    )
    comparer = PictureComparer(with_blind, RESTS_ON, 120)
    challenger, champion = generator(120), generator(70, spread=13)
    ours, theirs = (
        with_blind.features(to_pixels(next(iter(one.outputs(120, seed)))))
        for seed, one in enumerate((challenger, champion))
    )
    alone = with_blind.compare(ours, theirs)["judge"]
    assert alone.difference < -2 * alone.standard_error
    promoted, reason = verdict(comparer, challenger, champion)
    assert not promoted
    assert "witness says worse" in reason


@pytest.fixture(scope="module")
def short_sighted() -> PictureComparer:
    """A judge that sees little, and photographs' features that see more."""
    training = pictures(2, 300, 70)
    held_to = reference(pictures(1, 150, 70), training)
    extractors = {
        "judge": Contrast("judge", training),
        "imagenet": Patches("imagenet", training),
        "witness": held_to.extractors["witness"],
    }
    features = {name: extract(held_to.reals) for name, extract in extractors.items()}
    seen = replace(held_to, extractors=extractors, real_features=features)
    return PictureComparer(seen, RESTS_ON, 120)


def test_what_the_judge_cannot_see_imagenet_may_find_better(
    short_sighted: PictureComparer,
) -> None:
    # Both are alike to the judge, which finds one of them farther by chance, once in twenty.
    trials = [verdict(short_sighted, generator(70), generator(90))[0] for _ in range(10)]
    assert sum(trials) >= 7
    ((judge, imagenet), _) = short_sighted.compare(generator(70), generator(90))
    assert (judge.part, imagenet.part) == ("judge", "imagenet")
    assert not judge.is_better()
    assert imagenet.is_better()
    assert judge.level == imagenet.level == SIGNIFICANT / 2
    promoted, reason = verdict(short_sighted, generator(90), generator(70))
    assert not promoted
    assert "imagenet" in reason


@pytest.mark.slow
def test_two_that_may_say_better_promote_equals_at_most_once_in_200(
    short_sighted: PictureComparer,
) -> None:
    equal = generator(72)
    figures = short_sighted.figures(equal)
    rounds = (short_sighted.compare(equal, equal) for _ in range(200))
    assert sum(decide(figures, figures, found).promote for found in rounds) <= 1


def test_equal_translations_are_promoted_at_most_once_in_200(
    short_sighted: PictureComparer,
) -> None:
    """Of the same inputs, two that err as much, each in its own way."""
    held_to, inputs = short_sighted.reference, pictures(3, 120, 60).astype(np.float32)
    figures, promoted = short_sighted.figures(generator(72)), 0
    for trial in range(200):
        draw = np.random.default_rng(trial)
        erring = np.clip(inputs + draw.normal(10, 8, (2, *inputs.shape)), 0, 255).astype(np.uint8)
        ours, theirs = (held_to.features(made) for made in erring)
        found = compare_sets(held_to, ours, theirs, 0, translated=True)
        promoted += decide(figures, figures, [found]).promote
    assert promoted <= 1


REQUESTS = np.array([[1, 0], [0, 1], [0, 0]], np.uint8)


class Bright:
    """Heeded is the first attribute, by brightness."""

    def __init__(self) -> None:
        self.seen: set[tuple[int, ...]] = set()

    def floors(self, images: Images, conditions: Labels) -> list[str]:
        self.seen |= {tuple(row) for row in conditions.tolist()}
        share = self.least(images, conditions)
        return [] if share.value > 0.75 else [f"{share.value:.0%}"]

    def least(self, images: Images, conditions: Labels) -> Share:
        right = (images.mean((1, 2, 3)) > 110) == (conditions[:, 0] > 0)
        return Share(float(right.mean()), len(right))


def heeding(share: float) -> Any:
    """Makes what is asked for in so many cases, and else anything."""

    def outputs(count: int, seed: int, attributes: Labels) -> list[Tensor]:
        draw = np.random.default_rng(seed)
        deaf = draw.random(count) > share
        said = attributes.copy()
        said[deaf] = attributes[draw.permutation(count)][deaf]
        made: list[Tensor] = generator(70).outputs(count, seed, said)
        return made

    return bundle(outputs=outputs)


def test_requests_are_those_of_the_test_images_and_what_is_not_heeded_breaks_a_floor() -> None:
    bright = Bright()
    comparer = picture_comparer(requests=REQUESTS, obedience=bright)
    assert comparer.figures(heeding(1)).broken_floors == ()
    assert bright.seen == {(1, 0), (0, 1), (0, 0)}
    assert comparer.figures(heeding(0)).broken_floors


def test_better_pictures_that_heed_requests_less_are_not_promoted() -> None:
    comparer = picture_comparer(requests=REQUESTS, obedience=Bright())
    (first, *_), *_ = comparer.compare(heeding(0.4), heeding(1))
    assert first.objections[-1].startswith("least share of requests met 1.00 -> 0.")
    (first, *_), *_ = comparer.compare(heeding(1), heeding(0.4))
    assert not any("requests" in words for words in first.objections)


def copying(share: float, known: Images) -> Any:
    """Known pictures, some mirrored, among fresh ones."""

    def outputs(count: int, seed: int, attributes: Labels | None = None) -> list[Tensor]:
        draw = np.random.default_rng(seed)
        made = pictures(seed, count, 70)
        copied = draw.random(count) < share
        taken = known[draw.integers(len(known), size=count)][copied]
        mirrored = draw.random(len(taken)) < 0.5
        taken[mirrored] = taken[mirrored, ..., ::-1]
        made[copied] = taken
        return [torch.from_numpy(made.astype(np.float32) / 127.5 - 1)]

    return bundle(outputs=outputs)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 1.0])
def test_copies_of_training_images_break_a_floor_ten_times_of_ten(share: float) -> None:
    training = pictures(2, 300, 70)
    comparer = PictureComparer(reference(pictures(1, 300, 70), training), RESTS_ON, 300)
    for _ in range(10):
        (words,) = comparer.figures(copying(share, training)).broken_floors
        assert words.startswith("copies training images (")
    assert comparer.figures(copying(0, training)).broken_floors == ()


def test_fewer_kinds_of_pictures_are_noticed() -> None:
    """Nearer on average, but made of a few latents over and over."""
    few = pictures(11, 12, 70)

    def outputs(count: int, seed: int, attributes: Labels | None = None) -> list[Tensor]:
        made = few[np.random.default_rng(seed).integers(len(few), size=count)]
        return [torch.from_numpy(made.astype(np.float32) / 127.5 - 1)]

    comparer = PictureComparer(reference(pictures(1, 300, 70), pictures(2, 300, 70)), RESTS_ON, 300)
    promoted, reason = verdict(comparer, bundle(outputs=outputs), generator(78))
    assert not promoted
    assert "recall" in reason or "coverage" in reason
    for part, *_ in comparer.compare(generator(70), generator(78)):
        assert not any("recall" in words for words in part.objections)


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


@pytest.mark.parametrize(
    ("flipped", "expected"),
    [(0.5, []), (None, []), (0.2, ["misses its goal (20% taken for it, at least 50%)"])],
)
def test_a_translation_that_misses_its_goal_breaks_a_floor(flipped, expected) -> None:
    assert broken_floors(Standing(0.1, 0.99, does_nothing=False, flipped=flipped)) == expected
    # Who does nothing is told so, once.
    found = Standing(0.1, 0.99, does_nothing=True, flipped=flipped)
    assert broken_floors(found) == ["does nothing"]


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_translation_that_ignores_its_input_breaks_a_floor_ten_times_of_ten(
    translations: TranslationComparer, share: float
) -> None:
    """It returns pictures of the goal, always or half of the time."""
    for seed in range(10):
        draw = np.random.default_rng(seed)

        def translate(given: Images, direction: str, draw: Any = draw) -> Images:
            made = translation().translate(given, direction)
            goal = 70 + STEP if direction == A2B else 70
            other = pictures(int(draw.integers(1000)), len(given), goal).transpose(0, 2, 3, 1)
            ignored = draw.random(len(given)) < share
            made[ignored] = other[ignored]
            return made

        nets = translation().networks
        broken = translations.figures(bundle(translate=translate, networks=nets)).broken_floors
        assert len(broken) == 2
        assert all("ignores its input" in words for words in broken)


def test_all_test_images_are_compared_in_pairs(translations: TranslationComparer) -> None:
    seen: list[int] = []

    def translate(images: Images, direction: str) -> Images:
        seen.append(len(images))
        return images

    noting = bundle(translate=translate)
    ((there, back),) = translations.compare(noting, noting)
    assert seen == [120, 120, 120, 120]
    assert (there.part, back.part) == (f"{A2B} judge", f"{B2A} judge")
    assert there.standard_error == there.difference == 0  # the same of the same


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
        further={"witness": Patches("witness", images)},
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
    promoted = sum(
        compare_errors(
            errors + draw.normal(0, 0.1, 60), errors + draw.normal(0, 0.1, 60)
        ).is_better()
        for errors in draw.gamma(2.0, size=(200, 60))
    )
    assert promoted <= 1

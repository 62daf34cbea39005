"""Scores a generator of images against a split of its dataset: every figure, and what scales it."""

from collections.abc import Mapping
from typing import Any

from atelier.evaluation import frechet, manifold
from atelier.evaluation.degraded import blurred, shuffled
from atelier.evaluation.features import Extractor, Features, FeaturesBy, evenly
from atelier.evaluation.keys import (
    BLURRED,
    CEILING,
    EXTRACTORS,
    JUDGE,
    KID,
    LEFT_OUT,
    SETTINGS,
    SHUFFLED,
    WITNESS,
    distance_to,
    error_of,
    kid_keys,
)
from atelier.evaluation.kid import kid
from atelier.evaluation.reference import COLLAPSED_BELOW, ReferenceSet
from atelier.evaluation.report import settings_of
from atelier.evaluation.scale import ways

Bounds = dict[str, Mapping[str, Features]]
"""Features by extractor of sets that scale a figure: `ceiling`, `blurred`, `shuffled`."""


def open_bounds(reference: ReferenceSet, count: int, seed: int) -> Bounds:
    """The ceiling and the degraded sets, `count` images each."""
    reals = evenly(reference.training, count)
    sets = {CEILING: reals, BLURRED: blurred(reals), SHUFFLED: shuffled(reals, seed)}
    return {name: reference.features_of_reals(images) for name, images in sets.items()}


def score_images(
    features: FeaturesBy, reference: ReferenceSet, bounds: Bounds, seed: int
) -> dict[str, Any]:
    """Figures by extractor, what was left out and why, and what all of it rests on."""
    metrics: dict[str, Any] = {LEFT_OUT: {}}
    for name, fakes in features.items():
        reals, ceiling = reference.real_features[name], bounds[CEILING][name]
        figures = _kid_figures(reals, fakes, {key: of[name] for key, of in bounds.items()})
        if reason := frechet.too_few(reals, fakes, ceiling):
            metrics[LEFT_OUT][f"{name}/fd"] = reason
        else:
            figures |= _frechet_figures(reference.extractors[name], reals, fakes, ceiling, seed)
        if reason := manifold.too_few(reals, fakes, ceiling):
            metrics[LEFT_OUT][f"{name}/precision, recall, density, coverage"] = reason
        else:
            best = manifold.manifold(reals, ceiling)
            figures |= manifold.manifold(reals, fakes)
            figures |= {distance_to(CEILING, key): value for key, value in best.items()}
        metrics[name] = figures
    if JUDGE not in features:
        metrics[LEFT_OUT][JUDGE] = f"no labels to learn from: {reference.chooses} chooses and gates"
    share = reference.diversity_share(features)
    metrics[WITNESS]["diversity_share"] = share
    metrics["collapsed"] = share < COLLAPSED_BELOW
    metrics[SETTINGS] = _settings(len(features.images), reference, seed)
    return metrics


def kid_table(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """KID of the generator beside its ceiling and degraded sets, a row each: for a plot."""
    rows = []
    for extractor in (name for name in EXTRACTORS if name in metrics):
        figures = metrics[extractor]
        for name, key in sorted(kid_keys(figures).items()):
            row = {"extractor": extractor, "set": name or "generator", "kid": figures[key]}
            rows.append(row | {"standard_error": figures[error_of(key)]})
    return rows


def _kid_figures(reals: Features, fakes: Features, bounds: dict[str, Features]) -> dict[str, float]:
    figures = {}
    sets = {KID: fakes, **{distance_to(name): of for name, of in bounds.items()}}
    for key, features in sets.items():
        found = kid(reals, features)
        figures[key] = found.value
        figures[error_of(key)] = found.standard_error
    return figures | ways(figures)


def _frechet_figures(
    extract: Extractor, reals: Features, fakes: Features, ceiling: Features, seed: int
) -> dict[str, float]:
    measure = frechet.FrechetDistance(extract.training, seed)
    found = measure(reals, fakes)
    return {
        "fd": found.value,
        error_of("fd"): found.standard_error,
        distance_to(CEILING, "fd"): measure(reals, ceiling).value,
    }


def _settings(count: int, reference: ReferenceSet, seed: int) -> dict[str, Any]:
    return {
        **settings_of(reference.manifest, reference.split, count, seed),
        "reals": len(reference.reals),
        "chosen_by": reference.chooses,
        "nearest": manifold.NEAREST,
        "fd_dimensions": frechet.DIMENSIONS,
    }

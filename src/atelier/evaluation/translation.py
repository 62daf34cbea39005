"""Scores a translation between two domains, each direction on its own: verdicts, distances, the
way back, and the true twins where the data were drawn.

A translation that hides its input in invisible signals finds the way back as well (Chu et al. 2017,
arXiv 1712.02950); so the cycle is closed over 8 bits and noise, and the one without noise stands
beside it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atelier.data.sampling import columns
from atelier.data.twins import SPLIT, Twins, open_twins
from atelier.evaluation.content import follows_input
from atelier.evaluation.degraded import blurred
from atelier.evaluation.domains import A2B, B2A, BothDirections, Direction
from atelier.evaluation.estimate import Estimate
from atelier.evaluation.features import Features, Images
from atelier.evaluation.keys import (
    BLURRED,
    CEILING,
    CHANGE,
    DOES_NOTHING,
    FOLLOWS_INPUT,
    INSIDE,
    JUDGE,
    KID,
    OUT_OF_RANGE,
    OUTSIDE,
    PROBE,
    SETTINGS,
    TWIN,
    UNTOUCHED,
    VERDICT,
    WITNESS,
    distance_to,
    error_of,
)
from atelier.evaluation.kid import kid
from atelier.evaluation.report import settings_of
from atelier.evaluation.scale import ways
from atelier.evaluation.twins import NOTHING_BELOW, PIXEL_UNIT, change, score_twins

Translate = Callable[[Images], Images]
"""uint8 [N, 3, S, S] -> the same shape."""

CYCLE_NOISE = 2.0
"""Standard deviation of the noise on the way back, in 8-bit steps."""
VERDICT_OF_REALS = f"{VERDICT}_of_reals"
LEAST_FLIPPED = 0.5
"""Share of outputs that the judge takes for the target domain."""
LEAST_VERDICT = {"domain_b": 0.95}
LEAST_VERDICT_OF_ATTRIBUTES = 0.90
MOST_OUT_OF_RANGE = 0.10
MOST_CYCLE = 0.10
LEAST_INSIDE = 0.25
MOST_OUTSIDE = 0.05
MOST_OTHERS_CHANGED = {True: 0.05, False: 0.10}
"""By whether the data are drawn."""


def score_directions(
    a2b: Translate,
    b2a: Translate,
    directions: BothDirections,
    prepared: Path,
    trusted: Sequence[str] = (),
) -> dict[str, Any]:
    """All figures of one split, `A2B` and `B2A` apart, and which bounds they miss.

    Args:
        trusted: the labels that the judge tells well enough for a bound to rest on.
    """
    metrics: dict[str, Any] = {}
    for name, there, back in ((A2B, a2b, b2a), (B2A, b2a, a2b)):
        direction = directions.of[name]
        outputs = there(direction.inputs)
        twins = twins_of(direction, prepared)
        figures = _verdicts(directions, name, outputs, trusted)
        figures[VERDICT_OF_REALS] = _verdict_of_reals(directions, direction)
        figures |= _cycle(direction.inputs, outputs, back, directions.seed)
        figures |= _distances(direction, outputs)
        figures[FOLLOWS_INPUT] = follows_input(direction.inputs, outputs)
        figures |= _probed(directions, name, outputs, twins)
        changed = None
        if twins is not None:
            chosen, held_to = twins
            inputs = direction.inputs[chosen]
            figures[TWIN] = score_twins(
                outputs[chosen],
                inputs,
                held_to,
                direction.target.extractors[WITNESS],
            )
            # The twins' own verdicts: what the truth itself would get.
            truth = _verdicts(directions, name, held_to.images[:, 0], trusted, inputs)
            figures[TWIN] |= {f"{key}_of_twin": truth[key] for key in (VERDICT, OUT_OF_RANGE)}
            figures[TWIN]["others_changed_of_twin"] = truth["others_changed"]
            changed = figures[TWIN][CHANGE]
        metrics[name] = {**figures, DOES_NOTHING: _does_nothing(figures["flipped"], changed)}
    metrics[DOES_NOTHING] = any(metrics[name][DOES_NOTHING] for name in directions.of)
    metrics["missed"] = missed(metrics, directions)
    metrics[SETTINGS] = _settings(directions)
    return metrics


@dataclass(frozen=True)
class Standing:
    """What the gate asks of one direction, beside its distances to a champion's."""

    kid: float
    """In the judge's features."""
    follows_input: float
    does_nothing: bool
    flipped: float | None
    """None where the judge cannot be trusted with the target domain."""


def standing(
    directions: BothDirections,
    name: str,
    outputs: Images,
    prepared: Path,
    trusted: Sequence[str] = (),
) -> Standing:
    """Of what became of a direction's inputs: figures of `score_directions`, found alone.

    Args:
        trusted: as in `score_directions`.
    """
    direction, changed = directions.of[name], None
    if (twins := twins_of(direction, prepared)) is not None:
        chosen, held_to = twins
        changed = change(outputs[chosen], direction.inputs[chosen], held_to)
    features = direction.target.features(outputs[direction.matched])
    flipped = directions.flipped(name, outputs)
    return Standing(
        kid=kid(direction.target.real_features[JUDGE], features[JUDGE]).value,
        follows_input=follows_input(direction.inputs, outputs),
        does_nothing=_does_nothing(flipped, changed),
        flipped=flipped if set(direction.goal) <= set(trusted) else None,
    )


def _does_nothing(flipped: float, changed: float | None) -> bool:
    """By the change of what has a true twin; else by the judge's verdicts."""
    return flipped < LEAST_FLIPPED if changed is None else changed < NOTHING_BELOW


def translation_figure(a2b: Translate, b2a: Translate, directions: BothDirections) -> Estimate:
    """What chooses among snapshots, smaller is better: mean judge KID of both directions.

    Verdicts that stay away push it up to twice the untouched inputs' own distance, so that a
    translation which changes little is never the best.
    """
    figures, errors = [], []
    for name, translate in ((A2B, a2b), (B2A, b2a)):
        direction = directions.of[name]
        outputs, features = translate(direction.inputs), direction.target.extractors[JUDGE]
        distance, untouched = (
            direction.target.kid({JUDGE: features(images[direction.matched])})[JUDGE]
            for images in (outputs, direction.inputs)
        )
        lacking = max(LEAST_FLIPPED - directions.flipped(name, outputs), 0.0) / LEAST_FLIPPED
        figures.append(distance.value + lacking * max(untouched.value, 0.0))
        errors.append(distance.standard_error)
    return Estimate(float(np.mean(figures)), float(np.linalg.norm(errors)) / len(errors))


def missed(metrics: Mapping[str, Any], directions: BothDirections) -> list[str]:
    """Bounds that a translation does not hold, a line each: figure, value, bound."""
    lines = ["does nothing"] if metrics[DOES_NOTHING] else []
    for name, direction in directions.of.items():
        figures = metrics[name]
        least = min(
            LEAST_VERDICT.get(label, LEAST_VERDICT_OF_ATTRIBUTES) for label in direction.goal
        )
        most_changed = MOST_OTHERS_CHANGED[direction.target.manifest["drawn"]]
        bounds = [
            (VERDICT, figures[VERDICT], least, None),
            (OUT_OF_RANGE, figures[OUT_OF_RANGE], None, MOST_OUT_OF_RANGE),
            ("cycle_l1", figures["cycle_l1"], None, MOST_CYCLE),
            ("others_changed_most", figures["others_changed_most"], None, most_changed),
        ]
        if twin := figures.get(TWIN):
            bounds += [
                (f"{TWIN}/{INSIDE}", twin[INSIDE], LEAST_INSIDE, None),
                (f"{TWIN}/{OUTSIDE}", twin[OUTSIDE], None, MOST_OUTSIDE),
            ]
        for key, value, at_least, at_most in bounds:
            if at_least is not None and value < at_least:
                lines.append(f"{name}/{key} {value:.3f} < {at_least}")
            if at_most is not None and value > at_most:
                lines.append(f"{name}/{key} {value:.3f} > {at_most}")
    return lines


def _verdicts(
    directions: BothDirections,
    name: str,
    outputs: Images,
    trusted: Sequence[str],
    inputs: Images | None = None,
) -> dict[str, Any]:
    """`verdict` is of outputs in range, `flipped` of all.

    `others_changed`: share of the outputs in range on which the verdict differs from the input's,
    for each balanced attribute; of these, a bound is put on the trusted ones alone.
    """
    direction = directions.of[name]
    inputs = direction.inputs if inputs is None else inputs
    flips = directions.in_domain(outputs, direction.goal)
    inside = directions.known.in_range(direction.target.extractors[JUDGE](outputs))
    others = directions.domains.balance
    chosen = columns(directions.judge_labels, others)
    before, after = (directions.logits(images)[:, chosen] > 0 for images in (inputs, outputs))
    changed = (before != after)[inside].mean(axis=0) if inside.any() else np.ones(len(others))
    by_label = dict(zip(others, changed.tolist(), strict=True))
    return {
        VERDICT: float(flips[inside].mean()) if inside.any() else 0.0,
        OUT_OF_RANGE: float((~inside).mean()),
        "flipped": float(flips.mean()),
        "others_changed": by_label,
        "others_changed_most": max([by_label[x] for x in others if x in trusted], default=0.0),
        "others_untrusted": [label for label in others if label not in trusted],
        "count": len(outputs),
    }


def _verdict_of_reals(directions: BothDirections, direction: Direction) -> float:
    """`verdict` of the goal's own pictures: what of a miss is the judge's."""
    reals = direction.target.reals
    inside = directions.known.in_range(direction.target.real_features[JUDGE])
    said = directions.in_domain(reals, direction.goal)
    return float(said[inside].mean()) if inside.any() else 0.0


def _probed(
    directions: BothDirections, name: str, outputs: Images, twins: tuple[Any, Twins] | None
) -> dict[str, Any]:
    """The verdict of a linear probe, beside that on the goal's reals and on the true twins."""
    probe, is_b = directions.probe, name == A2B
    if probe is None or not probe.is_sure:
        return {}
    sets = {VERDICT: outputs, VERDICT_OF_REALS: directions.of[name].target.reals}
    if twins is not None:
        sets[f"{VERDICT}_of_twin"] = twins[1].images[:, 0]
    return {PROBE: {key: probe.share(images, is_b) for key, images in sets.items()}}


def _cycle(inputs: Images, outputs: Images, back: Translate, seed: int) -> dict[str, float]:
    """Mean L1 between the inputs and what comes back, on [-1, 1]."""
    noise = np.random.default_rng(seed).normal(0.0, CYCLE_NOISE, outputs.shape)
    noisy = np.clip(np.round(outputs + noise), 0, 255).astype(np.uint8)
    return {"cycle_l1": _l1(back(noisy), inputs), "cycle_l1_plain": _l1(back(outputs), inputs)}


def _l1(first: Images, second: Images) -> float:
    return float(np.abs(first.astype(np.float32) - second).mean()) / PIXEL_UNIT


def _distances(direction: Direction, outputs: Images) -> dict[str, Any]:
    """KID to the target's reals by extractor, beside ceiling, blur and untouched inputs."""
    sets = {
        KID: outputs[direction.matched],
        distance_to(CEILING): direction.ceiling,
        distance_to(BLURRED): blurred(direction.ceiling),
        distance_to(UNTOUCHED): direction.matched_inputs,
    }
    found: dict[str, Any] = {name: {} for name in direction.target.extractors}
    for key, images in sets.items():
        target = direction.target
        look = target.features if key == KID else target.features_of_reals
        features: Mapping[str, Features] = look(images)
        for name, estimate in direction.target.kid(features).items():
            found[name][key] = estimate.value
            found[name][error_of(key)] = estimate.standard_error
    found = {name: figures | ways(figures) for name, figures in found.items()}
    found["kid_inputs"] = len(direction.matched)
    found["kid_reals"] = len(direction.target.reals)
    return found


def twins_of(direction: Direction, prepared: Path) -> tuple[Any, Twins] | None:
    """Which inputs have twins, and these in that order; None where there are none."""
    if direction.target.split != SPLIT:
        return None
    twins = open_twins(prepared, direction.target.manifest, direction.source, direction.goal)
    if twins is None:
        return None
    _, chosen, kept = np.intersect1d(direction.rows, twins.rows, return_indices=True)
    return chosen, Twins(twins.rows[kept], twins.images[kept], twins.masks[kept])


def _settings(directions: BothDirections) -> dict[str, Any]:
    target = directions.of[A2B].target
    samples = sum(len(direction.inputs) for direction in directions.of.values())
    return {
        **settings_of(target.manifest, target.split, samples, directions.seed),
        "balance": list(directions.domains.balance),
        "cycle_noise_8bit": CYCLE_NOISE,
        "twins": bool(target.manifest.get("twins")) and target.split == SPLIT,
    }

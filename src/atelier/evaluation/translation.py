"""Scores a translation between two domains, each way on its own: verdicts, distances, the way back,
and the true twins where the data were drawn.

A translation that hides its input in invisible signals finds the way back as well (Chu et al. 2017,
arXiv 1712.02950); so the cycle is closed over 8 bits and noise, and the one without noise stands
beside it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from atelier.data.sampling import Domains, columns
from atelier.data.twins import SPLIT, Twins, open_twins
from atelier.evaluation.domains import A2B, B2A, Way, Ways, open_ways
from atelier.evaluation.features import Features, Images
from atelier.evaluation.floors import blurred
from atelier.evaluation.kid import Comparison
from atelier.evaluation.twins import NOTHING_BELOW, PIXEL_UNIT, score_twins
from atelier.models.judge import Judge

Translate = Callable[[Images], Images]
"""uint8 [N, 3, S, S] -> the same shape."""

CYCLE_NOISE = 2.0
"""Standard deviation of the noise on the way back, in 8-bit steps."""
LEAST_FLIPPED = 0.5
"""Share of outputs that the judge takes for the target domain; below it, nothing was done."""
LEAST_VERDICT = {"domain_b": 0.95}
LEAST_VERDICT_OF_ATTRIBUTES = 0.90
MOST_OUT_OF_RANGE = 0.10
MOST_CYCLE = 0.10
LEAST_INSIDE = 0.25
MOST_OUTSIDE = 0.05
MOST_OTHERS_CHANGED = {True: 0.05, False: 0.10}
"""By whether the data are drawn."""


def evaluate_translation(
    a2b: Translate,
    b2a: Translate,
    prepared: Path,
    judge: Judge,
    judge_labels: Sequence[str],
    domains: Domains,
    split: str,
    seed: int,
    trusted: Sequence[str] = (),
    count: int | None = None,
) -> dict[str, Any]:
    """All figures of one split, `A2B` and `B2A` apart, and which bounds they miss.

    Args:
        judge_labels: what the judge's logits say, in their order: all labels of the dataset.
        trusted: the labels that it tells well enough for a bound to rest on.
        count: at most so many inputs each way; None takes all.
    """
    ways = open_ways(prepared, judge, judge_labels, domains, split, seed, count)
    return score_ways(a2b, b2a, ways, prepared, trusted)


def score_ways(
    a2b: Translate, b2a: Translate, ways: Ways, prepared: Path, trusted: Sequence[str] = ()
) -> dict[str, Any]:
    """The same of both ways that are open already."""
    metrics: dict[str, Any] = {}
    for name, there, back in ((A2B, a2b, b2a), (B2A, b2a, a2b)):
        way = ways.way[name]
        outputs = there(way.inputs)
        twins = twins_of(way, prepared)
        figures = _verdicts(ways, name, outputs, trusted)
        figures |= _cycle(way.inputs, outputs, back, ways.seed)
        figures |= _distances(way, outputs)
        nothing = figures["flipped"] < LEAST_FLIPPED
        if twins is not None:
            chosen, held_to = twins
            figures["twin"] = score_twins(
                outputs[chosen], way.inputs[chosen], held_to, way.target.extractors["witness"]
            )
            # The twins' own verdicts: what the truth itself would get.
            truth = _verdicts(ways, name, held_to.images[:, 0], trusted, way.inputs[chosen])
            figures["twin"] |= {f"{key}_of_twin": truth[key] for key in ("verdict", "out_of_range")}
            figures["twin"]["others_changed_of_twin"] = truth["others_changed"]
            nothing = figures["twin"]["change"] < NOTHING_BELOW
        metrics[name] = {**figures, "does_nothing": nothing}
    metrics["does_nothing"] = any(metrics[name]["does_nothing"] for name in ways.way)
    metrics["missed"] = missed(metrics, ways)
    metrics["settings"] = _settings(ways)
    return metrics


def translation_figure(a2b: Translate, b2a: Translate, ways: Ways) -> float:
    """What chooses among snapshots, smaller is better: mean judge KID of both ways.

    Verdicts that stay away push it up to twice the untouched inputs' own distance, so that a
    translation which changes little is never the best.
    """
    figures = []
    for name, translate in ((A2B, a2b), (B2A, b2a)):
        way = ways.way[name]
        outputs, features = translate(way.inputs), way.target.extractors["judge"]
        distance, untouched = (
            way.target.kid({"judge": features(images[way.matched])})["judge"].value
            for images in (outputs, way.inputs)
        )
        lacking = max(LEAST_FLIPPED - ways.flipped(name, outputs), 0.0) / LEAST_FLIPPED
        figures.append(distance + lacking * max(untouched, 0.0))
    return float(np.mean(figures))


def compare_translations(
    challenger: Mapping[str, Translate], champion: Mapping[str, Translate], ways: Ways
) -> dict[str, dict[str, Comparison]]:
    """Is the challenger nearer to the target's reals? By direction, then by extractor.

    Both translate the same inputs, which the test takes for independent: their common part makes
    the true error smaller than the one that it counts with, and so a promotion rarer.
    """
    found = {}
    for name, way in ways.way.items():
        ours, theirs = (
            way.target.features(by[name](way.matched_inputs)) for by in (challenger, champion)
        )
        found[name] = way.target.compare(ours, theirs)
    return found


def missed(metrics: Mapping[str, Any], ways: Ways) -> list[str]:
    """Bounds that a translation does not hold, a line each: figure, value, bound."""
    lines = ["does nothing"] if metrics["does_nothing"] else []
    for name, way in ways.way.items():
        figures = metrics[name]
        least = min(LEAST_VERDICT.get(label, LEAST_VERDICT_OF_ATTRIBUTES) for label in way.goal)
        most_changed = MOST_OTHERS_CHANGED[way.target.manifest["drawn"]]
        bounds = [
            ("verdict", figures["verdict"], least, None),
            ("out_of_range", figures["out_of_range"], None, MOST_OUT_OF_RANGE),
            ("cycle_l1", figures["cycle_l1"], None, MOST_CYCLE),
            ("others_changed_most", figures["others_changed_most"], None, most_changed),
        ]
        if twin := figures.get("twin"):
            bounds += [
                ("twin/inside", twin["inside"], LEAST_INSIDE, None),
                ("twin/outside", twin["outside"], None, MOST_OUTSIDE),
            ]
        for key, value, at_least, at_most in bounds:
            if at_least is not None and value < at_least:
                lines.append(f"{name}/{key} {value:.3f} < {at_least}")
            if at_most is not None and value > at_most:
                lines.append(f"{name}/{key} {value:.3f} > {at_most}")
    return lines


def _verdicts(
    ways: Ways, name: str, outputs: Images, trusted: Sequence[str], inputs: Images | None = None
) -> dict[str, Any]:
    """`verdict` is of outputs in range, `flipped` of all.

    `others_changed`: share of the outputs in range on which the verdict differs from the input's,
    for each balanced attribute; of these, a bound is put on the trusted ones alone.
    """
    way = ways.way[name]
    inputs = way.inputs if inputs is None else inputs
    flips = ways.in_domain(outputs, way.goal)
    inside = ways.known.in_range(way.target.extractors["judge"](outputs))
    others = ways.domains.balance
    chosen = columns(ways.judge_labels, others)
    before, after = (ways.logits(images)[:, chosen] > 0 for images in (inputs, outputs))
    changed = (before != after)[inside].mean(axis=0) if inside.any() else np.ones(len(others))
    by_label = dict(zip(others, changed.tolist(), strict=True))
    return {
        "verdict": float(flips[inside].mean()) if inside.any() else 0.0,
        "out_of_range": float((~inside).mean()),
        "flipped": float(flips.mean()),
        "others_changed": by_label,
        "others_changed_most": max([by_label[x] for x in others if x in trusted], default=0.0),
        "others_untrusted": [label for label in others if label not in trusted],
        "count": len(outputs),
    }


def _cycle(inputs: Images, outputs: Images, back: Translate, seed: int) -> dict[str, float]:
    """Mean L1 between the inputs and what comes back, on [-1, 1]."""
    noise = np.random.default_rng(seed).normal(0.0, CYCLE_NOISE, outputs.shape)
    noisy = np.clip(np.round(outputs + noise), 0, 255).astype(np.uint8)
    return {"cycle_l1": _l1(back(noisy), inputs), "cycle_l1_plain": _l1(back(outputs), inputs)}


def _l1(first: Images, second: Images) -> float:
    return float(np.abs(first.astype(np.float32) - second).mean()) / PIXEL_UNIT


def _distances(way: Way, outputs: Images) -> dict[str, Any]:
    """KID to the target's reals by extractor, beside its ceiling and its floors."""
    sets = {
        "kid": outputs[way.matched],
        "kid_ceiling": way.ceiling,
        "kid_blurred": blurred(way.ceiling),
        "kid_untouched": way.matched_inputs,
    }
    found: dict[str, Any] = {name: {} for name in way.target.extractors}
    for key, images in sets.items():
        features: dict[str, Features] = way.target.features(images)
        for name, estimate in way.target.kid(features).items():
            found[name][key] = estimate.value
            found[name][f"{key}_standard_error"] = estimate.standard_error
    found["kid_inputs"] = len(way.matched)
    found["kid_reals"] = len(way.target.reals)
    return found


def twins_of(way: Way, prepared: Path) -> tuple[Any, Twins] | None:
    """Which inputs have twins, and these in that order; None where there are none."""
    if way.target.split != SPLIT:
        return None
    twins = open_twins(prepared, way.target.manifest, way.source, way.goal)
    if twins is None:
        return None
    _, chosen, kept = np.intersect1d(way.rows, twins.rows, return_indices=True)
    return chosen, Twins(twins.rows[kept], twins.images[kept], twins.masks[kept])


def _settings(ways: Ways) -> dict[str, Any]:
    target = ways.way[A2B].target
    return {
        "dataset": target.manifest["dataset"],
        "drawn": target.manifest["drawn"],
        "size_pixels": target.manifest["size_pixels"],
        "crop": target.manifest["crop"],
        "split": target.split,
        "seed": ways.seed,
        "samples": sum(len(way.inputs) for way in ways.way.values()),
        "balance": list(ways.domains.balance),
        "cycle_noise_8bit": CYCLE_NOISE,
        "twins": bool(target.manifest.get("twins")) and target.split == SPLIT,
    }

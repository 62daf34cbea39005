"""Judges an attribute direction: does it bring the attribute, and what else does it change?"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from atelier.errors import UserError
from atelier.evaluation.features import Images, in_batches
from atelier.evaluation.keys import JUDGE, SETTINGS
from atelier.evaluation.range import judge_range
from atelier.evaluation.reference import ReferenceSet
from atelier.models.judge import Judge

Latents = npt.NDArray[np.float32]
"""[N, L]"""
Decode = Callable[[Latents], Images]
Logits = npt.NDArray[np.float32]

OTHERS = (
    "Male",
    "Smiling",
    "Black_Hair",
    "Blond_Hair",
    "Bangs",
    "No_Beard",
    "Wearing_Lipstick",
    "Mouth_Slightly_Open",
)
"""What should stay as it is while another attribute is edited."""
MARGIN = 0.2
"""A verdict on another attribute has changed if it is the opposite and the judge's probability
moved by more than this: where it was undecided, a hair's breadth is no change."""
LARGEST_STEP = 3.0
"""In standard deviations of the latents along the direction."""
GRID = 0.25
"""Steps are tried from small to large, so far apart."""
LEAST_NEGATIVES = 20
TOGETHER = 64
"""Pictures that are decoded in one batch: as many as a bundle runs on."""


def evaluate_edits(
    decode: Decode,
    latents: Latents,
    attribute_direction: npt.NDArray[np.float32],
    judge: Judge,
    judge_labels: Sequence[str],
    reference: ReferenceSet,
    *,
    unedited: Logits,
    target: str,
    others: Sequence[str] = OTHERS,
) -> dict[str, Any]:
    """Edits every latent whose picture lacks the target, by the smallest step that brings it.

    A flip counts in range alone: see range.py. What changed with it is counted over those flips,
    for each other attribute apart.

    Args:
        decode: latents -> uint8 pictures [N, 3, S, S].
        latents: [N, L] of any pictures; those that have the target already are left out.
        attribute_direction: [L], one standard deviation.
        unedited: the judge's answers to the latents' own pictures, [N, labels].
        others: the target among them is skipped.

    Raises:
        UserError: fewer than LEAST_NEGATIVES pictures lack the target.
    """
    place = list(judge_labels).index(target)
    watched = [name for name in others if name != target]
    columns = [list(judge_labels).index(name) for name in watched]
    lacking = unedited[:, place] <= 0
    if (count := int(lacking.sum())) < LEAST_NEGATIVES:
        problem = f"{count} of {len(latents)} pictures lack it, {LEAST_NEGATIVES} are needed"
        raise UserError(f"editing: {target}", problem)
    before, steps, after, pictures = (
        unedited[lacking],
        *_smallest_flips(decode, latents[lacking], attribute_direction, judge, place),
    )
    flipped = np.isfinite(steps)
    counted = _in_range(pictures, flipped, reference)
    changed = changed_verdicts(before[counted][:, columns], after[counted][:, columns])
    return {
        "flipped_in_range": float(counted.mean()),
        "flipped_out_of_range": float((flipped & ~counted).mean()),
        "median_step": float(np.median(steps[counted])) if counted.any() else LARGEST_STEP,
        "changed": {name: float(share) for name, share in zip(watched, changed, strict=True)},
        "most_changed": float(changed.max()) if len(watched) else 0.0,
        SETTINGS: {
            "samples": count,
            "largest_step": LARGEST_STEP,
            "grid": GRID,
            "margin": MARGIN,
            "split": reference.split,
        },
    }


def _in_range(
    pictures: Images, chosen: npt.NDArray[np.bool_], reference: ReferenceSet
) -> npt.NDArray[np.bool_]:
    """Whose verdict counts, [N]: of the chosen pictures alone, as the others need no features."""
    found = np.zeros(len(pictures), bool)
    if chosen.any():
        features = reference.extractors[JUDGE](pictures[chosen])
        found[chosen] = judge_range(reference).in_range(features)
    return found


def changed_verdicts(before: Logits, after: Logits) -> npt.NDArray[np.float64]:
    """Share of rows whose verdict is another, and clearly so: [N, K] twice -> [K]; 0 of none."""
    from scipy.special import expit

    if not len(before):
        return np.zeros(before.shape[1])
    moved = np.abs(expit(before) - expit(after)) > MARGIN
    shares: npt.NDArray[np.float64] = (((before > 0) != (after > 0)) & moved).mean(axis=0)
    return shares


def _smallest_flips(
    decode: Decode,
    latents: Latents,
    attribute_direction: npt.NDArray[np.float32],
    judge: Judge,
    place: int,
) -> tuple[npt.NDArray[np.float64], Logits, Images]:
    """Steps [N], infinite where none was enough, with logits and pictures of the last one tried."""
    steps = np.full(len(latents), np.inf)
    left, untried = np.arange(len(latents)), np.arange(GRID, LARGEST_STEP + GRID / 2, GRID)
    logits: list[Logits] = [np.empty(0, np.float32)] * len(latents)
    pictures: list[Images] = [np.empty(0, np.uint8)] * len(latents)
    while len(left) and len(untried):
        # Of few latents several steps at once: a batch that is not full takes as long as one.
        tried, untried = np.split(untried, [max(1, TOGETHER // len(left))])
        moved = latents[left] + tried[:, None, None] * attribute_direction
        made = decode(moved.reshape(-1, moved.shape[-1]).astype(np.float32))
        said = in_batches(judge, made)
        flips = said[:, place].reshape(len(tried), len(left)) > 0
        done = flips.any(axis=0)
        last = np.where(done, flips.argmax(axis=0), len(tried) - 1)
        for index, row in zip(left, last * len(left) + np.arange(len(left)), strict=True):
            logits[index], pictures[index] = said[row], made[row]
        steps[left[done]] = tried[last[done]]
        left = left[~done]
    return steps, np.stack(logits), np.stack(pictures)

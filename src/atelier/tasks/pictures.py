"""What the tasks that make pictures share: draws, previews, the comparer, edits."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from atelier.bundle.bundle_model import Bundle
from atelier.bundle.comparison import ROUNDS, Figures, Round
from atelier.data.batches import Drawn
from atelier.data.images import channels_first, channels_last
from atelier.device import device_of, exactly
from atelier.errors import UserError
from atelier.evaluation.editing import OTHERS, evaluate_edits
from atelier.evaluation.estimate import Share
from atelier.evaluation.faces import kid_table
from atelier.evaluation.features import Features, FeaturesBy, Images, in_batches
from atelier.evaluation.judge import LABELS, USED_LABELS
from atelier.evaluation.keys import EDITING, LEFT_OUT
from atelier.evaluation.manifold import manifold, too_few
from atelier.evaluation.memorisation import (
    Neighbours,
    copies_among,
    evaluate_memorisation,
    neighbours,
)
from atelier.evaluation.reference import ReferenceSet
from atelier.evaluation.report import COLUMNS, write_grid
from atelier.evaluation.sheets import EDITED_SHOWN, least_like_reals, nearest_pairs, steps_shown
from atelier.tasks.comparing import Digests, compare_sets, figures_of, fresh_seed, to_pixels
from atelier.tasks.context import Context, Labels

if TYPE_CHECKING:
    from atelier.training.setup import Learner

CHUNK = 100
PREVIEWED = 64
"""Pictures of a preview."""
SHOWN = 64
EDITED = 200
"""Latents whose pictures are edited towards each used attribute that they lack."""


def preview_data(learner: "Learner") -> Drawn:
    """Training data that stay the same through a training."""
    return learner.batches.take(learner.fixed(), PREVIEWED)


def preview_pairs(images: Tensor, made: Tensor) -> Tensor:
    """[N, 3, S, S] twice -> [2 N, 3, S, S]: each image beside what became of it."""
    return torch.stack([images.float(), made.float()], dim=1).flatten(0, 1)


def latents_of(context: Context, count: int) -> Tensor:
    """[count, L] normal, by the evaluation's seed: the same for every snapshot."""
    seeded = torch.Generator().manual_seed(context.seed)
    return torch.randn(count, context.experiment.model.latent_dim, generator=seeded)


@torch.inference_mode()
def made_from(network: nn.Module, *inputs: Tensor) -> Tensor:
    """A network's outputs on the CPU, [N, …]; it makes them where it lies, chunk by chunk."""
    device = device_of(network)
    parts = zip(*(torch.split(rows, CHUNK) for rows in inputs), strict=True)
    with exactly(device):
        return torch.cat([network(*(rows.to(device) for rows in part)).cpu() for part in parts])


def sampled(bundle: Bundle, count: int, seed: int, **request: Any) -> Images:
    """Drawn pictures as the extractors take them: uint8 [count, 3, S, S]."""
    return channels_first(bundle.sample(count, seed, **request))


def reconstructed(bundle: Bundle, images: Images) -> Images:
    """uint8 [N, 3, S, S] -> the same, as the bundle gives them back."""
    return channels_first(bundle.reconstruct(channels_last(images)))


def kid_rows(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """KID beside its ceiling and degraded sets, a bar each."""
    return [
        {"name": f"{row['extractor']}: {row['set']}", "value": row["kid"], **row}
        for row in kid_table(metrics)
    ]


def score_memorisation(features: FeaturesBy, context: Context, folder: Path) -> dict[str, Any]:
    """Whether samples are copies; those nearest to a training image stand in `nearest.png`."""
    samples, training = features.images, context.reference.training
    near = neighbours(samples, training)
    write_grid(
        folder / "nearest.png", nearest_pairs(samples, near, training), min(COLUMNS, len(samples))
    )
    return evaluate_memorisation(features, context.reference, near)


def show_worst(features: FeaturesBy, context: Context, folder: Path) -> None:
    """`worst.png`: the samples least like the reals, the worst first."""
    chosen = least_like_reals(features, context.reference)
    write_grid(folder / "worst.png", features.images[chosen])


def score_edits(
    bundle: Bundle, latents: npt.NDArray[np.float32], context: Context, folder: Path
) -> dict[str, Any]:
    """What each used attribute's direction does to the pictures of these latents; some stand in
    `edits.png`, a row before, and a row after the median step along each direction."""
    judge = context.judge
    if judge is None:
        return {LEFT_OUT: "no labels, so no judge to see an edit"}
    labels = context.judge_words[LABELS]
    others = [name for name in OTHERS if name in context.trusted_labels]

    def decode(rows: npt.NDArray[np.float32]) -> Images:
        return channels_first(bundle.decode(rows))

    figures: dict[str, Any] = {}
    unedited = in_batches(judge, decode(latents))
    for name in context.judge_words[USED_LABELS]:
        if name not in bundle.directions:
            continue
        attribute_direction = bundle.arrays["directions"][bundle.directions.index(name)]
        try:
            figures[name] = evaluate_edits(
                decode, latents, attribute_direction, judge, labels, context.reference,
                unedited=unedited, target=name, others=others,
            )  # fmt: skip
        except UserError as error:
            figures[name] = {LEFT_OUT: str(error)}
    if steps := steps_shown({EDITING: figures}):
        shown = latents[:EDITED_SHOWN]
        rows = [decode(shown)]
        for name, step in steps.items():
            moved = shown + step * bundle.arrays["directions"][bundle.directions.index(name)]
            rows.append(decode(moved.astype(np.float32)))
        write_grid(folder / "edits.png", np.concatenate(rows), len(shown))
    return figures


class Obedience(Protocol):
    """How pictures are held to what was asked for; verdicts are those of the judge."""

    def floors(self, pictures: Images, conditions: Labels) -> list[str]:
        """What they do not reach, in words."""

    def least(self, pictures: Images, conditions: Labels) -> Share:
        """Of requests for an attribute or its absence, the smallest share that is met."""


class PictureComparer:
    """KID to the real test images by the extractor that chooses and by `imagenet`; the witness,
    what kinds of pictures there are and what requests are met may object.

    `requests`: rows of conditions to draw from, those of the test images; None where nothing can be
    asked for.
    """

    def __init__(
        self,
        reference: ReferenceSet,
        rests_on: Digests,
        samples: int,
        requests: Labels | None = None,
        obedience: Obedience | None = None,
    ) -> None:
        self.reference, self.rests_on, self.samples = reference, rests_on, samples
        self.requests, self.obedience = requests, obedience

    def figures(self, bundle: Bundle) -> Figures:
        drawn = self._sample(bundle, fresh_seed())
        features = self.reference.features(drawn.pictures)
        near = neighbours(drawn.pictures, self.reference.training)
        broken = copies_among(near, self._near_reals).in_words()
        if self.obedience is not None and drawn.conditions is not None:
            broken += self.obedience.floors(drawn.pictures, drawn.conditions)
        return figures_of(
            bundle,
            self.rests_on,
            score=self.reference.chosen_by(features).value,
            finite=drawn.finite,
            diversity=self.reference.diversity_share(features),
            broken_floors=broken,
        )

    @cached_property
    def _near_reals(self) -> Neighbours:
        return neighbours(self.reference.reals, self.reference.training)

    def compare(self, challenger: Bundle, champion: Bundle) -> list[Round]:
        return [self._round(challenger, champion) for _ in range(ROUNDS)]

    def _round(self, challenger: Bundle, champion: Bundle) -> Round:
        seed = fresh_seed()
        # Not the same latents for both: the test takes the two sets for independent.
        drawn = self._sample(challenger, seed), self._sample(champion, seed + 1)
        ours, theirs = (self.reference.features(one.pictures) for one in drawn)
        objections = [*fewer_kinds(self.reference, ours, theirs), *self._heeds_less(*drawn)]
        return compare_sets(self.reference, ours, theirs, seed, objections=objections)

    def _heeds_less(self, ours: "Drawing", theirs: "Drawing") -> Iterator[str]:
        if self.obedience is None or ours.conditions is None or theirs.conditions is None:
            return
        after = self.obedience.least(ours.pictures, ours.conditions)
        before = self.obedience.least(theirs.pictures, theirs.conditions)
        if after.surely_below(before):
            yield f"least share of requests met {before.value:.2f} -> {after.value:.2f}"

    def _sample(self, bundle: Bundle, seed: int) -> "Drawing":
        conditions = None
        if self.requests is not None:
            draw = np.random.default_rng(seed)
            conditions = self.requests[draw.integers(len(self.requests), size=self.samples)]
        outputs = torch.cat(list(bundle.outputs(self.samples, seed, attributes=conditions)))
        return Drawing(to_pixels(outputs), conditions, bool(torch.isfinite(outputs).all()))


def fewer_kinds(
    reference: ReferenceSet, ours: Mapping[str, Features], theirs: Mapping[str, Features]
) -> Iterator[str]:
    """Reals that no picture of ours is like, though one of theirs was: by recall and by coverage,
    in the features that choose."""
    name = reference.chooses
    reals = reference.real_features[name]
    if too_few(reals, ours[name], theirs[name]):
        return
    found = [manifold(reals, made[name]) for made in (ours, theirs)]
    for key in ("recall", "coverage"):
        after, before = (Share(figures[key], len(reals)) for figures in found)
        if after.surely_below(before):
            yield f"{key} {before.value:.2f} -> {after.value:.2f}"


@dataclass(frozen=True)
class Drawing:
    """What a bundle made, and of what requests."""

    pictures: Images
    conditions: Labels | None
    finite: bool

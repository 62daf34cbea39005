"""What the tasks that make pictures share: draws, previews, the comparer, edits."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from atelier.bundle.bundle_model import Bundle
from atelier.bundle.comparison import ROUNDS, Figures, Round
from atelier.data.batches import Drawn
from atelier.data.images import channels_first, channels_last
from atelier.errors import UserError
from atelier.evaluation.editing import OTHERS, evaluate_edits
from atelier.evaluation.faces import kid_table
from atelier.evaluation.features import Features, Images
from atelier.evaluation.judge import LABELS, USED_LABELS
from atelier.evaluation.keys import LEFT_OUT
from atelier.evaluation.reference import ReferenceSet
from atelier.evaluation.report import COLUMNS
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


def above(inputs: Images, outputs: Images) -> Images:
    """[N, 3, S, S] twice -> [2 N, 3, S, S]: a grid's rows of inputs, each above the row of what
    became of them."""
    parts = [
        part[start : start + COLUMNS]
        for start in range(0, len(inputs), COLUMNS)
        for part in (inputs, outputs)
    ]
    return np.concatenate(parts)


def latents_of(context: Context, count: int) -> Tensor:
    """[count, L] normal, by the evaluation's seed: the same for every snapshot."""
    seeded = torch.Generator().manual_seed(context.seed)
    return torch.randn(count, context.experiment.model.latent_dim, generator=seeded)


@torch.inference_mode()
def made_from(network: nn.Module, *inputs: Tensor) -> Tensor:
    """A network's outputs, [N, …], chunk by chunk."""
    parts = zip(*(torch.split(rows, CHUNK) for rows in inputs), strict=True)
    return torch.cat([network(*part) for part in parts])


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


def score_edits(
    bundle: Bundle, latents: npt.NDArray[np.float32], context: Context
) -> dict[str, Any]:
    """What each used attribute's direction does to the pictures of these latents."""
    judge = context.judge
    if judge is None:
        return {LEFT_OUT: "no labels, so no judge to see an edit"}
    labels = context.judge_words[LABELS]
    others = [name for name in OTHERS if name in context.trusted_labels]

    def decode(rows: npt.NDArray[np.float32]) -> Images:
        return channels_first(bundle.decode(rows))

    figures: dict[str, Any] = {}
    for name in context.judge_words[USED_LABELS]:
        if name not in bundle.directions:
            continue
        attribute_direction = bundle.arrays["directions"][bundle.directions.index(name)]
        try:
            figures[name] = evaluate_edits(
                decode, latents, attribute_direction, judge, labels, context.reference,
                target=name, others=others,
            )  # fmt: skip
        except UserError as error:
            figures[name] = {LEFT_OUT: str(error)}
    return figures


Floors = Callable[[Images, Labels], list[str]]
"""Floors of its own kind that images made for these requests do not reach, in words."""


class PictureComparer:
    """KID to the real test images by the extractor that chooses, with the witness beside a judge.

    `requests`: rows of conditions to draw from, those of the test images; None where nothing can be
    asked for.
    """

    def __init__(
        self,
        reference: ReferenceSet,
        rests_on: Digests,
        samples: int,
        requests: Labels | None = None,
        floors: Floors | None = None,
    ) -> None:
        self.reference, self.rests_on, self.samples = reference, rests_on, samples
        self.requests, self.floors = requests, floors

    def figures(self, bundle: Bundle) -> Figures:
        pixels, conditions, finite = self._sample(bundle, fresh_seed())
        features = self.reference.features(pixels)
        broken = self.floors(pixels, conditions) if self.floors and conditions is not None else []
        return figures_of(
            bundle,
            self.rests_on,
            score=self.reference.kid(features)[self.reference.chooses].value,
            finite=finite,
            diversity=self.reference.diversity_share(features),
            broken_floors=broken,
        )

    def compare(self, challenger: Bundle, champion: Bundle) -> list[Round]:
        return [self._round(challenger, champion) for _ in range(ROUNDS)]

    def _round(self, challenger: Bundle, champion: Bundle) -> Round:
        seed = fresh_seed()
        # Not the same latents for both: the test takes the two sets for independent.
        ours, theirs = self._features(challenger, seed), self._features(champion, seed + 1)
        return [compare_sets(self.reference, ours, theirs, seed)]

    def _features(self, bundle: Bundle, seed: int) -> dict[str, Features]:
        return self.reference.features(self._sample(bundle, seed)[0])

    def _sample(self, bundle: Bundle, seed: int) -> tuple[Images, Labels | None, bool]:
        conditions = None
        if self.requests is not None:
            draw = np.random.default_rng(seed)
            conditions = self.requests[draw.integers(len(self.requests), size=self.samples)]
        outputs = torch.cat(list(bundle.outputs(self.samples, seed, attributes=conditions)))
        return to_pixels(outputs), conditions, bool(torch.isfinite(outputs).all())

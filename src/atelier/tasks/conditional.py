"""Pictures from noise and attributes."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from atelier.bundle.bundle_model import Bundle
from atelier.bundle.card import OF_SAMPLES, Card, of_directions, size_of
from atelier.bundle.comparison import Comparer
from atelier.bundle.pack import (
    EXAMPLE_IMAGES,
    EXAMPLE_SEED,
    BundleDescription,
    combinations,
    grid,
)
from atelier.bundle.pack import pack as pack_bundle
from atelier.data.images import to_bytes
from atelier.evaluation import report
from atelier.evaluation.conditional import (
    ConditionalSampler,
    Examination,
    accuracy,
    least_met,
    open_examination,
    request_name,
    seen_combinations,
)
from atelier.evaluation.estimate import Estimate, Share
from atelier.evaluation.features import Images
from atelier.evaluation.judge import LABELS
from atelier.evaluation.keys import ACCURACY, MEMORISATION, WITH, WITHOUT
from atelier.tasks.context import Context, Labels
from atelier.tasks.directions import directions_of_samples
from atelier.tasks.pictures import (
    PREVIEWED,
    SHOWN,
    PictureComparer,
    kid_rows,
    made_from,
    preview_data,
    sampled,
    score_memorisation,
    show_worst,
)
from atelier.training.health import Made, Preview

if TYPE_CHECKING:
    from atelier.training.setup import Learner

SMALLEST_MET_SHARE = 0.6
"""Of requests with and without an attribute, mean of both; one that does not listen meets half."""
SHOWN_PER_REQUEST = 8


def preview(learner: "Learner") -> Preview:
    """The same noise each time, with the attributes of training images."""
    noise, drawn = learner.fixed().normal(PREVIEWED, learner.latent_dim), preview_data(learner)
    made = learner.averages["generator"](noise, drawn["labels"].float())
    return Preview(made, (Made("generator", made, drawn["real"]),))


def figure(networks: nn.ModuleDict, context: Context) -> Estimate:
    """KID to the validation images, and the share of missed requests."""

    def sample(conditions: Labels, seed: int) -> Images:
        seeded = torch.Generator().manual_seed(seed)
        latents = torch.randn(
            len(conditions), context.experiment.model.latent_dim, generator=seeded
        )
        wanted = torch.from_numpy(conditions).float()
        made: Images = to_bytes(made_from(networks["generator"], latents, wanted)).numpy()
        return made

    return examination(context).figure(sample, context.seed)


def pack(networks: nn.ModuleDict, context: Context, out: Path, images: int) -> None:
    generator, conditions = networks["generator"], context.conditions("training")
    found = directions_of_samples(generator, context, conditions)
    description = context.describe(
        images, attributes=context.attributes, directions=found.names, words=found.words
    )
    seen = seen_combinations(context.prepared, context.attributes)
    arrays: dict[str, Any] = {"combinations": seen, **found.arrays}
    pack_bundle(out, {"generator": generator}, description, _card(description), _example, arrays)


def _card(description: BundleDescription) -> Card:
    attributes = description.attributes
    note = f"""`attributes` are fractions from 0 to 1 of {", ".join(attributes)}.
What is not named is 0: its absence is asked for. A combination that no training image had is
refused unless `allow_unseen` is true; a blend is taken where the whole combination nearest to it
was seen."""
    return Card(
        f"Makes pictures of {size_of(description.output_shape)} with the attributes that are asked "
        "for.",
        f'{{"count": 4, "seed": 7, "attributes": "{attributes[0]}=1"}}',
        (OF_SAMPLES, note, *of_directions(description.directions)),
    )


def _example(bundle: Bundle) -> np.ndarray:
    conditions = combinations(bundle, EXAMPLE_IMAGES)
    return grid(bundle.sample(EXAMPLE_IMAGES, EXAMPLE_SEED, attributes=conditions))


def score(bundle: Bundle, context: Context, folder: Path) -> dict[str, Any]:
    sample, exam = sampler(bundle), examination(context)
    features = context.reference.features(exam.as_the_reals(sample, context.seed))
    metrics = exam.score(features, sample, context.seed)
    metrics[MEMORISATION] = score_memorisation(features, context, folder)
    show_worst(features, context, folder)
    report.write_table(folder / "kid.csv", kid_rows(metrics))
    rows = [
        {"name": f"{side} {name}", "value": share}
        for side in (WITH, WITHOUT)
        for name, share in metrics[ACCURACY][side].items()
    ]
    report.write_table(folder / "accuracy.csv", rows)
    requests = np.repeat(exam.allowed, SHOWN_PER_REQUEST, axis=0)
    report.write_grid(folder / "grid.png", sample(requests, context.seed))
    report.write_grid(folder / "reals.png", context.reference.reals[:SHOWN])
    names = [request_name(combination, context.attributes) for combination in exam.allowed]
    return metrics | {"grid_rows": names}


def comparer(context: Context) -> Comparer:
    exam = examination(context)
    heeding = Heeding(exam)
    return PictureComparer(context.reference, context.digests, context.samples, exam.rows, heeding)


@dataclass(frozen=True)
class Heeding:
    """Requests as the judge finds them met."""

    exam: Examination

    def floors(self, pictures: Images, conditions: Labels) -> list[str]:
        """Attributes above chance, which is one half of balanced accuracy."""
        shares = accuracy(conditions, self.exam.verdicts(pictures), self.exam.attributes)
        met = {
            name: (shares[WITH].get(name, 0.0) + shares[WITHOUT].get(name, 0.0)) / 2
            for name in self.exam.attributes
        }
        return [
            f"{name} hardly heeded ({share:.0%} of requests met)"
            for name, share in met.items()
            if share < SMALLEST_MET_SHARE
        ]

    def least(self, pictures: Images, conditions: Labels) -> Share:
        """Of the requests for an attribute or its absence, where the smallest share is met."""
        return least_met(conditions, self.exam.verdicts(pictures))


def examination(context: Context) -> Examination:
    labels, judge = context.judge_words[LABELS], context.judge
    assert judge is not None  # a condition is a label
    return open_examination(context.reference, context.prepared, judge, labels, context.attributes)


def sampler(bundle: Bundle) -> ConditionalSampler:
    return lambda conditions, seed: sampled(bundle, len(conditions), seed, attributes=conditions)

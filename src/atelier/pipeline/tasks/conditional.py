"""Images from noise and attributes."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from atelier.data.images import to_bytes
from atelier.evaluation import report
from atelier.evaluation.conditional import (
    ConditionalSampler,
    Examination,
    accuracy,
    open_examination,
    request_name,
    seen_combinations,
    shuffled_rows,
)
from atelier.evaluation.features import Images
from atelier.evaluation.memorisation import evaluate_memorisation
from atelier.pipeline.tasks.context import Context, Labels
from atelier.pipeline.tasks.directions import directions_of_samples, made_from
from atelier.pipeline.tasks.images import SHOWN, kid_rows, pixels
from atelier.registry import bundle
from atelier.registry.bundle_model import Bundle
from atelier.registry.referee import Referee
from atelier.registry.referee_images import ImageReferee

SMALLEST_MET_SHARE = 0.6
"""Of requests with and without an attribute, mean of both; one that does not listen meets half."""
SHOWN_PER_REQUEST = 8


def figure(networks: nn.ModuleDict, context: Context) -> float:
    """KID to the validation images, and the share of missed requests."""

    def sample(asked: Labels, seed: int) -> Images:
        seeded = torch.Generator().manual_seed(seed)
        latents = torch.randn(len(asked), context.experiment.model.latent_dim, generator=seeded)
        wanted = torch.from_numpy(asked).float()
        made: Images = to_bytes(made_from(networks["generator"], latents, wanted)).numpy()
        return made

    return examination(context).figure(sample, context.seed)


def pack(networks: nn.ModuleDict, context: Context, out: Path, images: int) -> None:
    generator, asked = networks["generator"], context.asked("training")
    found = directions_of_samples(generator, context, asked)
    description = context.describe(
        images, attributes=context.attributes, directions=found.names, words=found.words
    )
    combinations = seen_combinations(context.prepared, context.attributes)
    arrays: dict[str, Any] = {"combinations": combinations, **found.arrays}
    bundle.pack(out, {"generator": generator}, description, arrays)


def score(bundle: Bundle, context: Context, folder: Path) -> dict[str, Any]:
    sample, exam = sampler(bundle), examination(context)
    metrics = exam.score(sample, context.seed)
    as_real = sample(shuffled_rows(exam.rows, context.seed), context.seed)
    metrics["memorisation"] = evaluate_memorisation(as_real, context.yardstick)
    report.write_table(folder / "kid.csv", kid_rows(metrics))
    rows = [
        {"name": f"{side} {name}", "value": share}
        for side in ("with", "without")
        for name, share in metrics["accuracy"][side].items()
    ]
    report.write_table(folder / "accuracy.csv", rows)
    requests = np.repeat(exam.allowed, SHOWN_PER_REQUEST, axis=0)
    report.write_grid(folder / "grid.png", sample(requests, context.seed))
    report.write_grid(folder / "reals.png", context.yardstick.reals[:SHOWN])
    names = [request_name(combination, context.attributes) for combination in exam.allowed]
    return metrics | {"grid_rows": names}


def referee(context: Context) -> Referee:
    exam = examination(context)

    def floors(pictures: Images, asked: Labels) -> list[str]:
        """Attributes above chance, which is one half of balanced accuracy."""
        shares = accuracy(asked, exam.verdicts(pictures), context.attributes)
        met = {
            name: (shares["with"].get(name, 0.0) + shares["without"].get(name, 0.0)) / 2
            for name in context.attributes
        }
        return [
            f"{name} hardly heeded ({share:.0%} of requests met)"
            for name, share in met.items()
            if share < SMALLEST_MET_SHARE
        ]

    return ImageReferee(context.yardstick, context.digests, context.samples, exam.rows, floors)


def examination(context: Context) -> Examination:
    labels = context.judge_words["labels"]
    return open_examination(
        context.yardstick, context.prepared, context.judge, labels, context.attributes
    )


def sampler(bundle: Bundle) -> ConditionalSampler:
    return lambda asked, seed: pixels(bundle, len(asked), seed, attributes=asked)

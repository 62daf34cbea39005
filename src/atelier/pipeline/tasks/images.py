"""Images from noise."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from atelier.data.images import to_bytes
from atelier.errors import UserError
from atelier.evaluation import report
from atelier.evaluation.editing import OTHERS, evaluate_edits
from atelier.evaluation.faces import kid_table, open_references, score_images
from atelier.evaluation.features import Images
from atelier.evaluation.memorisation import evaluate_memorisation
from atelier.pipeline.tasks.context import Context
from atelier.pipeline.tasks.directions import directions_of_samples, made_from
from atelier.registry import bundle
from atelier.registry.bundle_model import Bundle
from atelier.registry.referee import Referee
from atelier.registry.referee_images import ImageReferee

SHOWN = 64
EDITED = 200
"""Latents whose pictures are edited towards each used attribute that they lack."""


def figure(networks: nn.ModuleDict, context: Context) -> float:
    """KID in judge features to the validation images."""
    outputs = made_from(networks["generator"], latents_of(context, context.samples))
    yardstick = context.yardstick
    return yardstick.kid(yardstick.features(to_bytes(outputs).numpy()))["judge"].value


def pack(networks: nn.ModuleDict, context: Context, out: Path, images: int) -> None:
    generator = networks["generator"]
    found = directions_of_samples(generator, context)
    description = context.describe(images, directions=found.names, words=found.words)
    bundle.pack(out, {"generator": generator}, description, found.arrays)


def score(bundle: Bundle, context: Context, folder: Path) -> dict[str, Any]:
    """Distances to the test images beside ceiling and floors."""
    pictures = pixels(bundle, context.samples, context.seed)
    references = open_references(context.yardstick, context.samples, context.seed)
    metrics = score_images(pictures, context.yardstick, references, context.seed)
    metrics["memorisation"] = evaluate_memorisation(pictures, context.yardstick)
    latents = bundle.latents(EDITED, context.seed)
    metrics["editing"] = score_edits(bundle, latents, context)
    report.write_table(folder / "kid.csv", kid_rows(metrics))
    report.write_grid(folder / "grid.png", pictures[:SHOWN])
    report.write_grid(folder / "reals.png", context.yardstick.reals[:SHOWN])
    return metrics


def score_edits(
    bundle: Bundle, latents: npt.NDArray[np.float32], context: Context
) -> dict[str, Any]:
    """What each direction of a used attribute does to the pictures of these latents."""
    labels = context.judge_words["labels"]
    others = [name for name in OTHERS if name in context.trusted_labels]

    def decode(rows: npt.NDArray[np.float32]) -> Images:
        return to_bytes(torch.from_numpy(bundle.decode(rows))).numpy()

    figures: dict[str, Any] = {}
    for name in context.judge_words["used_labels"]:
        if name not in bundle.directions:
            continue
        direction = bundle.arrays["directions"][bundle.directions.index(name)]
        try:
            figures[name] = evaluate_edits(
                decode, latents, direction, context.judge, labels, context.yardstick,
                target=name, others=others,
            )  # fmt: skip
        except UserError as error:
            figures[name] = {"left_out": str(error)}
    return figures


def referee(context: Context) -> Referee:
    return ImageReferee(context.yardstick, context.digests, context.samples)


def latents_of(context: Context, count: int) -> Tensor:
    """[count, L] normal, by the evaluation's seed: the same for every snapshot."""
    seeded = torch.Generator().manual_seed(context.seed)
    return torch.randn(count, context.experiment.model.latent_dim, generator=seeded)


def pixels(bundle: Bundle, count: int, seed: int, **request: Any) -> Images:
    """Drawn pictures, channels first: uint8 [count, 3, S, S]."""
    return np.ascontiguousarray(bundle.sample(count, seed, **request).transpose(0, 3, 1, 2))


def kid_rows(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    """KID beside its ceiling and floors, a bar each."""
    return [
        {"name": f"{row['extractor']}: {row['set']}", "value": row["kid"], **row}
        for row in kid_table(metrics)
    ]

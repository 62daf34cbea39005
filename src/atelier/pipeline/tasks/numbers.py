"""Numbers with a pattern: arithmetic judges."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from atelier.evaluation import report
from atelier.evaluation.numbers import evaluate_numbers, score_numbers, value_table
from atelier.pipeline.tasks.context import Context
from atelier.pipeline.tasks.directions import made_from
from atelier.pipeline.tasks.images import latents_of
from atelier.registry import bundle
from atelier.registry.bundle_model import Bundle
from atelier.registry.referee import NumbersReferee, Referee

CHOSEN_ON = 2000


def figure(networks: nn.ModuleDict, context: Context) -> float:
    """The stopping score of fresh draws."""
    outputs = made_from(networks["generator"], latents_of(context, CHOSEN_ON))
    return score_numbers(outputs)["stopping_score"]


def pack(networks: nn.ModuleDict, context: Context, out: Path, images: int) -> None:
    bundle.pack(out, {"generator": networks["generator"]}, context.describe(images))


def score(bundle: Bundle, context: Context, folder: Path) -> dict[str, Any]:
    def scores(count: int, seed: int) -> Tensor:
        return torch.cat(list(bundle.outputs(count, seed)))

    metrics = evaluate_numbers(scores, context.seed, context.samples)
    rows = value_table(scores(context.samples, context.seed))
    named = [{"name": row["value"], "value": row["share"]} for row in rows]
    report.write_table(folder / "values.csv", named)
    return metrics


def referee(context: Context) -> Referee:
    return NumbersReferee()

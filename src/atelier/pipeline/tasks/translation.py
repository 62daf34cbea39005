"""Translation between two domains, both ways."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from atelier.data.images import to_bytes, to_float
from atelier.evaluation import report
from atelier.evaluation.domains import A2B, B2A, Way, Ways, open_ways
from atelier.evaluation.features import Images
from atelier.evaluation.translation import score_ways, translation_figure
from atelier.pipeline.tasks.context import Context
from atelier.pipeline.tasks.directions import made_from
from atelier.registry import bundle
from atelier.registry.bundle_model import Bundle
from atelier.registry.referee import Referee
from atelier.registry.referee_translation import TranslationReferee

SHOWN = 16
CHOSEN_ON = 128
"""Validation images each way at most: translating is the dearest part of choosing."""
COLUMNS = 8


def figure(networks: nn.ModuleDict, context: Context) -> float:
    """Mean KID of both ways to the target domain's validation images."""
    ways = open_domains(context, CHOSEN_ON)
    return translation_figure(_translate(networks["a2b"]), _translate(networks["b2a"]), ways)


def pack(networks: nn.ModuleDict, context: Context, out: Path, images: int) -> None:
    ways = open_domains(context, CHOSEN_ON)
    shown = [ways.way[name].inputs for name in (A2B, B2A)]
    bundle.pack(out, dict(networks.items()), context.describe(images), examples=shown)


def score(bundle: Bundle, context: Context, folder: Path) -> dict[str, Any]:
    ways = open_domains(context)
    there = {name: partial(bundle.translate, direction=name) for name in ways.way}
    metrics = score_ways(
        there[A2B], there[B2A], ways, context.prepared, tuple(context.trusted_labels)
    )
    for name, way in ways.way.items():
        report.write_grid(folder / f"{name}.png", _pairs(way, there[name]))
    rows = [
        {"name": f"{name} {extractor}: {key.removeprefix('kid').strip('_') or 'translation'}"}
        | {"value": value}
        for name in ways.way
        for extractor in ("judge", "witness")
        for key, value in metrics[name][extractor].items()
        if not key.endswith("standard_error")
    ]
    report.write_table(folder / "kid.csv", rows)
    return metrics


def referee(context: Context) -> Referee:
    return TranslationReferee(open_domains(context), context.prepared, context.digests)


def open_domains(context: Context, count: int | None = None) -> Ways:
    """Both ways on the context's split, `count` images each at most."""
    return open_ways(
        context.prepared,
        context.judge,
        context.judge_words["labels"],
        context.experiment.sampling,
        context.split,
        context.seed,
        count or context.samples,
    )


def _translate(network: nn.Module) -> Callable[[Images], Images]:
    """The network as a function of bytes."""

    def translate(images: Images) -> Images:
        made = made_from(network, to_float(torch.from_numpy(np.array(images))))
        translated: Images = to_bytes(made).numpy()
        return translated

    return translate


def _pairs(way: Way, translate: Callable[[Images], Images]) -> Images:
    """Rows of inputs, each above the row of what became of them."""
    inputs = np.array(way.inputs[:SHOWN])
    made = translate(inputs)
    rows = [part for k in range(0, len(inputs), COLUMNS) for part in (inputs[k:][:COLUMNS], made[k:][:COLUMNS])]
    return np.concatenate(rows)

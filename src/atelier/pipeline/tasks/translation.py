"""Translation between two domains, both ways."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from atelier.data.images import to_bytes, to_float
from atelier.data.sampling import Domains
from atelier.evaluation import report
from atelier.evaluation.domains import A2B, B2A, Way, Ways, open_ways
from atelier.evaluation.features import Images
from atelier.evaluation.translation import score_ways, translation_figure, twins_of
from atelier.pipeline.tasks.context import Context
from atelier.pipeline.tasks.directions import made_from
from atelier.registry import bundle
from atelier.registry.bundle_model import Bundle
from atelier.registry.referee import Referee
from atelier.registry.referee_translation import TranslationReferee

SHOWN = 12
CHOSEN_ON = 128
"""Validation images each way at most: translating is the dearest part of choosing."""


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
        report.write_grid(folder / f"{name}.png", *_shown(way, name, bundle, context.prepared))
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
    domains = context.experiment.sampling
    assert isinstance(domains, Domains)
    return open_ways(
        context.prepared,
        context.judge,
        context.judge_words["labels"],
        domains,
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


def _shown(way: Way, name: str, bundle: Bundle, prepared: Path) -> tuple[Images, int]:
    """Rows of inputs, of what became of them, and of their true twins where there are any."""
    twins = twins_of(way, prepared)
    chosen = np.arange(len(way.inputs)) if twins is None else twins[0]
    chosen = chosen[:SHOWN]
    rows = [way.inputs[chosen], bundle.translate(way.inputs[chosen], name)]
    if twins is not None:
        rows.append(twins[1].images[: len(chosen), 0])
    return np.concatenate(rows), len(chosen)

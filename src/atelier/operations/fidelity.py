"""A registered bundle beside published figures: the sets that papers compare, scored or written.

What is found here stands beside other people's figures and decides nothing of ours: no snapshot is
chosen by it, and the gate does not know it.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from atelier.bundle.bundle_model import png
from atelier.config import load_experiment
from atelier.data.folders import built_aside
from atelier.data.images import channels_last
from atelier.device import visible
from atelier.display import progress
from atelier.errors import UserError
from atelier.operations.inception import (
    INCEPTION,
    Inception,
    InceptionFeatures,
    figures,
    subset,
)
from atelier.paths import Paths
from atelier.registry.loading import load
from atelier.tasks.context import Context
from atelier.tasks.picture_sets import Asked, Compared, PictureSet, compared_sets

SETS = "sets.json"


@dataclass(frozen=True)
class Sets:
    """The sets of one version, and what figures of them rest on."""

    version: str
    pairs: list[Compared]
    settings: dict[str, Any]


def open_sets(reference: str, split: str, asked: Asked) -> Sets:
    """What a registered version made, beside a split of the dataset that it learnt.

    Raises:
        UserError: nothing of that name; a task of which papers compare nothing; or a dataset that
            is not prepared here as it was for that version.
    """
    generator = load(reference, str(visible()))
    words = generator.manifest
    experiment = load_experiment(words["scale"], words["experiment"])
    context = Context(experiment, Paths(words["scale"]), split)
    pairs = compared_sets(generator.bundle, context, asked)
    _check_same_data(generator.version, words, context)
    found = context.manifest
    settings = {
        **{key: found[key] for key in ("dataset", "drawn", "size_pixels", "fit")},
        "crop_share": found["crop"],
        "split": split,
        "seed": asked.seed,
    }
    return Sets(generator.version, pairs, settings)


def score(sets: Sets, inception: Inception) -> dict[str, Any]:
    """Figures by the name of what was made; real pictures are looked at once for all of them."""

    @cache
    def features(pictures: PictureSet) -> InceptionFeatures:
        with progress(pictures.name, pictures.count, 0) as advance:
            return inception.features(pictures.blocks(), advance)

    return {
        pair.made.name: {
            **_counts(pair),
            "kid_subset": subset(pair.made.count, pair.reals.count),
            INCEPTION: figures(features(pair.made), features(pair.reals)),
        }
        for pair in sets.pairs
    }


def write(sets: Sets, folder: Path) -> list[PictureSet]:
    """Each set as a folder of PNG files, `00000.png` and on, beside what they are: sets.json.

    All of the folder appears, or nothing. Returns the sets.
    """
    found = list(dict.fromkeys(one for pair in sets.pairs for one in (pair.made, pair.reals)))
    words = {
        "version": sets.version,
        "settings": sets.settings,
        "sets": {pair.made.name: _counts(pair) for pair in sets.pairs},
    }
    with built_aside(folder) as building:
        for pictures in found:
            _write_one(pictures, building / pictures.name)
        (building / SETS).write_text(json.dumps(words, indent=2) + "\n")
    return found


def _write_one(pictures: PictureSet, folder: Path) -> None:
    folder.mkdir()
    done = 0
    with progress(pictures.name, pictures.count, 0) as advance:
        for block in pictures.blocks():
            for number, pixels in enumerate(channels_last(block), done):
                (folder / f"{number:05d}.png").write_bytes(png(pixels))
            advance(done := done + len(block))


def _counts(pair: Compared) -> dict[str, Any]:
    return {"made": pair.made.count, "held_to": pair.reals.name, "reals": pair.reals.count}


def _check_same_data(version: str, words: dict[str, Any], context: Context) -> None:
    made_for = (words["dataset"], tuple(words["output_shape"]), words["crop_share"])
    here = (context.manifest["dataset"], context.shape, context.manifest["crop"])
    if made_for != here:
        learnt, holds = (f"{name}, {of[-1]} px, crop {crop}" for name, of, crop in (made_for, here))
        problem = f"learnt {learnt}; {context.prepared} holds {holds}"
        raise UserError(version, problem, "Prepare the dataset as that version's file says.")

"""Translation between two domains, in both directions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from atelier.bundle.bundle_model import DIRECTIONS, Bundle
from atelier.bundle.card import Card, size_of
from atelier.bundle.comparison import Comparer, Figures, Round
from atelier.bundle.pack import EXAMPLE_IMAGES, pairs
from atelier.bundle.pack import pack as pack_bundle
from atelier.data.images import channels_first, channels_last, to_bytes, to_float
from atelier.data.sampling import Domains
from atelier.evaluation import report
from atelier.evaluation.content import LEAST_FOLLOWING
from atelier.evaluation.domains import A2B, B2A, BothDirections, Direction, open_directions
from atelier.evaluation.estimate import Estimate
from atelier.evaluation.features import Images
from atelier.evaluation.judge import LABELS
from atelier.evaluation.keys import kid_keys
from atelier.evaluation.sheets import least_like_reals
from atelier.evaluation.translation import (
    LEAST_FLIPPED,
    Standing,
    score_directions,
    standing,
    translation_figure,
    twins_of,
)
from atelier.tasks.comparing import Digests, compare_sets, figures_of
from atelier.tasks.context import Context
from atelier.tasks.pictures import PREVIEWED, made_from, preview_data, preview_pairs
from atelier.training.health import Made, Preview

if TYPE_CHECKING:
    from atelier.training.setup import Learner

SHOWN = 12
CHOSEN_ON = 128
"""Validation images of each direction at most: translating is the dearest part of choosing."""


def preview(learner: "Learner") -> Preview:
    """Pairs of an image and its translation: 16 from each domain."""
    drawn, quarter = preview_data(learner), PREVIEWED // 4
    a, b = drawn["real"][:quarter], drawn["other"][:quarter]
    as_b, as_a = learner.averages["a2b"](a), learner.averages["b2a"](b)
    pictures = torch.cat([preview_pairs(a, as_b), preview_pairs(b, as_a)])
    return Preview(pictures, (Made("a2b", as_b, b), Made("b2a", as_a, a)))


def figure(networks: nn.ModuleDict, context: Context) -> Estimate:
    """Mean KID of both directions to the target domain's validation images."""
    directions = open_both(context, CHOSEN_ON)
    return translation_figure(_translate(networks["a2b"]), _translate(networks["b2a"]), directions)


def pack(networks: nn.ModuleDict, context: Context, out: Path, images: int) -> None:
    directions = open_both(context, EXAMPLE_IMAGES)
    shown = {name: channels_last(of.inputs) for name, of in directions.of.items()}
    card = _card(context)

    def example(bundle: Bundle) -> np.ndarray:
        return pairs(*((given, bundle.translate(given, name)) for name, given in shown.items()))

    pack_bundle(out, dict(networks.items()), context.describe(images), card, example)


def _card(context: Context) -> Card:
    domains = _domains(context)
    return Card(
        "Turns a picture of one domain into one of the other, of the same size.",
        f'{{"image_base64": picture, "direction": "{A2B}"}}',
        (
            f"""`picture` is a PNG or JPEG in base64, of any size: what the network changes at
{size_of(context.shape)}, the size that it was trained at, is enlarged and added to the full
picture.""",
            f"""`direction` is "{A2B}" or "{B2A}": domain A are the dataset's pictures with
{rule_in_words(domains.a)}, domain B those with {rule_in_words(domains.b)}.""",
        ),
    )


def rule_in_words(domain: Mapping[str, int]) -> str:
    """`Black_Hair = 1 and Blond_Hair = 0`."""
    return " and ".join(f"{name} = {value}" for name, value in domain.items())


def score(bundle: Bundle, context: Context, folder: Path) -> dict[str, Any]:
    directions = open_both(context)
    outputs: dict[str, Images] = {}

    def translate(name: str, images: Images) -> Images:
        """What becomes of a direction's own inputs is kept: translating is dear."""
        made = translated(bundle, name, images)
        if images is directions.of[name].inputs:
            outputs[name] = made
        return made

    there = {name: partial(translate, name) for name in directions.of}
    metrics = score_directions(
        there[A2B], there[B2A], directions, context.prepared, tuple(context.trusted_labels)
    )
    for name, direction in directions.of.items():
        rows = _shown(direction, outputs[name], context.prepared)
        report.write_grid(folder / f"{name}.png", *rows)
    report.write_grid(folder / "worst.png", *_worst(directions, outputs))
    rows_of_kid = [
        {
            "name": f"{name} {extractor}: {set_name or 'translation'}",
            "value": metrics[name][extractor][key],
        }
        for name, direction in directions.of.items()
        for extractor in direction.target.extractors
        for set_name, key in kid_keys(metrics[name][extractor]).items()
    ]
    report.write_table(folder / "kid.csv", rows_of_kid)
    return metrics


def comparer(context: Context) -> Comparer:
    # The gate does not ask the probe, whose features take longer than the judge's.
    directions = replace(open_both(context), probe=None)
    trusted = tuple(context.trusted_labels)
    return TranslationComparer(directions, context.prepared, context.digests, trusted)


def open_both(context: Context, count: int | None = None) -> BothDirections:
    """Both directions on the context's split, `count` images each at most."""
    judge = context.judge
    assert judge is not None  # a domain is a label
    return open_directions(
        context.prepared,
        judge,
        context.judge_words[LABELS],
        _domains(context),
        context.split,
        context.seed,
        count or context.samples,
        context.judge_b,
        context.place,
    )


def _domains(context: Context) -> Domains:
    domains = context.experiment.sampling
    assert isinstance(domains, Domains)
    return domains


def translated(bundle: Bundle, name: str, images: Images) -> Images:
    """uint8 [N, 3, S, S] -> the same, as the direction's network has them."""
    return channels_first(bundle.translate(channels_last(images), name))


def _translate(network: nn.Module) -> Callable[[Images], Images]:
    """The network as a function of bytes."""

    def translate(images: Images) -> Images:
        made = made_from(network, to_float(torch.from_numpy(np.array(images))))
        translated: Images = to_bytes(made).numpy()
        return translated

    return translate


def _worst(directions: BothDirections, outputs: Mapping[str, Images]) -> tuple[Images, int]:
    """Rows of the inputs and outputs of each direction whose outputs are least like its target."""
    count = min(SHOWN, *map(len, outputs.values()))
    rows = []
    for name, direction in directions.of.items():
        chosen = least_like_reals(direction.target.features(outputs[name]), direction.target, count)
        rows += [direction.inputs[chosen], outputs[name][chosen]]
    return np.concatenate(rows), count


def _shown(direction: Direction, outputs: Images, prepared: Path) -> tuple[Images, int]:
    """Rows of inputs, of what became of them, and of their true twins where there are any."""
    twins = twins_of(direction, prepared)
    chosen = np.arange(len(direction.inputs)) if twins is None else twins[0]
    chosen = chosen[:SHOWN]
    rows = [direction.inputs[chosen], outputs[chosen]]
    if twins is not None:
        rows.append(twins[1].images[: len(chosen), 0])
    return np.concatenate(rows), len(chosen)


@dataclass(frozen=True)
class TranslationComparer:
    """KID to the target domain's real test images, per direction, by the judge and by `imagenet`.

    A translation is a function of its input, so there is one round, over all test images, and both
    translations of an input are compared as a pair.
    """

    directions: BothDirections
    prepared: Path
    rests_on: Digests
    trusted: tuple[str, ...] = ()
    """The labels that the judge tells well enough for a floor to rest on."""

    def figures(self, bundle: Bundle) -> Figures:
        made = {
            name: translated(bundle, name, of.inputs) for name, of in self.directions.of.items()
        }
        found = {
            name: standing(self.directions, name, outputs, self.prepared, self.trusted)
            for name, outputs in made.items()
        }
        return figures_of(
            bundle,
            self.rests_on,
            score=float(np.mean([one.kid for one in found.values()])),
            finite=all(self._is_finite(bundle, name) for name in self.directions.of),
            diversity=min(self._diversity(name, outputs) for name, outputs in made.items()),
            broken_floors=[
                f"{name} {words}" for name, one in found.items() for words in broken_floors(one)
            ],
        )

    def compare(self, challenger: Bundle, champion: Bundle) -> list[Round]:
        parts = (self._compare_part(name, challenger, champion) for name in self.directions.of)
        return [list(chain.from_iterable(parts))]

    def _compare_part(self, name: str, challenger: Bundle, champion: Bundle) -> Round:
        direction = self.directions.of[name]
        ours, theirs = (
            direction.target.features(translated(bundle, name, direction.matched_inputs))
            for bundle in (challenger, champion)
        )
        return compare_sets(direction.target, ours, theirs, seed=0, part=name, translated=True)

    def _diversity(self, name: str, outputs: Images) -> float:
        direction = self.directions.of[name]
        matched = outputs[direction.matched]
        return direction.target.diversity_share(direction.target.features(matched))

    def _is_finite(self, bundle: Bundle, name: str) -> bool:
        network = bundle.networks[DIRECTIONS[name]]
        with torch.inference_mode():
            return all(
                bool(torch.isfinite(network(to_float(torch.from_numpy(image[None])))).all())
                for image in self.directions.of[name].inputs
            )


def broken_floors(found: Standing) -> list[str]:
    """Why one direction must not be published, in words."""
    broken = ["does nothing"] if found.does_nothing else []
    if (share := found.follows_input) < LEAST_FOLLOWING:
        least = f"at least {LEAST_FOLLOWING}, one half is chance"
        broken.append(f"ignores its input (resembles its own by {share:.2f}, {least})")
    flipped = found.flipped
    if not found.does_nothing and flipped is not None and flipped < LEAST_FLIPPED:
        # A tint is a change, keeps what is where, and is as varied as its input.
        broken.append(f"misses its goal ({flipped:.0%} taken for it, at least {LEAST_FLIPPED:.0%})")
    return broken

r"""Shows the gate generators that are no better than the champion, and one that is.

Each was promoted once, or could have been: copies of training images, few latents over and over,
pictures of some kinds only, requests that are not heeded, translations that ignore their input,
reconstructions that are training images, that lack glasses or are soft. The
champion stands against itself, too, and against what half of the training made. The real gate
decides, on the experiment's own test images.

    python benchmarks/cheats.py faces-gan faces-cgan horse2zebra --out cheats.json

Run it where `atelier repro` has run. What draws anew is drawn from so many pictures of each
generator, whose features are found once: a trial then takes seconds, not a minute.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from atelier import config
from atelier.bundle.bundle_model import Bundle as Opened
from atelier.bundle.bundle_model import open_bundle
from atelier.bundle.comparison import Comparer
from atelier.data.images import channels_first, channels_last, to_bytes, to_float
from atelier.evaluation.features import (
    Extractor,
    Features,
    FeaturesBy,
    Images,
    evenly,
    in_batches,
)
from atelier.evaluation.judge import LABELS
from atelier.evaluation.memorisation import neighbours
from atelier.evaluation.reference import ReferenceSet
from atelier.evaluation.report import write_metrics
from atelier.paths import Paths
from atelier.pipeline.bundling import published_networks
from atelier.registry.gate import broken_floors, decide
from atelier.tasks import MODULES
from atelier.tasks.comparing import ErrorComparer
from atelier.tasks.context import TRAINING, Context, Labels
from atelier.tasks.pictures import PictureComparer, made_from
from atelier.tasks.translation import TranslationComparer

POOL = 3000
"""Pictures of each generator that draws."""
KNOWN = 1500
"""Training images that are copied from."""
FEW = 300
HEEDED = 0.4
SOFT = 0.5
"""Pixels."""
TINT = (13, -13, -13)
"""8-bit steps of red, green and blue: what a network is left with whose mask has closed."""
SHARES = (0.1, 0.25, 0.5, 1.0)
Bundle = Any
"""What of a bundle a comparer asks for."""
Make = Callable[[Labels, np.random.Generator], Images]
"""Pictures of requests."""


@dataclass(frozen=True)
class Tried:
    """A challenger, another in each trial or always the same, against a champion."""

    challenger: Callable[[np.random.Generator], Bundle]
    champion: Bundle


def always(bundle: Bundle) -> Callable[[np.random.Generator], Bundle]:
    return lambda draw: bundle


class Remembering:
    """An extractor that finds the features of each picture once."""

    def __init__(self, extract: Extractor) -> None:
        self.extract, self.name, self.training = extract, extract.name, extract.training
        self.known: dict[bytes, Features] = {}

    def __call__(self, images: Images) -> Features:
        keys = [image.tobytes() for image in images]
        new = {key: image for key, image in zip(keys, images, strict=True) if key not in self.known}
        if new:
            found = self.extract(np.stack(list(new.values())))
            self.known |= dict(zip(new, found, strict=True))
        return np.stack([self.known[key] for key in keys])

    def of_reals(self, images: Images) -> Features:
        return self(images)


def remembering(reference: ReferenceSet) -> ReferenceSet:
    extractors = {name: Remembering(one) for name, one in reference.extractors.items()}
    features = FeaturesBy(reference.reals, extractors)
    return replace(reference, extractors=extractors, real_features=features)


@dataclass(frozen=True)
class Pool:
    """Pictures, [N, 3, S, S], and what each of them was asked to show, [N, K]."""

    pictures: Images
    conditions: Labels

    def only(self, rows: Any) -> "Pool":
        return Pool(self.pictures[rows], self.conditions[rows])

    def draw(self, wanted: Labels, draw: np.random.Generator) -> Images:
        """A picture for each request, none twice where there are enough of its kind."""
        made = np.empty((len(wanted), *self.pictures.shape[1:]), np.uint8)
        for request in np.unique(wanted, axis=0):
            asked = np.flatnonzero((wanted == request).all(axis=1))
            there = np.flatnonzero((self.conditions == request).all(axis=1))
            if not len(there):
                there = np.arange(len(self.pictures))
            few = len(there) < len(asked)
            made[asked] = self.pictures[draw.choice(there, len(asked), replace=few)]
        return made


def outputs_of(make: Make) -> Callable[..., Any]:
    def outputs(count: int, seed: int, attributes: Labels | None = None) -> Iterator[Any]:
        wanted = np.zeros((count, 0), np.uint8) if attributes is None else attributes
        yield to_float(torch.from_numpy(make(wanted, np.random.default_rng(seed))))

    return outputs


def trials_of_pictures(context: Context, comparer: PictureComparer) -> dict[str, Tried]:
    known = Pool(
        np.array(evenly(context.images(TRAINING), KNOWN)),
        evenly(context.conditions(TRAINING), KNOWN),
    )
    last, early = (pool_of(networks, context, comparer) for networks in generators(context))
    manifest = {"dataset": context.experiment.dataset, "output_shape": context.shape}

    def bundle(make: Make) -> Bundle:
        return SimpleNamespace(manifest=manifest, outputs=outputs_of(make))

    def mixed(share: float, other: Make) -> Bundle:
        def make(wanted: Labels, draw: np.random.Generator) -> Images:
            made, theirs = last.draw(wanted, draw), other(wanted, draw)
            chosen = draw.random(len(wanted)) < share
            made[chosen] = theirs[chosen]
            return made

        return bundle(make)

    def copied(wanted: Labels, draw: np.random.Generator) -> Images:
        return known.draw(wanted, draw)

    def deaf(wanted: Labels, draw: np.random.Generator) -> Labels:
        ignored = draw.random(len(wanted)) > HEEDED
        return np.where(ignored[:, None], draw.permutation(wanted), wanted)

    def unheard(make: Make) -> Bundle:
        return bundle(lambda wanted, draw: make(deaf(wanted, draw), draw))

    champion = bundle(last.draw)
    tried = {
        f"{share:.0%} copies of training images": Tried(always(mixed(share, copied)), champion)
        for share in SHARES
    }
    tried[f"{FEW} latents"] = Tried(
        lambda draw: bundle(last.only(draw.permutation(len(last.pictures))[:FEW]).draw), champion
    )
    for name, rows in kinds(context, last.pictures).items():
        tried[name] = Tried(always(bundle(last.only(rows).draw)), champion)
    if last.conditions.shape[1]:
        heard = f"that heed {HEEDED:.0%} of the requests"
        for words, make in (("its pictures", last.draw), ("copies of training images", copied)):
            tried[f"{words} {heard}"] = Tried(always(unheard(make)), champion)
    tried["itself"] = Tried(always(champion), champion)
    tried["more training"] = Tried(always(champion), bundle(early.draw))
    tried["less training"] = Tried(always(bundle(early.draw)), champion)
    return tried


def kinds(context: Context, pictures: Images) -> dict[str, Any]:
    """Rows of pictures that the judge finds to lack something."""
    assert context.judge is not None
    said = in_batches(context.judge, pictures) > 0
    names = context.judge_words[LABELS]
    return {
        f"no {word}": np.flatnonzero(~said[:, names.index(label)])
        for word, label in (("glasses", "Eyeglasses"), ("men", "Male"), ("fair hair", "Blond_Hair"))
    }


def generators(context: Context) -> tuple[nn.ModuleDict, nn.ModuleDict]:
    """What the whole training made, and what its first snapshot did."""
    snapshots = sorted((context.paths.train(context.experiment.name) / "snapshots").iterdir())
    return published_networks(context, snapshots[-1]), published_networks(context, snapshots[0])


def pool_of(networks: nn.ModuleDict, context: Context, comparer: PictureComparer) -> Pool:
    draw = torch.Generator().manual_seed(context.seed)
    latents = torch.randn(POOL, context.experiment.model.latent_dim, generator=draw)
    if comparer.requests is None:
        made = made_from(networks["generator"], latents)
        return Pool(to_bytes(made).numpy(), np.zeros((POOL, 0), np.uint8))
    chosen = np.random.default_rng(context.seed).integers(len(comparer.requests), size=POOL)
    conditions = comparer.requests[chosen]
    wanted = torch.from_numpy(conditions).float()
    return Pool(to_bytes(made_from(networks["generator"], latents, wanted)).numpy(), conditions)


def trials_of_translations(context: Context, comparer: TranslationComparer) -> dict[str, Tried]:
    goals = {name: direction.ceiling for name, direction in comparer.directions.of.items()}
    manifest = {"dataset": context.experiment.dataset, "output_shape": context.shape}

    def bundle(networks: nn.ModuleDict, share: float, draw: np.random.Generator) -> Bundle:
        def translate(images: Any, direction: str) -> Any:
            given = to_float(torch.from_numpy(channels_first(images)))
            made = to_bytes(made_from(networks[direction.lower()], given)).numpy()
            ignored = draw.random(len(made)) < share
            goal = goals[direction]
            made[ignored] = goal[draw.integers(len(goal), size=int(ignored.sum()))]
            return channels_last(made)

        return SimpleNamespace(manifest=manifest, translate=translate, networks=networks)

    last, early = generators(context)
    nobody = np.random.default_rng(0)
    champion = bundle(last, 0.0, nobody)
    untouched = SimpleNamespace(
        manifest=manifest, networks=last, translate=lambda images, direction: images
    )
    tinted = SimpleNamespace(manifest=manifest, networks=last, translate=tint)
    return {
        "training images of the goal, always": Tried(partial(bundle, last, 1.0), champion),
        "training images of the goal, half the time": Tried(partial(bundle, last, 0.5), champion),
        "the inputs, untouched": Tried(always(untouched), champion),
        "the inputs, all with the same tint": Tried(always(tinted), champion),
        "itself": Tried(always(champion), champion),
        "more training": Tried(always(champion), bundle(early, 0.0, nobody)),
        "less training": Tried(always(bundle(early, 0.0, nobody)), champion),
    }


def tint(images: Images, direction: str) -> Images:
    """[N, H, W, 3]; the same both ways."""
    return np.clip(images.astype(np.int16) + TINT, 0, 255).astype(np.uint8)


class Spoilt:
    """A bundle that does some of what it does in another way."""

    def __init__(self, bundle: Opened, **other_ways: Any) -> None:
        self.bundle = bundle
        vars(self).update(other_ways)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.bundle, name)


def trials_of_reconstructions(context: Context) -> dict[str, Tried]:
    last, early = (packed(networks, context) for networks in generators(context))
    known = context.images(TRAINING)

    def nearest(pictures: Images) -> Images:
        rows = neighbours(channels_first(pictures), known).places[:, 0]
        return channels_last(np.stack([known[row] for row in rows]))

    def soft(codes: np.ndarray) -> np.ndarray:
        return np.asarray(gaussian_filter(last.decode_raw(codes), (0, 0, SOFT, SOFT)))

    def softened(pictures: Images) -> Images:
        return channels_last(to_bytes(torch.from_numpy(soft(last.encode(pictures)))).numpy())

    spoilt = {
        "the nearest training image": Spoilt(last, reconstruct=nearest),
        f"its pictures, blurred by {SOFT:g} px": Spoilt(
            last, decode_raw=soft, reconstruct=softened
        ),
    }
    if last.is_variational:
        spoilt |= trials_of_samples(last, known)
    tried = {words: Tried(always(bundle), last) for words, bundle in spoilt.items()}
    tried["itself"] = Tried(always(last), last)
    tried["more training"] = Tried(always(last), early)
    tried["less training"] = Tried(always(early), last)
    return tried


def trials_of_samples(last: Opened, known: Images) -> dict[str, Bundle]:
    def silent(pictures: Images) -> tuple[np.ndarray, np.ndarray]:
        means, log_variances = last.distribution(pictures)
        return np.zeros_like(means), np.zeros_like(log_variances)

    def copying(share: float, count: int, seed: int, **request: Any) -> Images:
        draw, made = np.random.default_rng(seed), last.sample(count, seed, **request)
        copied = np.flatnonzero(draw.random(count) < share)
        rows = np.sort(draw.integers(len(known), size=len(copied)))
        made[copied] = channels_last(np.array(known[rows]))
        return made

    spoilt = {
        f"samples of which {share:.0%} are training images": Spoilt(
            last, sample=partial(copying, share)
        )
        for share in SHARES
    }
    spoilt["codes that say nothing"] = Spoilt(
        last, distribution=silent, encode=lambda pictures: silent(pictures)[0]
    )
    return spoilt


def packed(networks: nn.ModuleDict, context: Context) -> Opened:
    """A bundle of these networks; it is read whole, so that its folder need not stay."""
    with TemporaryDirectory() as folder:
        out = Path(folder, "bundle")
        MODULES[context.experiment.task.name].pack(networks, context, out, 1)
        return open_bundle(out)


def open_trials(experiment: config.Experiment, scale: str) -> tuple[Comparer, dict[str, Tried]]:
    context = Context(experiment, Paths(scale), "test")
    comparer = MODULES[experiment.task.name].comparer(context)
    if isinstance(comparer, PictureComparer):
        comparer.reference = remembering(comparer.reference)
        return comparer, trials_of_pictures(context, comparer)
    if isinstance(comparer, ErrorComparer):
        return comparer, trials_of_reconstructions(context)
    assert isinstance(comparer, TranslationComparer)
    return comparer, trials_of_translations(context, comparer)


def asked(comparer: Comparer, tried: Tried, times: int) -> dict[str, Any]:
    """How many of so many trials were promoted, and the last reason."""
    promoted, reason, figures = 0, "", comparer.figures(tried.champion)
    for trial in range(times):
        challenger = tried.challenger(np.random.default_rng(trial))
        ours = comparer.figures(challenger)
        # A broken floor decides alone, and comparing costs most of the time.
        rounds = [] if broken_floors(ours) else comparer.compare(challenger, tried.champion)
        decision = decide(ours, figures, rounds)
        promoted, reason = promoted + decision.promote, decision.reason
    return {"trials": times, "promoted": promoted, "reason": reason}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("experiments", nargs="+")
    parser.add_argument("--scale", default="laptop")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--itself", type=int, help="trials of the champion against itself")
    parser.add_argument("--without", nargs="+", default=[], help="rows that hold these words")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    table: dict[str, Mapping[str, Any]] = {}
    for name in options.experiments:
        comparer, trials = open_trials(config.load_experiment(options.scale, name), options.scale)
        rows: dict[str, Any] = {}
        for words, tried in trials.items():
            if any(part in words for part in options.without):
                continue
            times = options.itself if words == "itself" and options.itself else options.times
            rows[words] = found = asked(comparer, tried, times)
            said = f"{found['promoted']} of {times} promoted; {found['reason']}"
            print(f"{name}: {words}: {said}", flush=True)
            write_metrics(options.out, table | {name: rows})
        table[name] = rows


if __name__ == "__main__":
    main()

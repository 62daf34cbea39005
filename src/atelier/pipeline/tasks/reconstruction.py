"""Autoencoders: images to codes and back; a variational one is sampled and edited, too."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from atelier.data.images import to_float
from atelier.evaluation import report
from atelier.evaluation.features import Images, WitnessFeatures, spread
from atelier.evaluation.memorisation import evaluate_memorisation
from atelier.evaluation.reconstruction import (
    evaluate_reconstruction,
    reconstruct,
    squared_errors,
)
from atelier.evaluation.vae import active_units, bound, decoder_sigma, evaluate_vae, fit_mixture
from atelier.evaluation.yardstick import mean_pairwise_distance
from atelier.pipeline.tasks.context import TRAINING, Context
from atelier.pipeline.tasks.directions import directions_of, made_from
from atelier.pipeline.tasks.images import EDITED, SHOWN, pixels, score_edits
from atelier.registry import bundle
from atelier.registry.bundle_model import Bundle
from atelier.registry.referee import Digests, Referee, digests
from atelier.registry.referee_reconstruction import Errors, ReconstructionReferee

COLUMNS = 8
ENCODED = 20_000
"""Training images at most whose codes say what codes are like."""
DIVERSE = 500
"""Pictures at most whose pairs are compared."""

Floats = npt.NDArray[np.float32]


class Halves:
    """The networks of a snapshot, as functions of arrays."""

    def __init__(self, networks: nn.ModuleDict, latent_dim: int) -> None:
        self.networks, self.latent_dim = networks, latent_dim

    def distribution(self, images: Images) -> tuple[Floats, Floats]:
        """Means and log-variances; the latter are empty where it is not variational."""
        inputs = to_float(torch.from_numpy(np.array(images)))
        codes: Floats = made_from(self.networks["encoder"], inputs).numpy()
        return codes[:, : self.latent_dim], codes[:, self.latent_dim :]

    def encode(self, images: Images) -> Floats:
        return self.distribution(images)[0]

    def decode(self, codes: Floats) -> Floats:
        made: Floats = made_from(self.networks["decoder"], torch.from_numpy(codes)).numpy()
        return made


def figure(networks: nn.ModuleDict, context: Context) -> float:
    """Mean squared error of the validation images; of a variational one, the bound in nats."""
    halves = _halves(networks, context)
    images = spread(context.images(), context.samples)
    if not _is_variational(halves, context):
        made = reconstruct(halves.encode, halves.decode, images)
        return float(squared_errors(images, made).mean())
    sigma = _sigma(halves, context)
    return float(np.sum(bound(halves.distribution, halves.decode, images, sigma, 0), axis=0).mean())


def pack(networks: nn.ModuleDict, context: Context, out: Path, images: int) -> None:
    halves = _halves(networks, context)
    shown = [np.array(spread(context.images(), SHOWN))]
    if not _is_variational(halves, context):
        bundle.pack(out, dict(networks.items()), context.describe(images), examples=shown)
        return
    training = spread(context.images(TRAINING), ENCODED)
    codes = np.concatenate([halves.encode(part) for part in np.array_split(training, 20)])
    labels = spread(context.labels(TRAINING), ENCODED)
    found = directions_of(codes, labels, context)
    arrays = {
        **fit_mixture(codes, context.seed),
        **found.arrays,
        "latent_mean": codes.mean(axis=0),
        "latent_deviation": codes.std(axis=0),
    }
    words = {"sigma": _sigma(halves, context), **found.words}
    description = context.describe(images, directions=found.names, words=words)
    bundle.pack(out, dict(networks.items()), description, arrays, shown)


def score(bundle: Bundle, context: Context, folder: Path) -> dict[str, Any]:
    images = np.array(spread(context.images(), context.samples))
    figures = evaluate_reconstruction(
        bundle.encode, bundle.decode, context.images(TRAINING), images
    )
    settings = _settings(context, len(images)) | figures.pop("settings")
    metrics: dict[str, Any] = {"reconstruction": figures, "settings": settings}
    rows = [
        {"name": "principal components", "value": figures["psnr_db_pca"]},
        {"name": context.experiment.name, "value": figures["psnr_db"]},
    ]
    report.write_table(folder / "psnr.csv", rows)
    shown = images[: SHOWN // 2]
    report.write_grid(folder / "grid.png", _rows(shown, bundle.reconstruct(shown)), COLUMNS)
    return metrics | (_score_variational(bundle, context, folder) if bundle.is_variational else {})


def _score_variational(bundle: Bundle, context: Context, folder: Path) -> dict[str, Any]:
    made = {
        name: pixels(bundle, context.samples, context.seed, sampler=name)
        for name in ("normal", "mixture")
    }
    sigma = float(bundle.manifest["words"]["sigma"])
    figures = evaluate_vae(
        bundle.distribution, bundle.decode, made.__getitem__, context.yardstick, sigma, context.seed
    )
    figures.pop("settings")
    judge, witness = figures.pop("judge"), figures.pop("witness")
    rows = [
        {"name": f"{extractor}: {key.removeprefix('kid_')}", "value": value}
        for extractor, of in (("judge", judge), ("witness", witness))
        for key, value in of.items()
        if key.startswith("kid_") and not key.endswith("standard_error")
    ]
    report.write_table(folder / "kid.csv", rows)
    for name, pictures in made.items():
        report.write_grid(folder / f"{name}.png", pictures[:SHOWN])
    edited = bundle.encode(np.array(spread(context.images(), EDITED)))
    return {
        "elbo": figures,
        "judge": judge,
        "witness": witness,
        "memorisation": evaluate_memorisation(made["mixture"], context.yardstick),
        "editing": score_edits(bundle, edited, context),
    }


def referee(context: Context) -> Referee:
    """Held to the test images by error alone; the witness, which needs no judge, stands by."""
    images = np.array(spread(context.images(), context.samples))
    training = context.images(TRAINING)
    witness = WitnessFeatures(training)
    diverse = mean_pairwise_distance(witness(spread(images, DIVERSE)))
    mean = training[:].mean(axis=0)[None].round().astype(np.uint8).repeat(len(images), axis=0)
    worst = float(squared_errors(images, mean).mean())

    def diversity(bundle: Bundle) -> float:
        if bundle.is_variational:
            made = pixels(bundle, min(DIVERSE, len(images)), context.seed, sampler="mixture")
        else:
            made = bundle.reconstruct(spread(images, DIVERSE))
        return mean_pairwise_distance(witness(made)) / diverse

    def floors(bundle: Bundle) -> list[str]:
        broken = []
        if squared_errors(images, bundle.reconstruct(images)).mean() >= worst:
            broken.append("reconstructs no better than the mean picture")
        if bundle.is_variational and active_units(bundle.encode(images)) == 0:
            broken.append("no active unit")
        return broken

    rests_on: Digests = digests(context.prepared, None)
    return ReconstructionReferee(images, errors_of, diversity, floors, witness, rests_on)


def errors_of(bundle: Bundle, images: Images) -> Errors:
    """Squared error of each image; of a variational one, its bound in nats."""
    if not bundle.is_variational:
        return squared_errors(images, bundle.reconstruct(images))
    sigma = float(bundle.manifest["words"]["sigma"])
    surprise, kl = bound(bundle.distribution, bundle.decode, images, sigma, seed=0)
    return surprise + kl


def _halves(networks: nn.ModuleDict, context: Context) -> Halves:
    return Halves(networks, context.experiment.model.latent_dim)


def _is_variational(halves: Halves, context: Context) -> bool:
    return halves.distribution(np.array(context.images()[:1]))[1].size > 0


def _sigma(halves: Halves, context: Context) -> float:
    return decoder_sigma(halves.distribution, halves.decode, context.images(TRAINING), context.seed)


def _rows(inputs: Images, outputs: Images) -> Images:
    """Rows of inputs, each above the row of what became of them."""
    parts = [
        part[start : start + COLUMNS]
        for start in range(0, len(inputs), COLUMNS)
        for part in (inputs, outputs)
    ]
    return np.concatenate(parts)


def _settings(context: Context, count: int) -> dict[str, Any]:
    manifest = context.manifest
    return {
        "dataset": manifest["dataset"],
        "drawn": manifest["drawn"],
        "size_pixels": manifest["size_pixels"],
        "crop": manifest["crop"],
        "split": context.split,
        "samples": count,
        "seed": context.seed,
    }

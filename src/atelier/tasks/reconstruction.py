"""Autoencoders: images to codes and back; a variational one is sampled and edited, too."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from atelier.bundle.bundle_model import Bundle
from atelier.bundle.card import OF_SAMPLES, SAMPLES, Card, of_directions, size_of
from atelier.bundle.comparison import Comparer
from atelier.bundle.pack import BundleDescription, pairs
from atelier.bundle.pack import pack as pack_bundle
from atelier.data.images import channels_last, to_float
from atelier.evaluation import report
from atelier.evaluation.estimate import Estimate
from atelier.evaluation.features import Images, evenly
from atelier.evaluation.keys import (
    EDITING,
    MEMORISATION,
    MIXTURE,
    NORMAL,
    PSNR_DB,
    SETTINGS,
    WITNESS,
    kid_keys,
    of_components,
)
from atelier.evaluation.memorisation import Neighbours, copies_among, neighbours
from atelier.evaluation.reconstruction import (
    evaluate_reconstruction,
    reconstruct,
    squared_errors,
)
from atelier.evaluation.reference import mean_pairwise_distance, open_extractors
from atelier.evaluation.sheets import above, largest
from atelier.evaluation.vae import active_units, bound, decoder_sigma, evaluate_vae, fit_mixture
from atelier.tasks.comparing import ErrorComparer, Errors, digests, fresh_seed
from atelier.tasks.context import TRAINING, Context
from atelier.tasks.directions import directions_of
from atelier.tasks.pictures import (
    EDITED,
    PREVIEWED,
    SHOWN,
    made_from,
    preview_data,
    preview_pairs,
    reconstructed,
    sampled,
    score_edits,
    score_memorisation,
)
from atelier.training.health import Made, Preview

if TYPE_CHECKING:
    from atelier.training.setup import Learner

EXAMPLES = 16
"""Pictures of the bundle's example."""
ENCODED = 20_000
"""Training images at most whose codes say what codes are like."""
DIVERSE = 500
"""Pictures at most whose pairs are compared."""

Floats = npt.NDArray[np.float32]


def preview(learner: "Learner") -> Preview:
    """Pairs of an image and its reconstruction."""
    images = preview_data(learner)["real"][: PREVIEWED // 2]
    codes = learner.averages["encoder"](images)[:, : learner.latent_dim]
    made = learner.averages["decoder"](codes)
    return Preview(preview_pairs(images, made), (Made("decoder", made, images),))


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


def figure(networks: nn.ModuleDict, context: Context) -> Estimate:
    """Mean squared error of the validation images; of a variational one, the bound in nats."""
    halves = _halves(networks, context)
    images = evenly(context.images(), context.samples)
    if not _is_variational(halves, context):
        made = reconstruct(halves.encode, halves.decode, images)
        return Estimate(float(squared_errors(images, made).mean()))
    sigma = _sigma(halves, context)
    nats = np.sum(bound(halves.distribution, halves.decode, images, sigma, 0), axis=0)
    return Estimate(float(nats.mean()))


def pack(networks: nn.ModuleDict, context: Context, out: Path, images: int) -> None:
    halves = _halves(networks, context)
    shown = channels_last(np.array(evenly(context.images(), EXAMPLES)))

    def example(bundle: Bundle) -> np.ndarray:
        return pairs((shown, bundle.reconstruct(shown)))

    if _is_variational(halves, context):
        description, arrays = _described_variational(halves, context, images)
    else:
        description, arrays = context.describe(images), {}
    card = _card(description, _is_variational(halves, context))
    pack_bundle(out, dict(networks.items()), description, card, example, arrays)


def _described_variational(
    halves: Halves, context: Context, images: int
) -> tuple[BundleDescription, dict[str, Any]]:
    """With a mixture fitted to the codes of training images, and directions where labels tell."""
    training = evenly(context.images(TRAINING), ENCODED)
    codes = np.concatenate([halves.encode(part) for part in np.array_split(training, 20)])
    labels = evenly(context.labels(TRAINING), ENCODED)
    found = directions_of(codes, labels, context)
    arrays = {
        **fit_mixture(codes, context.seed),
        **found.arrays,
        "latent_mean": codes.mean(axis=0),
        "latent_deviation": codes.std(axis=0),
    }
    words = {"sigma": _sigma(halves, context), **found.words}
    return context.describe(images, directions=found.names, words=words), arrays


def _card(description: BundleDescription, variational: bool) -> Card:
    size = size_of(description.output_shape)
    makes = f"Turns a picture of {size} into {description.latent_dim} numbers, and back."
    given = """`image_base64` takes a PNG or JPEG in base64; one of another size than the
training images is cropped to the centred square that they were."""
    edits = of_directions(description.directions)
    if not variational:
        return Card(makes, '{"image_base64": picture}', (given, *edits))
    either = "A row asks either for samples or for the reconstruction of an image."
    sampler = """`sampler` "mixture" draws from the mixture fitted to the training images' codes,
"normal" from N(0, 1)."""
    return Card(makes, SAMPLES, (OF_SAMPLES, given, either, *edits, sampler))


def score(bundle: Bundle, context: Context, folder: Path) -> dict[str, Any]:
    images = np.array(evenly(context.images(), context.samples))
    figures = evaluate_reconstruction(
        encoding(bundle), bundle.decode_raw, context.images(TRAINING), images
    )
    settings = context.settings(len(images)) | figures.pop(SETTINGS)
    metrics: dict[str, Any] = {"reconstruction": figures, SETTINGS: settings}
    rows = [
        {"name": "principal components", "value": figures[of_components(PSNR_DB)]},
        {"name": context.experiment.name, "value": figures[PSNR_DB]},
    ]
    report.write_table(folder / "psnr.csv", rows)
    shown = images[: SHOWN // 2]
    made = reconstructed(bundle, images)
    report.write_grid(folder / "grid.png", above(shown, made[: len(shown)]))
    worst = largest(squared_errors(images, made))
    columns = min(report.COLUMNS, len(worst))
    report.write_grid(folder / "worst.png", above(images[worst], made[worst]), columns)
    return metrics | (_score_variational(bundle, context, folder) if bundle.is_variational else {})


def _score_variational(bundle: Bundle, context: Context, folder: Path) -> dict[str, Any]:
    made = {
        name: sampled(bundle, context.samples, context.seed, sampler=name)
        for name in (NORMAL, MIXTURE)
    }
    sigma = float(bundle.manifest["words"]["sigma"])
    figures = evaluate_vae(
        distribution(bundle), bundle.decode_raw, made.__getitem__, context.reference, sigma,
        context.seed,
    )  # fmt: skip
    figures.pop(SETTINGS)
    distances = {name: figures.pop(name) for name in context.reference.extractors}
    rows = [
        {"name": f"{extractor}: {set_name}", "value": of[key]}
        for extractor, of in distances.items()
        for set_name, key in kid_keys(of).items()
    ]
    report.write_table(folder / "kid.csv", rows)
    for name, pictures in made.items():
        report.write_grid(folder / f"{name}.png", pictures[:SHOWN])
    edited = encoding(bundle)(np.array(evenly(context.images(), EDITED)))
    return {
        "elbo": figures,
        **distances,
        MEMORISATION: score_memorisation(
            context.reference.features(made[MIXTURE]), context, folder
        ),
        EDITING: score_edits(bundle, edited, context, folder),
    }


def comparer(context: Context) -> Comparer:
    """Held to the test images by error alone; extractors that need no judge stand by."""
    images = np.array(evenly(context.images(), context.samples))
    training = context.images(TRAINING)
    further = open_extractors(None, training, place=context.place)
    witness = further[WITNESS]
    diverse = mean_pairwise_distance(witness.of_reals(evenly(images, DIVERSE)))
    mean = training[:].mean(axis=0)[None].round().astype(np.uint8).repeat(len(images), axis=0)
    worst = float(squared_errors(images, mean).mean())

    @cache
    def near_images() -> Neighbours:
        return neighbours(images, training)

    def diversity(bundle: Bundle) -> float:
        if bundle.is_variational:
            made = sampled(bundle, min(DIVERSE, len(images)), context.seed, sampler=MIXTURE)
        else:
            made = reconstructed(bundle, evenly(images, DIVERSE))
        return mean_pairwise_distance(witness(made)) / diverse

    def floors(bundle: Bundle) -> list[str]:
        broken = []
        if squared_errors(images, reconstructed(bundle, images)).mean() >= worst:
            broken.append("reconstructs no better than the mean picture")
        if bundle.is_variational and active_units(encoding(bundle)(images)) == 0:
            broken.append("no active unit")
        if bundle.is_variational:
            made = sampled(bundle, context.samples, fresh_seed(), sampler=MIXTURE)
            broken += copies_among(neighbours(made, training), near_images()).in_words()
        return broken

    rests_on = digests(context.prepared, None)
    return ErrorComparer(images, reconstructed, errors_of, diversity, floors, further, rests_on)


def errors_of(bundle: Bundle, images: Images) -> Errors:
    """Squared error of each image; of a variational one, its bound in nats."""
    if not bundle.is_variational:
        return squared_errors(images, reconstructed(bundle, images))
    sigma = float(bundle.manifest["words"]["sigma"])
    encode = distribution(bundle)
    negative_log_likelihood, kl = bound(encode, bundle.decode_raw, images, sigma, seed=0)
    return negative_log_likelihood + kl


def encoding(bundle: Bundle) -> Callable[[Images], Floats]:
    """The encoder as a function of images [N, 3, S, S]."""
    return lambda images: bundle.encode(channels_last(images))


def distribution(bundle: Bundle) -> Callable[[Images], tuple[Floats, Floats]]:
    """The same of means and log-variances."""
    return lambda images: bundle.distribution(channels_last(images))


def _halves(networks: nn.ModuleDict, context: Context) -> Halves:
    return Halves(networks, context.experiment.model.latent_dim)


def _is_variational(halves: Halves, context: Context) -> bool:
    return halves.distribution(np.array(context.images()[:1]))[1].size > 0


def _sigma(halves: Halves, context: Context) -> float:
    return decoder_sigma(halves.distribution, halves.decode, context.images(TRAINING), context.seed)

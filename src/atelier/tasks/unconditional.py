"""Pictures from noise."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from atelier.bundle.bundle_model import Bundle
from atelier.bundle.card import OF_SAMPLES, Card, of_directions, size_of
from atelier.bundle.comparison import Comparer
from atelier.bundle.pack import EXAMPLE_IMAGES, EXAMPLE_SEED, grid
from atelier.bundle.pack import pack as pack_bundle
from atelier.data.images import to_bytes
from atelier.evaluation import report
from atelier.evaluation.estimate import Estimate
from atelier.evaluation.faces import open_bounds, score_images
from atelier.evaluation.keys import EDITING, MEMORISATION
from atelier.tasks.context import Context
from atelier.tasks.directions import directions_of_samples
from atelier.tasks.pictures import (
    EDITED,
    PREVIEWED,
    SHOWN,
    PictureComparer,
    kid_rows,
    latents_of,
    made_from,
    preview_data,
    sampled,
    score_edits,
    score_memorisation,
    show_worst,
)
from atelier.training.health import Made, Preview

if TYPE_CHECKING:
    from atelier.training.setup import Learner


def preview(learner: "Learner") -> Preview:
    """Of the same noise each time."""
    made = learner.draw(PREVIEWED)
    return Preview(made, (Made("generator", made, preview_data(learner)["real"]),))


def figure(networks: nn.ModuleDict, context: Context) -> Estimate:
    """KID to the validation images, by the extractor that chooses."""
    outputs = made_from(networks["generator"], latents_of(context, context.samples))
    reference = context.reference
    return reference.chosen_by(reference.features(to_bytes(outputs).numpy()))


def pack(networks: nn.ModuleDict, context: Context, out: Path, images: int) -> None:
    generator = networks["generator"]
    found = directions_of_samples(generator, context)
    description = context.describe(images, directions=found.names, words=found.words)
    card = Card(
        f"Makes pictures of {size_of(context.shape)}.",
        notes=(OF_SAMPLES, *of_directions(found.names)),
    )
    pack_bundle(
        out,
        {"generator": generator},
        description,
        card,
        lambda bundle: grid(bundle.sample(EXAMPLE_IMAGES, EXAMPLE_SEED)),
        found.arrays,
    )


def score(bundle: Bundle, context: Context, folder: Path) -> dict[str, Any]:
    """Distances to the test images beside ceiling and degraded sets."""
    pictures = sampled(bundle, context.samples, context.seed)
    features = context.reference.features(pictures)
    bounds = open_bounds(context.reference, context.samples, context.seed)
    metrics = score_images(features, context.reference, bounds, context.seed)
    metrics[MEMORISATION] = score_memorisation(features, context, folder)
    metrics[EDITING] = score_edits(bundle, bundle.latents(EDITED, context.seed), context, folder)
    show_worst(features, context, folder)
    report.write_table(folder / "kid.csv", kid_rows(metrics))
    report.write_grid(folder / "grid.png", pictures[:SHOWN])
    report.write_grid(folder / "reals.png", context.reference.reals[:SHOWN])
    return metrics


def comparer(context: Context) -> Comparer:
    return PictureComparer(context.reference, context.digests, context.samples)

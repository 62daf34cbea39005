"""A dataset of a user's own pictures: looked at, imported, and described for every scale.

What is there says what it is (data/recognising.py); how it is judged is taken from a dataset that
is listed already, and fitted to how many pictures there are.
"""

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atelier.config import NAME_PATTERN, Dataset, load_dataset
from atelier.data.catalog import TWINS, Catalog, Fit, Layout
from atelier.data.importing import import_recognised
from atelier.data.planning import BY_NAME
from atelier.data.recognised import Picture, Recognised
from atelier.data.recognising import measured, recognise_opened
from atelier.data.sizes import largest_size, propose_size
from atelier.data.sources import opened
from atelier.errors import UserError
from atelier.operations.adding import add
from atelier.params import load_parameters
from atelier.paths import JUDGE, JUDGE_B, PARAMETERS, SCALES, Paths
from atelier.rewriting import rewritten
from atelier.schema import check, parse

WANTED_PIXELS = {"tiny": 32, "laptop": 64, "gpu": 128}
"""The side that each scale asks for; smaller pictures get a smaller one."""
MOST_EPOCHS = 30
"""How often a judge sees each training picture at most: of few pictures it learns no more."""
LEAST_STEPS = 60
LEAST_SHARE = 0.02
"""Of the training pictures, that must have and that must lack an attribute to be judged by it."""
MOST_LABELS = 8
"""Attributes that are used, of a table that has more: those that are nearest to even."""


@dataclass(frozen=True)
class Asked:
    """What the user wants of a dataset."""

    path: Path | None
    a: str | None = None
    b: str | None = None
    layout: Layout | None = None
    """What to take it for, instead of what it looks like."""
    fit: Fit = "crop"
    size_pixels: int | None = None
    """At scale laptop, a power of two at most; None: see WANTED_PIXELS."""


def new_dataset(name: str, asked: Asked, tell: Callable[[str], None]) -> list[Path]:
    """Imports pictures to data/<name>, writes a YAML per scale and the line of params.yaml.

    Args:
        tell: hears what was found, a fact a line, before anything is copied.

    Returns the new files.

    Raises:
        UserErrors: the name is taken, or what is there can't be a dataset; nothing is changed then.
    """
    _check_name(name)
    with opened(asked.path, Path(), asked.a, asked.b) as source:
        found = measured(recognise_opened(source, asked.layout))
        told = found.lines()
        for line in told:
            tell(line)
        wanted = asked.size_pixels or WANTED_PIXELS["laptop"]
        proposal = propose_size(found.source.given, found.pictures, wanted, asked.fit)
        sizes = _sizes(found, proposal.size_pixels, proposal.unfit, asked)
        imported = import_recognised(name, found, Path(), without=proposal.unfit)
    try:
        for note in imported.notes:
            if note not in (BY_NAME, *told):  # as said above, with counts
                tell(note)
        texts = {
            Paths(scale).dataset_file(name): _text(scale, name, imported.catalog, size, asked.fit)
            for scale, size in sizes.items()
        }
        for path, text in texts.items():
            check(parse(text), Dataset, path)
        add(texts, "datasets", name, {"source": f"data/{name}"})
    except BaseException:  # whatever it is, no half of a dataset stays
        shutil.rmtree(Path("data", name))
        raise
    counts = ", ".join(f"{len(s.names):,} {split}" for split, s in imported.catalog.splits.items())
    tell(f"data/{name}: {counts}; {sizes['laptop']} x {sizes['laptop']} pixels at scale laptop")
    return list(texts)


def suggested_source(name: str) -> str:
    """An experiment that a new one on this dataset can be made from: for the next command."""
    parameters = load_parameters()
    pairs = load_dataset("laptop", name).data.layout == "pairs"
    wanted = "translation" if pairs else "unconditional"
    fitting = [key for key, one in parameters.experiments.items() if one.task == wanted]
    return fitting[0] if fitting else next(iter(parameters.experiments))


def _check_name(name: str) -> None:
    parameters = load_parameters()
    if not re.fullmatch(NAME_PATTERN, name) or name == TWINS:
        remedy = f"Lower-case letters, digits and hyphens make one; {TWINS} are drawn."
        raise UserError(name, "no name for a dataset", remedy)
    taken = [path for scale in SCALES if (path := Paths(scale).dataset_file(name)).exists()]
    folder = Path("data", name)
    if taken or name in parameters.datasets:
        where = taken[0] if taken else PARAMETERS
        raise UserError(where, f"has {name} already", "Choose another name.")
    if folder.exists():
        raise UserError(folder, "is there already", "Choose another name.")


def _sizes(found: Recognised, laptop: int, unfit: Sequence[str], asked: Asked) -> dict[str, int]:
    """The side at each scale; the pictures that are kept bear all of them."""
    kept: list[Picture] = [one for one in found.pictures if one.name not in set(unfit)]
    sizes = {"laptop": laptop}
    for scale in SCALES:
        wanted = min(WANTED_PIXELS[scale], laptop) if scale == "tiny" else WANTED_PIXELS[scale]
        sizes.setdefault(scale, largest_size(kept, max(wanted, 1), asked.fit) or laptop)
    return {scale: sizes[scale] for scale in SCALES}


def _text(scale: str, name: str, catalog: Catalog, size: int, fit: Fit) -> str:
    """The file of a listed dataset with this one's data, labels and lengths of judging."""
    template = _template(scale, catalog.layout)
    text = Paths(scale).dataset_file(template.name).read_text(encoding="utf-8")
    changes: dict[tuple[str, ...], Any] = {
        ("name",): name,
        ("data",): {
            "layout": catalog.layout,
            "path": name,
            "size_pixels": size,
            "fit": fit,
            "crop_share": 1.0 if fit == "crop" else None,
            "limit": template.data.limit,
        },
    }
    if catalog.layout == "pictures":
        return rewritten(text, changes | {(judge,): None for judge in (JUDGE, JUDGE_B)})
    count = len(catalog.splits["training"].first(template.data.limit).names)
    for block, judge in ((JUDGE, template.judge), (JUDGE_B, template.judge_b)):
        assert judge is not None
        training = judge.training
        steps = max(count * MOST_EPOCHS // training.batch_size, LEAST_STEPS)
        images = min(training.images, steps * training.batch_size)
        changes |= {
            (block, "training", "images"): images,
            (block, "training", "log_every_images"): min(training.log_every_images, images),
            (block, "training", "sample_every_images"): images,
            (block, "used_labels"): _used_labels(catalog, judge.used_labels),
        }
    return rewritten(text, changes)


def _template(scale: str, layout: Layout) -> Dataset:
    """A listed dataset whose judge serves as a model: of the same layout, where there is one."""
    listed = [load_dataset(scale, name) for name in load_parameters().datasets]
    judged = [dataset for dataset in listed if dataset.judge is not None]
    if not judged:
        problem = "lists no dataset with a judge, whose file would be the model for this one's"
        raise UserError(f"{PARAMETERS}: datasets", problem, "Restore celeba or horse2zebra.")
    return min(judged, key=lambda dataset: dataset.data.layout != layout)


def _used_labels(catalog: Catalog, usual: Sequence[str]) -> list[str]:
    """All of a few labels; of a long table the usual ones, else those nearest to even."""
    if set(usual) <= set(catalog.labels):
        return list(usual)
    shares = dict(zip(catalog.labels, catalog.splits["training"].labels.mean(axis=0), strict=True))
    frequent = [name for name, share in shares.items() if LEAST_SHARE <= share <= 1 - LEAST_SHARE]
    if not frequent:
        what = f"no label that at least {LEAST_SHARE:.0%} of the pictures have and lack"
        raise UserError(catalog.dataset, what, "Label more pictures, or add --as pictures.")
    nearest = sorted(frequent, key=lambda name: abs(shares[name] - 0.5))[:MOST_LABELS]
    return [name for name in catalog.labels if name in nearest]

"""What papers compare, task by task: sets of pictures that a bundle made, and of real ones.

All of them are of one size and crop, that of the prepared dataset. Made pictures come in blocks as
they are asked for, so that no set of them is ever held whole.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from atelier.bundle.bundle_model import CHUNK, LARGEST_COUNT, Bundle
from atelier.data.sampling import Domains, columns, members
from atelier.errors import UserError
from atelier.evaluation.domains import A2B, B2A
from atelier.evaluation.features import Images, evenly
from atelier.evaluation.keys import MIXTURE, NORMAL
from atelier.tasks.comparing import to_pixels
from atelier.tasks.context import Context, Labels
from atelier.tasks.pictures import reconstructed
from atelier.tasks.translation import translated

FROM_ONE_SEED = LARGEST_COUNT // CHUNK * CHUNK
"""Pictures at most; those that follow are drawn from the next seed."""
REALS = "reals"


@dataclass(frozen=True, eq=False)
class PictureSet:
    """So many pictures, uint8 [b, 3, S, S] at a time, in the same order each time."""

    name: str
    count: int
    blocks: Callable[[], Iterator[Images]]


@dataclass(frozen=True)
class Compared:
    """What was made, and the real pictures that it is held to."""

    made: PictureSet
    reals: PictureSet


@dataclass(frozen=True)
class Asked:
    """At most so many pictures of each set, and the seed that those from noise are drawn with."""

    count: int
    seed: int


def compared_sets(bundle: Bundle, context: Context, asked: Asked) -> list[Compared]:
    """The pairs of sets of a bundle's task; as many are made as there are reals.

    Raises:
        UserError: the task has none.
    """
    if bundle.task not in _SETS:
        name = bundle.manifest["experiment"]
        raise UserError(name, f"papers compare nothing of its kind (its task is {bundle.task})")
    return _SETS[bundle.task](bundle, context, asked)


def _of_samples(bundle: Bundle, context: Context, asked: Asked) -> list[Compared]:
    reals = _reals(context, asked)
    return [Compared(_drawn("samples", bundle, reals.count, asked), reals)]


def _of_requests(bundle: Bundle, context: Context, asked: Asked) -> list[Compared]:
    """What the reals have is asked for, as often as they have it."""
    reals = _reals(context, asked)
    wanted = columns(context.label_names, bundle.attributes)
    requests = evenly(context.labels()[:, wanted], asked.count)
    return [Compared(_drawn("samples", bundle, reals.count, asked, requests), reals)]


def _of_translations(bundle: Bundle, context: Context, asked: Asked) -> list[Compared]:
    """Each direction's outputs, held to real pictures of the domain that they should be in."""
    domains = context.experiment.sampling
    assert isinstance(domains, Domains)
    images, labels = context.images(), context.labels()
    a, b = (
        images[evenly(members(labels, context.label_names, rule), asked.count)]
        for rule in (domains.a, domains.b)
    )
    return [
        Compared(_changed(name, inputs, partial(translated, bundle, name)), _kept(goal, reals))
        for name, inputs, goal, reals in ((A2B, a, "B", b), (B2A, b, "A", a))
    ]


def _of_reconstructions(bundle: Bundle, context: Context, asked: Asked) -> list[Compared]:
    """What becomes of the reals; of a variational autoencoder its samples, too."""
    reals = _reals(context, asked)
    images = evenly(context.images(), asked.count)
    made = [_changed("reconstructions", images, partial(reconstructed, bundle))]
    if bundle.can_sample:
        samplers = (NORMAL, MIXTURE) if "mixture_means" in bundle.arrays else (NORMAL,)
        made += [_drawn(name, bundle, reals.count, asked, sampler=name) for name in samplers]
    return [Compared(one, reals) for one in made]


_SETS: Mapping[str, Callable[[Bundle, Context, Asked], list[Compared]]] = {
    "unconditional": _of_samples,
    "conditional": _of_requests,
    "translation": _of_translations,
    "reconstruction": _of_reconstructions,
}


def _reals(context: Context, asked: Asked) -> PictureSet:
    return _kept(REALS, evenly(context.images(), asked.count))


def _kept(name: str, images: Images) -> PictureSet:
    return PictureSet(name, len(images), lambda: _parts(images))


def _changed(name: str, images: Images, change: Callable[[Images], Images]) -> PictureSet:
    return PictureSet(name, len(images), lambda: map(change, _parts(images)))


def _drawn(
    name: str,
    bundle: Bundle,
    count: int,
    asked: Asked,
    requests: Labels | None = None,
    sampler: str = NORMAL,
) -> PictureSet:
    def blocks() -> Iterator[Images]:
        for further, start in enumerate(range(0, count, FROM_ONE_SEED)):
            rows = slice(start, min(start + FROM_ONE_SEED, count))
            conditions = None if requests is None else requests[rows]
            made = bundle.outputs(
                rows.stop - start, asked.seed + further, attributes=conditions, sampler=sampler
            )
            yield from map(to_pixels, made)

    return PictureSet(name, count, blocks)


def _parts(images: Images) -> Iterator[Images]:
    """As many at a time as a bundle makes; copies, for a memory map can't be written to."""
    for start in range(0, len(images), CHUNK):
        yield np.array(images[start : start + CHUNK])

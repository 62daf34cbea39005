"""`atelier edit` and `atelier interpolate`: selecting characteristics by latent vector."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atelier.cli.options import Device, Edits, Overwrite, Reference, parse_option
from atelier.cli.output import all_or_none, check_free, writing
from atelier.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from atelier.bundle.client import Generator

FORMS = (".png", ".gif", ".webp")
FRAMES_PER_SECOND = 10
LARGEST = 4096
"""Pictures in one file."""

Out = Annotated[
    Path, typer.Option(help="FILE.png for a grid, FILE.gif or FILE.webp for what moves.")
]
Truncation = Annotated[
    float, typer.Option(help="Scales the latent first: below 1 edits reach more of the pictures.")
]
Conditions = Annotated[
    str, typer.Option("--attributes", help="What a conditional generator is asked for, 0 to 1.")
]
Unseen = Annotated[
    bool, typer.Option("--allow-unseen", help="Also what no training image had together.")
]
Sampler = Annotated[
    str, typer.Option(help="normal, or mixture: fitted to the training images' codes.")
]


def edit(
    reference: Reference,
    out: Out,
    edits: Edits = "",
    arithmetic: Annotated[
        str,
        typer.Option(
            metavar="GROUPS",
            help='Instead of edits: "Male=1,Eyeglasses=1 - Male=0,Eyeglasses=1 + Male=0".',
        ),
    ] = "",
    image: Annotated[
        list[Path] | None, typer.Option(help="A photo to edit, through the encoder; repeatable.")
    ] = None,
    count: Annotated[int, typer.Option(help="Samples to edit where no photo is given.")] = 8,
    seed: Annotated[int, typer.Option(help="The same seed makes the same samples.")] = 0,
    steps: Annotated[int, typer.Option(min=2, help="Rows, from unedited to edited.")] = 2,
    truncation: Truncation = 0.7,
    attributes: Conditions = "",
    allow_unseen: Unseen = False,
    sampler: Sampler = "normal",
    device: Device = "cpu",
    overwrite: Overwrite = False,
) -> None:
    """Edit samples, or photos, along attribute directions; or add and subtract groups."""
    import numpy as np

    amounts, conditions = parse_option("edits", edits), parse_option("attributes", attributes)
    if bool(amounts) == bool(arithmetic):
        raise UserError("--edits", "either edits or --arithmetic", "--edits Eyeglasses=2")
    if arithmetic and image:
        raise UserError("--arithmetic", "groups, not photos; photos take --edits")
    if image and attributes:
        raise UserError("--attributes", "not of a photo")
    _check_size(count * steps)
    photos = [_photo(path) for path in image or []]
    generator = _open(reference, out, overwrite, device)
    with _refusals(reference):
        if arithmetic:
            groups = _groups(generator, arithmetic)[None]
            frames = _decoded(generator, groups, conditions, allow_unseen)
        else:
            if photos:
                latents = generator.encode(photos)
            else:
                latents = generator.latents(count, seed, truncation, sampler)
            shift = generator.bundle.shift_of(amounts)
            path = np.stack([latents + share * shift for share in np.linspace(0, 1, steps)])
            frames = _decoded(generator, path, conditions, allow_unseen)
        originals = [generator.bundle.to_square(photo) for photo in photos]
    if originals and out.suffix.lower() == ".png":
        frames = np.concatenate([np.stack(originals)[None], frames])
    _write(out, frames)
    done = arithmetic or edits
    typer.echo(f"{done} by {generator.version or reference}: {out}")


def interpolate(
    reference: Reference,
    out: Out,
    seeds: Annotated[
        str, typer.Option(help="Two or more, separated by commas: from one sample to the next.")
    ] = "1,2",
    steps: Annotated[int, typer.Option(min=2, help="Pictures from a stop to the next.")] = 8,
    count: Annotated[int, typer.Option(help="How many such paths, side by side.")] = 1,
    across: Annotated[
        str | None, typer.Option(help="A table instead, of the first seed: this attribute across,")
    ] = None,
    down: Annotated[str | None, typer.Option(help="and this one down.")] = None,
    reach: Annotated[
        float, typer.Option(help="Of a table: standard deviations to either side.")
    ] = 2.5,
    truncation: Truncation = 0.7,
    attributes: Conditions = "",
    allow_unseen: Unseen = False,
    sampler: Sampler = "normal",
    device: Device = "cpu",
    overwrite: Overwrite = False,
) -> None:
    """Go from one sample to another, or lay out two attributes as a table."""
    stops, conditions = _seeds(seeds), parse_option("attributes", attributes)
    if (across is None) != (down is None):
        missing = "--across" if across is None else "--down"
        raise UserError(missing, "a table has two axes", "Give --across and --down.")
    table = across is not None and down is not None
    if not table and len(stops) < 2:
        raise UserError("--seeds", f"two or more (got {seeds})", "--seeds 1,2")
    _check_size(steps * steps if table else steps * count * len(stops))
    generator = _open(reference, out, overwrite, device)
    with _refusals(reference):
        if across is not None and down is not None:
            base = generator.latents(1, stops[0], truncation, sampler)[0]
            axes = _Axes(generator, conditions, allow_unseen)
            frames = axes.table(base, across, down, steps, reach)
        else:
            samples = [generator.latents(count, seed, truncation, sampler) for seed in stops]
            path = _paths(generator, samples, steps)
            frames = _decoded(generator, path, conditions, allow_unseen)
    _write(out, frames)
    typer.echo(f"{reference}, {'a table' if table else seeds}: {out}")


def _paths(generator: "Generator", samples: "Sequence[np.ndarray]", steps: int) -> "np.ndarray":
    """Latents [M, count, L] through all stops."""
    import numpy as np

    from atelier.editing.interpolation import along

    straight = generator.task == "reconstruction"
    paths = [along(stops, steps, straight) for stops in zip(*samples, strict=True)]
    return np.stack(paths, axis=1)


class _Axes:
    """A table of two attributes: by label where it is a condition, else by direction.

    A label goes from 0 to 1, a direction from -reach to reach.
    """

    def __init__(self, generator: "Generator", conditions: dict[str, float], allow_unseen: bool):
        self.generator, self.conditions, self.allow_unseen = generator, conditions, allow_unseen

    def table(
        self, base: "np.ndarray", across: str, down: str, steps: int, reach: float
    ) -> "np.ndarray":
        """uint8 [steps, steps, S, S, 3], for latent [L]."""
        import numpy as np

        from atelier.editing.interpolation import table

        bundle = self.generator.bundle
        amounts = np.linspace(-reach, reach, steps).tolist()
        vectors = self._vector(across, reach), self._vector(down, reach)
        latents = table(base, *vectors, amounts, amounts).reshape(steps * steps, -1)
        shares = np.linspace(0, 1, steps).tolist()
        rows = [self._row({down: y, across: x}) for y in shares for x in shares]
        labels = np.stack(rows) if bundle.attributes else None
        made = bundle.decode(latents, labels)
        return made.reshape(steps, steps, *made.shape[1:])

    def _vector(self, name: str, reach: float) -> "np.ndarray":
        """float32 [L], of one step; zeros where a label does it."""
        import numpy as np

        bundle = self.generator.bundle
        if name in bundle.attributes:
            return np.zeros(bundle.latent_dim, np.float32)
        bundle.shift_of({name: reach})  # Refuses what is too far.
        shift = bundle.shift_of({name: 1.0})
        assert shift is not None
        return shift

    def _row(self, shares: dict[str, float]) -> "np.ndarray":
        """float32 [K]; [0] where there is nothing to ask for."""
        import numpy as np

        bundle = self.generator.bundle
        labels = {name: share for name, share in shares.items() if name in bundle.attributes}
        row = bundle.attribute_row(self.conditions | labels, self.allow_unseen)
        return np.zeros(0, np.float32) if row is None else row


def _groups(generator: "Generator", arithmetic: str) -> "np.ndarray":
    """Latents [T + 1, L]: of each group, and last of what their sum is."""
    import numpy as np

    from atelier.editing.arithmetic import Groups, combine, parse

    bundle = generator.bundle
    facts = generator.manifest["words"].get("directions", {})
    if not facts:
        problem = "the bundle does not say where groups are"
        raise UserError(generator.reference, problem, "It holds no directions.")
    mean = bundle.arrays.get("latent_mean", np.zeros(bundle.latent_dim, np.float32))
    rows = dict(zip(bundle.directions, bundle.arrays["directions"], strict=True))
    groups, terms = Groups(mean, rows, facts), parse(arithmetic)
    return np.stack([*(groups(term.rule) for term in terms), combine(terms, groups)])


def _decoded(
    generator: "Generator", latents: "np.ndarray", conditions: dict[str, float], allow_unseen: bool
) -> "np.ndarray":
    """[R, C, L] -> uint8 [R, C, S, S, 3]."""
    if generator.makes_numbers:
        raise UserError(generator.reference, "makes numbers, not pictures")
    made = generator.decode(
        latents.reshape(-1, latents.shape[-1]), attributes=conditions, allow_unseen=allow_unseen
    )
    return made.reshape(*latents.shape[:2], *made.shape[1:])


def _open(reference: str, out: Path, overwrite: bool, device: str) -> "Generator":
    from atelier.registry.loading import load
    from atelier.registry.store import need_store

    if out.suffix.lower() not in FORMS:
        raise UserError("--out", f"one of {', '.join(FORMS)} (got {out})")
    with writing(str(out)):
        check_free([out], overwrite)
    need_store()
    return load(reference, device)


@contextmanager
def _refusals(reference: str) -> Iterator[None]:
    from atelier.bundle.bundle_model import Refused

    try:
        yield
    except Refused as refusal:
        raise UserError(reference, str(refusal)) from None


def _photo(path: Path) -> "np.ndarray":
    import numpy as np

    from atelier.data.decode import decode

    return np.asarray(decode(path))


def _seeds(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError("--seeds", f"numbers separated by commas (got {text!r})") from None


def _check_size(pictures: int) -> None:
    if not 0 < pictures <= LARGEST:
        raise UserError("--count", f"1 to {LARGEST:,} pictures in all (got {pictures:,})")


def _write(out: Path, frames: "np.ndarray") -> None:
    """uint8 [R, C, S, S, 3]: rows of one sheet, or row after row as what moves, there and back."""
    from atelier.bundle.bundle_model import png
    from atelier.cli.animation import LARGEST_SIDE, gif, webp
    from atelier.data.sheet import sheet

    rows, form = frames.transpose(0, 1, 4, 2, 3), out.suffix.lower()
    with writing(str(out)), all_or_none() as put:
        if form == ".png":
            put(out, png(sheet(rows.reshape(-1, *rows.shape[2:]), rows.shape[1])))
            return
        moving = [sheet(row, row.shape[0]) for row in rows]
        moving += moving[-2:0:-1]
        if len(moving) < 2:
            raise UserError("--out", "one row does not move", "FILE.png")
        if (side := max(moving[0].shape)) > LARGEST_SIDE[form]:
            problem = f"a row of {side:,} pixels is too long for a {form[1:]}"
            raise UserError("--out", problem, f"{LARGEST_SIDE[form]:,} at most, or FILE.png")
        put(out, (gif if form == ".gif" else webp)(moving, FRAMES_PER_SECOND))

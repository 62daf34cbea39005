"""`atelier fidelity` and `atelier export`: a generator beside published figures, or anybody's tool.

Neither decides anything here.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from atelier.cli.options import AsJson, Reference
from atelier.cli.output import writing
from atelier.display import print_json, print_table
from atelier.errors import UserError

if TYPE_CHECKING:
    from atelier.operations.fidelity import Sets

PUBLISHED = 50_000
"""Pictures that a published FID is of, as a rule."""

Split = Annotated[
    Literal["training", "validation", "test"],
    typer.Option(help="The dataset's split that reals, inputs and requests are taken of."),
]
Count = Annotated[
    int, typer.Option(min=10, max=PUBLISHED, help="Pictures of each set, if there are as many.")
]
Seed = Annotated[
    int, typer.Option(min=0, max=2**31 - 1, help="What is drawn from noise, by its seed.")
]


def fidelity(
    reference: Reference,
    weights: Annotated[
        Path | None,
        typer.Option(help="InceptionV3's file; default: where torch-fidelity's download lies."),
    ] = None,
    split: Split = "test",
    count: Count = PUBLISHED,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Score a generator as papers do: FID, KID, Inception score, precision and recall.

    All in InceptionV3's features, by torch-fidelity. It neither chooses nor gates.
    """
    from atelier.operations.fidelity import open_sets, score
    from atelier.operations.inception import INCEPTION, Inception
    from atelier.registry.store import need_store
    from atelier.tasks.picture_sets import Asked

    need_store()
    sets = open_sets(reference, split, Asked(count, seed))
    found = score(sets, Inception(weights))
    if as_json:
        print_json({"version": sets.version, "settings": sets.settings, "sets": found})
        return
    rows = [row for name, of in found.items() for row in _rows(name, of[INCEPTION])]
    print_table(("set", "figure", "value"), rows)
    for line in _rests_on(sets, found):
        typer.echo(line)


def export(
    reference: Reference,
    out: Annotated[Path, typer.Option(help="A new folder: one of PNG files for each set.")],
    split: Split = "test",
    count: Count = PUBLISHED,
    seed: Seed = 0,
) -> None:
    """Write the pictures that `fidelity` compares, made and real, for anybody's tool."""
    from atelier.operations.fidelity import open_sets, write
    from atelier.registry.store import need_store
    from atelier.tasks.picture_sets import Asked

    if out.exists():
        raise UserError(out, "exists already", "Choose a new folder.")
    need_store()
    sets = open_sets(reference, split, Asked(count, seed))
    with writing(str(out)):
        written = write(sets, out)
    for one in written:
        typer.echo(f"{out / one.name}: {one.count:,} pictures")
    typer.echo(_data(sets))


def _rows(name: str, figures: dict[str, float]) -> list[tuple[str, str, str]]:
    """A line for each figure; its spread beside it."""
    from atelier.operations.inception import INCEPTION, SPREAD

    return [
        (name, f"{INCEPTION}/{key}", f"{value:.4g}" + _beside(figures.get(key + SPREAD)))
        for key, value in figures.items()
        if not key.endswith(SPREAD)
    ]


def _beside(deviation: float | None) -> str:
    return "" if deviation is None else f" +- {deviation:.2g}"


def _rests_on(sets: "Sets", found: dict[str, Any]) -> list[str]:
    """How many pictures, which crop, and what the figures can't be compared with."""
    lines = [
        f"{name}: {of['made']:,} pictures, held to {of['reals']:,} real ones ({of['held_to']}); "
        f"KID over 100 subsets of {of['kid_subset']:,}"
        for name, of in found.items()
    ]
    lines.append(_data(sets))
    if any(min(of["made"], of["reals"]) < PUBLISHED for of in found.values()):
        lines.append(
            f"FID is biased: fewer pictures make it larger. Published ones are of {PUBLISHED:,} as "
            "a rule, and compare with these at the same number alone."
        )
    if sets.settings["drawn"]:
        lines.append("These pictures are drawn: nobody has published figures of them.")
    lines.append("No snapshot is chosen by these figures, and the gate does not know them.")
    return lines


def _data(sets: "Sets") -> str:
    of = sets.settings
    crop = "" if of["crop_share"] is None else f", crop_share {of['crop_share']}"
    return (
        f"{of['dataset']}, split {of['split']}, {of['size_pixels']} px, fit {of['fit']}{crop}; "
        f"seed {of['seed']}"
    )

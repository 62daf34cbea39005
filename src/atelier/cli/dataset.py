"""`atelier dataset`: datasets of your own pictures."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from atelier.cli.options import TakenFor

dataset = typer.Typer(no_args_is_help=True, help="Make a dataset of your own pictures.")


@dataset.callback()
def _group() -> None:
    """Make a dataset of your own pictures."""


@dataset.command()
def new(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits, hyphens.")],
    path: Annotated[
        Path | None,
        typer.Argument(
            help="A folder, zip or tar: pictures, class folders, trainA and trainB, or a "
            "table of attributes beside pictures."
        ),
    ] = None,
    a: Annotated[str | None, typer.Option(help="A pair's first folder, in PATH if given.")] = None,
    b: Annotated[str | None, typer.Option(help="And its second.")] = None,
    layout: TakenFor = None,
    fit: Annotated[
        Literal["crop", "pad"],
        typer.Option(help="crop: the centred square; pad: all of it, the border mirrored."),
    ] = "crop",
    size: Annotated[
        int | None, typer.Option(help="Side in pixels at scale laptop, at most; a power of two.")
    ] = None,
) -> None:
    """Look at pictures, import them, and write what trainings need to know of them."""
    from atelier.operations.own_datasets import Asked, new_dataset, suggested_source

    asked = Asked(path, a, b, layout, fit, size)
    for file in new_dataset(name, asked, typer.echo):
        typer.echo(file)
    source = suggested_source(name)
    kind = source.partition("-")[2] or "pair"
    typer.echo("Next:")
    typer.echo(f"  atelier experiment new {name}-{kind} --from {source} --dataset {name}")
    typer.echo(f"  atelier repro register@{name}-{kind}")

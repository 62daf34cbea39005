"""`atelier experiment`: experiments from experiments."""

from typing import Annotated

import typer

experiment = typer.Typer(no_args_is_help=True, help="Make an experiment from another.")


@experiment.command()
def new(
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens.")],
    source: Annotated[str, typer.Option("--from", help="An experiment of params.yaml.")],
    objective: Annotated[
        str | None, typer.Option(help="Another loss, with usual values; default: the source's.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Another architecture; default: the source's.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Another dataset of params.yaml; default: the source's.")
    ] = None,
) -> None:
    """Write a new experiment's files, one for each scale, and its line in params.yaml."""
    from atelier.operations.experiments import new_experiment

    for path in new_experiment(name, source, objective, model, dataset):
        typer.echo(path)
    typer.echo(f"Next: change them as you like, then run atelier repro register@{name}")

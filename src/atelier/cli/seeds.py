"""`atelier seeds`: what training seeds change of an experiment's figures."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from atelier.cli.options import AsJson
from atelier.display import print_json, print_table
from atelier.errors import UserError

if TYPE_CHECKING:
    from atelier.spread import Figure, Spread

LARGEST = 2**63 - 1


def seeds(
    experiments: Annotated[list[str], typer.Argument(help="Experiments of params.yaml.")],
    seeds: Annotated[str, typer.Option(help="Training seeds, the own one or not: 1,2,3.")],
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            help="Trainings at once. Default: one on each GPU, else two.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train experiments anew with other seeds, and tell what seeds change of their figures.

    Each seed is kept as an experiment of DVC's; nothing is registered, and the workspace stays.
    """
    from atelier.operations.seeds import compare_seeds

    found = compare_seeds(experiments, _numbers(seeds), jobs)
    if as_json:
        print_json([_words(one) for one in found])
        return
    for spread in found:
        seeds_of = [spread.own_seed, *spread.trained]
        typer.echo(f"{spread.experiment}: training seeds {', '.join(map(str, seeds_of))}")
        header = (
            *("figure", *(f"seed {seed}" for seed in seeds_of)),
            *("mean", "from", "to", "between seeds +-", "sampling of one +-"),
        )
        print_table(header, [_row(figure) for figure in spread.figures.values()])


def _numbers(given: str) -> list[int]:
    """ "1,2,3" -> [1, 2, 3]."""
    words = [word.strip() for word in given.split(",")]
    if not all(word.isascii() and word.isdigit() and int(word) <= LARGEST for word in words):
        raise UserError("--seeds", f"no whole numbers from 0 on (got {given[:80]!r})", "As in: 2,3")
    return [int(word) for word in words]


def _words(spread: "Spread") -> dict[str, Any]:
    figures = {
        key: one.model_dump()
        | {"mean": one.mean, "from": one.lowest, "to": one.highest, "between_seeds": one.deviation}
        for key, one in spread.figures.items()
    }
    return spread.model_dump() | {"figures": figures}


def _row(figure: "Figure") -> tuple[str, ...]:
    error = figure.sampling_error
    numbers = (*figure.values.values(), figure.mean, figure.lowest, figure.highest)
    return (
        figure.name,
        *(f"{number:.4g}" for number in numbers),
        f"{figure.deviation:.2g}",
        "-" if error is None else f"{error:.2g}",
    )

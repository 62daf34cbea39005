"""Arguments and options that several commands take, and how their words are read."""

from typing import Annotated, Literal

import typer

from atelier.errors import UserError

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Device = Annotated[str, typer.Option(help="Where to run it: cpu, cuda or cuda:1.")]
Reference = Annotated[str, typer.Argument(help="NAME@champion, another alias, or NAME/VERSION.")]
Experiments = Annotated[
    list[str] | None, typer.Argument(help="Experiments of params.yaml; default: all.")
]
Scale = Annotated[
    str | None, typer.Option(help="tiny, laptop or gpu; default: what params.yaml names.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that are there already.")
]
Edits = Annotated[
    str,
    typer.Option(
        metavar="NAME=STEPS,...",
        help="Steps along directions of the latent, in standard deviations: Smiling=2,Male=-1.",
    ),
]
TakenFor = Annotated[
    Literal["pictures", "classes", "pairs", "attributes"] | None,
    typer.Option("--as", help="What to take it for, instead of what it looks like."),
]


def parse_option(option: str, text: str) -> dict[str, float]:
    """Reads NAME=NUMBER,...

    Raises:
        UserError: anything else.
    """
    from atelier.bundle.bundle_model import Refused, parse_amounts

    try:
        return parse_amounts(option, text)
    except Refused as refusal:
        raise UserError(f"--{option}", str(refusal).partition(": ")[2]) from None

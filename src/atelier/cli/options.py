"""Arguments and options that several commands take."""

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Device = Annotated[str, typer.Option(help="Where to run it: cpu, cuda or cuda:1.")]
Reference = Annotated[str, typer.Argument(help="NAME@champion, another alias, or NAME/VERSION.")]
Experiments = Annotated[
    list[str] | None, typer.Argument(help="Experiments of params.yaml; default: all.")
]
Scale = Annotated[
    str | None, typer.Option(help="tiny, laptop or gpu; default: what params.yaml names.")
]

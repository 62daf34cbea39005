"""`atelier generate`: pictures, or numbers, from a registered generator."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atelier.cli.options import Device, Edits, Overwrite, Reference, parse_option
from atelier.cli.output import all_or_none, check_free, writing
from atelier.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from atelier.bundle.client import Generator


def generate(
    reference: Reference,
    count: Annotated[int, typer.Option(help="How many, at most 10,000.")] = 16,
    seed: Annotated[int, typer.Option(help="The same seed makes the same outputs.")] = 0,
    truncation: Annotated[
        float, typer.Option(help="Scales the latent: below 1 more typical, above more varied.")
    ] = 1.0,
    attributes: Annotated[
        str,
        typer.Option(
            metavar="NAME=SHARE,...",
            help="What a conditional generator is asked for, 0 to 1: Eyeglasses=1,Blond_Hair=0.5.",
        ),
    ] = "",
    allow_unseen: Annotated[
        bool, typer.Option("--allow-unseen", help="Also what no training image had together.")
    ] = False,
    edits: Edits = "",
    sampler: Annotated[
        str, typer.Option(help="normal, or mixture: fitted to the training images' codes.")
    ] = "normal",
    out: Annotated[
        str | None,
        typer.Option(help="FILE.png for one grid, FOLDER/ for single pictures; numbers: a file."),
    ] = None,
    device: Device = "cpu",
    overwrite: Overwrite = False,
) -> None:
    """Make pictures, or numbers, with a registered generator."""
    from atelier.registry.loading import load
    from atelier.registry.store import need_store

    # Before the work, so that nothing is made in vain.
    _check_request(count, seed, truncation)
    conditions, steps = parse_option("attributes", attributes), parse_option("edits", edits)
    if out is not None:
        with writing(out):
            check_free(_targets(out, count), overwrite)
    need_store()
    generator = load(reference, device)
    _check_target(generator, out)
    outputs = generator.sample(
        count,
        seed,
        truncation,
        attributes=conditions,
        allow_unseen=allow_unseen,
        edits=steps,
        sampler=sampler,
    )
    if out is None:
        typer.echo(" ".join(str(number) for number in outputs))
    else:
        with writing(out):
            _write(generator, outputs, out)
        typer.echo(f"{count} from {generator.version or reference}, seed {seed}: {out}")


def _check_request(count: int, seed: int, truncation: float) -> None:
    from atelier.bundle.bundle_model import Refused, check_request

    try:
        check_request(count, seed, truncation)
    except Refused as refusal:
        option, _, problem = str(refusal).partition(": ")
        raise UserError(f"--{option}", problem) from None


def _check_target(generator: "Generator", out: str | None) -> None:
    if not generator.bundle.can_sample:
        return  # it says so itself
    if generator.makes_numbers:
        if out is not None and out.endswith("/"):
            raise UserError("--out", f"numbers go to one file (got {out})", "--out numbers.txt")
        return
    if out is None:
        raise UserError("--out", "pictures need a place", "--out grid.png, or --out FOLDER/")
    if not out.endswith("/") and Path(out).suffix.lower() != ".png":
        raise UserError("--out", f"neither a .png file nor a folder (got {out})", "FOLDER/ or .png")


def _targets(out: str, count: int) -> list[Path]:
    if not out.endswith("/"):
        return [Path(out)]
    return [Path(out) / f"{index:04d}.png" for index in range(count)]


def _write(generator: "Generator", outputs: "np.ndarray", out: str) -> None:
    from atelier.bundle.bundle_model import png
    from atelier.bundle.pack import grid

    with all_or_none() as put:
        if generator.makes_numbers:
            put(Path(out), "".join(f"{number}\n" for number in outputs).encode())
        elif out.endswith("/"):
            for path, picture in zip(_targets(out, len(outputs)), outputs, strict=True):
                put(path, png(picture))
        else:
            put(Path(out), png(grid(outputs)))

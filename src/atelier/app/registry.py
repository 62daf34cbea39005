"""`atelier registry` and `atelier generate`: what is published, and using it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atelier.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from atelier.registry.generator import Generator

registry = typer.Typer(no_args_is_help=True, help="List, show and restore what is published.")

Reference = Annotated[str, typer.Argument(help="NAME@champion, another alias, or NAME/VERSION.")]


@registry.command("list")
def list_() -> None:
    """List every registered generator and version, newest first."""
    from atelier.registry.store import open_store
    from atelier.registry.versions import names, versions

    if not _has_store() or not (registered := names(store := open_store())):
        typer.echo("Nothing is registered yet. Run: atelier repro")
        return
    for name in registered:
        for version in versions(store, name):
            aliases = ", ".join(version.aliases) or "-"
            verdict = version.tags.get("gate.reason", "the gate has not decided")
            typer.echo(f"{version!s:24} {aliases:22} {version.digest[:12]}  {verdict}")


@registry.command()
def show(reference: Reference) -> None:
    """Show a version's lineage, its place and what the gate said."""
    from atelier.registry.store import open_store
    from atelier.registry.versions import find

    _need_store()
    version = find(open_store(), reference)
    facts = {
        "version": str(version),
        "aliases": ", ".join(version.aliases),
        "bundle": version.source,
        "run": version.run_id or "",
        **{key: text for key, text in sorted(version.tags.items()) if key != "gate.decision"},
    }
    for key, text in facts.items():
        typer.echo(f"{key:26} {text or '-'}")


@registry.command()
def sync(
    experiments: Annotated[
        list[str] | None, typer.Argument(help="Experiments of params.yaml; default: all.")
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="tiny, laptop or gpu; default: what params.yaml names.")
    ] = None,
) -> None:
    """Restore runs and versions that artifacts/ has and the store lacks, without training."""
    from atelier.config import listed_experiments, load_experiment
    from atelier.pipeline import lineage
    from atelier.pipeline.stages import scale_or_default

    scale, chosen = scale_or_default(scale), experiments or list(listed_experiments())
    for name in chosen:
        load_experiment(scale, name)  # all of them sound, before the first is touched
    lineage.sync(scale, chosen)


@registry.command()
def rollback(
    name: Annotated[str, typer.Argument(help="A registered name, such as faces-gan.")],
) -> None:
    """Give the alias champion back to the version that had it before."""
    from atelier.registry import versions
    from atelier.registry.store import open_store

    _need_store()
    now, before = versions.rollback(open_store(), name)
    typer.echo(f"{name}@champion is {now} again, instead of {before}")


def generate(
    reference: Reference,
    count: Annotated[int, typer.Option(help="How many, at most 10,000.")] = 16,
    seed: Annotated[int, typer.Option(help="The same seed makes the same outputs.")] = 0,
    truncation: Annotated[
        float, typer.Option(help="Scales the latent: below 1 more typical, above more varied.")
    ] = 1.0,
    out: Annotated[
        str | None,
        typer.Option(help="FILE.png for one grid, FOLDER/ for single pictures; numbers: a file."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files that are there already.")
    ] = False,
) -> None:
    """Make pictures, or numbers, with a registered generator."""
    from atelier.registry.generator import load

    # Before the work, so that nothing is made in vain.
    _check_request(count, seed, truncation)
    if out is not None:
        with _writing(out):
            _check_free(_targets(out, count), overwrite)
    _need_store()
    generator = load(reference)
    _check_target(generator.makes_numbers, out)
    outputs = generator.sample(count, seed, truncation)
    if out is None:
        typer.echo(" ".join(str(number) for number in outputs))
    else:
        with _writing(out):
            _write(generator, outputs, out)
        typer.echo(f"{count} from {generator.version or reference}, seed {seed}: {out}")


def _has_store() -> bool:
    """Whether there is a registry to read; opening one that is not there would make it."""
    from atelier.registry.store import DATABASE

    return "MLFLOW_TRACKING_URI" in os.environ or DATABASE.exists()


def _need_store() -> None:
    if not _has_store():
        remedy = "Run atelier repro in the repository's root, or set MLFLOW_TRACKING_URI."
        raise UserError("mlruns", "nothing is registered here", remedy)


def _check_request(count: int, seed: int, truncation: float) -> None:
    from atelier.registry.bundle_model import Refused, check_request

    try:
        check_request(count, seed, truncation)
    except Refused as refusal:
        option, _, problem = str(refusal).partition(": ")
        raise UserError(f"--{option}", problem) from None


def _check_target(makes_numbers: bool, out: str | None) -> None:
    if makes_numbers and out is not None and out.endswith("/"):
        raise UserError("--out", f"numbers go to one file (got {out})", "--out numbers.txt")
    if makes_numbers:
        return
    if out is None:
        raise UserError("--out", "pictures need a place", "--out grid.png, or --out FOLDER/")
    if not out.endswith("/") and Path(out).suffix.lower() != ".png":
        raise UserError("--out", f"neither a .png file nor a folder (got {out})", "FOLDER/ or .png")


def _targets(out: str, count: int) -> list[Path]:
    if not out.endswith("/"):
        return [Path(out)]
    return [Path(out) / f"{index:04d}.png" for index in range(count)]


def _check_free(paths: list[Path], overwrite: bool) -> None:
    if taken := [path for path in paths if path.is_dir() or (path.exists() and not overwrite)]:
        more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise UserError(taken[0], f"exists already{more}", "Choose another, or --overwrite.")
    for folder in paths[0].parents:
        if folder.exists() and not folder.is_dir():
            raise UserError("--out", f"{folder} is a file, not a folder", "Choose another.")


@contextmanager
def _writing(out: str) -> Iterator[None]:
    """A full disk, a name too long, a folder that is not ours: the user's to mend."""
    try:
        yield
    except OSError as error:
        raise UserError("--out", f"cannot be written ({error.strerror}: {out[:80]})") from None


def _write(generator: "Generator", outputs: "np.ndarray", out: str) -> None:
    """Each file appears whole: written beside its place, then renamed."""
    from atelier.registry.bundle import grid
    from atelier.registry.bundle_model import png

    if generator.makes_numbers:
        contents = ["".join(f"{number}\n" for number in outputs).encode()]
        paths = [Path(out)]
    elif out.endswith("/"):
        contents = [png(picture) for picture in outputs]
        paths = _targets(out, len(outputs))
    else:
        contents, paths = [png(grid(outputs))], [Path(out)]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    for path, content in zip(paths, contents, strict=True):
        beside = path.with_name(f".{path.name}.writing")
        beside.write_bytes(content)
        beside.replace(path)

"""`atelier data`: import, check and fetch datasets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atelier.cli.options import TakenFor

if TYPE_CHECKING:
    from atelier.data.catalog import DatasetConfig
    from atelier.data.importing import Imported

data = typer.Typer(no_args_is_help=True, help="Import, check and fetch datasets.")

Replace = Annotated[
    bool, typer.Option("--replace", help="Let another imported dataset of this name go.")
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes; default: one for each core at hand.")
]


@data.command("import")
def import_(
    dataset: Annotated[str, typer.Argument(help="celeba, horse2zebra, or a new name.")],
    path: Annotated[Path, typer.Argument(help="A folder, zip or tar.")],
    layout: TakenFor = None,
    replace: Replace = False,
    subset: Annotated[
        bool, typer.Option("--subset", help="Leave out table rows that have no image.")
    ] = False,
    workers: Workers = None,
) -> None:
    """Bring your own images into data/: all checked first, then copied as they are."""
    from atelier.data.importing import import_dataset

    _tell(import_dataset(dataset, path, Path(), replace, subset, workers, layout=layout))


@data.command()
def check(
    dataset: Annotated[
        str | None, typer.Argument(help="A folder of data/; default: each of them.")
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="Whose image size is needed; default: params.yaml's.")
    ] = None,
    workers: Workers = None,
) -> None:
    """Report damaged, small, unlabelled, duplicate and leaking images, by name, all at once."""
    from atelier.data.checking import check as check_dataset
    from atelier.errors import UserError, UserErrors

    findings: list[UserError] = []
    for name in [dataset] if dataset else _datasets():
        config = _config(name, scale)
        layout = config.layout if config else None
        report = check_dataset(Path("data") / name, layout, config, workers)
        findings += report.findings
        counts = ", ".join(f"{count:,} {split}" for split, count in report.counts.items())
        problems = len(report.findings)
        verdict = f"{problems:,} problem{'s' * (problems > 1)}" if problems else "in order"
        typer.echo(f"{report.folder}: {counts}: {verdict}")
    if findings:
        raise UserErrors(findings)


@data.command()
def fetch(
    dataset: Annotated[str, typer.Argument(help="celeba or horse2zebra.")],
    url: Annotated[
        str | None, typer.Option(help="A zip elsewhere that holds all of the dataset.")
    ] = None,
    replace: Replace = False,
    workers: Workers = None,
) -> None:
    """Download a public original, going on where a transfer broke off, and import it."""
    from atelier.data import fetching

    if dataset in fetching.ORIGINALS:
        typer.echo(fetching.ORIGINALS[dataset].licence)
    _tell(fetching.fetch(dataset, Path(), url, replace, workers=workers))


def _tell(imported: "Imported") -> None:
    catalog = imported.catalog
    counts = ", ".join(f"{len(split.names):,} {name}" for name, split in catalog.splits.items())
    typer.echo(f"data/{catalog.dataset}: {counts}")
    for note in imported.notes:
        typer.echo(note)
    typer.echo("Next: `dvc add data` makes it a data version, `dvc repro` trains on it.")


def _datasets() -> list[str]:
    from atelier.data.catalog import layout_of
    from atelier.errors import UserError

    found = sorted(p.name for p in Path("data").glob("*") if p.is_dir() and layout_of(p))
    if not found:
        remedy = "Run dvc repro to draw them, or atelier data import."
        raise UserError("data", "holds no datasets", remedy)
    return found


def _config(dataset: str, scale: str | None) -> "DatasetConfig | None":
    """How the scale prepares the dataset; None where no file says so, as for one of your own."""
    from atelier.data.catalog import DatasetFile
    from atelier.errors import UserError
    from atelier.schema import load, read_yaml

    params = Path("params.yaml")
    scale = scale or (read_yaml(params).get("scale") if params.exists() else None)
    if scale is None:
        return None
    folder = Path("experiments", scale, "datasets")
    if not folder.is_dir():
        raise UserError(folder, "no such folder", "The scales are the folders of experiments/.")
    path = folder / f"{dataset}.yaml"
    return load(path, DatasetFile).data if path.exists() else None

"""What goes on, what can go, what is wrong: `atelier status`, `tidy`, `doctor`."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.filesize import decimal as size

from atelier.cli.options import AsJson, Experiments, Scale
from atelier.display import print_json, print_table


def status(experiments: Experiments = None, scale: Scale = None, as_json: AsJson = False) -> None:
    """Show each experiment's pipeline, champion, figures and disk, and what runs now."""
    from atelier.operations import overview
    from atelier.params import listed_experiments
    from atelier.pipeline.stages import scale_or_default
    from atelier.schema import unknown

    listed = listed_experiments()
    for name in experiments or ():
        if name not in listed:
            raise unknown("experiment", name, listed)
    found = overview.overviews(experiments or list(listed), scale_or_default(scale))
    now, disk = overview.at_work(), overview.disk()
    if as_json:
        words = [{**asdict(one), "pipeline": one.pipeline} for one in found]
        print_json({"experiments": words, "now": now, "disk_bytes": disk})
        return
    header = ("experiment", "champion", "figures, test split", "disk", "pipeline")
    rows = [
        (
            one.experiment,
            one.champion or "-",
            ", ".join(f"{key} {value:.3g}" for key, value in one.figures.items()) or "-",
            size(one.disk_bytes),
            one.pipeline,
        )
        for one in found
    ]
    print_table(header, rows)
    typer.echo(f"now: {'; '.join(now) or 'nothing runs'}")
    typer.echo("disk: " + ", ".join(f"{place} {size(count)}" for place, count in disk.items()))


def tidy(
    keep: Annotated[
        int, typer.Option(min=1, help="Versions of each name whose bundles stay, the newest.")
    ] = 3,
    remove: Annotated[bool, typer.Option("--remove", help="Do it; else it is only said.")] = False,
) -> None:
    """Free disk: old versions' bundles, abandoned checkpoints, what DVC's cache holds for nobody.

    Champions, what they began with, whom they can be rolled back to, and every version with an
    alias stay; of the others all figures and decisions stay.
    """
    from atelier.operations import tidying

    found = tidying.removals(keep)
    rows = [(one.what, size(one.disk_bytes), one.why) for one in found]
    if rows:
        print_table(("what", "disk", "why it can go"), rows)
    total = sum(one.disk_bytes for one in found)
    if not remove:
        typer.echo(f"{size(total)} in all. To remove it: atelier tidy --keep {keep} --remove")
        return
    for one in found:
        one.remove()
    freed = tidying.collect_cache()
    typer.echo(f"{size(total + freed)} freed, {size(freed)} of it in DVC's cache")


def doctor() -> None:
    """Look for what is wrong: environment, repository, locks, stores, ports; exit code 1 if any is.

    Changes nothing; beside each fault stands its remedy.
    """
    from atelier.operations.doctor import examine

    found = examine()
    rows = [("wrong" if one.wrong else "fine", one.what, one.found, one.remedy) for one in found]
    print_table(("", "what", "found", "remedy"), rows)
    if any(one.wrong for one in found):
        raise typer.Exit(1)

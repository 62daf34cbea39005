"""`atelier report`: all that was made and found, on one page."""

from pathlib import Path
from typing import Annotated

import typer

from atelier.cli.options import Experiments, Scale
from atelier.cli.output import check_free, writing


def report(
    experiments: Experiments = None,
    scale: Scale = None,
    out: Annotated[
        Path, typer.Option(help="An HTML file; an earlier report there is replaced.")
    ] = Path("report.html"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is no report, too.")
    ] = False,
) -> None:
    """Write one page with champions, sheets, figures, curves and the gate's reasons.

    It needs no network and no other file. Nothing is trained or scored.
    """
    from atelier.files import write_whole
    from atelier.operations.reporting import page
    from atelier.pipeline.stages import scale_or_default

    check_free([out], overwrite or page.is_report(out))
    text = page.report(experiments or (), scale_or_default(scale))
    with writing(str(out)):
        write_whole(out, text)
    typer.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")

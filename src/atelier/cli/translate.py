"""`atelier translate` and `atelier reconstruct`: from given pictures to others."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atelier.cli.options import Device, Edits, Overwrite, Reference, parse_option
from atelier.cli.output import all_or_none, check_free, writing
from atelier.errors import UserError, UserErrors

if TYPE_CHECKING:
    import numpy as np

Inputs = Annotated[list[Path], typer.Argument(help="Pictures, and folders of pictures.")]
Out = Annotated[
    Path, typer.Option(help="The folder for the pictures made, each by its input's name.")
]

KEPT: dict[str, tuple[str, dict[str, Any]]] = {
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".png": ("PNG", {}),
    ".webp": ("WEBP", {"lossless": True}),
    ".bmp": ("BMP", {}),
    ".tif": ("TIFF", {}),
    ".tiff": ("TIFF", {}),
}
"""How a picture is written under its input's suffix; one of another suffix becomes a .png."""


def translate(
    reference: Reference,
    inputs: Inputs,
    direction: Annotated[str, typer.Option(help="A2B or B2A.")],
    out: Out,
    device: Device = "cpu",
    overwrite: Overwrite = False,
) -> None:
    """Translate pictures of any size into the other domain; each keeps its name and size."""
    from atelier.registry.loading import load
    from atelier.registry.store import need_store

    if direction not in ("A2B", "B2A"):
        raise UserError("--direction", f"A2B or B2A (got {direction})")
    targets = _targets(inputs, out, overwrite)
    need_store()
    generator = load(reference, device)
    _convert(targets, lambda image: generator.translate([image], direction)[0], out)
    typer.echo(f"{len(targets)} by {generator.version or reference}, {direction}: {out}")


def reconstruct(
    reference: Reference,
    inputs: Inputs,
    out: Out,
    edits: Edits = "",
    device: Device = "cpu",
    overwrite: Overwrite = False,
) -> None:
    """Send pictures through an autoencoder; larger ones are cropped as its training images were."""
    from atelier.registry.loading import load
    from atelier.registry.store import need_store

    steps = parse_option("edits", edits)
    targets = _targets(inputs, out, overwrite)
    need_store()
    generator = load(reference, device)
    _convert(targets, lambda image: generator.reconstruct([image], edits=steps)[0], out)
    typer.echo(f"{len(targets)} by {generator.version or reference}: {out}")


def _targets(inputs: list[Path], out: Path, overwrite: bool) -> dict[Path, Path]:
    """Output by input, once every input can be read and every output may be written.

    Raises:
        UserError: no picture, two of one name, or a place that is taken.
        UserErrors: all files that cannot be read.
    """
    from atelier.data.decode import Fault, try_decode

    named = [pair for one in inputs for pair in _pictures(one)]
    targets: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    for source, name in named:
        kept = name if name.suffix.lower() in KEPT else name.with_suffix(".png")
        other = taken.setdefault(out / kept, source)
        if other != source:
            raise UserError(source, f"would be written as {out / kept}, as {other} is")
        targets[source] = out / kept
    # Decoded twice, here and for its turn, so that a broken one at the end costs no work.
    faults = [fault for source in targets if isinstance(fault := try_decode(source), Fault)]
    if faults:
        raise UserErrors([fault.error() for fault in faults])
    with writing(str(out)):
        check_free(list(taken), overwrite)
    return targets


def _pictures(path: Path) -> list[tuple[Path, Path]]:
    """The pictures that an argument names, each with the name that it keeps below --out."""
    from atelier.data.catalog import IMAGE_SUFFIXES

    if not path.is_dir():
        return [(path, Path(path.name))]
    found = [
        (file, file.relative_to(path))
        for file in sorted(path.rglob("*"))
        if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()
        if not any(part.startswith(".") for part in file.relative_to(path).parts)
    ]
    if not found:
        raise UserError(
            path, "no pictures here", f"Names end in {', '.join(sorted(IMAGE_SUFFIXES))}."
        )
    return found


def _convert(
    targets: dict[Path, Path], change: "Callable[[np.ndarray], np.ndarray]", out: Path
) -> None:
    """Reads, changes and writes one picture after the other; all appear together."""
    import numpy as np

    from atelier.data.decode import decode

    with writing(str(out)), all_or_none() as put:
        for source, target in targets.items():
            put(target, _encoded(change(np.asarray(decode(source))), target.suffix.lower()))


def _encoded(pixels: "np.ndarray", suffix: str) -> bytes:
    from PIL import Image

    kind, options = KEPT[suffix]
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()
